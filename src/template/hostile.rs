//! Hostile templates and data against the engine alone: each ends with an error that tells why.

use providers::{Entries, Key, Revision, Snapshot, Value};
use serde_json::json;
use tokio::time::Instant;

use super::*;

/// A small stack of whoever asks: what recurses has room of its own.
const STACK: usize = 256 << 10;

fn view(entries: &[(&str, &str)]) -> Complete {
    let entry =
        |(key, value): &(&str, &str)| (Key::from(*key), Value::new(value.as_bytes().to_vec()));
    let snapshot = Snapshot {
        revision: Revision(1),
        entries: entries.iter().map(entry).collect::<Entries>(),
        doubts: Vec::new(),
        as_of: Instant::now(),
    };
    Complete::from_snapshots([("app".to_owned(), snapshot)].into())
}

fn template(to: &str, text: &str) -> TemplateText {
    let settings = serde_json::from_value(json!({ "to": to, "inline": text }));
    TemplateText { settings: settings.expect("a template"), text: Some(text.into()) }
}

/// Compiles and renders with little fuel.
fn render(templates: &[(&str, &str)], entries: &[(&str, &str)]) -> Result<(), String> {
    let limits = shape::Limits { fuel: 1_000_000, file: 1 << 20, generation: 2 << 20 };
    let templates = templates.iter().map(|(to, text)| template(to, text)).collect();
    let told = |errors: Vec<TemplateError>| errors[0].to_string();
    let set = TemplateSet::compile(templates, &["app".to_owned()].into(), &limits);
    set.map_err(told)?.render(&view(entries)).map(drop).map_err(told)
}

/// The same on a thread with the stack of those that render.
fn render_aside(text: &str, entries: &[(&str, &str)]) -> Result<(), String> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK);
        let run = || render(&[("out", text)], entries);
        builder.spawn_scoped(scope, run).expect("a thread").join().expect("no panic")
    })
}

#[track_caller]
fn refused(text: &str, entries: &[(&str, &str)], reason: &str) {
    let error = render(&[("out", text)], entries).expect_err(text);
    assert!(error.contains("templates[0]") && error.contains(reason), "{error} for {text:.200}");
}

#[track_caller]
fn refused_aside(text: &str, reason: &str) {
    let error = render_aside(text, &[]).expect_err(text);
    assert!(error.contains("templates[0]") && error.contains(reason), "{error} for {text:.60}");
}

#[test]
fn r04_whatever_does_not_end_runs_out_of_fuel() {
    for text in [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(50) }}",
        "{% for a in range(9999) %}{% set x = range(9999) | list | sort %}{% endfor %}",
        "{% for a in range(9999) %}{% set x = range(9999) | sum %}{% endfor %}",
        "{% for a in range(9999) %}{% set x = ('abc' * 9999) | replace('b', 'c') %}{% endfor %}",
    ] {
        refused(text, &[], "limits.fuel");
    }
}

#[test]
fn r05_what_a_value_grows_to_is_paid_with_fuel() {
    for text in [
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}\
         {% set ns.s = (ns.s + ns.s) | list %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}\
         {% set ns.s = ns.s | replace('x', 'xxxx') %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}\
         {% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}{% endfor %}",
        "{% set x = 'x' * 999999999 %}",
        "{% set x = '%999999999d' | format(1) %}",
        "{% set x = 'x' | indent(999999999, true) %}",
        "{% set x = range(99999) | join('x' * 9999) %}",
    ] {
        refused(text, &[], "limits.fuel");
    }
}

#[test]
fn r05_nesting_without_end_is_refused_when_compiling() {
    let many = |open: &str, close: &str| {
        format!("{{{{ {}1{} }}}}", open.repeat(100_000), close.repeat(100_000))
    };
    for text in [
        many("(", ")"),
        many("[", "]"),
        many("{1:", "}"),
        "{% if true %}".repeat(100_000),
        "{% for a in app %}".repeat(100_000),
    ] {
        assert!(render_aside(&text, &[]).is_err(), "{text:.60}");
    }
}

#[test]
fn r05_chains_without_end_are_refused_when_compiling() {
    for link in [
        " + 1",
        " - 1",
        " * 1",
        " / 1",
        " // 1",
        " % 1",
        " ** 1",
        " ~ 1",
        " == 1",
        " < 1",
        " and 1",
        " or 1",
        " in 1",
        " if 1 else 1",
        "|string",
        ".a",
        "[0]",
        "(0)",
        " is string",
    ] {
        for (begin, end) in
            [("{{ 1", " }}"), ("{% set a = 1", " %}"), ("{% if 1", " %}{% endif %}")]
        {
            let text = format!("{begin}{}{end}", link.repeat(100_000));
            refused_aside(&text, "in a row");
        }
    }
    for before in ["-", "not ", "1 if 1 else ", "1 ** "] {
        let text = format!("{{{{ {}1 }}}}", before.repeat(100_000));
        assert!(render_aside(&text, &[]).is_err(), "{before}");
    }
    let wide = format!("{}1{}", "(".repeat(100), format!("{})", " + 1".repeat(900)).repeat(100));
    refused_aside(&format!("{{{{ {wide} }}}}"), "in a row");
    refused_aside(&format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(100_000)), "elif");
}

/// What is long without being deep, and the longest that is allowed.
#[test]
fn r05_long_expressions_are_no_deep_ones() {
    let list = format!("{{{{ [{}] | length }}}}", "1 + 1, ".repeat(10_000));
    let map = format!("{{{{ {{{}}} | length }}}}", "'a': app.k | upper, ".repeat(10_000));
    let chain = format!("{{{{ 1{} }}}}", " + 1".repeat(1_000));
    let filters = format!("{{{{ 1{} }}}}", "|string".repeat(1_000));
    let items = format!("{{{{ app{} }}}}", ".a".repeat(1_000));
    let elif = format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(500));
    for text in [list, map, chain, filters, elif] {
        let rendered = render_aside(&text, &[("k", "v")]);
        assert!(rendered.is_ok(), "{rendered:?} for {text:.60}");
    }
    refused_aside(&items, "there is no");
}

#[test]
fn r05_lists_that_double_are_refused() {
    let set = |what: &str| {
        format!(
            "{{% set ns = namespace(s=[1]) %}}{{% for i in range(60) %}}\
             {{% set ns.s = {what} %}}{{% endfor %}}"
        )
    };
    let with = (0..60)
        .fold(String::new(), |text, n| format!("{text}{{% with v{} = v{n} + v{n} %}}", n + 1));
    for text in [
        set("ns.s + ns.s"),
        set("(ns.s + ns.s)"),
        set("[ns.s + ns.s][0]"),
        set("ns.s+ns.s"),
        set("ns.s * 2"),
        set("ns.s if 0 else ns.s + ns.s"),
        "{% macro m(v, n) %}{% if n %}{{ m(v + v, n - 1) }}{% endif %}{% endmacro %}{{ m([1], 60) }}"
            .to_owned(),
        "{% macro m(v, n, w=v + v) %}{% if n %}{{ m(w, n - 1) }}{% endif %}{% endmacro %}\
         {{ m([1], 60) }}"
            .to_owned(),
        "{% for x in [[1]] recursive %}{{ loop([x + x]) }}{% endfor %}".to_owned(),
        format!("{{% with v0 = [1] %}}{with}{}", "{% endwith %}".repeat(61)),
        format!("{{{{ ([1] * 999999999){} }}}}", " + [1]".repeat(40)),
        format!("{{% set a = [1] * 999999 %}}{{{{ a{} }}}}", " + a".repeat(900)),
    ] {
        let error = render_aside(&text, &[]).expect_err(&text);
        assert!(error.contains("templates[0]"), "{error} for {text:.200}");
    }
}

#[test]
fn r06_values_without_a_bottom_are_refused() {
    for wrapped in [
        "[ns.v]",
        "{'a': ns.v}",
        "{'a': [ns.v]}",
        "dict(a=ns.v)",
        "(ns.v, 1)",
        "namespace(a=ns.v)",
        "[[[[[[[[ns.v]]]]]]]]",
        "[ns.v] | list",
        "[ns.v] | reverse",
        "[ns.v] | batch(1)",
        "[[ns.v]] | map('first')",
        "ns",
    ] {
        for shown in
            ["", "{{ ns.v }}", "{{ ns.v | tojson }}", "{{ ns.v | toyaml }}", "{{ ns.v == ns.v }}"]
        {
            let text = format!(
                "{{% set ns = namespace(v=1) %}}{{% for i in range(50000) %}}\
                 {{% set ns.v = {wrapped} %}}{{% endfor %}}{shown}"
            );
            let error = render_aside(&text, &[]);
            // What does not nest is no fault.
            if wrapped != "[[ns.v]] | map('first')" {
                assert!(error.is_err(), "{text}");
            }
        }
    }
    let lines = format!("{{% set v = 1 %}}{}", "{% set v = [v] %}".repeat(50_000));
    refused_aside(&lines, "deep");
}

/// The same text with and without the bounds gives the same.
#[test]
fn bounds_change_no_result() {
    for text in [
        "{{ 1 + 2 * 3 }}",
        "{{ 1 - 2 + 3 }}",
        "{{ 1 + -2 }}",
        "{{ - 2 + 3 }}",
        "{{ 2 ** 3 + 1 }}",
        "{{ ([1] + [2]) | join(',') }}",
        "{{ [1] + [2] | list }}",
        "{{ app.k + 'x' | upper }}",
        "{{ app.k ~ 'x' + 'y' ~ app.k }}",
        "{{ 'a' if app.k + 'x' == 'vx' else 'b' + app.k }}",
        "{{ app.k + 'x' if not app.k in ['v'] + ['w'] else app.k[0] + app['k'] }}",
        "{{ (1 + 2) is number and not 1 + 1 is string }}",
        "{{ 6 + 3 is divisibleby 3 }}{{ 6 is divisibleby 3 + 1 }}{{ 6 is not divisibleby(3) + 1 }}",
        "{{ {'a': app.k + 'x', 'b': [app.k + 'y', 1]} | tojson }}",
        "{{ 'abcdef'[1 + 1:2 + 2] }}",
        "{{ range(1 + 1, 4 + 1) | list }}",
        "{{ dict(a=app.k + 'x', b=1) | tojson }}",
        "{% for x in [1] + [2] recursive %}{{ x + loop.index }}{% endfor %}",
        "{% for x in [1, 2] + [3] if x + 1 > 2 %}{{ x }}{% else %}none{% endfor %}",
        "{% set a, b = 1 + 1, app.k + 'x' %}{{ a }}{{ b }}",
        "{% set a = 1, 2 %}{{ a | length }}",
        "{% set a='x'+app.k%}{{a+'y'}}",
        "{% set a %}block{% endset %}{{ a + 'x' }}",
        "{% set a | upper %}block{% endset %}{{ a }}",
        "{% set ns = namespace(a=[]) %}{% for x in 'abc' %}{% set ns.a = ns.a + [x] %}{% endfor %}\
         {{ ns.a | join }}",
        "{% with a = 1 + 1, b = 2 %}{{ a + b }}{% endwith %}",
        "{% macro m(a, b=1 + 1) %}{{ a + b }}{% endmacro %}{{ m(1 + 0) }}{{ m(1, b=2 + 3) }}",
        "{% macro m() %}{{ caller() + '!' }}{% endmacro %}{% call m() %}{{ 1 + 1 }}{% endcall %}",
        "{% if 1 + 1 == 2 %}y{% elif 2 + 2 %}z{% endif %}",
        "{%- set a = 1 -%} {{- a + 1 -}} ",
        "{% raw %}{{ 1 + 1 }}{% endraw %}{# 1 + 1 #}{{ 'a + b' + \"c + d\" }}",
        "{% set x = app.nope is defined %}{{ x }}{{ app.nope | default('d') + 'x' }}",
        "{% filter upper %}{{ 'a' + app.k }}{% endfilter %}",
        "{{ [[1] + [2], (3, 4)] | tojson }}{{ 1.5 + 2 }}{{ true + 1 }}",
        "{{ app | items | list | length + 1 }}",
        "{% set whole = app %}{{ whole.k }}",
    ] {
        let mut plain = minijinja::Environment::new();
        super::filters::install(&mut plain);
        super::bounds::install(&mut plain);
        let tamed =
            super::tame::tame(text, minijinja::syntax::SyntaxConfig::default()).expect(text);
        let context = minijinja::context! { app => minijinja::context! { k => "v" } };
        let expected = plain.render_str(text, &context).map_err(|error| error.to_string());
        let got = plain.render_str(&tamed, &context).map_err(|error| error.to_string());
        assert!(expected.is_ok(), "{text}: {expected:?}");
        assert_eq!(got, expected, "{text} became {tamed}");
    }
}

#[test]
fn r06_recursion_ends_before_the_stack_does() {
    for text in [
        "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
        "{% macro m() %}{{ caller() }}{% call m() %}{{ m() }}{% endcall %}{% endmacro %}\
         {% call m() %}x{% endcall %}",
        "{% include 'out' %}",
        "{% import 'out' as o %}",
        "{% extends 'out' %}",
        "{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}",
    ] {
        assert!(render_aside(text, &[]).is_err(), "{text}");
    }
}

#[test]
fn r07_data_that_explodes_is_refused_and_named() {
    let deep =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let bomb = (1..30).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)
    });
    let mut data = vec![
        ("fromyaml", bomb),
        ("fromyaml", "a: 1\na: 2\n".to_owned()),
        ("fromyaml", (0..1_000).fold(String::new(), |t, n| format!("{t}{}a:\n", " ".repeat(n)))),
        ("fromjson", "1e400".to_owned()),
        ("fromjson", "NaN".to_owned()),
        ("fromtoml", "a = 1\na = 2\n".to_owned()),
        ("fromtoml", format!("a = {}", "9".repeat(1_000_000))),
        ("fromtoml", format!("{} = 1", vec!["a"; 100_000].join("."))),
        ("fromtoml", format!("[{}]", vec!["a"; 100_000].join("."))),
    ];
    for n in [200, 2_000, 100_000] {
        data.push(("fromjson", deep("[", "]", n)));
        data.push(("fromjson", deep("{\"a\":", "}", n)));
        data.push(("fromyaml", deep("[", "]", n)));
        data.push(("fromyaml", deep("{a: ", "}", n)));
        data.push(("fromyaml", deep("- ", "", n)));
        data.push(("fromtoml", format!("a = {}", deep("[", "]", n))));
        data.push(("fromtoml", format!("a = {}", deep("{a=", "}", n))));
    }
    for (filter, value) in data {
        let text = format!("{{% set x = app.k | {filter} %}}{{{{ x }}}}");
        let error = render_aside(&text, &[("k", &value)]).expect_err(filter);
        assert!(error.contains("templates[0]:1") && error.contains(filter), "{error} {value:.30}");
    }
}

#[test]
fn r07_an_output_that_explodes_its_parser_is_refused() {
    let deep =
        |open: &str, close: &str| format!("{{{{ '{open}' * 5000 }}}}1{{{{ '{close}' * 5000 }}}}");
    for (format, text) in [
        (shape::Format::Json, deep("[", "")),
        (shape::Format::Yaml, deep("[", "]")),
        (shape::Format::Yaml, deep("- ", "")),
        (shape::Format::Yaml, "a: 1\na: 2\n".to_owned()),
        (shape::Format::Toml, format!("a = {}", deep("[", "]"))),
        (shape::Format::Toml, "a = 1\na = 2\n".to_owned()),
    ] {
        let mut template = template("out", &text);
        template.settings.format = Some(format);
        let run = move || {
            let limits = shape::Limits::default();
            let set = TemplateSet::compile(vec![template], &["app".to_owned()].into(), &limits);
            set.expect("compiles").render(&view(&[])).map(drop)
        };
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(run);
        let errors = thread.expect("a thread").join().expect("no panic").expect_err(&text);
        assert!(errors[0].to_string().starts_with("templates[0]: the output is not"), "{errors:?}");
    }
}

#[test]
fn r09_there_is_no_function_with_an_answer_of_its_own() {
    for name in [
        "env",
        "getenv",
        "now",
        "time",
        "timestamp",
        "date",
        "uuid",
        "random",
        "rand",
        "lipsum",
        "http",
        "get",
        "fetch",
        "file",
        "read",
        "open",
        "exec",
        "shell",
        "hostname",
        "debug",
        "input",
    ] {
        for text in [format!("{{{{ {name}() }}}}"), format!("{{{{ 'x' | {name} }}}}")] {
            // `get` and the like are no filters either; a filter is looked up when compiling.
            assert!(render(&[("out", &text)], &[]).is_err(), "{text}");
        }
    }
}

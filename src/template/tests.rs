use std::process::Command;

use providers::{Entries, Key, Revision, Snapshot, Value};
use tokio::time::Instant;

use super::*;

/// What no message may ever hold.
const CANARY: &str = "c4n4ry-s3cr3t";

fn snapshot(entries: &[(&str, &[u8])]) -> Snapshot {
    let entry = |(key, value): &(&str, &[u8])| (Key::from(*key), Value::new(value.to_vec()));
    Snapshot {
        revision: Revision(1),
        entries: entries.iter().map(entry).collect::<Entries>(),
        doubts: Vec::new(),
        as_of: Instant::now(),
    }
}

fn view(entries: &[(&str, &str)]) -> Complete {
    let entries: Vec<_> = entries.iter().map(|(key, value)| (*key, value.as_bytes())).collect();
    Complete::from_snapshots([("app".to_owned(), snapshot(&entries))].into())
}

fn settings(yaml: &str) -> shape::Template {
    let json: serde_json::Value = serde_saphyr::from_str(yaml).expect("YAML");
    serde_json::from_value(json).expect("a template")
}

fn inline(text: &str, to: &str) -> TemplateText {
    let settings =
        shape::Template { inline: Some(text.to_owned()), ..settings(&format!("{{ to: {to} }}")) };
    TemplateText { settings, text: Some(text.into()) }
}

fn compile(templates: Vec<TemplateText>) -> Result<TemplateSet, Vec<TemplateError>> {
    TemplateSet::compile(templates, &["app".to_owned()].into(), &shape::Limits::default())
}

/// Renders one inline template.
fn render(text: &str, entries: &[(&str, &str)]) -> Result<String, String> {
    let lines = |errors: Vec<TemplateError>| {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let mut set = compile(vec![inline(text, "out")]).map_err(lines)?;
    let rendering = set.render(&view(entries)).map_err(lines)?;
    let file = rendering.files().values().next().expect("one file");
    Ok(String::from_utf8(file.bytes.to_vec()).expect("text"))
}

#[track_caller]
fn renders(text: &str, entries: &[(&str, &str)], expected: &str) {
    assert_eq!(render(text, entries).as_deref(), Ok(expected), "{text}");
}

#[track_caller]
fn fails(text: &str, entries: &[(&str, &str)], expected: &[&str]) {
    let error = render(text, entries).expect_err(text);
    for part in expected {
        assert!(error.contains(part), "expected {part:?} in {error:?} for {text}");
    }
    assert!(!error.contains(CANARY), "{error}");
}

#[test]
fn a_key_is_read_by_path_and_by_subscript() {
    let keys = [("db/host", "h"), ("db/port", "1"), ("my-key.conf", "d")];
    renders("{{ app.db.host }} {{ app['db/host'] }} {{ app.db['port'] }}", &keys, "h h 1");
    renders("{{ app['my-key.conf'] }}", &keys, "d");
}

#[test]
fn a_tree_is_listed_in_the_order_of_its_keys() {
    let keys = [("up/b", "2"), ("up/a", "1"), ("up/c/d", "3"), ("other", "x")];
    renders("{% for k, v in app.up | items %}{{ k }};{% endfor %}", &keys, "a;b;c;");
    renders("{% for k in app %}{{ k }};{% endfor %}", &keys, "other;up;");
    renders("{{ app.up | length }}", &keys, "3");
    let mixed = [("a", "1"), ("a-b", "2"), ("a/c", "3"), ("a/d", "4"), ("a0", "5")];
    renders("{% for k in app %}{{ k }};{% endfor %}", &mixed, "a;a-b;a0;");
    renders("{% for k, v in app.up.c | items %}{{ k }}={{ v }}{% endfor %}", &keys, "d=3");
}

#[test]
fn a_key_that_has_keys_below_must_be_named_exactly() {
    let keys = [("a", "own"), ("a/b", "below")];
    renders("{{ app['a'] }} {{ app['a/b'] }}", &keys, "own below");
    fails("{{ app.a }}", &keys, &["templates[0]:1", r#"app["a"]"#, r#"app["a/…"]"#]);
}

#[test]
fn a_missing_key_is_an_error_that_names_template_line_and_key() {
    fails("one\n{{ app.db.host }}", &[("db/port", "1")], &["templates[0]:2", r#"app["db/host"]"#]);
    fails("{% set v = app.a %}\n{{ v }}", &[], &["templates[0]", r#"app["a"]"#]);
    fails("{{ app['x-y'] | upper }}", &[], &[r#"app["x-y"]"#]);
    renders("{{ app.x is defined }} {{ app.x | default('d') }}", &[], "False d");
}

#[test]
fn values_are_text_as_stored() {
    renders("[{{ app.v }}]", &[("v", " 007\n")], "[ 007\n]");
    renders("{{ app.v }}", &[("v", "<a href=\"x\">&'")], "<a href=\"x\">&'");
    renders("line\n", &[], "line\n");
}

#[test]
fn a_tag_on_its_own_line_leaves_nothing_behind() {
    renders("a\n  {% if true %}\nb\n  {% endif %}\nc\n", &[], "a\nb\nc\n");
}

#[test]
fn bytes_that_are_no_text_are_copied_and_not_printed() {
    let raw =
        Complete::from_snapshots([("app".to_owned(), snapshot(&[("k", b"\xff\x00")]))].into());
    let mut printed = compile(vec![inline("{{ app.k }}", "out")]).expect("compiles");
    let error = printed.render(&raw).expect_err("no text")[0].to_string();
    assert!(error.contains(r#"app["k"]"#) && error.contains("UTF-8"), "{error}");
    let copy = settings("{ copy: { source: app, keys: k }, to: out }");
    let mut copied = compile(vec![TemplateText { settings: copy, text: None }]).expect("compiles");
    let rendering = copied.render(&raw).expect("bytes");
    assert_eq!(rendering.files().values().next().expect("a file").bytes.as_ref(), b"\xff\x00");
}

#[test]
fn copies_are_named_as_designed() {
    let keys = [("certs/a.pem", "1"), ("certs/sub/b.pem", "2"), ("other", "3")];
    for (pattern, to, expected) in [
        ("certs/**", "certs/", vec!["certs/a.pem", "certs/sub/b.pem"]),
        ("certs/*", "tls", vec!["tls/a.pem"]),
        ("certs/a*", "x/", vec!["x/a.pem"]),
        ("**", ".", vec!["certs/a.pem", "certs/sub/b.pem", "other"]),
        ("certs/a.pem", "one.pem", vec!["one.pem"]),
    ] {
        let yaml = format!("{{ copy: {{ source: app, keys: \"{pattern}\" }}, to: {to} }}");
        let text = TemplateText { settings: settings(&yaml), text: None };
        let rendering = compile(vec![text]).expect("compiles").render(&view(&keys)).expect(pattern);
        let paths: Vec<_> = rendering.files().keys().map(OutputPath::as_str).collect();
        assert_eq!(paths, expected, "{pattern}");
    }
}

#[test]
fn a_copy_of_what_is_no_glob_is_refused() {
    let text = settings("{ copy: { source: app, keys: 'a[*' }, to: x }");
    let error = compile(vec![TemplateText { settings: text, text: None }]).err().expect("no glob");
    assert!(error[0].to_string().starts_with("templates[0]: copy.keys is no glob"), "{error:?}");
}

#[test]
fn hostile_keys_are_refused_by_name() {
    for key in ["certs/../../etc/cron.d/x", "certs//abs", "certs/a\nb", "certs/.."] {
        let text = settings("{ copy: { source: app, keys: \"certs/**\" }, to: certs/ }");
        let mut set = compile(vec![TemplateText { settings: text, text: None }]).expect("compiles");
        let error = set.render(&view(&[(key, CANARY)])).expect_err(key)[0].to_string();
        assert!(error.contains("cannot be copied") && !error.contains('\n'), "{error}");
        assert!(!error.contains(CANARY), "{error}");
    }
}

#[test]
fn every_mistake_of_every_template_is_found_when_compiling() {
    let templates = vec![
        inline("{% if %}", "a"),
        inline("x\n{{ apq.k }}", "b"),
        inline("{% include 'no' %}", "c"),
        inline("{# apq | nope #}\n{{ app.k | nope }}{{ app.k is nopt }}", "d"),
        inline("{# {% include 'no' %} #}{% include 'no' ignore missing %}", "e"),
    ];
    let errors = compile(templates).err().expect("mistakes");
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert!(lines[0].starts_with("templates[0]:1: syntax error"), "{lines:#?}");
    assert!(lines[1].starts_with("templates[1]:2: there is no source `apq`"), "{lines:#?}");
    assert!(lines[1].contains("did you mean `app`"), "{lines:#?}");
    assert!(lines[2].starts_with("templates[2]:1: there is no template `no`"), "{lines:#?}");
    assert_eq!(lines[3], "templates[3]:2: there is no filter `nope`");
    assert_eq!(lines[4], "templates[3]:2: there is no test `nopt`");
}

#[test]
fn templates_include_each_other_by_name() {
    let part = inline("[{{ app.k }}]", "part.conf");
    let whole = inline("a{% include 'part.conf' %}b", "whole.conf");
    let mut set = compile(vec![part, whole]).expect("compiles");
    let rendering = set.render(&view(&[("k", "v")])).expect("renders");
    let whole = OutputPath::parse("whole.conf").expect("a path");
    assert_eq!(rendering.files()[&whole].bytes.as_ref(), b"a[v]b");
    set.render(&view(&[("k", "w")])).expect("renders");
    assert_eq!(set.rendered(), 2, "what an include read counts");
}

#[test]
fn other_delimiters_leave_braces_alone() {
    let yaml = "{ to: out, delimiters: { variable: ['<<', '>>'], block: ['<%', '%>'] } }";
    let text = "{{ .Values.x }} << app.k >><% if app.k %>!<% endif %>";
    let mut set = compile(vec![TemplateText { settings: settings(yaml), text: Some(text.into()) }])
        .expect("compiles");
    let rendering = set.render(&view(&[("k", "v")])).expect("renders");
    let file = rendering.files().values().next().expect("a file");
    assert_eq!(file.bytes.as_ref(), b"{{ .Values.x }} v!");
}

#[test]
fn a_format_that_does_not_parse_publishes_nothing_and_tells_where() {
    for (format, good, bad) in [
        ("json", "{\"a\": 1}", "{\"a\": }"),
        ("yaml", "a: 1\n---\nb: 2", "a: ["),
        ("toml", "a = 1", "a = "),
    ] {
        let check = |text: &str| {
            let yaml = format!("{{ to: out, format: {format} }}");
            let text = TemplateText { settings: settings(&yaml), text: Some(text.into()) };
            compile(vec![text]).expect("compiles").render(&view(&[]))
        };
        check(good).unwrap_or_else(|errors| panic!("{errors:?}"));
        let error = check(bad).expect_err(format)[0].to_string();
        assert!(error.contains("not") && error.contains("line"), "{error}");
    }
}

#[test]
fn structured_text_is_read_and_written() {
    renders("{{ (app.j | fromjson).a[1] }}", &[("j", "{\"a\": [1, 2]}")], "2");
    renders("{{ (app.y | fromyaml).a }}", &[("y", "a: b")], "b");
    renders("{{ (app.t | fromtoml).s.a }}", &[("t", "[s]\na = 1")], "1");
    renders("{{ app.v | tojson }}", &[("v", "a\"<b>&'")], "\"a\\\"<b>&'\"");
    renders("{{ {'b': 1, 'a': [true]} | tojson }}", &[], "{\"a\":[true],\"b\":1}");
    renders(
        "{{ app.up | tojson }}",
        &[("up/a", "1"), ("up/b/c", "2")],
        "{\"a\":\"1\",\"b\":{\"c\":\"2\"}}",
    );
    renders("{{ {'a': 1} | toyaml }}", &[], "a: 1");
    renders("{{ {'a': 1} | totoml }}", &[], "a = 1");
}

#[test]
fn encodings_and_digests_are_the_usual_ones() {
    renders("{{ 'hi' | b64encode }} {{ 'aGk=' | b64decode }}", &[], "aGk= hi");
    renders(
        "{{ 'abc' | sha256 }}",
        &[],
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
}

#[test]
fn a_hostile_value_stays_one_shell_word() {
    for hostile in ["a b", "'; touch /tmp/x; '", "$(id)", "`id`", "\\", "a\nb", "-n", "*", ""] {
        let script = render("printf %s. {{ app.v | shquote }}", &[("v", hostile)]).expect("quoted");
        let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{hostile}."), "{script}");
    }
    fails("{{ app.v | shquote }}", &[("v", "a\0b")], &["shquote", "NUL"]);
}

#[test]
fn a_hostile_value_stays_one_parameter_or_is_refused() {
    renders("{{ app.v | nginxquote }}", &[("v", "a; } \"b\\")], r#""a; } \"b\\""#);
    fails("{{ app.v | nginxquote }}", &[("v", "$host")], &["nginxquote"]);
    renders(
        "{{ app.v | envquote }}",
        &[("v", "a $HOME `id` \"q\" \\")],
        r#""a \$HOME \`id\` \"q\" \\""#,
    );
    fails("{{ app.v | envquote }}", &[("v", "a\nLD_PRELOAD=x")], &["envquote"]);
}

#[test]
fn no_message_holds_a_value() {
    let keys = [("v", CANARY), ("t/v", CANARY)];
    for text in [
        "{{ app.v | fromjson }}",
        "{{ app['v'] | fromjson }}",
        "{{ app['v'] | fromyaml | items }}",
        "{{ app['v'] | fromtoml }}",
        "{{ app['v'] | b64decode }}",
        "{{ app['v'] | int }}",
        "{{ app['v'] + 1 }}",
        "{{ app['v'].nothing.more }}",
        "{{ app['v']() }}",
        "{{ app['v'].strip_it() }}",
        "{{ 1 < app['v'] }}",
        "{{ app['v'] | float }}",
        "{{ [1, app['v']] | sum }}",
        "{{ app[app['v']] }}",
        "{{ app['v'] | nosuchfilter }}",
        "{% include app['v'] %}",
        "{{ range(app['v']) }}",
        "{{ app['v'] | batch(app['v']) }}",
        "{{ app['v'] | replace(1) }}",
        "{{ app['v'] | totoml }}",
        "{{ app.t | dictsort(by=app['v']) }}",
        "{{ app['v'] is divisibleby(app['v']) }}",
        "{% for a, b in app['v'] %}{% endfor %}",
        "{{ [1] | map(app['v']) | list }}",
        "{{ [1] | select(app['v']) | list }}",
        "{{ [{}] | map(attribute=app['v']) | list }}",
        "{{ {}[app['v']] }}",
        "{{ 1 is filter(app['v']) }}",
    ] {
        if let Err(error) = render(text, &keys) {
            assert!(!error.contains(CANARY), "{text}: {error}");
        }
    }
}

#[test]
fn a_key_named_by_a_value_is_not_told() {
    // The name of a missing key is told, and here the name is another key's value.
    let error = render("{{ app[app.v] }}", &[("v", CANARY)]).expect_err("no such key");
    assert!(!error.contains(CANARY), "{error}");
}

#[test]
fn nothing_but_sources_can_be_reached() {
    for text in
        ["{{ env('HOME') }}", "{{ now() }}", "{{ debug() }}", "{{ lipsum() }}", "{{ random() }}"]
    {
        assert!(render(text, &[]).is_err(), "{text}");
    }
}

#[test]
fn limits_end_a_template_that_runs_away() {
    let limits = shape::Limits { fuel: 1000, file: 10, generation: 15 };
    let run = |templates: Vec<TemplateText>| {
        let set = TemplateSet::compile(templates, &["app".to_owned()].into(), &limits);
        let errors = set.expect("compiles").render(&view(&[])).expect_err("a limit");
        errors[0].to_string()
    };
    assert!(
        run(vec![inline("{% for i in range(99999) %}{% endfor %}", "a")]).contains("limits.fuel")
    );
    assert!(run(vec![inline("{{ 'x' * 99 }}", "a")]).contains("limits.file"));
    let two = vec![inline("12345678", "a"), inline("12345678", "b")];
    assert!(run(two).contains("limits.generation"));
}

#[test]
fn two_outputs_for_one_path_are_refused_by_name() {
    let copy = settings("{ copy: { source: app, keys: '*' }, to: '.' }");
    let templates = vec![inline("x", "a"), TemplateText { settings: copy, text: None }];
    let error =
        compile(templates).expect("compiles").render(&view(&[("a", "1")])).expect_err("a clash");
    assert!(error[0].to_string().contains("templates[0] and from templates[1]"), "{error:?}");
}

#[test]
fn of_a_thousand_templates_exactly_the_affected_one_is_run() {
    let entry = |n: usize, value: &str| (format!("k{n}/v"), value.to_owned());
    let mut keys: Vec<(String, String)> = (0..1000).map(|n| entry(n, "1")).collect();
    let templates = (0..1000).map(|n| inline(&format!("{{{{ app.k{n}.v }}}}"), &format!("f{n}")));
    let mut set = compile(templates.collect()).expect("compiles");
    let view = |keys: &[(String, String)]| {
        let keys: Vec<_> = keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        view(&keys)
    };
    let first = set.render(&view(&keys)).expect("renders");
    assert_eq!(set.rendered(), 1000);
    keys[7] = entry(7, "2");
    let second = set.render(&view(&keys)).expect("renders");
    assert_eq!(set.rendered(), 1);
    assert_ne!(first.digest(), second.digest());
    set.render(&view(&keys)).expect("renders");
    assert_eq!(set.rendered(), 0);
}

#[test]
fn what_was_looked_for_in_vain_counts_as_read() {
    let text = "{{ app.a | default('-') }}{% for k in app.t | default({}) %}{{ k }}{% endfor %}";
    let mut set = compile(vec![inline(text, "out")]).expect("compiles");
    let mut expect = |keys: &[(&str, &str)], expected: &str, runs: usize| {
        let rendering = set.render(&view(keys)).expect("renders");
        let file = rendering.files().values().next().expect("a file");
        assert_eq!((file.bytes.as_ref(), set.rendered()), (expected.as_bytes(), runs));
    };
    expect(&[], "-", 1);
    expect(&[("z", "1")], "-", 0);
    expect(&[("z", "1"), ("a", "2")], "2", 1);
    expect(&[("z", "1"), ("a", "2"), ("t/x", "3")], "2x", 1);
    expect(&[("z", "1"), ("a", "2"), ("t/x", "3"), ("t/y", "4")], "2xy", 1);
    expect(&[("z", "2"), ("a", "2"), ("t/x", "9"), ("t/y", "4")], "2xy", 0);
}

#[test]
fn an_error_leaves_the_last_rendering_what_it_was() {
    let mut set = compile(vec![inline("{{ app.k }}", "out")]).expect("compiles");
    let good = set.render(&view(&[("k", "v")])).expect("renders");
    set.render(&view(&[])).expect_err("the key is gone");
    let again = set.render(&view(&[("k", "v")])).expect("renders");
    assert_eq!(good.digest(), again.digest());
    assert_eq!(set.rendered(), 0);
}

#[test]
fn a_set_moves_to_another_thread() {
    fn moves<T: Send + Default + 'static>() {}
    moves::<TemplateSet>();
}

#[test]
fn a_field_that_is_not_there_is_not_taken_for_an_optional_key() {
    let text = "{{ app.x | default('') }}\n{{ (app.j | fromjson).host }}";
    let error = render(text, &[("j", "{}")]).expect_err("no such field");
    assert!(error.starts_with("templates[0]:2: something is not defined"), "{error}");
}

#[test]
fn a_repetition_without_end_is_refused() {
    fails("{{ ('x' * 99999999999) | length }}", &[], &["templates[0]:1"]);
    fails("{{ range(99999999999) | length }}", &[], &["templates[0]:1"]);
}

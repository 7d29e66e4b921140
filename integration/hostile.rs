//! Hostile templates and data, end to end: whatever they do, the last good generation stays, the
//! process serves on, and what mends it applies.

use std::fs;

use crate::support::{app::App, patience::eventually};

/// A Rehup that publishes `good` from one template.
fn serving() -> App {
    let mut app = App::new();
    app.put("a", "1");
    configure(&app, "good {{ base.a }}");
    app.quiet().start().shows("out", "good 1");
    app.answers("/freshz", 200);
    app
}

/// A string that doubles itself.
const DOUBLING: &str = "{% set ns = namespace(s='x') %}{% for i in range(60) %}\
                        {% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}";

/// Another text of the one template; limits are small, so that little memory is much.
fn configure(app: &App, template: &str) {
    configure_with(app, template, "file: 1MiB");
}

fn configure_with(app: &App, template: &str, limit: &str) {
    let template = serde_json::to_string(template).expect("text");
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates:\n  - {{ to: out, inline: {template} }}\n\
         limits: {{ {limit}, generation: 9MiB }}\nsettle: off\n",
        app.folder().display()
    ));
}

/// The most memory that the process had, in KiB.
fn most_resident(app: &mut App) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", app.process().pid()));
    let status = status.expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).expect("a size")
}

/// Each template is refused with a reason that holds this, and a good one after it applies.
#[track_caller]
fn are_refused(app: &App, templates: &[(&str, &str)]) {
    for (turn, (template, reason)) in templates.iter().enumerate() {
        let before = app.generation();
        configure(app, template);
        eventually(format_args!("{template} is refused: {reason}; {}", app.tail()), || {
            let told = app.get("/freshz")?;
            (told.status == 503 && told.body.contains(reason)).then_some(())
        });
        assert_eq!(app.generation(), before, "the last good one stays");
        app.answers("/livez", 200);
        app.answers("/readyz", 200);
        configure(app, &format!("mended {turn} {{{{ base.a }}}}"));
        app.shows("out", &format!("mended {turn} 1"));
    }
    app.answers("/freshz", 200);
}

#[test]
fn r04_templates_without_an_end_are_ended() {
    let app = serving();
    let loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    let tree = "{% macro m(n) %}{% if n > 0 %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}\
                {{ m(60) }}";
    let doubled = "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}\
                   {% set ns.s = ns.s + ns.s %}{% endfor %}";
    let argument = "{% macro m(v, n) %}{% if n %}{{ m(v + v, n - 1) }}{% endif %}{% endmacro %}\
                    {{ m([1], 60) }}";
    are_refused(
        &app,
        &[
            (loops, "limits.fuel"),
            (tree, "limits.fuel"),
            (doubled, "more than 1000000 items"),
            (argument, "more than 1000000 items"),
        ],
    );
}

#[test]
fn r05_outputs_beyond_their_bounds_are_refused_within_little_memory() {
    let mut app = serving();
    // Data whose parsed form takes many times its text.
    app.put("lists", &format!("[{}1]", "[],".repeat(4_000_000)));
    are_refused(
        &app,
        &[
            ("{% set x = base.lists | fromjson %}", "limits.fuel"),
            ("{{ 'x' * 9999999 }}", "limits.file"),
            ("{% for i in range(99999) %}{{ 'x' * 99 }}{% endfor %}", "limits.file"),
            ("{{ range(99999) | join('xxxxxxxxxxxxxxxxxxxxxxxx') }}", "limits.file"),
            ("{% macro m() %}{{ 'x' * 999999 }}{% endmacro %}{{ m() }}{{ m() }}", "limits.file"),
            (DOUBLING, "limits.fuel"),
            ("{% set x = range(99999) | join('x' * 9999) %}", "limits.fuel"),
            ("{% set x = ('[' ~ '[],' * 9999999 ~ '1]') | fromjson %}", "limits.fuel"),
            ("{% set x = ('[' ~ '[],' * 999999 ~ '1]') | fromjson %}", "limits.fuel"),
        ],
    );
    let most = most_resident(&mut app);
    // What the fuel pays for, and as much again for everything else.
    assert!(most < 128 << 10, "{most} KiB");
}

/// No bound of ours lets this happen unless somebody sets one too high. Then the process ends, and
/// what keeps the volume is that such inputs are held.
#[test]
fn r05_a_template_that_eats_all_memory_is_held_after_the_second_time() {
    let mut app = App::new();
    app.put("a", "1");
    configure_with(&app, "good {{ base.a }}", "fuel: 9000000000");
    app.quiet().start().shows("out", "good 1");
    app.stop();
    configure_with(&app, DOUBLING, "fuel: 9000000000");
    for _ in 0..2 {
        app.start_through(&["prlimit", "--as=1073741824"]);
        assert!(!app.ends().0.success(), "it ran out of memory");
        assert_eq!(app.read("out").as_deref(), Some("good 1"), "the last good one stays");
    }
    app.start_through(&["prlimit", "--as=1073741824"]);
    eventually(format_args!("the inputs are held; {}", app.tail()), || {
        app.get("/freshz")?.body.contains("ended the process twice").then_some(())
    });
    app.answers("/readyz", 200);
    configure(&app, "mended {{ base.a }}");
    app.shows("out", "mended 1");
    app.answers("/freshz", 200);
}

#[test]
fn r06_recursion_has_an_end() {
    let app = serving();
    let itself = "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}";
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    let blocks = "{% if true %}".repeat(100_000);
    let chain = format!("{{{{ 1{} }}}}", " ~ 1".repeat(100_000));
    let elif = format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(100_000));
    let value = "{% set ns = namespace(v=1) %}{% for i in range(50000) %}\
                 {% set ns.v = [ns.v] %}{% endfor %}{{ ns.v }}";
    are_refused(
        &app,
        &[
            (itself, "render: "),
            (&deep, "config_refused: "),
            (&blocks, "config_refused: "),
            (&chain, "config_refused: "),
            (&elif, "config_refused: "),
            (value, "more than 128 deep"),
        ],
    );
}

#[test]
fn r07_data_that_explodes_in_a_parser_is_refused() {
    let app = serving();
    let bomb = (1..30).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)
    });
    let data = [
        ("alias", bomb.as_str(), "fromyaml"),
        ("deep", &"[".repeat(100_000), "fromjson"),
        ("deep-yaml", &"[".repeat(100_000), "fromyaml"),
        ("twice", "a = 1\na = 2\n", "fromtoml"),
        ("digits", &"9".repeat(1_000_000), "fromtoml"),
    ];
    for (key, value, _) in data {
        app.put(key, value);
    }
    let print = |key: &str, filter: &str| format!("{{{{ base['{key}'] | {filter} }}}}");
    let templates: Vec<_> = data.iter().map(|(key, _, filter)| print(key, filter)).collect();
    let templates: Vec<_> = templates.iter().map(|it| (it.as_str(), "render: ")).collect();
    are_refused(&app, &templates);
}

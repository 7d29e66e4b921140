//! R14: values that would be syntax stay data, in every format that has a filter.

use std::{collections::BTreeMap, fs, process::Command};

use crate::support::{app::App, program::installed};

/// What somebody would type to become syntax, and what chance makes of the same signs.
fn hostile() -> Vec<String> {
    let written = [
        "",
        " ",
        "\"",
        "'",
        "\\",
        "\\\"",
        "a\nb: c",
        "\n- x",
        "; rm -rf /;",
        "} server { listen 1;",
        "$(id) `id`",
        "#{x} # y",
        "{{ 7*7 }}{% raw %}",
        "null",
        "~",
        "yes",
        "0x10",
        "1e3",
        "---",
        "...",
        "!!python/object:x",
        "&a *a",
        "| >",
        "[a](b)",
        "\u{2028}\u{202e}é\u{1F600}",
        "=",
        "a=b\tc",
        "%YAML 1.2",
        "key: [",
        "'''",
        "\"\"\"",
        "line\\",
        "\\n",
        "\r\nX-Header: y",
    ];
    let signs: Vec<char> = "\"'\\\n\r\t;{}[]()$#:,-&*!|>%@`=~ aé\u{2028}0".chars().collect();
    let chance = || {
        let length = fastrand::usize(1..12);
        (0..length).map(|_| signs[fastrand::usize(..signs.len())]).collect::<String>()
    };
    written.into_iter().map(str::to_owned).chain((0..200).map(|_| chance())).collect()
}

/// The values as keys of a source, and an app that renders them with these templates.
fn rendering(values: &BTreeMap<String, String>, templates: &str) -> App {
    let mut app = App::new();
    for (key, value) in values {
        app.put_plainly(key, value);
    }
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\ntemplates:\n{templates}settle: off\n",
        app.folder().display()
    ));
    app.quiet().start().ready();
    app
}

fn numbered(values: impl IntoIterator<Item = String>) -> BTreeMap<String, String> {
    values.into_iter().enumerate().map(|(n, value)| (format!("v{n:03}"), value)).collect()
}

#[test]
fn r14_what_is_written_as_json_yaml_and_toml_is_read_back_as_it_was() {
    let values = numbered(hostile());
    let templates = ["json", "yaml", "toml"].map(|format| {
        format!("  - {{ inline: \"{{{{ base | to{format} }}}}\", to: all.{format}, format: {format} }}\n")
    });
    let app = rendering(&values, &templates.concat());
    let text = |name| app.read(name).expect("a file");
    let json: BTreeMap<String, String> = serde_json::from_str(&text("all.json")).expect("JSON");
    let yaml: BTreeMap<String, String> = serde_saphyr::from_str(&text("all.yaml")).expect("YAML");
    let toml: BTreeMap<String, String> = toml::from_str(&text("all.toml")).expect("TOML");
    for (key, value) in &values {
        assert_eq!((&json[key], &yaml[key], &toml[key]), (value, value, value), "{key}");
    }
    assert_eq!((json.len(), yaml.len(), toml.len()), (values.len(), values.len(), values.len()));
}

#[test]
fn r14_a_shell_reads_back_every_value_and_runs_none() {
    let values = numbered(hostile());
    let line = "printf '%s\\\\0' {{ value | shquote }}\\n";
    let template = format!("{{% for key, value in base | items %}}{line}{{% endfor %}}");
    let app = rendering(&values, &format!("  - {{ inline: \"{template}\", to: all.sh }}\n"));
    let run = Command::new("sh").arg(app.volume().join("all.sh")).output().expect("a shell");
    assert!(run.status.success() && run.stderr.is_empty(), "{run:?}");
    let found: Vec<_> = run.stdout.split(|byte| *byte == 0).collect();
    for ((key, value), found) in values.iter().zip(&found) {
        assert_eq!(value.as_bytes(), *found, "{key}");
    }
    assert_eq!(found.len(), values.len() + 1, "one word for each value");
}

#[test]
fn r14_a_line_of_an_environment_file_is_one_variable() {
    let printable = |value: &String| !value.chars().any(|c| c.is_control() && c != '\t');
    let values = numbered(hostile().into_iter().filter(printable));
    let template =
        "{% for key, value in base | items %}{{ key }}={{ value | envquote }}\\n{% endfor %}";
    let app = rendering(&values, &format!("  - {{ inline: \"{template}\", to: all.env }}\n"));
    let file = app.volume().join("all.env");
    // A shell reads such a file as systemd does, but for what would run.
    let script = format!("set -a; . {}; exec env -0", file.display());
    let run = Command::new("sh").args(["-c", &script]).env_clear().output().expect("a shell");
    assert!(run.status.success() && run.stderr.is_empty(), "{run:?}");
    let text = String::from_utf8(run.stdout).expect("UTF-8");
    let found: BTreeMap<_, _> = text.split('\0').filter_map(|line| line.split_once('=')).collect();
    for (key, value) in &values {
        assert_eq!(found.get(key.as_str()), Some(&value.as_str()), "{key}");
    }
}

#[test]
fn r14_nginx_takes_every_value_as_one_parameter() {
    let values = numbered(hostile().into_iter().filter(|value| !value.contains('$')));
    let line = "    add_header {{ key }} {{ value | nginxquote }};\\n";
    let template = format!(
        "pid /dev/null; error_log stderr; events {{}}\\nhttp {{\\n  access_log off;\\n  \
         server {{\\n{{% for key, value in base | items %}}{line}{{% endfor %}}  }}\\n}}\\n"
    );
    let app = rendering(&values, &format!("  - {{ inline: \"{template}\", to: nginx.conf }}\n"));
    let conf = app.volume().join("nginx.conf");
    let dump = Command::new(installed("nginx")).arg("-T").arg("-c").arg(&conf).output();
    let dump = dump.expect("nginx");
    let said = String::from_utf8_lossy(&dump.stderr).into_owned();
    assert!(dump.status.success(), "{said}");
    // What it parsed would show up as directives if a value had broken out.
    let conf = fs::read_to_string(conf).expect("the configuration");
    assert!(conf.matches("add_header").count() >= values.len());
}

#[test]
fn r14_what_a_format_cannot_hold_is_refused_and_the_key_is_named() {
    for (filter, value) in
        [("nginxquote", "$host"), ("nginxquote", "a\0b"), ("shquote", "a\0b"), ("envquote", "a\nb")]
    {
        let mut app = rendering(
            &numbered(["fine".to_owned()]),
            &format!("  - {{ inline: \"{{{{ base.v000 | {filter} }}}}\", to: out }}\n"),
        );
        app.put_plainly("v000", value);
        let told = crate::support::patience::eventually(app.tail(), || {
            app.get("/freshz").filter(|answer| answer.status == 503)
        });
        assert!(told.body.contains(filter), "{}", told.body);
        app.put_plainly("v000", "better");
        app.answers("/freshz", 200);
        assert!(app.stop().success());
    }
}

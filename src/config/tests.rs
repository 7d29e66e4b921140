use std::path::Path;

use providers::Settings;

use super::*;

mod documents;
mod properties;
mod rules;
mod salvage;
mod wrong;

const GOOD: &str = "\
sources:
  app:
    files: { path: /etc/app }
templates:
  - { inline: 'x', to: a.txt }
output: { path: /shared }
";

const VARIABLES: [(&str, &str); 5] = [
    ("HOST", "consul.local"),
    ("EMPTY", ""),
    ("THREE", "3"),
    ("SECRET", "s3cr3t host"),
    ("VOLUME", "/shared"),
];

fn variable(name: &str) -> Option<String> {
    let found = VARIABLES.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| (*value).to_owned())
}

fn parse(yaml: &str) -> Result<Config, Vec<String>> {
    let facts = Facts { root: false, groups: vec![2000] };
    Config::parse(yaml, &variable, &Overrides::default(), &facts).map(|(config, _)| config).map_err(
        |mistakes| mistakes.iter().map(|mistake| format!("rehup.yaml:{mistake}")).collect(),
    )
}

#[track_caller]
fn accepted(yaml: &str) -> Config {
    parse(yaml).unwrap_or_else(|mistakes| panic!("{yaml}\nwas refused: {mistakes:#?}"))
}

/// Every mistake of a file, as it is printed, one line for each.
#[track_caller]
fn check(yaml: &str) -> String {
    parse(yaml).expect_err(yaml).join("\n")
}

/// Each file is refused with exactly these lines, without the file's name.
#[track_caller]
fn refused(cases: &[(String, &[&str])]) {
    for (yaml, lines) in cases {
        let expected: Vec<_> = lines.iter().map(|line| format!("rehup.yaml:{line}")).collect();
        assert_eq!(check(yaml), expected.join("\n"), "for:\n{yaml}");
    }
}

/// The good configuration with one more line, the seventh.
fn with(line: &str) -> String {
    format!("{GOOD}{line}\n")
}

/// The good configuration with a target on the eighth line.
fn target(rest: &str) -> String {
    with(&format!("targets:\n  - {{ name: main, {rest} }}"))
}

/// The good configuration with another source on the third line.
fn source(source: &str) -> String {
    GOOD.replace("files: { path: /etc/app }", source)
}

/// The good configuration with another template on the fifth line.
fn template(template: &str) -> String {
    GOOD.replace("{ inline: 'x', to: a.txt }", template)
}

/// The good configuration with one more template, on the sixth line.
fn and_template(template: &str) -> String {
    GOOD.replace("output:", &format!("  - {template}\noutput:"))
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = accepted(GOOD);
    let source = &config.sources["app"];
    assert_eq!(source.resync.as_secs(), 300);
    assert_eq!(config.listen().to_string(), "0.0.0.0:9533");
    assert_eq!((config.output.keep, config.output.grace.as_secs()), (2, 60));
    assert_eq!(config.guard.max_removed.0, 50);
    assert_eq!(config.templates[0].mode.0, 0o644);
}

#[test]
fn settle_is_off_in_each_way_to_write_it() {
    for off in ["off", "false", "\"off\""] {
        assert_eq!(accepted(&with(&format!("settle: {off}"))).settle, shape::Settle::Off);
    }
}

#[test]
fn words_that_older_yaml_took_for_something_else_are_text() {
    for name in ["no", "on", "y", "2024-01-01", "1.2.3", "12e", "null.conf"] {
        assert_eq!(accepted(&GOOD.replace("a.txt", name)).templates[0].to, name);
    }
}

#[test]
fn a_file_may_begin_with_a_mark_and_use_anchors() {
    accepted(&format!("\u{feff}{GOOD}"));
    accepted(&format!("---\n{GOOD}"));
    let merged =
        source("files: &files { path: /a }\n  other:\n    files: { <<: *files, poll: 1s }");
    let config = accepted(&merged);
    let Settings::Files(files) = &config.sources["other"].provider else { panic!("files") };
    assert_eq!((files.path.as_path(), files.poll.as_secs()), (Path::new("/a"), 1));
}

#[test]
fn environment_variables_are_put_in_where_they_may() {
    let consul = "consul: { address: \"http://${HOST}:8500\", prefix: \"$${x}/$HOME\" }";
    let config = accepted(&source(consul));
    let Settings::Consul(consul) = &config.sources["app"].provider else { panic!("consul") };
    assert_eq!(consul.address, "http://consul.local:8500");
    assert_eq!(consul.prefix, "${x}/$HOME");
    let config = accepted(&with("limits: { fuel: \"${THREE}\" }"));
    assert_eq!(config.limits.fuel, 3, "a variable may be a number");
}

#[test]
fn templates_bodies_and_patterns_keep_their_dollars() {
    let inline = accepted(&GOOD.replace("'x'", "'${NOT_SET}'"));
    assert_eq!(inline.templates[0].inline.as_deref(), Some("${NOT_SET}"));
    let process = "process: { cmdline: '^nginx ${2}' }";
    accepted(&target(&format!("http: {{ url: \"http://a/\", body: '${{NOT_SET}}' }}, {process}")));
    let body = GOOD.replace("app:", "body:").replace("/etc/app", "\"${VOLUME}\"");
    let config = accepted(&body);
    let Settings::Files(files) = &config.sources["body"].provider else { panic!("files") };
    assert_eq!(files.path, Path::new("/shared"), "a source may be called body");
}

#[test]
fn an_edit_that_needs_a_restart_says_so() {
    let old = accepted(GOOD);
    let new = accepted(&GOOD.replace("/shared", "/shared, layout: files"));
    assert_eq!(old.needs_restart(&new), ["output.layout: a change needs a restart"]);
    let new = accepted(&GOOD.replace("/shared", "/other"));
    assert_eq!(old.needs_restart(&new), ["output.path: a change needs a restart"]);
    let new = accepted(&with("admin: { listen: \"127.0.0.1:1\" }"));
    assert_eq!(old.needs_restart(&new), ["admin.listen: a change needs a restart"]);
    assert!(old.needs_restart(&old).is_empty());
    assert!(old.needs_restart(&accepted(&GOOD.replace("/etc/app", "/etc/other"))).is_empty());
}

#[test]
fn a_confined_process_takes_no_path_outside() {
    let old = accepted(&with("confine: true"));
    let edit = |path: &str| accepted(&with("confine: true").replace("/etc/app", path));
    assert!(old.needs_restart(&edit("/etc/app/part")).is_empty());
    let outside = old.needs_restart(&edit("/srv/app"));
    assert!(outside[0].starts_with("/srv/app is outside"), "{outside:?}");
    assert!(outside[0].contains("restart"), "{outside:?}");
}

#[test]
fn credential_files_that_cannot_be_used_are_named_but_no_refusal() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    let consul =
        format!("consul: {{ address: \"http://a\", prefix: b, token_file: {} }}", token.display());
    let missing_of = |text: &str| {
        let facts = Facts::default();
        let parsed = Config::parse(text, &variable, &Overrides::default(), &facts);
        let (config, places) = parsed.expect("accepted");
        config.missing_files(&places).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let missing = || missing_of(&source(&consul));
    let at = format!("3: sources.app.consul.token_file: {}", token.display());
    assert_eq!(missing(), [format!("{at} does not exist; mount it, or mend the path")]);
    std::fs::write(&token, "").expect("a file");
    assert_eq!(missing(), [format!("{at} is empty; write the credential into it")]);
    std::fs::write(&token, "t").expect("a file");
    assert!(missing().is_empty());

    let page = "{ url: \"https://a\", tls: { ca_file: /none } }";
    let pages = format!("exec: [a], ready: {page}, verify: {{ status: {page} }}");
    assert_eq!(
        missing_of(&target(&pages)),
        ["ready", "verify.status"].map(|at| {
            format!(
                "8: targets[0].{at}.tls.ca_file: /none does not exist; mount it, or mend the path"
            )
        })
    );
}

#[test]
fn the_command_line_and_the_file_must_agree() {
    let say = |yaml: &str, output: Option<&str>, listen: Option<&str>| {
        let overrides = Overrides {
            output: output.map(Into::into),
            listen: listen.map(|text| text.parse().expect("an address")),
        };
        let parsed = Config::parse(yaml, &variable, &overrides, &Facts::default());
        parsed.map(|(config, _)| config).map_err(|mistakes| mistakes[0].to_string())
    };
    assert_eq!(
        say(GOOD, Some("/other"), None).expect_err("another volume"),
        "6: output.path: --output or REHUP_OUTPUT says /other; drop one"
    );
    assert_eq!(
        say(&with("admin: { listen: \"127.0.0.1:1\" }"), None, Some("127.0.0.1:2"))
            .expect_err("another address"),
        "7: admin.listen: --listen or REHUP_LISTEN says 127.0.0.1:2; drop one"
    );
    say(GOOD, Some("/shared"), None).expect("both say the same");
    let without = GOOD.replace("output: { path: /shared }\n", "");
    assert!(say(&without, None, None).expect_err("no volume").contains("there is no volume"));
    let config = say(&without, Some("/shared"), Some("127.0.0.1:2")).expect("by the command line");
    assert_eq!(config.volume().path, Path::new("/shared"));
    assert_eq!(config.listen().port(), 2);
}

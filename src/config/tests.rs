use std::collections::BTreeMap;

use super::*;

const GOOD: &str = "\
sources:
  app:
    files: { path: /etc/app }
templates:
  - { inline: 'x', to: a.txt }
output: { path: /shared }
";

fn parse(yaml: &str) -> Result<Config, Vec<String>> {
    let environment = BTreeMap::from([("HOST", "consul.local"), ("EMPTY", "")]);
    let environment = |name: &str| environment.get(name).map(|text| (*text).to_owned());
    let facts = Facts { root: false, groups: vec![2000] };
    Config::parse(yaml, &environment, &Overrides::default(), &facts)
        .map(|(config, _)| config)
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn refused(yaml: &str, expected: &[&str]) {
    let mistakes = parse(yaml).expect_err("a refusal");
    for part in expected {
        let found = mistakes.iter().any(|mistake| mistake.contains(part));
        assert!(found, "expected {part:?} among {mistakes:#?}");
    }
}

/// The good configuration with one more line.
fn with(line: &str) -> String {
    format!("{GOOD}{line}\n")
}

fn target(rest: &str) -> String {
    with(&format!("targets:\n  - {{ name: main, {rest} }}"))
}

#[test]
fn the_designed_example_is_accepted() {
    let yaml = include_str!("../../docs/example.yaml");
    let config = parse(yaml).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(config.targets[0].signal.as_deref(), Some("SIGHUP"));
    assert_eq!(config.sources.len(), 3);
    assert_eq!(config.templates[0].mode.0, 0o640);
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = parse(GOOD).expect("a good configuration");
    let source = &config.sources["app"];
    assert_eq!(source.resync.as_secs(), 300);
    assert_eq!(config.listen().to_string(), "0.0.0.0:9533");
    assert_eq!((config.output.keep, config.output.grace.as_secs()), (2, 60));
    assert_eq!(config.guard.max_removed.0, 50);
    assert_eq!(config.templates[0].mode.0, 0o644);
}

#[test]
fn yaml_mistakes_have_their_line() {
    refused("sources:\n  app: [\n", &["this is no YAML"]);
    refused(&format!("{GOOD}output: {{ path: /b }}\n"), &["7:", "duplicate"]);
}

#[test]
fn unknown_keys_are_named_with_a_hint() {
    refused(&with("setle: off"), &["7: setle: there is no such key; did you mean `settle`?"]);
    refused(
        &GOOD.replace("path: /etc/app", "path: /a, pol: 1s"),
        &["3: sources.app.files.pol", "`poll`"],
    );
    refused(&target("signal: SIGHUP, proces: { name: a }"), &["targets[0].proces", "`process`"]);
}

#[test]
fn wrong_types_say_what_to_write() {
    refused(
        &GOOD.replace("to: a.txt", "to: a.txt, mode: 0640"),
        &["templates[0].mode", "in quotes"],
    );
    refused(&with("settle: { quiet: 200 }"), &["settle.quiet", "write a unit"]);
    refused(&with("guard: { max_removed: 50 }"), &["guard.max_removed", "write 50%"]);
    refused(&with("targets: nginx"), &["targets: expected a list"]);
    refused(&with("output2: 1\nlimits: { file: lots }"), &["limits.file", "8: "]);
}

#[test]
fn settle_is_off_in_each_way_to_write_it() {
    for off in ["off", "false", "\"off\""] {
        assert_eq!(
            parse(&with(&format!("settle: {off}"))).expect("off").settle,
            shape::Settle::Off
        );
    }
}

#[test]
fn environment_variables_are_put_in_where_they_may() {
    let source = "consul: { address: \"http://${HOST}:8500\", prefix: \"$${x}/\" }";
    let config =
        parse(&GOOD.replace("files: { path: /etc/app }", source)).expect("a consul source");
    let Settings::Consul(consul) = &config.sources["app"].provider else { panic!("consul") };
    assert_eq!(consul.address, "http://consul.local:8500");
    assert_eq!(consul.prefix, "${x}/");
    let config = parse(&GOOD.replace("'x'", "'${NOT_SET}'")).expect("a template is left alone");
    assert_eq!(config.templates[0].inline.as_deref(), Some("${NOT_SET}"));
    refused(
        &GOOD.replace("/shared", "\"/${NOT_SET}\""),
        &["6: output.path", "`NOT_SET` is not set"],
    );
}

#[test]
fn a_source_has_exactly_one_provider() {
    refused(&GOOD.replace("files: { path: /etc/app }", "required: [a]"), &["sources.app"]);
    let two = "files: { path: /a }\n    etcd: { endpoints: [\"http://a:1\"], prefix: b }";
    refused(&GOOD.replace("files: { path: /etc/app }", two), &["sources.app", "only one of"]);
    refused(&GOOD.replace("app:", "App:"), &["sources.App"]);
}

#[test]
fn a_template_is_exactly_one_of_three_and_has_a_place_of_its_own() {
    refused(&GOOD.replace("inline: 'x', ", ""), &["5: templates[0]: one of file, inline, copy"]);
    refused(&GOOD.replace("'x'", "'x', file: /a"), &["only one of file, inline, copy"]);
    refused(
        &GOOD.replace("output:", "  - { inline: y, to: a.txt }\noutput:"),
        &["6: templates[1].to: `a.txt` is made by templates[0] already"],
    );
    refused(
        &GOOD.replace("output:", "  - { inline: y, to: a.txt/b }\noutput:"),
        &["templates[1].to", "not a folder"],
    );
    for bad in ["../a", "/a", "a//b", "..data", "..rehup/journal", "..gen-1-abcd/a", "a/../../b"] {
        refused(&GOOD.replace("a.txt", bad), &["5: templates[0].to"]);
    }
    refused(
        &GOOD.replace("inline: 'x'", "copy: { source: ap, keys: '*' }"),
        &["copy.source", "`app`"],
    );
    refused(&GOOD.replace("'x'", "'x', owner: 1"), &["templates[0].owner", "only root"]);
    refused(&GOOD.replace("'x'", "'x', group: 1"), &["templates[0].group"]);
    parse(&GOOD.replace("'x'", "'x', group: 2000")).expect("one of our groups");
}

#[test]
fn a_target_is_told_in_exactly_one_way() {
    refused(&target("only: [a.txt]"), &["one of signal, http, exec"]);
    refused(&target("signal: SIGHUP"), &["needs `process`"]);
    refused(&target("signal: SIGHUP, process: {}"), &["targets[0].process"]);
    refused(&target("signal: SIGHUPP, process: { name: a }"), &["did you mean SIGHUP?"]);
    refused(&target("signal: HUP, process: { name: a }"), &["did you mean SIGHUP?"]);
    refused(&target("signal: SIGKILL, process: { name: a }"), &["no process can catch"]);
    refused(&target("http: { url: \"ftp://a/b\" }"), &["targets[0].http.url", "http://"]);
    refused(&target("http: { url: \"http://a/b\" }, only: [\"[\"]"), &["targets[0].only[0]"]);
    parse(&target("http: { url: \"unix:///run/a.sock:/reload\", accept: [204, 300-302] }"))
        .expect("a unix socket and ranges");
}

#[test]
fn evidence_must_be_newer_than_the_attempt() {
    let signal = "signal: SIGHUP, process: { name: a }";
    refused(
        &target(&format!("{signal}, on_reject: rollback")),
        &["targets[0].on_reject", "verify"],
    );
    let equals = "verify: { json: { url: \"http://a/\", pointer: /a, equals: 1 } }";
    refused(&target(&format!("{signal}, {equals}")), &["targets[0].verify", "after a signal"]);
    parse(&target(&format!("http: {{ url: \"http://a/\" }}, {equals}")))
        .expect("a synchronous call");
    let workers = "verify: { workers: changed }";
    refused(&target(&format!("http: {{ url: \"http://a/\" }}, {workers}")), &["verify.workers"]);
    let rollback = target("http: { url: \"http://a/\" }, on_reject: rollback");
    refused(&rollback.replace("/shared", "/shared, layout: files"), &["on_reject", "layout: set"]);
}

#[test]
fn a_mistake_does_not_hide_the_next() {
    let yaml = GOOD.replace("'x'", "'x', mode: \"0999\"").replace("a.txt", "../a");
    refused(&format!("{yaml}setle: off\n"), &["templates[0].mode", "templates[0].to", "setle"]);
}

#[test]
fn the_command_line_and_the_file_must_agree() {
    let overrides = |output: &str| Overrides { output: Some(output.into()), listen: None };
    let parse = |yaml, overrides: &Overrides| {
        Config::parse(yaml, &|_| None, overrides, &Facts::default()).map(|(config, _)| config)
    };
    assert!(parse(GOOD, &overrides("/other")).is_err());
    assert!(parse(GOOD, &overrides("/shared")).is_ok());
    let without = GOOD.replace("output: { path: /shared }\n", "");
    assert!(parse(&without, &Overrides::default()).is_err());
    let config = parse(&without, &overrides("/shared")).expect("a volume by the command line");
    assert_eq!(config.volume().path, Path::new("/shared"));
}

#[test]
fn what_can_be_read_of_a_refused_file_is_used() {
    let salvaged = Salvaged::from(
        &with("setle: off\nadmin: { listen: \"127.0.0.1:1\" }"),
        &Overrides::default(),
    );
    assert_eq!(salvaged.volume().expect("a path").path, Path::new("/shared"));
    assert_eq!(salvaged.listen().port(), 1);
    let salvaged = Salvaged::from("{{{{", &Overrides::default());
    assert!(salvaged.volume().is_none());
    assert_eq!(salvaged.listen().port(), 9533);
}

#[test]
fn an_edit_that_needs_a_restart_says_so() {
    let old = parse(GOOD).expect("good");
    let new = parse(&GOOD.replace("/shared", "/shared, layout: files")).expect("good");
    assert_eq!(old.needs_restart(&new), ["output.layout: a change needs a restart"]);
    assert!(old.needs_restart(&old).is_empty());
}

#[test]
fn the_schema_knows_every_key_and_refuses_others() {
    let schema = schema();
    let source = &schema["$defs"]["Source"];
    for key in ["consul", "etcd", "files", "required", "resync"] {
        assert!(source["properties"][key].is_object(), "{key} in {source}");
    }
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["$defs"]["Target"]["additionalProperties"], false);
}

#[test]
fn the_reference_has_every_key_of_the_schema() {
    let reference = include_str!("../../docs/configuration.md");
    let mut keys = Vec::new();
    let schema = schema();
    let definitions = schema["$defs"].as_object().expect("definitions").values();
    for definition in definitions.chain([&schema]) {
        keys.extend(definition["properties"].as_object().into_iter().flatten().map(|(key, _)| key));
    }
    let word = |key: &&&String| !reference.contains(key.as_str());
    let missing: Vec<_> = keys.iter().filter(word).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_readmes_configuration_is_accepted() {
    let readme = include_str!("../../README.md");
    let (_, after) = readme.split_once("  rehup.yaml: |\n").expect("a configuration");
    let block: Vec<_> = after.lines().map_while(|line| line.strip_prefix("    ")).collect();
    let yaml = block.join("\n");
    let overrides = Overrides { output: Some("/shared".into()), listen: None };
    let parsed = Config::parse(&yaml, &|_| None, &overrides, &Facts::default());
    let (config, _) = parsed.unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(config.targets[0].name, "nginx");
}

//! What holds for every file that somebody may mount as the configuration.

use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value as Json, json};

use super::*;
use crate::mutation::{harmed_text, trials};

/// A text of the documentation's kind, with something of everything.
const WHOLE: &str = "\
sources:
  app: { consul: { address: \"http://${HOST}:8500\", prefix: app/ }, resync: 5m, required: [a] }
  base: { files: { path: /etc/base } }
templates:
  - { inline: \"{{ app.a }}\", to: a.conf, mode: \"0640\", format: yaml }
  - { copy: { source: app, keys: \"certs/**\" }, to: certs/ }
limits: { fuel: 1000, file: 1MiB, generation: 4MiB }
output: { path: /shared, keep: 3, grace: 30s }
settle: { quiet: 200ms, max: 2s }
guard: { max_removed: 20%, allow_empty: true }
targets:
  - { name: n, signal: SIGHUP, process: { name: nginx }, on_reject: keep }
  - { name: h, http: { url: \"http://127.0.0.1:1/reload\", accept: [200-299] } }
admin: { listen: \"127.0.0.1:9533\" }
";

fn sources() -> impl Strategy<Value = Json> {
    let files = "/[a-z]{1,8}".prop_map(|path| json!({ "files": { "path": path } }));
    let consul = ("[a-z]{1,6}", 1..65535_u16).prop_map(|(prefix, port)| {
        json!({ "consul": { "address": format!("http://localhost:{port}"), "prefix": format!("{prefix}/") } })
    });
    let etcd = ("[a-z]{1,6}", 1..65535_u16).prop_map(|(prefix, port)| {
        json!({ "etcd": { "endpoints": [format!("http://localhost:{port}")], "prefix": format!("{prefix}/") } })
    });
    prop_oneof![files, consul, etcd]
}

fn templates() -> impl Strategy<Value = Json> {
    let mode = option::of((0..0o1000_u32).prop_map(|mode| format!("0{:03o}", mode | 0o400)));
    let format = option::of(prop::sample::select(vec!["json", "yaml", "toml"]));
    ("[ -~éß\n]{0,12}", mode, format).prop_map(|(inline, mode, format)| {
        let mut template = json!({ "inline": inline });
        template.as_object_mut().expect("a map").extend(
            [("mode", mode.map(Json::from)), ("format", format.map(Json::from))]
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?))),
        );
        template
    })
}

/// A right configuration, as the program's own types would write it.
fn configurations() -> impl Strategy<Value = Json> {
    // No word of the template language ends so.
    let name = "[a-z][a-z0-9_]{0,6}_";
    let limits = (1..1_u64 << 40, 1..1_u64 << 30, 0..1_u64 << 30).prop_map(
        |(fuel, file, more)| json!({ "fuel": fuel, "file": file, "generation": file + more }),
    );
    let output = (0..=10_u8, 0..100_000_u32).prop_map(
        |(keep, grace)| json!({ "path": "/shared", "keep": keep, "grace": format!("{grace}ms") }),
    );
    (
        prop::collection::btree_map(name, sources(), 1..4),
        vec(templates(), 1..5),
        option::of(limits),
        output,
        option::of(0..=100_u8),
    )
        .prop_map(|(sources, mut templates, limits, output, removed)| {
            for (index, template) in templates.iter_mut().enumerate() {
                template["to"] = format!("f{index}").into();
            }
            let mut file = json!({ "sources": sources, "templates": templates, "output": output });
            if let Some(limits) = limits {
                file["limits"] = limits;
            }
            if let Some(removed) = removed {
                file["guard"] = json!({ "max_removed": format!("{removed}%") });
            }
            file
        })
}

#[test]
fn what_is_harmed_here_was_right() {
    accepted(WHOLE);
}

#[test]
fn a_deep_file_is_refused_on_any_stack_that_a_thread_has() {
    for depth in [30, 60, 100, 1000, 100_000] {
        for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
            let text = with(&format!("deep:\n  {}1{}", open.repeat(depth), close.repeat(depth)));
            assert!(parse(&text).is_err(), "{depth} times {open}");
        }
    }
}

proptest! {
    #![proptest_config(trials())]

    #[test]
    fn a_right_configuration_is_accepted_and_means_the_same_in_json_and_yaml(file in configurations()) {
        // JSON is YAML.
        let text = serde_json::to_string_pretty(&file).expect("JSON");
        let config = parse(&text);
        prop_assert!(config.is_ok(), "{text}\nwas refused: {config:#?}");
        let config = config.expect("accepted");
        let yaml = serde_saphyr::to_string(&file).expect("YAML");
        let again = parse(&yaml);
        prop_assert_eq!(again.as_ref(), Ok(&config), "{}", yaml);
    }

    #[test]
    fn a_harmed_file_is_refused_with_places_or_accepted(
        text in harmed_text(prop_oneof![Just(WHOLE.to_owned()), Just(GOOD.to_owned())]),
    ) {
        let lines = text.lines().count();
        if let Err(mistakes) = parse(&text) {
            prop_assert!(!mistakes.is_empty(), "refused without a word");
            for mistake in mistakes {
                let line = mistake.split(':').nth(1).and_then(|line| line.parse::<usize>().ok());
                prop_assert!(line.is_some_and(|line| (1..=lines + 1).contains(&line)), "{mistake}");
                prop_assert!(!mistake.contains("s3cr3t"), "{mistake}");
            }
        }
    }

    #[test]
    fn any_text_is_refused_or_accepted(text in any::<String>()) {
        prop_assert!(parse(&text).is_err());
    }

    #[test]
    fn of_a_harmed_file_volume_and_endpoint_are_salvaged_or_not(text in harmed_text(Just(WHOLE.to_owned()))) {
        let salvaged = Salvaged::from(&text, &variable, &Overrides::default());
        salvaged.listen();
        salvaged.volume();
    }

    #[test]
    fn the_formats_of_the_schema_judge_any_text(text in any::<String>(), digits in "[0-9.:%a-zA-Z \\[\\]/-]{0,40}") {
        let names = ["duration", "size", "mode", "percent", "status", "glob", "regex", "signal",
            "listen", "url", "http-url"];
        for name in names {
            drop(format::check(name, &text));
            drop(format::check(name, &digits));
        }
    }
}

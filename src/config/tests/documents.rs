//! Schema, reference and examples say what the code does.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use regex_lite::Regex;
use serde_json::Value;

use super::{Config, Facts, Overrides, accepted, parse, schema};

#[test]
fn the_designed_example_is_accepted() {
    let yaml = include_str!("../../../docs/example.yaml");
    let config = parse(yaml).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(config.targets[0].signal.as_deref(), Some("SIGHUP"));
    assert_eq!(config.sources.len(), 3);
    assert_eq!(config.templates[0].mode.0, 0o640);
}

/// Every configuration in a text file: the whole of it, a fenced block of it, or a block text of a
/// manifest, told by the two keys that none can do without.
fn configurations(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let starts = lines.iter().enumerate().filter(|(_, line)| line.trim_end().ends_with("sources:"));
    let block = |(start, line): (usize, &&str)| {
        let indent = depth(line);
        let inside = |line: &&&str| {
            let ended = ["```", "---"].iter().any(|end| line.trim_start().starts_with(end));
            line.trim().is_empty() || (depth(line) >= indent && !ended)
        };
        let block = lines[start..].iter().take_while(inside);
        block.map(|line| line.get(indent..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
    };
    let blocks = starts.map(block);
    blocks.filter(|block| block.lines().any(|line| line.starts_with("templates:"))).collect()
}

fn texts_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            texts_below(&path, found);
        } else if path.extension().is_some_and(|it| ["yaml", "yml", "md"].iter().any(|e| it == *e))
        {
            found.push(path);
        }
    }
}

#[test]
fn every_configuration_that_is_shown_or_shipped_is_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md")];
    texts_below(&root.join("docs"), &mut files);
    texts_below(&root.join("deploy"), &mut files);
    let overrides = Overrides { output: Some("/shared".into()), listen: None };
    let facts = Facts { root: true, groups: Vec::new() };
    let variable = |name: &str| {
        let is_address = name.ends_with("ENDPOINT");
        Some(if is_address { "https://variable:2379" } else { "variable" }.to_owned())
    };
    let mut seen = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        // A Helm chart's own templates are none yet.
        for yaml in configurations(&text).iter().filter(|yaml| !yaml.contains("{{-")) {
            seen.insert(file.strip_prefix(root).expect("below the root").to_owned());
            if let Err(mistakes) = Config::parse(yaml, &variable, &overrides, &facts) {
                panic!("{}: {mistakes:#?}\nin:\n{yaml}", file.display());
            }
        }
    }
    for known in ["README.md", "docs/example.yaml"] {
        assert!(seen.contains(Path::new(known)), "no configuration was found in {known}");
    }
}

#[test]
fn the_schema_knows_every_key_and_refuses_others() {
    let schema = schema();
    let source = &schema["$defs"]["Source"];
    for key in ["consul", "etcd", "files", "required", "resync"] {
        assert!(source["properties"][key].is_object(), "{key} in {source}");
    }
    assert_eq!(schema["additionalProperties"], false);
    for (name, definition) in schema["$defs"].as_object().expect("definitions") {
        if definition["properties"].is_object() {
            assert_eq!(definition["additionalProperties"], false, "{name}");
        }
    }
}

#[test]
fn an_editor_can_read_every_pattern_and_finds_what_each_means() {
    let mut patterns = BTreeSet::new();
    collect(&schema(), "pattern", &mut patterns);
    assert!(patterns.len() >= 9, "{patterns:?}");
    let matching = |text: &str| {
        let fits = |pattern: &&String| Regex::new(pattern).expect("a pattern").is_match(text);
        patterns.iter().filter(fits).count()
    };
    for good in
        ["200ms", "1h 30m", "16MiB", "0640", "50%", "SIGUSR1", "200-299", "unix:///a:/b", "[::]:1"]
    {
        assert!(matching(good) >= 1, "{good}");
    }
    assert_eq!(matching("${NAME}"), patterns.len(), "a variable may stand anywhere");
    assert_eq!(matching("nothing of all this"), 0);
    let mut formats = BTreeSet::new();
    collect(&schema(), "format", &mut formats);
    let known = ["uint", "uint8", "uint16", "uint32", "uint64", "double"];
    assert!(formats.iter().all(|name| known.contains(&name.as_str())), "{formats:?}");
}

/// The texts below a key, wherever it is.
fn collect(value: &Value, key: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(key).and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| collect(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, key, found)),
        _ => {}
    }
}

const REFERENCE: &str = include_str!("../../../docs/configuration.md");

#[test]
fn the_reference_has_every_key_of_the_schema() {
    let schema = schema();
    let definitions = schema["$defs"].as_object().expect("definitions").values();
    let keys = definitions.chain([&schema]);
    let keys = keys.flat_map(|it| it["properties"].as_object().into_iter().flatten());
    let word = |key: &str| Regex::new(&format!(r"\b{key}\b")).expect("a word");
    let missing: Vec<_> = keys.filter(|(key, _)| !word(key).is_match(REFERENCE)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The rows `| keys | defaults | meaning |` of the reference, each key with its default.
fn rows() -> Vec<(String, String)> {
    let cells = |cell: &str| {
        cell.split(", `").map(|it| it.trim().trim_matches('`').to_owned()).collect::<Vec<_>>()
    };
    let mut rows = Vec::new();
    for line in REFERENCE.lines().filter(|line| line.starts_with("| `")) {
        let mut columns = line.split(" | ");
        let keys = cells(columns.next().unwrap_or_default().trim_start_matches("| "));
        let defaults = columns.next().unwrap_or_default().trim();
        if !defaults.starts_with('`') {
            continue;
        }
        let defaults = cells(defaults);
        let of = |index: usize| defaults.get(index).or(defaults.first()).cloned();
        rows.extend(keys.into_iter().enumerate().filter_map(|(at, key)| Some((key, of(at)?))));
    }
    rows
}

#[test]
fn the_reference_tells_the_defaults_that_the_code_has() {
    let full = "\
sources:
  app: { consul: { address: \"http://a\", prefix: b } }
  flags: { etcd: { endpoints: [\"http://a\"], prefix: b } }
  base: { files: { path: /a } }
templates: [{ inline: x, to: a }]
output: { path: /shared }
checks: [{ exec: [a] }]
targets:
  - name: a
    http: { url: \"http://a\" }
    verify: { status: { url: \"http://a\" } }
";
    let mut config = accepted(full);
    config.admin.listen = Some(config.listen());
    let config = serde_json::to_value(config).expect("JSON");
    let targets = &config["targets"][0];
    let find = |key: &str| {
        let path = key.replace("checks[]", "checks.0").replace('.', "/");
        let sources = &config["sources"];
        let provider = |name: &str| &sources[name]["provider"];
        let roots = [&config, targets, &config["templates"][0], &sources["base"]];
        let providers = [provider("app"), provider("flags"), provider("base")];
        let mut found = roots.into_iter().chain(providers);
        found.find_map(|root| root.pointer(&format!("/{path}"))).cloned()
    };
    let mut compared = 0;
    for (key, default) in rows() {
        let Some(value) = find(&key) else { continue };
        compared += 1;
        let told: Value = serde_saphyr::from_str(&default).unwrap_or(Value::Null);
        let is = plain(&value);
        assert_eq!(is, plain(&told), "{key}: the reference says {default}");
    }
    assert!(compared > 25, "only {compared} defaults were found");
}

/// A value in one way to write it: sizes as bytes, a range of statuses from and to.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let size = providers::settings::size::parse(text).map(|bytes| bytes.to_string());
            let time = providers::settings::duration::parse(text).map(|time| format!("{time:?}"));
            let (from, to) = text.split_once('-').unwrap_or((text, ""));
            let single = (from == to).then(|| from.to_owned());
            single.or(size.ok()).or(time.ok()).unwrap_or_else(|| text.clone())
        }
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

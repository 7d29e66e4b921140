//! What a simulated Rehup is configured to do: drawn at random, edited live.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use rehup::{
    config::shape::{Config, Settle},
    digest::Digest,
    load::Accepted,
    reload::matcher::Matcher,
    rendering::OutputPath,
    template::{TemplateSet, TemplateText},
};
use serde_json::{Value, json};

use super::{chance::Chance, disk::Files, store::Content};

/// The names of all stores that there are.
pub const STORES: [&str; 3] = ["consul", "etcd", "files"];

/// The names of all targets that there are.
pub const TARGETS: [&str; 3] = ["http", "rollback", "signal"];

/// What the target `http` looks at.
const HTTP_ONLY: [&str; 2] = ["consul/**", "*.conf"];

/// The files that concern a target.
pub fn files_of(target: &str) -> &'static Matcher {
    static ALL: LazyLock<Matcher> = LazyLock::new(|| Matcher::new(None).expect("no glob"));
    static HTTP: LazyLock<Matcher> =
        LazyLock::new(|| Matcher::new(Some(&HTTP_ONLY.map(str::to_owned))).expect("good globs"));
    if target == "http" { &HTTP } else { &ALL }
}

/// One configuration.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Counts the edits; it is in the output, so that each edit is a change.
    pub version: u64,
    /// The followed stores.
    pub sources: BTreeSet<String>,
    /// Stores whose key `level` a template needs.
    pub strict: BTreeSet<String>,
    /// Stores whose key `level` is required.
    pub required: BTreeSet<String>,
    pub resync: Duration,
    pub settle: Option<(Duration, Duration)>,
    pub max_removed: u8,
    pub allow_empty: bool,
    pub checks: bool,
    pub self_heal: bool,
    pub targets: BTreeSet<String>,
    pub min_interval: Duration,
    pub splay: Duration,
    pub tries: u32,
}

impl Setup {
    /// A first configuration.
    pub fn draw(chance: &mut Chance) -> Self {
        let some = |chance: &mut Chance, one_in| {
            let all = STORES.iter().filter(|_| chance.one_in(one_in));
            all.map(|name| (*name).to_owned()).collect()
        };
        let mut setup = Self {
            version: 1,
            sources: some(chance, 2),
            strict: some(chance, 3),
            required: some(chance, 4),
            resync: chance.millis(60_000, 300_000),
            settle: None,
            max_removed: 50,
            allow_empty: chance.one_in(4),
            checks: chance.one_in(3),
            self_heal: chance.one_in(3),
            targets: BTreeSet::new(),
            min_interval: Duration::ZERO,
            splay: Duration::ZERO,
            tries: 1,
        };
        setup.sources.insert((*chance.pick(&STORES)).to_owned());
        setup.turn(chance);
        setup
    }

    /// Another one: everything that may be edited is drawn anew, or a part of it.
    pub fn edit(&self, chance: &mut Chance) -> Self {
        let mut next = Self { version: self.version + 1, ..self.clone() };
        match chance.below(4) {
            0 => next.turn(chance),
            1 => {
                let name = (*chance.pick(&STORES)).to_owned();
                if !next.sources.remove(&name) || next.sources.is_empty() {
                    next.sources.insert(name);
                }
            }
            2 => {
                let name = (*chance.pick(&TARGETS)).to_owned();
                if !next.targets.remove(&name) {
                    next.targets.insert(name);
                }
            }
            _ => {
                next.max_removed = *chance.pick(&[20, 50, 90]);
                next.allow_empty = chance.one_in(3);
            }
        }
        next
    }

    fn turn(&mut self, chance: &mut Chance) {
        let settle = (chance.millis(50, 1000), chance.millis(1000, 5000));
        self.settle = (!chance.one_in(4)).then_some(settle);
        let targets = TARGETS.iter().filter(|_| chance.one_in(2));
        self.targets = targets.map(|name| (*name).to_owned()).collect();
        self.min_interval = *chance.pick(&[Duration::ZERO, Duration::from_secs(1)]);
        if chance.one_in(3) {
            self.min_interval = chance.millis(1000, 20_000);
        }
        self.splay = if chance.one_in(4) { chance.millis(100, 5000) } else { Duration::ZERO };
        self.tries = chance.count(3);
    }

    /// The longest wait of `settle`.
    pub fn longest_settle(&self) -> Duration {
        self.settle.map_or(Duration::ZERO, |(_, max)| max)
    }

    /// As an accepted file would be.
    pub fn accepted(&self) -> Accepted {
        let file = self.file();
        let digest = Digest::of(file.to_string().as_bytes());
        let mut config: Config = serde_json::from_value(file).expect("the shape of a file");
        config.settle = match self.settle {
            None => Settle::Off,
            Some((quiet, max)) => Settle::On { quiet, max },
        };
        let text = |template: &rehup::config::shape::Template| TemplateText {
            settings: template.clone(),
            text: template.inline.as_deref().map(Arc::from),
        };
        let texts = config.templates.iter().map(text).collect();
        let templates = TemplateSet::compile(texts, &self.sources, &config.limits);
        let templates = templates.map_err(|errors| format!("{errors:?}")).expect("good templates");
        Accepted { config, templates, digest, files: Vec::new(), missing: Vec::new() }
    }

    fn file(&self) -> Value {
        let source = |name: &String| {
            let settings = match name.as_str() {
                "consul" => json!({ "address": "http://simulated", "prefix": "p/" }),
                "etcd" => json!({ "endpoints": ["http://simulated"], "prefix": "p/" }),
                _ => json!({ "path": "/simulated" }),
            };
            let required: &[&str] = if self.required.contains(name) { &["level"] } else { &[] };
            let resync = format!("{}ms", self.resync.as_millis());
            (name.clone(), json!({ name: settings, "required": required, "resync": resync }))
        };
        let copies = self.sources.iter().map(
            |name| json!({ "copy": { "source": name, "keys": "**" }, "to": format!("{name}/") }),
        );
        let strict = self.sources.intersection(&self.strict).map(|name| {
            json!({ "inline": format!("level {{{{ {name}.level }}}}"), "to": format!("{name}.conf") })
        });
        let stamp = |name: &String| {
            format!(
                "{{{{ {name}[\"a/stamp\"] | default(\"-\") }}}} {{{{ {name}[\"z/stamp\"] | default(\"-\") }}}} "
            )
        };
        let stamps: String = self.sources.iter().map(stamp).collect();
        let rest = [
            json!({ "inline": stamps + "end", "to": "stamps.conf" }),
            json!({ "inline": self.version.to_string(), "to": "version.conf" }),
        ];
        json!({
            "sources": self.sources.iter().map(source).collect::<serde_json::Map<_, _>>(),
            "templates": copies.chain(strict).chain(rest).collect::<Vec<_>>(),
            "output": { "path": "/simulated", "self_heal": self.self_heal },
            "guard": { "max_removed": format!("{}%", self.max_removed), "allow_empty": self.allow_empty },
            "checks": if self.checks { json!([{ "exec": ["simulated"] }]) } else { json!([]) },
            "targets": self.targets.iter().map(|name| self.target(name)).collect::<Vec<_>>(),
        })
    }

    fn target(&self, name: &str) -> Value {
        let mut target = match name {
            "signal" => json!({ "signal": "SIGHUP", "process": { "name": "simulated" } }),
            "http" => json!({ "http": { "url": "http://simulated" }, "only": HTTP_ONLY }),
            _ => json!({
                "http": { "url": "http://simulated" },
                "on_reject": "rollback",
                "verify": { "status": { "url": "http://simulated" } },
            }),
        };
        target["name"] = json!(name);
        target["min_interval"] = json!(format!("{}ms", self.min_interval.as_millis()));
        target["splay"] = json!(format!("{}ms", self.splay.as_millis()));
        target["tries"] = json!(self.tries);
        target
    }

    /// What the output must be, made without the engine under test; none if it cannot be.
    pub fn render(&self, contents: &BTreeMap<String, Content>) -> Option<Files> {
        let mut files = Files::new();
        let mut put = |path: String, text: String| {
            files.insert(OutputPath::parse(&path).expect("a plain path"), Bytes::from(text));
        };
        let mut stamps = String::new();
        for name in &self.sources {
            let content = contents.get(name)?;
            if self.required.contains(name) && !content.contains_key("level") {
                return None;
            }
            for (key, value) in content {
                put(format!("{name}/{key}"), value.clone());
            }
            if self.strict.contains(name) {
                put(format!("{name}.conf"), format!("level {}", content.get("level")?));
            }
            for key in ["a/stamp", "z/stamp"] {
                stamps += content.get(key).map_or("-", String::as_str);
                stamps += " ";
            }
        }
        put("stamps.conf".to_owned(), stamps + "end");
        put("version.conf".to_owned(), self.version.to_string());
        Some(files)
    }
}

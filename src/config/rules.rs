//! What no schema can say: exactly one of these, that needs this, names that clash.
//!
//! Pure: what this process may do comes in as [`Facts`].

use std::collections::{BTreeMap, BTreeSet};

use providers::{Settings, settings::TlsSettings};

use super::{
    Places, format,
    mistake::{Mistake, nearest},
    shape::{Config, Layout, OnReject, Settle, Target, Template, Verify},
    source::Source,
};
use crate::rendering::OutputPath;

/// What this process may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// It may give files to others.
    pub root: bool,
    /// The groups it may give files to.
    pub groups: Vec<u32>,
}

impl Facts {
    /// Of this process.
    pub fn of_this_process() -> Self {
        let mut groups: Vec<u32> = nix::unistd::getgroups()
            .unwrap_or_default()
            .into_iter()
            .map(nix::unistd::Gid::as_raw)
            .collect();
        groups.push(nix::unistd::getegid().as_raw());
        Self { root: nix::unistd::geteuid().is_root(), groups }
    }
}

/// Judges a whole configuration.
pub(super) fn judge(config: &Config, facts: &Facts, places: &Places) -> Vec<Mistake> {
    let mut rules = Rules { places, mistakes: Vec::new() };
    for (name, source) in &config.sources {
        rules.source(name, source);
    }
    rules.templates(config, facts);
    rules.checks(config);
    rules.targets(config);
    rules.rest(config);
    rules.mistakes
}

struct Rules<'a> {
    places: &'a Places,
    mistakes: Vec<Mistake>,
}

impl Rules<'_> {
    fn mistake(&mut self, path: &str, what: impl Into<String>) {
        self.mistakes.push(self.places.mistake(path, what));
    }

    /// Exactly one of some keys is there.
    fn one_of(&mut self, path: &str, keys: &[(&str, bool)]) {
        let names: Vec<_> = keys.iter().map(|(name, _)| *name).collect();
        match keys.iter().filter(|(_, given)| *given).count() {
            1 => {}
            0 => self.mistake(path, format!("one of {} is missing", names.join(", "))),
            _ => self.mistake(path, format!("only one of {} can be there", names.join(", "))),
        }
    }

    fn together(&mut self, path: &str, keys: [(&str, bool); 2]) {
        let [(one, has_one), (other, has_other)] = keys;
        if has_one && !has_other {
            self.mistake(&format!("{path}.{one}"), format!("it needs `{other}` beside it"));
        }
        if has_other && !has_one {
            self.mistake(&format!("{path}.{other}"), format!("it needs `{one}` beside it"));
        }
    }

    fn tls(&mut self, path: &str, tls: Option<&TlsSettings>) {
        if let Some(tls) = tls {
            let pair =
                [("cert_file", tls.cert_file.is_some()), ("key_file", tls.key_file.is_some())];
            self.together(&format!("{path}.tls"), pair);
        }
    }

    fn source(&mut self, name: &str, source: &Source) {
        let path = format!("sources.{name}");
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !begins || !name.chars().all(word) {
            self.mistake(&path, "a source's name is made of a-z, 0-9 and _, for templates use it");
        }
        if source.resync.is_zero() {
            self.mistake(&format!("{path}.resync"), "the full re-read is never off; write 5m");
        }
        let at = format!("{path}.{}", source.provider.provider());
        match &source.provider {
            Settings::Consul(consul) => {
                self.url(&format!("{at}.address"), &consul.address);
                self.tls(&at, consul.tls.as_ref());
                if consul.wait.is_zero() || consul.wait.as_secs() > 600 {
                    self.mistake(&format!("{at}.wait"), "Consul waits between 1s and 10m");
                }
                if consul.prefix.starts_with('/') {
                    self.mistake(&format!("{at}.prefix"), "Consul's keys have no `/` in front");
                }
            }
            Settings::Etcd(etcd) => {
                for (index, endpoint) in etcd.endpoints.iter().enumerate() {
                    self.url(&format!("{at}.endpoints[{index}]"), endpoint);
                }
                self.tls(&at, etcd.tls.as_ref());
                self.together(
                    &at,
                    [
                        ("username", etcd.username.is_some()),
                        ("password_file", etcd.password_file.is_some()),
                    ],
                );
            }
            Settings::Files(files) => {
                if files.poll.is_zero() {
                    self.mistake(&format!("{at}.poll"), "the slow re-read is never off; write 30s");
                }
            }
        }
    }

    fn url(&mut self, path: &str, url: &str) {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            self.mistake(path, format!("`{url}` is no URL; it begins with http:// or https://"));
        }
    }

    fn templates(&mut self, config: &Config, facts: &Facts) {
        let mut taken: BTreeMap<&str, String> = BTreeMap::new();
        for (index, template) in config.templates.iter().enumerate() {
            let path = format!("templates[{index}]");
            self.template(&path, template, config, facts);
            let to = template.to.trim_end_matches('/');
            if is_folder(template) {
                continue;
            }
            if let Some(first) = taken.insert(to, path.clone()) {
                self.mistake(&format!("{path}.to"), format!("`{to}` is made by {first} already"));
            }
        }
        let files: BTreeSet<&str> = taken.keys().copied().collect();
        for (to, path) in &taken {
            let folder = files
                .iter()
                .find(|other| to.strip_prefix(**other).is_some_and(|rest| rest.starts_with('/')));
            if let Some(folder) = folder {
                let what = format!("`{folder}` is a file of another template, not a folder");
                self.mistake(&format!("{path}.to"), what);
            }
        }
    }

    fn template(&mut self, path: &str, template: &Template, config: &Config, facts: &Facts) {
        self.one_of(
            path,
            &[
                ("file", template.file.is_some()),
                ("inline", template.inline.is_some()),
                ("copy", template.copy.is_some()),
            ],
        );
        let to = if is_folder(template) { template.to.trim_end_matches('/') } else { &template.to };
        // A copied tree may lie in the root itself.
        let root = is_folder(template) && (to.is_empty() || to == ".");
        if let Err(error) = OutputPath::parse(to)
            && !root
        {
            self.mistake(&format!("{path}.to"), error.to_string());
        }
        if let Some(copy) = &template.copy {
            if !config.sources.contains_key(&copy.source) {
                let known = config.sources.keys().map(String::as_str);
                let guess = nearest(&copy.source, known.clone());
                let hint = guess.map_or_else(
                    || format!("; there are {}", known.collect::<Vec<_>>().join(", ")),
                    |guess| format!("; did you mean `{guess}`?"),
                );
                let what = format!("there is no source `{}`{hint}", copy.source);
                self.mistake(&format!("{path}.copy.source"), what);
            }
            if template.format.is_some() || template.delimiters.is_some() {
                self.mistake(path, "a copy is not rendered: drop `format` and `delimiters`");
            }
        }
        if template.owner.is_some() && !facts.root {
            self.mistake(&format!("{path}.owner"), "only root can give files to another user");
        }
        if template.group.is_some_and(|group| !facts.root && !facts.groups.contains(&group)) {
            let what = "we are not in this group; add it to supplementalGroups or fsGroup";
            self.mistake(&format!("{path}.group"), what);
        }
    }

    fn checks(&mut self, config: &Config) {
        for (index, check) in config.checks.iter().enumerate() {
            let path = format!("checks[{index}]");
            self.one_of(&path, &[("exec", check.exec.is_some()), ("http", check.http.is_some())]);
            let body = check.http.as_ref().and_then(|http| http.body_file.as_deref());
            let known = |body: &&str| config.templates.iter().any(|template| template.to == **body);
            if let Some(body) = body.filter(|body| !known(body)) {
                let what = format!("no template makes `{body}`; name one as in `to`");
                self.mistake(&format!("{path}.http.body_file"), what);
            }
        }
    }

    fn targets(&mut self, config: &Config) {
        let mut names = BTreeSet::new();
        for (index, target) in config.targets.iter().enumerate() {
            let path = format!("targets[{index}]");
            let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if target.name.is_empty() || !target.name.chars().all(word) {
                let what = "a target's name is made of letters, digits, `.`, `_` and `-`";
                self.mistake(&format!("{path}.name"), what);
            }
            if !names.insert(&target.name) {
                self.mistake(&format!("{path}.name"), "another target has this name");
            }
            self.target(&path, target, config);
        }
    }

    fn target(&mut self, path: &str, target: &Target, config: &Config) {
        self.one_of(
            path,
            &[
                ("signal", target.signal.is_some()),
                ("http", target.http.is_some()),
                ("exec", target.exec.is_some()),
            ],
        );
        for (index, glob) in target.only.iter().flatten().enumerate() {
            if let Err(what) = format::check("glob", glob) {
                self.mistake(&format!("{path}.only[{index}]"), what);
            }
        }
        match &target.process {
            None if target.signal.is_some() => {
                self.mistake(path, "a signal needs `process`: name, cmdline or pid_file");
            }
            Some(it) if it.name.is_none() && it.cmdline.is_none() && it.pid_file.is_none() => {
                self.mistake(&format!("{path}.process"), "write name, cmdline or pid_file");
            }
            _ => {}
        }
        if let Some(http) = &target.http {
            self.tls(&format!("{path}.http"), http.tls.as_ref());
            if http.bearer_file.is_some() && http.basic.is_some() {
                self.mistake(
                    &format!("{path}.http"),
                    "only one of bearer_file, basic can be there",
                );
            }
            if http.timeout.is_zero() {
                self.mistake(&format!("{path}.http.timeout"), "a call needs a deadline above 0s");
            }
            if http.method.is_empty() || !http.method.chars().all(|c| c.is_ascii_uppercase()) {
                self.mistake(&format!("{path}.http.method"), "a method is in capitals: POST");
            }
        }
        if let Some(verify) = &target.verify {
            self.verify(&format!("{path}.verify"), verify, target);
        }
        if target.on_reject == OnReject::Rollback {
            self.rollback(path, target, config);
        }
    }

    fn rollback(&mut self, path: &str, target: &Target, config: &Config) {
        let at = format!("{path}.on_reject");
        if target.signal.is_some() && target.verify.is_none() {
            let what =
                "a bare signal cannot be rejected: rollback needs `verify`, `http` or `exec`";
            self.mistake(&at, what);
        }
        if config.output.layout == Layout::Files {
            self.mistake(
                &at,
                "the `files` layout keeps nothing to roll back to; use `layout: set`",
            );
        }
    }

    fn verify(&mut self, path: &str, verify: &Verify, target: &Target) {
        self.one_of(
            path,
            &[
                ("metric", verify.metric.is_some()),
                ("json", verify.json.is_some()),
                ("status", verify.status.is_some()),
                ("workers", verify.workers.is_some()),
            ],
        );
        if verify.workers.is_some() && target.process.is_none() {
            self.mistake(&format!("{path}.workers"), "it needs `process`, whose children they are");
        }
        let mut equals = false;
        if let Some(metric) = &verify.metric {
            let keys = [
                ("increased", metric.increased),
                ("changed", metric.changed),
                ("equals", metric.equals.is_some()),
            ];
            self.one_of(&format!("{path}.metric"), &keys);
            equals |= metric.equals.is_some();
        }
        if let Some(json) = &verify.json {
            let keys = [("equals", json.equals.is_some()), ("changed", json.changed)];
            self.one_of(&format!("{path}.json"), &keys);
            equals |= json.equals.is_some();
            if !json.pointer.is_empty() && !json.pointer.starts_with('/') {
                let what = "a pointer begins with `/`: /status/version";
                self.mistake(&format!("{path}.json.pointer"), what);
            }
        }
        if (equals || verify.status.is_some()) && target.signal.is_some() {
            let what = "after a signal this may be older than the reload; use increased, changed or workers";
            self.mistake(path, what);
        }
    }

    fn rest(&mut self, config: &Config) {
        if let Settle::On { quiet, max } = config.settle
            && quiet > max
        {
            self.mistake("settle.quiet", "the quiet time is longer than `max`");
        }
        let exec = config.targets.iter().any(|target| target.exec.is_some())
            || config.checks.iter().any(|check| check.exec.is_some());
        if config.confine && exec {
            self.mistake("confine", "a confined process cannot start programs: drop `exec`");
        }
    }
}

/// Whether `to` names the folder of a copied tree.
fn is_folder(template: &Template) -> bool {
    let wild = |keys: &str| keys.contains(['*', '?', '[', '{']);
    template.copy.as_ref().is_some_and(|copy| wild(&copy.keys))
}

//! Rules of targets.

use std::collections::BTreeSet;

use reqwest::header::{HeaderName, HeaderValue};

use super::{Rules, templates::folder};
use crate::{
    config::shape::{Http, Layout, OnReject, Target, Verify},
    reload::matcher::Matcher,
    rendering::OutputPath,
};

impl Rules<'_> {
    pub(super) fn targets(&mut self) {
        let mut names = BTreeSet::new();
        for (index, target) in self.config.targets.iter().enumerate() {
            let path = format!("targets[{index}]");
            let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if target.name.is_empty() || !target.name.chars().all(word) {
                let what = "a target's name is made of letters, digits, `.`, `_` and `-`";
                self.mistake(&format!("{path}.name"), what);
            }
            if !names.insert(&target.name) {
                self.mistake(&format!("{path}.name"), "another target has this name");
            }
            self.target(&path, target);
        }
    }

    fn target(&mut self, path: &str, target: &Target) {
        self.one_of(
            path,
            &[
                ("signal", target.signal.is_some()),
                ("http", target.http.is_some()),
                ("exec", target.exec.is_some()),
            ],
        );
        self.program(path, target.exec.as_ref());
        self.above_zero(&format!("{path}.timeout"), target.timeout, "10s");
        for (index, glob) in target.only.iter().flatten().enumerate() {
            self.only(&format!("{path}.only[{index}]"), glob);
        }
        match &target.process {
            None if target.signal.is_some() => {
                self.mistake(path, "a signal needs `process`: name, cmdline or pid_file");
            }
            Some(it) if it.name.is_none() && it.cmdline.is_none() && it.pid_file.is_none() => {
                self.mistake(&format!("{path}.process"), "write name, cmdline or pid_file");
            }
            Some(it) if it.name.as_ref().is_some_and(String::is_empty) => {
                self.mistake(&format!("{path}.process.name"), "the name is empty");
            }
            _ => {}
        }
        if let Some(ready) = &target.ready {
            self.tls(&format!("{path}.ready"), ready.tls.as_ref(), [&ready.url]);
        }
        if let Some(http) = &target.http {
            self.http(&format!("{path}.http"), http);
        }
        if let Some(verify) = &target.verify {
            self.verify(&format!("{path}.verify"), verify, target);
        }
        if target.on_reject == OnReject::Rollback {
            self.rollback(&format!("{path}.on_reject"), target);
        }
    }

    /// A glob that no file can ever match would leave the target untold for ever.
    fn only(&mut self, path: &str, glob: &str) {
        if self.lost.contains(path) || !self.outputs_are_known() {
            return;
        }
        let Ok(matcher) = Matcher::new(Some(&[glob.to_owned()])) else { return };
        let fixed = glob.split(['*', '?', '[', '{']).next().unwrap_or_default();
        let may_match = self.config.templates.iter().any(|template| match folder(template) {
            Some("" | ".") => true,
            Some(folder) => {
                let folder = format!("{folder}/");
                folder.starts_with(fixed) || fixed.starts_with(&folder)
            }
            None => OutputPath::parse(&template.to).is_ok_and(|to| matcher.matches(&to)),
        });
        if !may_match {
            let what =
                format!("no template makes a file that `{glob}` matches; {}", self.outputs());
            self.mistake(path, what);
        }
    }

    fn http(&mut self, path: &str, http: &Http) {
        self.tls(path, http.tls.as_ref(), [&http.url]);
        if http.bearer_file.is_some() && http.basic.is_some() {
            self.mistake(path, "only one of bearer_file, basic can be there");
        }
        self.above_zero(&format!("{path}.timeout"), http.timeout, "10s");
        if http.method.is_empty() || !http.method.chars().all(|c| c.is_ascii_uppercase()) {
            self.mistake(&format!("{path}.method"), "a method is in capitals: POST");
        }
        for (name, value) in &http.headers {
            let name_is_good = name.parse::<HeaderName>().is_ok();
            if !name_is_good || value.parse::<HeaderValue>().is_err() {
                let part = if name_is_good { "value" } else { "name" };
                let what = format!("this cannot be sent as the {part} of a header");
                self.mistake(&format!("{path}.headers.{name}"), what);
            }
        }
    }

    fn rollback(&mut self, path: &str, target: &Target) {
        if target.signal.is_some() && target.verify.is_none() {
            let what =
                "a bare signal cannot be rejected: rollback needs `verify`, `http` or `exec`";
            self.mistake(path, what);
        }
        if self.config.output.layout == Layout::Files {
            let what = "the `files` layout keeps nothing to roll back to; use `layout: set`";
            self.mistake(path, what);
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
        self.above_zero(&format!("{path}.timeout"), verify.timeout, "30s");
        if verify.workers.is_some() && target.process.is_none() {
            self.mistake(&format!("{path}.workers"), "it needs `process`, whose children they are");
        }
        let mut equals = verify.status.is_some();
        if let Some(status) = &verify.status {
            self.tls(&format!("{path}.status"), status.tls.as_ref(), [&status.url]);
        }
        if let Some(metric) = &verify.metric {
            self.tls(&format!("{path}.metric"), metric.tls.as_ref(), [&metric.url]);
            let keys = [
                ("increased", metric.increased),
                ("changed", metric.changed),
                ("equals", metric.equals.is_some()),
            ];
            self.one_of(&format!("{path}.metric"), &keys);
            equals |= metric.equals.is_some();
        }
        if let Some(json) = &verify.json {
            self.tls(&format!("{path}.json"), json.tls.as_ref(), [&json.url]);
            let keys = [("equals", json.equals.is_some()), ("changed", json.changed)];
            self.one_of(&format!("{path}.json"), &keys);
            equals |= json.equals.is_some();
            if !json.pointer.is_empty() && !json.pointer.starts_with('/') {
                let what = "a pointer begins with `/`: /status/version";
                self.mistake(&format!("{path}.json.pointer"), what);
            }
        }
        if equals && target.signal.is_some() {
            let what = "evidence must be newer than the attempt, and after a signal this may be older; use increased, changed or workers";
            self.mistake(path, what);
        }
    }
}

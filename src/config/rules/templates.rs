//! Rules of templates and of the checks of what they make.

use std::collections::BTreeMap;

use super::Rules;
use crate::{
    config::{mistake::nearest, shape::Template},
    rendering::OutputPath,
};

impl Rules<'_> {
    pub(super) fn templates(&mut self) {
        let config = self.config;
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        for (index, template) in config.templates.iter().enumerate() {
            let path = format!("templates[{index}]");
            self.template(&path, template);
            if folder(template).is_some() || self.lost.contains(&format!("{path}.to")) {
                continue;
            }
            let to = template.to.as_str();
            if let Some(first) = files.get(to) {
                self.mistake(&format!("{path}.to"), format!("`{to}` is made by {first} already"));
            } else {
                files.insert(to, path);
            }
        }
        for (index, template) in config.templates.iter().enumerate() {
            let path = format!("templates[{index}]");
            let mut above = template.to.trim_end_matches('/');
            if folder(template).is_none() {
                above = parent(above);
            }
            while !above.is_empty() && !files.contains_key(above) {
                above = parent(above);
            }
            if let Some((file, other)) = files.get_key_value(above) {
                let what = format!("`{file}` is a file, made by {other}, and cannot be a folder");
                self.mistake(&format!("{path}.to"), what);
            }
        }
    }

    fn template(&mut self, path: &str, template: &Template) {
        self.one_of(
            path,
            &[
                ("file", template.file.is_some()),
                ("inline", template.inline.is_some()),
                ("copy", template.copy.is_some()),
            ],
        );
        self.destination(&format!("{path}.to"), template);
        if let Some(copy) = &template.copy {
            let sources = &self.config.sources;
            if !sources.contains_key(&copy.source) && !self.lost.contains("sources") {
                let known = sources.keys().map(String::as_str);
                let hint = match nearest(&copy.source, known.clone()) {
                    Some(guess) => format!("did you mean `{guess}`?"),
                    None => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
                };
                let what = format!("there is no source `{}`; {hint}", copy.source);
                self.mistake(&format!("{path}.copy.source"), what);
            }
            if template.format.is_some() || template.delimiters.is_some() {
                self.mistake(path, "a copy is not rendered: drop `format` and `delimiters`");
            }
        }
        if template.owner.is_some() && !self.facts.root {
            self.mistake(&format!("{path}.owner"), "only root can give files to another user");
        }
        let ours = |group: u32| self.facts.root || self.facts.groups.contains(&group);
        if template.group.is_some_and(|group| !ours(group)) {
            let what = "we are not in this group; add it to supplementalGroups or fsGroup";
            self.mistake(&format!("{path}.group"), what);
        }
    }

    fn destination(&mut self, path: &str, template: &Template) {
        let to = template.to.as_str();
        let name = match folder(template) {
            // A copied tree may lie in the root itself.
            Some("" | ".") if !to.starts_with('/') => return,
            Some(folder) => folder,
            None => to,
        };
        if name.ends_with('/') {
            let what = match &template.copy {
                Some(_) => "`keys` is one key, so this is its file: drop the `/` at the end",
                None => "a template makes one file: drop the `/` at the end",
            };
            self.mistake(path, what);
        } else if let Err(error) = OutputPath::parse(name) {
            self.mistake(path, error.to_string());
        }
    }

    pub(super) fn checks(&mut self) {
        for (index, check) in self.config.checks.iter().enumerate() {
            let path = format!("checks[{index}]");
            self.one_of(&path, &[("exec", check.exec.is_some()), ("http", check.http.is_some())]);
            self.program(&path, check.exec.as_ref());
            self.above_zero(&format!("{path}.timeout"), check.timeout, "5s");
            let body = check.http.as_ref().and_then(|http| http.body_file.as_deref());
            if let Some(body) = body.filter(|body| !self.may_be_made(body)) {
                let what = format!("no template makes `{body}`; {}", self.outputs());
                self.mistake(&format!("{path}.http.body_file"), what);
            }
        }
    }

    /// Whether a template may make this file.
    fn may_be_made(&self, file: &str) -> bool {
        let makes = |template: &Template| match folder(template) {
            Some("" | ".") => true,
            Some(folder) => file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')),
            None => template.to == file,
        };
        !self.outputs_are_known() || self.config.templates.iter().any(makes)
    }

    /// The hint for a name that no template makes.
    pub(super) fn outputs(&self) -> String {
        let all: Vec<_> = self.config.templates.iter().map(|it| it.to.as_str()).collect();
        match all.len() {
            0..=5 => format!("they make {}", all.join(", ")),
            _ => "write it as in a `to`".to_owned(),
        }
    }
}

fn parent(path: &str) -> &str {
    path.rfind('/').map_or("", |cut| &path[..cut])
}

/// The folder of a copied tree, if the template is one.
pub(super) fn folder(template: &Template) -> Option<&str> {
    let copy = template.copy.as_ref()?;
    let wild = copy.keys.contains(['*', '?', '[', '{']);
    wild.then(|| template.to.trim_end_matches('/'))
}

//! What no schema can say: exactly one of these, that needs this, names that clash.
//!
//! Pure: what this process may do comes in as [`Facts`].

use std::{collections::BTreeSet, path::Path, time::Duration};

use providers::settings::TlsSettings;

use super::{
    Places, is_lost,
    mistake::Mistake,
    shape::{Config, Settle},
};

mod sources;
mod targets;
mod templates;

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

/// Judges a whole configuration. `lost` are the paths whose value is only a stand-in: they were
/// told already, and nothing is to be said of them or of what hangs on them.
pub(super) fn judge(
    config: &Config,
    facts: &Facts,
    places: &Places,
    lost: &BTreeSet<String>,
) -> Vec<Mistake> {
    let mut rules = Rules { config, facts, places, lost, mistakes: Vec::new() };
    for (name, source) in &config.sources {
        rules.source(name, source);
    }
    rules.templates();
    rules.checks();
    rules.targets();
    rules.rest();
    rules.mistakes
}

struct Rules<'a> {
    config: &'a Config,
    facts: &'a Facts,
    places: &'a Places,
    lost: &'a BTreeSet<String>,
    mistakes: Vec<Mistake>,
}

impl Rules<'_> {
    fn mistake(&mut self, path: &str, what: impl Into<String>) {
        if !is_lost(self.lost, path) {
            self.mistakes.push(self.places.mistake(path, what));
        }
    }

    /// Whether the name of every output is as the file says.
    fn outputs_are_known(&self) -> bool {
        !self.lost.iter().any(|lost| {
            let name = lost.rsplit(['.', '[']).next().unwrap_or_default();
            let whole = !lost.contains('.');
            lost.starts_with("templates") && (whole || name == "to" || lost.contains(".copy"))
        })
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

    /// `tls` below `path`, for these URLs.
    fn tls<'u>(
        &mut self,
        path: &str,
        tls: Option<&TlsSettings>,
        urls: impl IntoIterator<Item = &'u String>,
    ) {
        let Some(tls) = tls else { return };
        let pair = [("cert_file", tls.cert_file.is_some()), ("key_file", tls.key_file.is_some())];
        self.together(&format!("{path}.tls"), pair);
        let known = !self.lost.iter().any(|lost| lost.starts_with(path));
        if known && urls.into_iter().all(|url| !url.starts_with("https://")) {
            let what = "nothing is encrypted without a URL that begins with https://";
            self.mistake(&format!("{path}.tls"), what);
        }
    }

    /// A time that must not be zero.
    fn above_zero(&mut self, path: &str, time: Duration, write: &str) {
        if time.is_zero() {
            self.mistake(path, format!("it is above zero; write {write}"));
        }
    }

    /// A program and its arguments.
    fn program(&mut self, path: &str, words: Option<&Vec<String>>) {
        if words.and_then(|words| words.first()).is_some_and(String::is_empty) {
            self.mistake(&format!("{path}.exec[0]"), "the program's name is empty");
        }
    }

    fn rest(&mut self) {
        let config = self.config;
        if let Settle::On { quiet, max } = config.settle
            && quiet > max
        {
            self.mistake("settle.quiet", "the quiet time is longer than `max`");
        }
        let limits = &config.limits;
        for (key, value) in
            [("fuel", limits.fuel), ("file", limits.file), ("generation", limits.generation)]
        {
            if value == 0 {
                self.mistake(&format!("limits.{key}"), "with 0 nothing could be rendered");
            }
        }
        if limits.file > limits.generation {
            self.mistake("limits.file", "one file can be no larger than `limits.generation`");
        }
        let exec = config.targets.iter().any(|target| target.exec.is_some())
            || config.checks.iter().any(|check| check.exec.is_some());
        if config.confine && exec {
            self.mistake("confine", "a confined process cannot start programs: drop `exec`");
        }
        for (at, path) in config.named_paths() {
            if path.as_os_str().is_empty() {
                self.mistake(&at, "the path is empty");
            }
        }
        if config.output.path.as_deref() == Some(Path::new("/")) {
            self.mistake("output.path", "the root of the file system is no volume");
        }
    }
}

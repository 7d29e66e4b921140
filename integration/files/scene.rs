//! Rehup on one file source, as every fault of files needs it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::support::{app::App, patience::eventually};

/// One file source `base` and one file on the volume, `content`, that lists it.
pub struct Scene {
    pub app: App,
}

/// Every key with its value.
const LIST: &str = "{% for key in base %}{{ key }}={{ base[key] }};{% endfor %}";

impl Scene {
    /// Not started yet; the source is the folder `base`, which does not exist yet.
    pub fn new() -> Self {
        Self::at("base", "30s")
    }

    /// The source is `path` below the test's folder.
    pub fn at(path: &str, poll: &str) -> Self {
        let app = App::new();
        let path = app.folder().join(path);
        app.configure(format!(
            "sources: {{ base: {{ files: {{ path: {}, poll: {poll} }} }} }}\n\
             templates:\n  - {{ inline: \"{LIST}\", to: content }}\nsettle: off\n",
            path.display()
        ));
        Self { app }
    }

    /// Copies every key below `all/` instead of listing them, with the default settle.
    pub fn copied(poll: &str) -> Self {
        let scene = Self::new();
        scene.app.configure(format!(
            "sources: {{ base: {{ files: {{ path: {}, poll: {poll} }} }} }}\n\
             templates:\n  - {{ copy: {{ source: base, keys: \"**\" }}, to: all/ }}\n",
            scene.base().display()
        ));
        scene.write("level", "0");
        scene
    }

    /// Beside `base`, of which `level` is shown, there is a source `good` of which `key` is: one can
    /// be seen to go on while the other fails.
    pub fn beside(path: &str, poll: &str) -> Self {
        let scene = Self::new();
        let folder = scene.app.folder();
        fs::create_dir(folder.join("good")).expect("another source");
        replace(&folder.join("good/key"), "0");
        scene.app.configure(format!(
            "sources:\n  base: {{ files: {{ path: {0}/{path}, poll: {poll} }} }}\n  \
             good: {{ files: {{ path: {0}/good }} }}\n\
             templates:\n  - {{ inline: \"{{{{ base.level }}}}\", to: content }}\n  \
             - {{ inline: \"{{{{ good.key }}}}\", to: good }}\nsettle: off\n",
            folder.display()
        ));
        scene.write("level", "0");
        scene
    }

    /// The folder `base`, made if it is not there.
    pub fn base(&self) -> PathBuf {
        let base = self.app.folder().join("base");
        fs::create_dir_all(&base).expect("a source folder");
        base
    }

    /// Writes a key of `base` in place.
    pub fn write(&self, key: &str, value: &str) {
        fs::write(self.base().join(key), value).expect("a key");
    }

    /// Starts Rehup and waits for its first generation.
    pub fn start(&mut self) -> &mut Self {
        self.app.start().ready();
        self
    }

    /// Waits until the volume lists exactly this: `key=value;` in the order of the keys.
    #[track_caller]
    pub fn shows(&self, content: &str) {
        self.app.shows("content", content);
    }

    /// Waits until the source's part of the status is as described.
    #[track_caller]
    pub fn source(
        &self,
        expected: &str,
        is: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        eventually(format_args!("the source is {expected}; {}", self.app.tail()), || {
            let source = self.app.try_status()?["sources"]["base"].clone();
            is(&source).then_some(source)
        })
    }

    /// Waits until the source is degraded for this reason, tells the error, and finds that the
    /// volume still lists `last`.
    #[track_caller]
    pub fn degraded(&self, reason: &str, last: &str) -> String {
        let state = format!("degraded({reason})");
        let source = self.source(&state, |source| source["state"] == state.as_str());
        let metric = format!("rehup_source_degraded{{source=\"base\",reason=\"{reason}\"}} 1");
        self.measures(&metric);
        self.shows(last);
        self.app.answers("/readyz", 200);
        source["error"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the source is live and `/freshz` says so.
    #[track_caller]
    pub fn live(&self) {
        self.source("live", |source| source["state"] == "live");
        self.app.answers("/freshz", 200);
    }

    /// Waits until changes are noticed in this way, in status and metrics.
    #[track_caller]
    pub fn watches(&self, mode: &str) {
        self.source(mode, |source| source["watch"] == mode);
        self.measures(&format!("rehup_source_watch{{source=\"base\",mode=\"{mode}\"}} 1"));
    }

    /// Waits until the metrics have this line.
    #[track_caller]
    pub fn measures(&self, line: &str) {
        eventually(format_args!("the metrics say {line}; {}", self.app.tail()), || {
            let page = self.app.get("/metrics")?.body;
            page.lines().any(|it| it == line).then_some(())
        });
    }

    /// Waits until the source was proven after this call.
    #[track_caller]
    pub fn proven_again(&self) {
        let asked = std::time::Instant::now();
        self.source("proven again", |source| {
            let age = source["age_seconds"].as_f64().map(Duration::from_secs_f64);
            age.is_some_and(|age| age < asked.elapsed())
        });
    }
}

/// Writes a file beside its place and renames it there.
pub fn replace(path: &Path, value: &str) {
    let new = path.with_file_name(".new");
    fs::write(&new, value).expect("a file");
    fs::rename(new, path).expect("a rename");
}

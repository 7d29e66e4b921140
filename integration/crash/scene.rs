//! A volume with an old generation, inputs that want a new one, and a target that counts.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rehup::publish::{Volume, VolumeOptions};

use super::trace::{Point, counts, watch};
use crate::support::{
    app::App,
    canary,
    endpoint::{Endpoint, Manner},
    patience::eventually,
};

pub use rehup::config::shape::Layout;

/// Where readers look.
const FILES: [&str; 5] = ["conf/a", "conf/b", "conf/deep/c", "d", "e/f"];

/// A place for volumes in memory.
pub fn tmpfs() -> PathBuf {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() }
}

/// The disk of this machine: whatever the build lies on.
pub fn disk() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(path).expect("a folder");
    path.to_owned()
}

/// A volume as Rehup names it and as this process reaches it.
#[derive(Debug)]
pub struct Place {
    pub inside: PathBuf,
    pub outside: PathBuf,
    /// What comes before each command that uses it.
    pub entry: Vec<String>,
    /// It goes with the scene.
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    /// A folder in this one.
    pub fn within(folder: &Path) -> Self {
        let made = tempfile::Builder::new().prefix("rehup-crash-").tempdir_in(folder);
        let made = made.expect("a volume");
        let path = made.path().to_owned();
        Self { inside: path.clone(), outside: path, entry: Vec::new(), _folder: Some(made) }
    }

    /// A mount that only some processes see.
    pub fn mounted(inside: PathBuf, outside: PathBuf, entry: Vec<String>) -> Self {
        Self { inside, outside, entry, _folder: None }
    }
}

pub struct Scene {
    pub app: App,
    endpoint: Endpoint,
    layout: Layout,
    place: Place,
    padding: usize,
    /// How often the target had been told when the inputs changed.
    told: Cell<usize>,
}

impl Scene {
    /// Nothing runs yet; the inputs want `old`. Each file is followed by so much padding.
    pub fn new(layout: Layout, place: Place, padding: usize) -> Self {
        let (mut app, endpoint) = (App::new(), Endpoint::start(Manner::Status(200)));
        app.variable("REHUP_OUTPUT", &place.inside).quiet();
        let scene = Self { app, endpoint, layout, place, padding, told: Cell::default() };
        scene.becomes("old");
        let target = format!("http: {{ url: \"{}\" }}", scene.endpoint.url("/reload"));
        scene.configure(&target);
        scene
    }

    /// The generation `old` is visible and the target has settled it.
    pub fn with_an_old_generation(layout: Layout, place: Place) -> Self {
        let mut scene = Self::new(layout, place, 0);
        scene.start(&[]);
        scene.waits_until_told("the old generation");
        scene.app.stop();
        scene
    }

    /// With this target.
    pub fn configure(&self, target: &str) {
        let pad = format!("{{{{ '.' * {} }}}}", self.padding);
        let template = |to: &str| {
            format!("  - {{ to: {to}, inline: \"{to} {{{{ base.a }}}}{pad}\", mode: \"0640\" }}\n")
        };
        let layout = if self.layout == Layout::Set { "set" } else { "files" };
        self.app.configure(format!(
            "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\ntemplates:\n{}\
             output: {{ layout: {layout}, grace: 0s, keep: 1 }}\nsettle: off\n\
             targets: [{{ name: main, {target}, min_interval: 0s }}]\n",
            self.app.folder().display(),
            FILES.map(template).concat(),
        ));
    }

    /// From now on the inputs want this.
    pub fn becomes(&self, value: &str) {
        self.told.set(self.endpoint.posts().len());
        self.app.put("a", value);
    }

    fn wanted(&self) -> String {
        canary::unhide(&fs::read_to_string(self.app.folder().join("base/a")).expect("an input"))
    }

    /// Starts it where it sees its volume, through these words.
    pub fn start(&mut self, words: &[String]) {
        let words: Vec<_> = self.place.entry.iter().chain(words).cloned().collect();
        self.app.start_through(&words);
    }

    /// What strace sees of a life without any fault, in which `new` is published and told.
    pub fn traced(&mut self, calls: &str) -> String {
        let log = self.app.folder().join("trace");
        self.becomes("new");
        self.start(&watch(calls, &log));
        self.waits_until_told("the new generation");
        self.app.stop();
        fs::read_to_string(log).expect("what strace saw")
    }

    /// How often a thread makes each call in such a life.
    pub fn counts(mut self, calls: &str) -> BTreeMap<String, usize> {
        counts(&self.traced(calls))
    }

    /// Starts it with a fault ahead.
    pub fn starts_under(&mut self, point: &Point) {
        let log = self.app.folder().join("trace");
        self.start(&point.words(&log));
    }

    /// Whether it died of the fault; if that is never met, it is killed when all is done.
    pub fn run_until_dead_or_told(&mut self, point: &Point) -> bool {
        self.starts_under(point);
        let died = eventually(format_args!("{point} is met or all is done"), || {
            if self.app.process().exited().is_some() {
                return Some(true);
            }
            self.is_told().then_some(false)
        });
        self.app.kill();
        died
    }

    /// The wanted generation is visible, and nothing is owed any more.
    pub fn is_told(&self) -> bool {
        if !self.is_shown() || !self.was_called() {
            return false;
        }
        let Some(status) = self.app.try_status() else { return false };
        let target = &status["targets"]["main"];
        target["outcome"] == "confirmed" && target["owed_seconds"].is_null()
    }

    /// The target was called since the inputs changed.
    pub fn was_called(&self) -> bool {
        self.endpoint.posts().len() > self.told.get()
    }

    #[track_caller]
    pub fn waits_until_told(&self, what: &str) {
        eventually(format_args!("{what} is told; {}", self.app.tail()), || {
            self.is_told().then_some(())
        });
    }

    /// Every file has the wanted value.
    pub fn is_shown(&self) -> bool {
        let wanted = self.wanted();
        FILES.iter().all(|path| value(&self.place.outside, path).is_ok_and(|it| it == wanted))
    }

    #[track_caller]
    pub fn is_whole(&self, when: &str) {
        is_whole(&self.place.outside, self.layout, when);
    }

    /// The next start shows and tells the new one without help, once or twice, and tidies up.
    #[track_caller]
    pub fn restarts(&mut self, when: &str) {
        self.start(&[]);
        self.waits_until_told(when);
        self.app.answers("/freshz", 200);
        eventually(format_args!("{when}: nothing is left"), || {
            self.untidy().is_none().then_some(())
        });
        self.app.stop();
        self.is_whole(when);
        self.is_tidy(when);
        // One for the old generation; the new one is told, again if its telling was not recorded.
        let told = self.endpoint.posts().len();
        assert!((2..=3).contains(&told), "{when}: {told} calls");
    }

    /// On what a power cut left, also if that was before anything new began: it converges.
    #[track_caller]
    pub fn restarts_after_a_cut(&mut self) {
        self.start(&[]);
        eventually(format_args!("it goes on after a cut; {}", self.app.tail()), || {
            self.is_shown().then_some(())
        });
        self.app.answers("/freshz", 200);
        self.app.stop();
        self.is_tidy("after a power cut");
    }

    /// A call was refused, as strace tells.
    pub fn met_a_fault(&self) -> bool {
        let log = fs::read_to_string(self.app.folder().join("trace"));
        log.is_ok_and(|log| log.contains("(INJECTED)"))
    }

    /// Ends the tracer: from now on nothing is refused.
    pub fn goes_on_alone(&mut self) {
        let status = format!("/proc/{}/status", self.app.process().pid());
        let tracer = || {
            let status = fs::read_to_string(&status).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
            line.and_then(|pid| pid.trim().parse().ok()).filter(|pid| *pid != 0)
        };
        if let Some(pid) = tracer() {
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the tracer is ours");
        }
        eventually("it runs without a tracer", || tracer().is_none().then_some(()));
    }

    /// Nothing is left of ours but what serves.
    #[track_caller]
    pub fn is_tidy(&self, when: &str) {
        let untidy = self.untidy();
        assert!(untidy.is_none(), "{when}: {untidy:?}");
    }

    /// What is left of ours and serves nobody.
    pub fn untidy(&self) -> Option<Vec<String>> {
        let tops = names(&self.place.outside);
        let generations = tops.iter().filter(|name| name.starts_with("..gen-")).count();
        let most = if self.layout == Layout::Set { 2 } else { 0 };
        if generations > most || tops.iter().any(|name| name.starts_with("..tmp-")) {
            return Some(tops);
        }
        let private = names(&self.place.outside.join("..rehup"));
        private.iter().any(|name| name.starts_with('.') || name == "inputs").then_some(private)
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.map(|entry| name(entry.expect("an entry"))).collect()
}

/// What a published file says.
fn value(root: &Path, path: &str) -> Result<String, String> {
    let text = fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))?;
    let value = text.strip_prefix(&format!("{path} ")).map(|it| it.trim_end_matches('.'));
    value.map(canary::unhide).ok_or_else(|| format!("{path} holds {text:?}"))
}

/// What a reader finds is one of the two, whole (in layout `files`: each file one of the two).
#[track_caller]
pub fn is_whole(root: &Path, layout: Layout, when: &str) {
    // A reader that wants a set opens the folder once.
    let visible = || fs::read_link(root.join("..data")).expect("..data");
    let base = match layout {
        Layout::Set => root.join(visible()),
        Layout::Files => root.to_owned(),
    };
    let found = FILES.map(|path| value(&base, path).unwrap_or_else(|it| panic!("{when}: {it}")));
    assert!(found.iter().all(|it| it == "old" || it == "new"), "{when}: {found:?}");
    if layout == Layout::Set {
        assert!(found.iter().all(|it| *it == found[0]), "{when}: torn: {found:?}");
        let (path, keep) = (root.to_owned(), 1);
        let options = VolumeOptions { path, layout, keep, grace: Duration::ZERO };
        let is_true = Volume::glance(&options).is_some();
        // What was looked at may have gone in between.
        if root.join(visible()) != base {
            return is_whole(root, layout, when);
        }
        assert!(is_true, "{when}: the manifest is not true");
    }
}

//! X02: the program beside us is hostile. It swaps and plants names on the shared volume, also while
//! they are being used, to lead a write, a read or a removal elsewhere.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::support::{app::App, patience::eventually, process::scratch};

mod attacker;
mod canary;
mod starts;

use attacker::{Attacker, Count, PLANTS};
use canary::Canary;

/// Where readers look.
const FILES: [&str; 4] = ["conf/a", "conf/b", "conf/deep/c", "d"];

/// A Rehup that publishes, and something outside that must not feel it.
struct Scene {
    app: App,
    canary: Canary,
    lair: PathBuf,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// Nothing runs yet.
    fn new(layout: &str) -> Self {
        let (mut app, folder) = (App::new(), scratch());
        let template = |to| format!("  - {{ to: {to}, inline: \"{to} {{{{ base.a }}}}\" }}\n");
        app.quiet().put("a", "0");
        app.configure(format!(
            "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\ntemplates:\n{}\
             output: {{ layout: {layout}, grace: 0s, keep: 1 }}\nsettle: off\n",
            app.folder().display(),
            FILES.map(template).concat(),
        ));
        let canary = Canary::at(folder.path().join("outside"));
        let lair = folder.path().join("lair");
        fs::create_dir(&lair).expect("a lair");
        Self { app, canary, lair, _folder: folder }
    }

    fn attacker<'a>(&'a self, volume: &'a std::path::Path) -> Attacker<'a> {
        Attacker { volume, lair: self.lair.clone(), canary: &self.canary }
    }

    /// Publishes again, without a restart.
    #[track_caller]
    fn publishes(&self, value: &str) {
        self.app.put("a", value);
        for path in FILES {
            self.app.shows(path, &format!("{path} {value}"));
        }
    }

    /// One kind of attack for so long, while the inputs change all the time.
    #[track_caller]
    fn endures(&self, plant: attacker::Plant, time: Duration) -> Count {
        let (ended, volume) = (AtomicBool::new(false), self.app.volume());
        let attacker = self.attacker(&volume);
        let count = std::thread::scope(|scope| {
            let attack = scope.spawn(|| attacker.attack(plant, &ended));
            let (begun, mut edits) = (Instant::now(), 0);
            while begun.elapsed() < time {
                edits += 1;
                self.app.put("a", &format!("{plant:?} {edits}"));
                std::thread::sleep(Duration::from_millis(5));
            }
            ended.store(true, Ordering::Relaxed);
            attack.join().expect("an attacker")
        });
        attacker.clear();
        self.canary.is_untouched(&format!("{plant:?}; {}", self.app.tail()));
        self.app.answers("/livez", 200);
        self.publishes(&format!("after {plant:?}"));
        count
    }
}

/// Every kind of attack, one after the other, on one process.
fn withstands(layout: &str, words: &[String], time: Duration) {
    let mut scene = Scene::new(layout);
    scene.app.start_through(words).ready();
    let mut all = Count::default();
    for plant in PLANTS {
        all += scene.endures(plant, time);
    }
    let log = scene.app.log();
    let volume = scene.app.volume().display().to_string();
    let named = |line: &&str| line.contains("WARN") && line.contains(&volume);
    let named = log.lines().filter(named).count();
    let made = scene.app.metric("rehup_generation");
    eprintln!("{layout}: {all:?}, {made} generations, {named} errors that name the volume");
    assert!(all.swaps > 100 && all.plants > 10, "no attack: {all:?}");
    assert!(named > 0, "what went wrong is named with its place:\n{log}");
    // What it left serves the next process too.
    scene.app.stop();
    scene.app.start().ready();
    scene.publishes("after a restart");
    scene.canary.is_untouched("a restart");
    eventually("nothing is left of what the attack cut short", || {
        let left = fs::read_dir(scene.app.volume()).expect("a volume");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut left = left.map(|entry| name(entry.expect("an entry")));
        left.all(|name| !name.starts_with("..tmp-")).then_some(())
    });
}

/// openat2 is refused with this error, as by an old kernel or an old seccomp profile.
fn without_openat2(error: &str, log: &std::path::Path) -> Vec<String> {
    let log = log.to_str().expect("UTF-8");
    let inject = format!("inject=openat2:error={error}");
    ["strace", "-D", "-f", "-qq", "-o", log, "-e", "trace=openat2", "-e", &inject]
        .map(str::to_owned)
        .to_vec()
}

#[test]
fn x02_a_racing_attacker_of_sets_reaches_nothing_outside() {
    withstands("set", &[], Duration::from_secs(3));
}

#[test]
fn x02_a_racing_attacker_of_single_files_reaches_nothing_outside() {
    withstands("files", &[], Duration::from_secs(3));
}

#[test]
fn x02_without_openat2_a_racing_attacker_reaches_nothing_outside() {
    let folder = scratch();
    for (layout, error) in [("files", "ENOSYS"), ("set", "EPERM")] {
        let words = without_openat2(error, &folder.path().join(error));
        withstands(layout, &words, Duration::from_secs(1));
    }
}

mod soak {
    use super::{Duration, scratch, without_openat2, withstands};

    #[test]
    fn x02_a_minute_for_each_kind_of_attack() {
        let folder = scratch();
        let refused = without_openat2("ENOSYS", &folder.path().join("trace"));
        for layout in ["set", "files"] {
            for words in [&[][..], &refused] {
                withstands(layout, words, Duration::from_mins(1));
            }
        }
    }
}

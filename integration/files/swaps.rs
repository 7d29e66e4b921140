//! Faults of mounted volumes: how the kubelet swaps them, and what it leaves when it dies.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{
    folder::Mounted,
    scene::{Scene, replace},
};
use crate::support::app::App;

/// Rehup on a mounted volume with two files that belong together.
fn pair(mount: &Mounted) -> App {
    let app = App::new();
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {} }} }} }}\n\
         templates:\n  - {{ inline: \"{{{{ base.a }}}}\", to: a }}\n\
         \x20 - {{ inline: \"{{{{ base['dir/b'] }}}}\", to: b }}\nsettle: off\n",
        mount.path().display()
    ));
    app
}

/// Reads generation after generation from the volume, as quickly as it can.
struct Checker {
    done: Arc<AtomicBool>,
    thread: JoinHandle<BTreeMap<String, (String, String)>>,
}

impl Checker {
    fn start(app: &App) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (end, volume) = (Arc::clone(&done), app.volume());
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeMap::new();
            while !end.load(Ordering::Relaxed) {
                let Ok(link) = fs::read_link(volume.join("..data")) else { continue };
                let read = |name| fs::read_to_string(volume.join(&link).join(name)).ok();
                if let (Some(a), Some(b)) = (read("a"), read("b")) {
                    seen.insert(link.display().to_string(), (a, b));
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            seen
        });
        Self { done, thread }
    }

    /// Every generation that it saw must hold one version of both files; how many it saw.
    fn finish(self) -> usize {
        self.done.store(true, Ordering::Relaxed);
        let seen = self.thread.join().expect("the checker");
        for (generation, (a, b)) in &seen {
            assert_eq!(a, b, "{generation} holds two versions");
        }
        seen.len()
    }
}

/// Swaps in `versions` one after the other, then expects the last to be published and the source to
/// be as well as ever.
fn swapped(app: &App, mount: &mut Mounted, versions: u32, pause: Duration) {
    let checker = Checker::start(app);
    for version in 1..=versions {
        mount.both(version);
        std::thread::sleep(pause);
    }
    for last in [versions, versions + 1] {
        mount.both(last);
        app.shows("a", &last.to_string());
        app.shows("b", &last.to_string());
    }
    let seen = checker.finish();
    assert!(seen >= 3, "only {seen} generations");
    app.answers("/freshz", 200);
    let source = app.status()["sources"]["base"].clone();
    assert_eq!((&source["state"], &source["watch"]), (&"live".into(), &"events".into()));
}

#[test]
fn f01_a_thousand_swaps_are_never_mixed_and_the_last_is_published() {
    let mut mount = Mounted::new();
    mount.both(0);
    let mut app = pair(&mount);
    app.start().ready();
    swapped(&app, &mut mount, 1000, Duration::ZERO);
}

/// The same while each listing of a folder takes so long that what was listed is gone by then.
#[test]
fn f02_a_version_that_is_removed_while_it_is_read_is_read_from_the_link_anew() {
    let mut mount = Mounted::new();
    mount.both(0);
    let mut app = pair(&mount);
    let trace = app.folder().join("trace");
    let trace_text = trace.to_str().expect("UTF-8").to_owned();
    let words = ["strace", "-D", "-f", "-qq", "-o", &trace_text, "-e", "trace=getdents64,openat"];
    app.start_through(&[&words[..], &["-e", "inject=getdents64:delay_exit=1000"]].concat());
    app.ready();
    swapped(&app, &mut mount, 200, Duration::from_millis(10));
    let trace = fs::read_to_string(trace).expect("what strace saw");
    let ours = |line: &str| ["\"a\"", "\"b\"", "\"..version_"].iter().any(|it| line.contains(it));
    let gone = |line: &&str| line.contains("ENOENT") && ours(line);
    let met = trace.lines().filter(gone).count();
    assert!(met > 0, "no version was removed while it was read");
    // Only what moves away again and again is worth a word.
    let told = app.log().lines().filter(|line| line.contains("cannot be followed")).count();
    assert!(4 * told < met, "{met} times a file was gone, {told} times that was an error");
}

#[test]
fn f13_what_a_kubelet_that_died_leaves_behind_is_a_missing_file() {
    // No event that counts tells of a version's end: each swap ends one.
    let mut scene = Scene::at("base", "300ms");
    let base = scene.base();
    // A version without a link, and the link that was about to become `..data`.
    let version = |name: &str, value: &str| {
        fs::create_dir_all(base.join(name)).expect("a version");
        replace(&base.join(name).join("level"), value);
    };
    let link = |to: &str| {
        symlink(to, base.join("..data_tmp")).expect("a link");
        fs::rename(base.join("..data_tmp"), base.join("..data")).expect("a rename");
    };
    version("..one", "1");
    link("..one");
    symlink("..data/level", base.join("level")).expect("a link");
    version("..half", "never linked");
    symlink("..half", base.join("..data_tmp")).expect("a link");
    scene.start();
    scene.shows("level=1;");
    fs::remove_file(base.join("..data_tmp")).expect("a link");

    let states: [(&str, &dyn Fn()); 2] = [
        ("the version is gone", &|| fs::remove_dir_all(base.join("..one")).expect("a version")),
        ("the link points to a version that never was", &|| link("..nothing")),
    ];
    for (state, break_it) in states {
        eprintln!("{state}");
        break_it();
        let error = scene.degraded("not_found", "level=1;");
        assert!(error.contains("..data leads nowhere"), "{state}: {error}");
        version("..one", "1");
        link("..one");
        scene.live();
    }
    fs::remove_dir_all(base.join("..one")).expect("a version");
    scene.degraded("not_found", "level=1;");
    scene.app.kill();
    // The same at the start: what is on the volume stays.
    scene.start();
    scene.source("unread", |source| source["state"] == "degraded(not_found)");
    scene.app.answers("/freshz", 503);
    scene.shows("level=1;");
    version("..two", "2");
    link("..two");
    scene.shows("level=2;");
    scene.live();
}

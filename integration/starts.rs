//! S01, S02: a signal is due while the target starts. It must never die of it, and never miss a
//! generation that it has not read.

use std::path::PathBuf;

use crate::support::{app::App, nginx::Nginx, patience::eventually, target::Counter};

mod runtimes;

/// How many targets start side by side.
const TOGETHER: usize = 6;

/// What became of the signals.
#[derive(Default)]
struct Tally {
    signalled: usize,
    fresh: usize,
}

/// A Rehup whose target is whatever its pid file names, from its first moment on.
struct Scene {
    app: App,
    pid_file: PathBuf,
    changes: usize,
}

impl Scene {
    fn new() -> Self {
        Self::with("")
    }

    /// One whose target has more settings.
    fn with(more: &str) -> Self {
        let mut app = App::new();
        app.put("n", "0");
        let pid_file = app.folder().join("pid");
        app.configure(format!(
            "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
             templates: [{{ to: n, inline: \"{{{{ base.n }}}}\" }}]\nsettle: off\n\
             targets: [{{ name: main, signal: SIGHUP, process: {{ pid_file: {} }},\n\
             \x20           min_uptime: 0s, min_interval: 0s{more} }}]\n",
            app.folder().display(),
            pid_file.display(),
        ));
        app.quiet().start().ready();
        Self { app, pid_file, changes: 0 }
    }

    fn changes(&mut self) {
        self.changes += 1;
        self.app.put("n", &self.changes.to_string());
        self.app.shows("n", &self.changes.to_string());
    }

    fn names(&self, pid: u32) {
        std::fs::write(&self.pid_file, pid.to_string()).expect("a pid file");
    }

    /// Waits until the newest generation is settled; what was seen that settled it.
    fn settled(&self) -> String {
        let newest = self.app.generation();
        let status = eventually(format_args!("{newest} is settled; {}", self.app.tail()), || {
            let target = self.app.try_status()?["targets"]["main"].clone();
            (target["generation"] == newest && target["owed_seconds"].is_null()).then_some(target)
        });
        status["outcome"].as_str().expect("an outcome").to_owned()
    }
}

/// Starts slow programs, each with a change just before or just after its start.
fn slow_starts(starts: usize, slowest: u32) -> Tally {
    let mut scene = Scene::new();
    let mut tally = Tally::default();
    for start in 0..starts {
        let before = fastrand::bool();
        if before {
            scene.changes();
        }
        let mut counter = Counter::that_starts_slowly(fastrand::u32(..slowest));
        scene.names(counter.pid());
        if !before {
            scene.changes();
        }
        let outcome = scene.settled();
        assert!(counter.lives(), "start {start}: it died of a signal; {}", scene.app.tail());
        match outcome.as_str() {
            "confirmed" => {
                assert!(before, "start {start}: it had started before the change");
                assert_eq!(counter.count(), 0, "start {start}: it has read the newest generation");
                tally.fresh += 1;
            }
            "unknown" => {
                // It was sent; the program's handler runs when the kernel lets the program run.
                eventually(format_args!("start {start}: a signal is handled"), || {
                    (counter.count() > 0).then_some(())
                });
                assert_eq!(counter.count(), 1, "start {start}: one signal for one change");
                tally.signalled += 1;
            }
            other => panic!("start {start}: {other}; {}", scene.app.tail()),
        }
    }
    tally
}

fn side_by_side(starts: usize, run: impl Fn(usize) -> Tally + Sync) {
    let tallies: Vec<_> = std::thread::scope(|scope| {
        let one = || scope.spawn(|| run(starts / TOGETHER));
        let all: Vec<_> = (0..TOGETHER).map(|_| one()).collect();
        all.into_iter().map(|it| it.join().expect("no death and none lost")).collect()
    });
    let signalled: usize = tallies.iter().map(|it| it.signalled).sum();
    let fresh: usize = tallies.iter().map(|it| it.fresh).sum();
    eprintln!("{} starts: {signalled} signalled, {fresh} fresh, 0 deaths", signalled + fresh);
}

/// A real nginx that starts anew with a signal due each time.
fn nginx_starts(starts: usize) -> Tally {
    let mut scene = Scene::new();
    let mut tally = Tally::default();
    for start in 0..starts {
        let mut nginx = Nginx::new();
        let conf = scene.app.folder().join("nginx.conf");
        std::fs::write(&conf, nginx.configuration("x")).expect("a configuration");
        scene.names(nginx.begin(&conf));
        scene.changes();
        let outcome = scene.settled();
        assert_eq!(outcome, "unknown", "start {start}: it was signalled");
        assert!(nginx.lives(), "start {start}: nginx died; {}", scene.app.tail());
        tally.signalled += 1;
    }
    tally
}

#[test]
fn s01_a_program_that_starts_slowly_never_dies_of_its_signal_and_never_misses_it() {
    side_by_side(30, |starts| slow_starts(starts, 1_500));
}

#[test]
fn s01_nginx_never_dies_of_a_signal_while_it_starts() {
    side_by_side(30, nginx_starts);
}

mod soak {
    use super::*;

    #[test]
    fn s01_a_thousand_starts() {
        side_by_side(504, |starts| slow_starts(starts, 5_000));
        side_by_side(504, nginx_starts);
    }
}

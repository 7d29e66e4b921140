//! S01 for runtimes that handle every signal from their first moment on, and die of those that the
//! program has not asked for yet: Go and the JVM. Their table in `/proc` tells nothing; `ready`
//! does.

use std::{fs, net::SocketAddr, path::PathBuf};

use super::{Scene, Tally, side_by_side};
use crate::support::{
    compiled,
    patience::eventually,
    process::{Process, free_port, scratch},
    target::{catches, count},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Runtime {
    Go,
    Java,
}

/// A program that asks for the signal, and then says that it is ready.
struct Late {
    process: Process,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Late {
    fn start(runtime: Runtime, milliseconds: u32, at: SocketAddr) -> Self {
        let folder = scratch();
        let log = folder.path().join("signals");
        let (late, log_name) = (milliseconds.to_string(), log.display().to_string());
        let mut line = match runtime {
            Runtime::Go => vec![compiled::go("late").display().to_string()],
            Runtime::Java => {
                let class = compiled::java("Late");
                let path = class.parent().expect("a folder").display().to_string();
                let words = ["java", "-Xmx32m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
                let line = words.into_iter().map(str::to_owned);
                line.chain(["-cp".to_owned(), path, "Late".to_owned()]).collect()
            }
        };
        let place = match runtime {
            Runtime::Go => at.to_string(),
            Runtime::Java => at.port().to_string(),
        };
        line.extend([late, log_name, place]);
        let output = folder.path().join("output");
        // Whoever started us may have ignored it, which a JVM would leave as it is.
        line.splice(..0, ["env".to_owned(), "--default-signal=HUP".to_owned()]);
        let process = Process::start(&line[0], &line[1..], &output, |_| ());
        Self { process, log, _folder: folder }
    }

    /// Waits until its table shows a handler, which is the runtime's.
    fn shows_a_handler(self) -> Self {
        catches(self.process.pid());
        self
    }

    fn lives(&mut self) -> bool {
        self.process.exited().is_none()
    }
}

/// Starts with `ready`, each with a change just before or just after it.
fn with_ready(runtime: Runtime, starts: usize, slowest: u32) -> Tally {
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut scene = Scene::with(&format!(", ready: {{ url: \"http://{at}/\" }}"));
    let mut tally = Tally::default();
    for start in 0..starts {
        let before = start % 3 == 2;
        if before {
            scene.changes();
        }
        let mut late = Late::start(runtime, fastrand::u32(..slowest), at);
        scene.names(late.process.pid());
        if !before {
            late = late.shows_a_handler();
            scene.changes();
        }
        let outcome = scene.settled();
        assert!(late.lives(), "start {start}: it died of a signal; {}", scene.app.tail());
        match outcome.as_str() {
            "confirmed" => {
                assert!(before, "start {start}: it had started before the change");
                assert_eq!(count(&late.log), 0, "start {start}: it has read the newest generation");
                tally.fresh += 1;
            }
            // Also what started in the same tick as the flip.
            "unknown" => {
                eventually(format_args!("start {start}: a signal is handled"), || {
                    (count(&late.log) > 0).then_some(())
                });
                assert_eq!(count(&late.log), 1, "start {start}: one signal for one change");
                tally.signalled += 1;
            }
            other => panic!("start {start}: {other}; {}", scene.app.tail()),
        }
        assert!(late.lives(), "start {start}");
    }
    tally
}

#[test]
fn s01_a_program_in_go_with_ready_never_dies_of_its_signal_and_never_misses_it() {
    side_by_side(12, |starts| with_ready(Runtime::Go, starts, 1_000));
}

#[test]
fn s01_a_program_on_a_jvm_with_ready_never_dies_of_its_signal_and_never_misses_it() {
    side_by_side(6, |starts| with_ready(Runtime::Java, starts, 1_000));
}

mod soak {
    use super::*;

    #[test]
    fn s01_two_hundred_starts_in_go_and_on_a_jvm_with_ready() {
        side_by_side(204, |starts| with_ready(Runtime::Go, starts, 2_000));
        side_by_side(204, |starts| with_ready(Runtime::Java, starts, 2_000));
    }

    /// How many die where neither `ready` nor `min_uptime` is set: what the docs warn of. They ask
    /// for the signal as the first thing that they do, or after a while.
    #[test]
    fn s01_without_ready_programs_in_go_and_on_a_jvm_die() {
        const STARTS: usize = 40;
        for (runtime, name) in [(Runtime::Go, "Go"), (Runtime::Java, "the JVM")] {
            for late in [0, 200] {
                let dead = deaths_without(runtime, STARTS, late);
                eprintln!("{name}, asking after {late} ms: {dead} of {STARTS} died");
                assert!(late == 0 || dead > 0, "there is nothing to warn of");
            }
        }
    }

    fn deaths_without(runtime: Runtime, starts: usize, late: u32) -> usize {
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut scene = Scene::new();
        let mut dead = 0;
        for _ in 0..starts {
            let mut program = Late::start(runtime, late, at).shows_a_handler();
            scene.names(program.process.pid());
            scene.changes();
            dead += usize::from(eventually("it has died or is told", || {
                let told = fs::read(&program.log).is_ok_and(|log| !log.is_empty());
                if told { Some(false) } else { (!program.lives()).then_some(true) }
            }));
        }
        dead
    }
}

//! S03: the target dies between the match and the signal, and a stranger gets its number.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nix::libc::{SYS_pidfd_open, SYS_pidfd_send_signal};

use super::{App, after_the_flip, change, ends, hup, owes_newest};
use crate::support::{
    compiled,
    endpoint::{Endpoint, Manner},
    owed::with_targets,
    patience::eventually,
    processes::{Inhabitant, Processes, calls, only_child},
    target::{catches, count, program},
};

/// How long we are held before each of the two calls, in microseconds: long enough to be seen there
/// and for another process to start.
const HELD: &str = "delay_enter=200000";

/// Times of files and of processes differ by no more than this.
const GRAIN: Duration = Duration::from_millis(50);

/// A Rehup in a namespace of its own, with strangers around.
struct Scene {
    app: App,
    processes: Processes,
    started: usize,
}

/// A process that counts, in there.
struct Counting {
    process: Inhabitant,
    log: PathBuf,
}

impl Counting {
    fn told(&self, times: usize) {
        eventually(format_args!("{times} signals"), || (count(&self.log) == times).then_some(()));
    }
}

impl Scene {
    fn new(process: &str) -> Self {
        let app = with_targets(&[("main", hup(process))]);
        for name in ["main", "stranger"] {
            std::fs::copy(program(), app.folder().join(name)).expect("a copy of the program");
        }
        Self { app, processes: Processes::new(), started: 0 }
    }

    /// Starts Rehup in there, through these words.
    fn begin(&mut self, words: &[&str]) {
        let entry = self.processes.entry();
        let line: Vec<&str> =
            entry.iter().map(String::as_str).chain(words.iter().copied()).collect();
        self.app.start_through(&line).ready();
    }

    fn starts(&mut self, name: &str) -> Counting {
        self.started += 1;
        let folder = self.app.folder();
        let file = |kind: &str| folder.join(format!("{kind}-{}", self.started));
        let (log, program) = (file("signals"), folder.join(name));
        let words = [program.as_os_str(), log.as_os_str()];
        let process = self.processes.start(&words, &file("output"));
        catches(process.outside());
        Counting { process, log }
    }

    /// Kills one and gives its number to a stranger, who handles the signal too.
    fn replaces(&mut self, mut main: Counting) -> Option<Counting> {
        main.process.kill();
        self.processes.next(main.process.inside);
        let stranger = self.starts("stranger");
        (stranger.process.inside == main.process.inside).then_some(stranger)
    }

    /// A new one has read the newest generation.
    fn the_right_one_is_told(&mut self) -> Counting {
        after_the_flip();
        let main = self.starts("main");
        ends(&self.app, "main", "confirmed");
        self.is_told(main)
    }

    /// It is told of a newer generation.
    fn is_told(&self, main: Counting) -> Counting {
        change(&self.app);
        ends(&self.app, "main", "unknown");
        main.told(1);
        main
    }
}

/// Rehup held at the two calls between which a number may change hands.
struct Traced {
    scene: Scene,
    rehup: u32,
}

impl Traced {
    fn start() -> Self {
        let mut scene = Scene::new("process: { name: main }");
        let inject = |call| format!("inject={call}:{HELD}");
        let (open, send) = (inject("pidfd_open"), inject("pidfd_send_signal"));
        let trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none"];
        let calls = ["-e", "trace=pidfd_open,pidfd_send_signal", "-e", &open, "-e", &send];
        scene.begin(&[&trace[..], &calls].concat());
        let door = scene.app.process().pid();
        let rehup = eventually("strace has started it", || {
            let rehup = only_child(only_child(door)?)?;
            let name = std::fs::read_to_string(format!("/proc/{rehup}/comm")).ok()?;
            (name == "rehup\n").then_some(rehup)
        });
        Self { scene, rehup }
    }

    fn is_held(&self, call: i64) -> bool {
        calls(self.rehup).iter().any(|(number, _)| i64::from(*number) == call)
    }

    /// A change, and the number changes hands while we are about to make this call; whether it was
    /// in time.
    fn round(&mut self, call: i64, main: Counting) -> bool {
        change(&self.scene.app);
        eventually(format_args!("it is about to tell; {}", self.scene.app.tail()), || {
            self.is_held(call).then_some(())
        });
        let stranger = self.scene.replaces(main);
        let in_time = stranger.is_some() && self.is_held(call);
        owes_newest(&self.scene.app, "not_up");
        let mut next = self.scene.the_right_one_is_told();
        next.process.kill();
        if let Some(mut stranger) = stranger {
            assert_eq!(count(&stranger.log), 0, "a stranger was signalled");
            assert!(stranger.process.lives());
        }
        in_time
    }

    /// Until so many numbers were taken before each of the two calls.
    fn rounds(mut self, wanted: usize) {
        let (mut opened, mut sent) = (0, 0);
        while opened < wanted || sent < wanted {
            // Nobody is held: the next look opens it.
            let main = self.scene.starts("main");
            opened += usize::from(self.round(SYS_pidfd_open, main));
            // One that is held already.
            let main = self.scene.starts("main");
            let main = self.scene.is_told(main);
            sent += usize::from(self.round(SYS_pidfd_send_signal, main));
        }
    }
}

fn side_by_side(scenes: usize, rounds: usize) {
    std::thread::scope(|scope| {
        for _ in 0..scenes {
            scope.spawn(|| Traced::start().rounds(rounds));
        }
    });
    eprintln!("{} numbers were taken: 0 strangers signalled", scenes * rounds * 2);
}

#[test]
fn s03_a_stranger_that_gets_the_number_before_the_signal_is_never_told() {
    side_by_side(3, 4);
}

/// A readiness endpoint that answers only when it may.
struct Door {
    endpoint: Endpoint,
    asked: Arc<AtomicUsize>,
    open: Arc<AtomicBool>,
}

impl Door {
    fn new() -> Self {
        let (asked, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
        let endpoint = Endpoint::start(Manner::Status(200));
        let (asks, opens) = (Arc::clone(&asked), Arc::clone(&open));
        endpoint.decide(move |_| {
            asks.fetch_add(1, Ordering::SeqCst);
            while !opens.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Manner::Status(200)
        });
        Self { endpoint, asked, open }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The number and the start are the same, and yet it is not what was looked for any more.
#[test]
fn s03_a_process_that_becomes_another_program_before_the_signal_is_not_told() {
    let traced = Traced::start();
    let folder = traced.scene.app.folder().to_owned();
    let (shell, go, log) = (folder.join("main"), folder.join("go"), folder.join("signals"));
    std::fs::copy("/bin/sh", &shell).expect("a shell under another name");
    let stranger = folder.join("stranger");
    let wait = format!(
        "while ! [ -e {} ]; do sleep 0.01; done; exec {} {}",
        go.display(),
        stranger.display(),
        log.display()
    );
    let words = [shell.as_os_str(), "-c".as_ref(), wait.as_ref()];
    let mut process = traced.scene.processes.start(&words, &folder.join("output"));
    change(&traced.scene.app);
    eventually("it is about to be held", || traced.is_held(SYS_pidfd_open).then_some(()));
    std::fs::write(&go, "").expect("a file");
    catches(process.outside());
    owes_newest(&traced.scene.app, "not_up");
    change(&traced.scene.app);
    owes_newest(&traced.scene.app, "not_up");
    assert!(process.lives() && count(&log) == 0, "a stranger was signalled");
}

/// Where pidfds are refused the start time is looked at again just before `kill`; it cannot be done
/// at once, so what is left is the time between two system calls.
#[test]
fn s03_a_number_that_is_taken_while_readiness_is_asked_for_is_noticed_with_and_without_pidfds() {
    let without = compiled::c("without").display().to_string();
    let refused = nix::libc::ENOSYS.to_string();
    for words in [&[][..], &[&without, &refused, "pidfd_open"]] {
        let door = Door::new();
        let ready = format!("ready: {{ url: \"{}\" }}", door.endpoint.url("/"));
        let mut scene = Scene::new(&format!("process: {{ name: main }}, {ready}"));
        scene.begin(words);
        let mut taken = 0;
        while taken < 4 {
            let main = scene.starts("main");
            let asked = door.asked();
            door.open.store(false, Ordering::SeqCst);
            change(&scene.app);
            eventually("its readiness is asked for", || (door.asked() > asked).then_some(()));
            let stranger = scene.replaces(main);
            door.open.store(true, Ordering::SeqCst);
            owes_newest(&scene.app, "not_up");
            let mut next = scene.the_right_one_is_told();
            next.process.kill();
            let Some(stranger) = stranger else { continue };
            assert_eq!(count(&stranger.log), 0, "a stranger was signalled; {}", scene.app.tail());
            taken += 1;
        }
        assert_eq!(scene.app.log().contains("pidfd_open is blocked"), !words.is_empty());
    }
}

#[test]
fn s03_a_pid_file_from_before_a_process_does_not_mean_it() {
    let place = crate::support::process::scratch();
    let pid_file = place.path().join("pid");
    let mut scene = Scene::new(&format!("process: {{ pid_file: {} }}", pid_file.display()));
    scene.begin(&[]);
    for _ in 0..3 {
        change(&scene.app);
        owes_newest(&scene.app, "not_up");
        after_the_flip();
        let main = scene.starts("main");
        std::fs::write(&pid_file, main.process.inside.to_string()).expect("a pid file");
        let written = Instant::now();
        ends(&scene.app, "main", "confirmed");
        // The kernel's clocks have a grain.
        eventually("the file is older", || (written.elapsed() > GRAIN).then_some(()));
        let Some(stranger) = scene.replaces(main) else { continue };
        change(&scene.app);
        owes_newest(&scene.app, "not_up");
        assert_eq!(count(&stranger.log), 0, "a stranger was signalled");
        // Unless it is written anew.
        std::fs::write(&pid_file, stranger.process.inside.to_string()).expect("a pid file");
        ends(&scene.app, "main", "unknown");
        stranger.told(1);
    }
}

mod soak {
    use super::*;

    #[test]
    fn s03_a_thousand_numbers_are_taken_before_the_signal() {
        side_by_side(8, 63);
    }
}

//! With Rehup held before each of the calls between which a number may change hands.

use nix::libc::{SYS_pidfd_open, SYS_pidfd_send_signal};

use super::{Counting, Scene, change, owes_newest};
use crate::support::{
    patience::eventually,
    processes::{calls, only_child},
    program::copy,
    target::{catches, count},
};

/// How long we are held before each of the two calls, in microseconds: long enough to be seen there
/// and for another process to start.
const HELD: &str = "delay_enter=200000";

/// Rehup under strace, which holds it.
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
        scene.settles();
        Self { scene, rehup }
    }

    fn is_held(&self, call: i64) -> bool {
        calls(self.rehup).iter().any(|(number, _)| i64::from(*number) == call)
    }

    /// Waits until we are about to make this call; false if it could not be seen in time, and the
    /// newest generation has ended so.
    fn comes_to(&self, call: i64, end: &str) -> bool {
        let app = &self.scene.app;
        let newest = app.generation();
        eventually(format_args!("it is about to tell; {}", app.tail()), || {
            if self.is_held(call) {
                return Some(true);
            }
            let target = app.try_status()?["targets"]["main"].clone();
            (target["generation"] == newest && target["outcome"] == end).then_some(false)
        })
    }

    /// A change, and the number changes hands while we are about to make this call; whether it was
    /// in time.
    fn round(&mut self, call: i64, main: Counting) -> bool {
        change(&self.scene.app);
        let mut in_time = self.comes_to(call, "unknown");
        let stranger = self.scene.replaces(main);
        in_time &= stranger.is_some() && self.is_held(call);
        if in_time {
            owes_newest(&self.scene.app, "not_up");
        }
        self.scene.settles();
        if let Some(mut stranger) = stranger {
            assert_eq!(count(&stranger.log), 0, "a stranger was signalled");
            assert!(stranger.process.lives());
        }
        in_time
    }

    /// Until so many numbers were taken before each of the two calls.
    fn rounds(mut self, wanted: usize) {
        let (mut opened, mut sent) = (0, 0);
        // On a busy machine we may miss it a few times.
        for _ in 0..10 * wanted {
            if opened >= wanted && sent >= wanted {
                return;
            }
            // Nobody is held: the next look opens it.
            let main = self.scene.starts("main");
            opened += usize::from(self.round(SYS_pidfd_open, main));
            // One that is held already.
            let main = self.scene.starts("main");
            let main = self.scene.is_told(main);
            sent += usize::from(self.round(SYS_pidfd_send_signal, main));
        }
        panic!("in time only {opened} and {sent} times; {}", self.scene.app.tail());
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

/// The number and the start are the same, and yet it is not what was looked for any more.
#[test]
fn s03_a_process_that_becomes_another_program_before_the_signal_is_not_told() {
    let traced = Traced::start();
    let folder = traced.scene.app.folder().to_owned();
    let (shell, go, log) = (folder.join("main"), folder.join("go"), folder.join("signals"));
    copy("/bin/sh", &shell);
    let wait = format!(
        "while ! [ -e {} ]; do sleep 0.01; done; exec {} {}",
        go.display(),
        folder.join("stranger").display(),
        log.display()
    );
    let words = [shell.as_os_str(), "-c".as_ref(), wait.as_ref()];
    let mut in_time = false;
    while !in_time {
        let mut process = traced.scene.processes.start(&words, &folder.join("output"));
        change(&traced.scene.app);
        // The shell has no handler.
        in_time = traced.comes_to(SYS_pidfd_open, "misconfigured");
        std::fs::write(&go, "").expect("a file");
        catches(process.outside());
        in_time &= traced.is_held(SYS_pidfd_open);
        owes_newest(&traced.scene.app, "not_up");
        change(&traced.scene.app);
        owes_newest(&traced.scene.app, "not_up");
        assert!(process.lives() && count(&log) == 0, "a stranger was signalled");
        std::fs::remove_file(&go).expect("a file");
    }
}

mod soak {
    use super::*;

    #[test]
    fn s03_a_thousand_numbers_are_taken_before_the_signal() {
        side_by_side(8, 63);
    }
}

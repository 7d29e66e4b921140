//! By the second look at a process, with pidfds and without, and by the time of a pid file.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Scene, after_the_flip, change, ends, owes_newest};
use crate::support::{
    compiled,
    endpoint::{Endpoint, Manner},
    patience::eventually,
    process::scratch,
    target::count,
};

/// Times of files and of processes differ by no more than this.
const GRAIN: Duration = Duration::from_millis(50);

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
        scene.settles();
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
            scene.settles();
            let Some(stranger) = stranger else { continue };
            assert_eq!(count(&stranger.log), 0, "a stranger was signalled; {}", scene.app.tail());
            taken += 1;
        }
        assert_eq!(scene.app.log().contains("pidfd_open is blocked"), !words.is_empty());
    }
}

#[test]
fn s03_a_pid_file_from_before_a_process_does_not_mean_it() {
    let place = scratch();
    let pid_file = place.path().join("pid");
    let mut scene = Scene::new(&format!("process: {{ pid_file: {} }}", pid_file.display()));
    scene.begin(&[]);
    let mut taken = 0;
    while taken < 2 {
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
        taken += 1;
    }
}

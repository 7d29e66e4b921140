//! S03: the target dies between the match and the signal, and a stranger gets its number.

use std::path::PathBuf;

use super::{App, after_the_flip, change, ends, hup, owes_newest};
use crate::support::{
    owed::with_targets,
    patience::eventually,
    processes::{Inhabitant, Processes},
    program::copy,
    target::{catches, count, program},
};

mod noticed;
mod traced;

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
            copy(program(), app.folder().join(name));
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

    /// The right one is told of what comes after it; then nothing is owed, and nobody is there.
    fn settles(&mut self) {
        after_the_flip();
        let main = self.starts("main");
        self.is_told(main).process.kill();
    }

    /// It is told of a newer generation.
    fn is_told(&self, main: Counting) -> Counting {
        change(&self.app);
        ends(&self.app, "main", "unknown");
        main.told(1);
        main
    }
}

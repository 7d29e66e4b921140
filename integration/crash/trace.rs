//! What strace is told to do to a process, and what it saw.

use std::{collections::BTreeMap, fmt, path::Path};

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process dies on entering it.
    Kill,
    /// It fails, once, and is not done.
    Error(&'static str),
}

/// The `turn`-th time that any one thread makes a call.
#[derive(Clone, Debug)]
pub struct Point {
    pub call: String,
    pub turn: usize,
    pub fault: Fault,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} {}", self.fault, self.call, self.turn)
    }
}

impl Point {
    /// The words before a program's.
    pub fn words(&self, log: &Path) -> Vec<String> {
        let what = match self.fault {
            Fault::Kill => "signal=KILL".to_owned(),
            Fault::Error(error) => format!("error={error}"),
        };
        let inject = format!("inject={}:{what}:when={}", self.call, self.turn);
        let mut words = watch(&self.call, log);
        words.extend(["-e".to_owned(), inject]);
        words
    }
}

/// The words that watch some calls and change nothing.
pub fn watch(calls: &str, log: &Path) -> Vec<String> {
    let log = log.to_str().expect("UTF-8");
    let trace = format!("trace={calls}");
    ["strace", "-D", "-f", "-qq", "-y", "-o", log, "-e", &trace].map(str::to_owned).to_vec()
}

/// How often a thread made each call, at most.
pub fn counts(log: &str) -> BTreeMap<String, usize> {
    let mut threads: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else { continue };
        let rest = rest.trim_start();
        let Some((call, _)) = rest.split_once('(').filter(|(call, _)| !call.contains(' ')) else {
            continue;
        };
        *threads.entry((thread, call)).or_default() += 1;
    }
    let mut most = BTreeMap::new();
    for ((_, call), count) in threads {
        let known: &mut usize = most.entry(call.to_owned()).or_default();
        *known = count.max(*known);
    }
    most
}

/// Every fault at every call that was counted.
pub fn points(counts: &BTreeMap<String, usize>, faults: &[Fault]) -> Vec<Point> {
    let turns = counts.iter().flat_map(|(call, count)| (1..=*count).map(move |turn| (call, turn)));
    let point = |(call, turn): (&String, usize), fault| Point { call: call.clone(), turn, fault };
    turns.flat_map(|at| faults.iter().map(move |fault| point(at, *fault))).collect()
}

//! Finding the one process that a target means, in `/proc`.
//!
//! Owns the parsers and the choice. Must not signal anything.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::Path,
    time::{Duration, SystemTime},
};

use regex_lite::Regex;

use crate::{bounded, config::shape, generation::BootTime};

/// The unit of start times in `/proc/PID/stat`: the kernel shows 100 ticks a second on every
/// architecture that we are built for.
const TICKS: u64 = 100;
/// `comm` holds this many bytes.
const COMM: usize = 15;
/// The most that is read of a pid file, which may lie on a volume that others write.
const PID_FILE: u64 = 64;
/// The most that is matched of a command line, which a process may make as long as it likes.
const CMDLINE: u64 = 1 << 20;
/// `PF_KTHREAD`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What `/proc/PID/stat` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    pub(super) comm: String,
    pub(super) state: u8,
    pub(super) parent: i32,
    flags: u64,
    /// Ticks after boot.
    pub(super) start: u64,
}

impl Stat {
    /// The name stands in parentheses and may itself hold spaces and parentheses.
    fn parse(text: &str) -> Option<Self> {
        let (pid, rest) = text.split_once(" (")?;
        let (comm, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            pid: pid.parse().ok()?,
            comm: comm.to_owned(),
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            flags: fields.get(6)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }

    /// Reads a living process; `None` for what is gone, a zombie or a kernel thread.
    pub(super) fn read(pid: i32) -> Option<Self> {
        let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = Self::parse(&String::from_utf8_lossy(&bytes))?;
        (!matches!(stat.state, b'Z' | b'X') && stat.flags & KERNEL_THREAD == 0).then_some(stat)
    }

    /// Whether it started after the flip, so that it has read this generation. The same tick
    /// counts as older, and so does everything when the flip's moment is unknown.
    pub(super) fn is_fresh(&self, flipped: Option<&BootTime>, now: &BootTime) -> bool {
        flipped
            .is_some_and(|flip| flip.boot_id != now.boot_id || self.start > ticks(flip.since_boot))
    }

    /// How long it has been up.
    pub(super) fn uptime(&self, now: &BootTime) -> Duration {
        now.since_boot
            .saturating_sub(Duration::from_millis(self.start.saturating_mul(1000 / TICKS)))
    }
}

fn ticks(since_boot: Duration) -> u64 {
    // A moment comes from the journal, which may hold any number.
    let ticks = since_boot.as_millis() * u128::from(TICKS) / 1000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// Why there is no process to tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotFound {
    #[error("no running process matches")]
    NotRunning,
    #[error(
        "no visible process matches, and /proc may hide those of other users (hidepid); run as the \
         same user (securityContext.runAsUser), or mount it without"
    )]
    Hidden,
    #[error(
        "only own processes are visible; share the PID namespace (shareProcessNamespace: true)"
    )]
    NotShared,
    #[error("two independent processes match ({0} and {1}); make `process` more exact")]
    Ambiguous(i32, i32),
}

/// How to find the process, compiled.
#[derive(Debug)]
pub(super) struct Finder {
    spec: shape::Process,
    cmdline: Option<Regex>,
    believed: Option<Believed>,
}

/// A pid file that was younger than its process: file time, process, its start. The wall clock may
/// jump after, and then the two cannot be compared any more.
type Believed = (SystemTime, i32, u64);

impl Finder {
    pub(super) fn new(spec: &shape::Process) -> Result<Self, regex_lite::Error> {
        let cmdline = spec.cmdline.as_deref().map(Regex::new).transpose()?;
        Ok(Self { spec: spec.clone(), cmdline, believed: None })
    }

    /// The root of the one tree that matches.
    pub(super) fn find(&mut self) -> Result<Stat, NotFound> {
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let all = everyone();
        let path = self.spec.pid_file.as_deref();
        let pid_file = path.map(|path| named_by(path, &all, &mut self.believed));
        let matching = |stat: &&Stat| {
            stat.comm != "pause"
                && !ancestry(stat.pid, &all).any(|pid| pid == own)
                && pid_file.is_none_or(|pid| pid == Some(stat.pid))
                && self.matches(stat)
        };
        let found: BTreeMap<i32, &Stat> =
            all.values().filter(matching).map(|stat| (stat.pid, stat)).collect();
        choose(&found, &all).cloned().map_err(|error| match error {
            NotFound::NotRunning if hidden::hides() => NotFound::Hidden,
            NotFound::NotRunning if alone(own, &all) => NotFound::NotShared,
            other => other,
        })
    }

    /// Whether a process still is what is looked for.
    pub(super) fn matches(&self, stat: &Stat) -> bool {
        let name = self.spec.name.as_deref().is_none_or(|name| has_name(stat, name));
        name && self.cmdline.as_ref().is_none_or(|regex| regex.is_match(&words(stat.pid).join(" ")))
    }
}

fn has_name(stat: &Stat, name: &str) -> bool {
    if name.len() <= COMM {
        return stat.comm == name;
    }
    let first = words(stat.pid).into_iter().next().unwrap_or_default();
    first.rsplit('/').next() == Some(name)
}

fn words(pid: i32) -> Vec<String> {
    let path = format!("/proc/{pid}/cmdline");
    let mut bytes = Vec::new();
    // What was read before the process went away is no command line.
    let read = fs::File::open(path).and_then(|file| file.take(CMDLINE).read_to_end(&mut bytes));
    if read.is_ok() { split(&bytes) } else { Vec::new() }
}

fn split(bytes: &[u8]) -> Vec<String> {
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn everyone() -> BTreeMap<i32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Stat::read).map(|stat| (stat.pid, stat)).collect()
}

/// The process and all its ancestors.
fn ancestry(pid: i32, all: &BTreeMap<i32, Stat>) -> impl Iterator<Item = i32> {
    std::iter::successors(Some(pid), |pid| all.get(pid).map(|stat| stat.parent).filter(|p| *p > 0))
        .take(all.len() + 1)
}

fn choose<'a>(
    found: &BTreeMap<i32, &'a Stat>,
    all: &BTreeMap<i32, Stat>,
) -> Result<&'a Stat, NotFound> {
    let mut roots = found
        .values()
        .filter(|stat| !ancestry(stat.pid, all).skip(1).any(|pid| found.contains_key(&pid)));
    match (roots.next(), roots.next()) {
        (None, _) => Err(NotFound::NotRunning),
        (Some(root), None) => Ok(root),
        (Some(one), Some(other)) => Err(NotFound::Ambiguous(one.pid, other.pid)),
    }
}

/// Whether everything visible is ourselves, our ancestors and our descendants.
fn alone(own: i32, all: &BTreeMap<i32, Stat>) -> bool {
    let above: Vec<i32> = ancestry(own, all).collect();
    all.keys().all(|pid| above.contains(pid) || ancestry(*pid, all).any(|pid| pid == own))
}

/// The process that a pid file names, unless the file is older than the process.
fn named_by(
    path: &Path,
    all: &BTreeMap<i32, Stat>,
    believed: &mut Option<Believed>,
) -> Option<i32> {
    let pid = number(&bounded::read_file(path, PID_FILE).ok()?)?;
    let (written, process) = (fs::metadata(path).ok()?.modified().ok()?, all.get(&pid)?);
    let seen = (written, pid, process.start);
    let age = written.elapsed().unwrap_or_default();
    // Start times are whole ticks and file times lag by one.
    let uptime = process.uptime(&BootTime::now()) + Duration::from_millis(20);
    if *believed != Some(seen) && age > uptime {
        return None;
    }
    *believed = Some(seen);
    Some(pid)
}

fn number(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Processes whose parent is `pid`, with their start times: another set means new workers.
pub(super) fn workers(pid: i32) -> Vec<(i32, u64)> {
    everyone().values().filter(|s| s.parent == pid).map(|s| (s.pid, s.start)).collect()
}

mod hidden;
#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: i32, parent: i32, comm: &str) -> Stat {
        Stat { pid, comm: comm.to_owned(), state: b'S', parent, flags: 0, start: 500 }
    }

    fn tree(stats: &[Stat]) -> BTreeMap<i32, Stat> {
        stats.iter().map(|stat| (stat.pid, stat.clone())).collect()
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_is_read() {
        let line = "42 (a) b (c) S 7 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 12345 1 1";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.comm.as_str(), stat.parent, stat.start), ("a) b (c", 7, 12345));
    }

    #[test]
    fn workers_lead_to_their_master_and_two_masters_are_refused() {
        let all = tree(&[stat(5, 1, "n"), stat(6, 5, "n"), stat(7, 1, "n")]);
        let pick = |pids: &[i32]| pids.iter().map(|pid| (*pid, &all[pid])).collect();
        assert_eq!(choose(&pick(&[5, 6]), &all).unwrap().pid, 5);
        assert_eq!(choose(&pick(&[5, 6, 7]), &all).unwrap_err(), NotFound::Ambiguous(5, 7));
    }

    #[test]
    fn a_process_of_the_same_tick_as_the_flip_is_older() {
        let at = |ms| BootTime { boot_id: "b".into(), since_boot: Duration::from_millis(ms) };
        let process = stat(5, 1, "n");
        assert!(!process.is_fresh(Some(&at(5009)), &at(9000)));
        assert!(process.is_fresh(Some(&at(4999)), &at(9000)));
        assert!(!process.is_fresh(None, &at(9000)));
    }
}

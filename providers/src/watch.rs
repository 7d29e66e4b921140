//! Waiting until something may have changed below some paths.
//!
//! Owns the inotify watches and how they follow what they watch. Must not read content: whoever
//! waits reads, and finds out whether anything did change.

mod hint;

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

pub use hint::Activity;
use hint::{Handler, Hints};

/// The link that the kubelet swaps: all content of a mounted folder is behind it.
pub(crate) const DATA: &str = "..data";

/// How often to look where inotify cannot tell: no instances or watches left.
const BLIND: Duration = Duration::from_secs(5);
/// How soon to look after inotify lost events. Not at once: our own reads fill its queue too.
const OVERFLOWN: Duration = Duration::from_secs(1);
/// Folders within folders, and links to links, that are watched.
const DEPTH: usize = 64;

/// Why a [`Watch`] woke up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Something happened below the paths, or may have before the watch was set up.
    Hint,
    /// Nothing was heard of for the poll interval; some file systems never tell.
    Poll,
}

/// Waits until something may have changed below some paths: files, folders, mounted volumes and
/// paths that do not exist yet.
///
/// It watches folders, never files: the kubelet and many editors replace files. Where inotify
/// cannot be used it polls more often.
#[derive(Debug)]
pub struct Watch {
    paths: Vec<PathBuf>,
    poll: Duration,
    hints: Arc<Hints>,
    events: Option<Events>,
    /// Watched folders with device and inode: another folder at the same path is another watch.
    armed: HashMap<PathBuf, Id>,
    /// Everything is watched.
    complete: bool,
    /// Something may have happened before it was watched.
    missed: bool,
    next_poll: Instant,
}

type Id = (u64, u64);

/// The inotify instance; notify's thread ends when it is dropped.
#[derive(Debug)]
struct Events {
    watcher: Option<RecommendedWatcher>,
    alive: Weak<()>,
}

impl Watch {
    /// Watches these paths from now on: read them after this call.
    ///
    /// Without any event [`Self::changed`] completes after `poll`.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>, poll: Duration) -> Self {
        let mut watch = Self {
            paths: Vec::new(),
            poll,
            hints: Arc::default(),
            events: None,
            armed: HashMap::new(),
            complete: false,
            missed: false,
            next_poll: Instant::now(),
        };
        watch.set_paths(paths);
        watch.arm();
        // Whoever made this has read nothing yet.
        watch.missed = false;
        watch.schedule();
        watch
    }

    /// Watches other paths. If they differ, the next [`Self::changed`] completes at once, so that
    /// nothing that happened below new ones is missed.
    pub fn set_paths(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let paths: Vec<_> = paths.into_iter().map(absolute).collect();
        self.missed |= paths != self.paths;
        self.paths = paths;
    }

    /// Whether inotify tells of every change; otherwise there are only polls.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Completes when something may have changed below the paths since it completed last, or since
    /// [`Self::new`].
    ///
    /// Cancel safe: what happened while nobody waited is told to the next call.
    pub async fn changed(&mut self) -> Wake {
        self.arm();
        if std::mem::take(&mut self.missed) {
            self.schedule();
            return Wake::Hint;
        }
        loop {
            tokio::select! {
                () = self.hints.happened.notified() => {
                    if self.hints.take_overflow() {
                        self.next_poll = self.next_poll.min(Instant::now() + OVERFLOWN);
                        continue;
                    }
                    self.schedule();
                    return Wake::Hint;
                }
                () = sleep_until(self.next_poll) => {
                    self.schedule();
                    return Wake::Poll;
                }
            }
        }
    }

    /// The last thing that was heard of a file since [`Self::forget_activity`].
    pub fn activity(&self, path: &Path) -> Option<Activity> {
        self.hints.activity(path)
    }

    /// Forgets what happened to files that nobody has open for writing.
    pub fn forget_activity(&self) {
        self.hints.forget();
    }

    fn schedule(&mut self) {
        let interval = if self.complete { self.poll } else { self.poll.min(BLIND) };
        self.next_poll = Instant::now() + interval;
    }

    /// Watches every folder that matters now and no other. What happened in a new one before may be
    /// news.
    fn arm(&mut self) {
        let Some(mut events) = self.events.take().filter(Events::is_alive).or_else(|| {
            self.armed.clear();
            Events::start(&self.hints)
        }) else {
            self.complete = false;
            return;
        };
        for gone in self.hints.take_gone() {
            if self.armed.remove(&gone).is_some() {
                events.unwatch(&gone);
            }
        }
        let wanted = Wanted::below(&self.paths);
        self.hints.set_paths(wanted.counting);
        self.armed.retain(|folder, id| {
            let stays = wanted.folders.get(folder) == Some(id);
            if !stays {
                events.unwatch(folder);
            }
            stays
        });
        self.complete = true;
        for (folder, id) in wanted.folders {
            if self.armed.contains_key(&folder) {
                continue;
            }
            if events.watch(&folder) {
                self.armed.insert(folder, id);
                self.missed = true;
            } else {
                self.complete = false;
            }
        }
        self.events = Some(events);
    }
}

impl Events {
    fn start(hints: &Arc<Hints>) -> Option<Self> {
        let token = Arc::new(());
        let alive = Arc::downgrade(&token);
        let handler = Handler { hints: Arc::clone(hints), _alive: token };
        match RecommendedWatcher::new(handler, notify::Config::default()) {
            Ok(watcher) => Some(Self { watcher: Some(watcher), alive }).filter(Self::is_alive),
            Err(error) => {
                debug!(%error, "inotify cannot be used; polling instead");
                None
            }
        }
    }

    /// Whether notify's thread runs: its methods panic without it.
    fn is_alive(&self) -> bool {
        self.alive.strong_count() > 0
    }

    fn watch(&mut self, folder: &Path) -> bool {
        let Some(watcher) = self.watcher.as_mut().filter(|_| self.alive.strong_count() > 0) else {
            return false;
        };
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => true,
            Err(error) => {
                debug!(%error, folder = %folder.display(), "cannot be watched; polling instead");
                false
            }
        }
    }

    fn unwatch(&mut self, folder: &Path) {
        if let Some(watcher) = self.watcher.as_mut().filter(|_| self.alive.strong_count() > 0) {
            // An error means that the watch went with its folder.
            drop(watcher.unwatch(folder));
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if !self.is_alive() {
            // Dropping it would panic; what is lost is a channel.
            std::mem::forget(self.watcher.take());
        }
    }
}

/// What must be watched so that no change below some paths goes unseen.
#[derive(Default)]
struct Wanted {
    folders: HashMap<PathBuf, Id>,
    /// Folders whose entries were looked at: links may lead back.
    entered: HashSet<Id>,
    /// The paths, and where they lead if they are links.
    counting: Vec<PathBuf>,
}

impl Wanted {
    fn below(paths: &[PathBuf]) -> Self {
        let mut wanted = Self::default();
        for path in paths {
            wanted.chain(path);
            wanted.folder(path, DEPTH);
        }
        wanted
    }

    /// The folders that hold the path and each link that it leads through.
    fn chain(&mut self, path: &Path) {
        let mut path = path.to_owned();
        for _ in 0..DEPTH {
            // Behind `..data` everything is new after each swap: the swap itself is to be seen.
            let swapped = path.ancestors().find(|part| part.ends_with(DATA));
            let last = swapped.is_some();
            path = swapped.unwrap_or(&path).to_owned();
            path.ancestors().skip(1).find(|folder| self.add(folder).is_some());
            self.counting.push(path.clone());
            match (path.read_link(), path.parent()) {
                (Ok(target), Some(folder)) if !last => path = folder.join(target),
                _ => return,
            }
        }
    }

    /// A folder and those in it whose content has keys.
    fn folder(&mut self, path: &Path, depth: usize) {
        let Some(id) = self.add(path) else { return };
        if depth == 0 || !self.entered.insert(id) || path.join(DATA).is_symlink() {
            return;
        }
        let Ok(entries) = fs::read_dir(path) else { return };
        for entry in entries.flatten() {
            let kind = entry.file_type();
            let may_be_folder = kind.is_ok_and(|kind| kind.is_dir() || kind.is_symlink());
            if may_be_folder && !entry.file_name().as_bytes().starts_with(b".") {
                self.folder(&entry.path(), depth - 1);
            }
        }
    }

    /// Adds a folder, if it is one.
    fn add(&mut self, folder: &Path) -> Option<Id> {
        let found = fs::metadata(folder).ok().filter(fs::Metadata::is_dir)?;
        let id = (found.dev(), found.ino());
        self.folders.insert(folder.to_owned(), id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lost_events_lead_to_a_look_soon_and_not_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new([dir.path().to_owned()], Duration::from_secs(3600));
        let begun = Instant::now();
        watch.hints.overflow();
        assert_eq!(watch.changed().await, Wake::Poll);
        assert!((OVERFLOWN..2 * OVERFLOWN).contains(&begun.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn other_paths_are_a_reason_to_look() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new([dir.path().join("a")], Duration::from_secs(3600));
        watch.set_paths([dir.path().join("a")]);
        watch.set_paths([dir.path().join("b")]);
        assert_eq!(watch.changed().await, Wake::Hint);
        assert_eq!(watch.changed().await, Wake::Poll, "and only once");
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new([dir.path().to_owned()], Duration::from_secs(3600));
        let moment = Duration::from_millis(1);
        while tokio::time::timeout(moment, watch.changed()).await.is_ok() {}
        fs::write(dir.path().join("key"), "1").unwrap();
        // Whatever was heard of is kept until somebody waits again.
        let heard = async { while tokio::time::timeout(moment, watch.changed()).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(20), heard).await.expect("it is told");
    }
}

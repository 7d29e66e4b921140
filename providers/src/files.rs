//! Files: follows a folder, a file, or a mounted ConfigMap or Secret.
//!
//! Owns when to read and what of a read is news. inotify only says when to look; every answer is a
//! full read, and one follows each `poll` even if nothing was heard.
//!
//! Keys are paths below `path`; a single file is one key, its own name. Names that begin with `.`
//! are left out. A folder with a `..data` link is read through that link alone, so a snapshot of a
//! mounted ConfigMap is always one version. Elsewhere a file that somebody may still be writing is
//! read until it rests; one that was renamed to its place is taken at once.
//!
//! FIFOs, sockets and devices are never opened: they are an error, as is a link that ends outside
//! `path`, because leaving one out would look like a deleted key.

mod reader;
mod tree;

use std::{
    collections::VecDeque,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::stream;
use imbl::OrdMap;
use tokio::time::{Instant, sleep};

pub use crate::watch::{Wake, Watch};
use crate::{
    Cue, Entries, ErrorKind, Key, Note, Provider, ProviderError, Revision, Snapshot, Update,
    Updates, Value, WatchMode, settings::FilesSettings, watch::Activity, watch::Lane,
};
use reader::Reader;
use tree::{Content, Tree};

/// The time between two proofs at most, whatever `poll` says.
const PROOF: Duration = Duration::from_secs(30);
/// A file that was just written must be the same after this long.
const REST: Duration = Duration::from_millis(50);
/// How long a writer may take; then what rests is taken, and what does not is an error.
const RESTLESS: Duration = Duration::from_secs(2);

/// The provider `files`.
#[derive(Clone, Debug)]
pub struct Files {
    settings: FilesSettings,
    reader: Arc<Reader>,
    /// For reading and for setting up watches.
    lane: Lane,
}

impl Files {
    /// Follows what these settings name; nothing is read before the stream is polled.
    pub fn new(settings: FilesSettings) -> Self {
        let lane = Lane::default();
        let reader = Arc::new(Reader::new(&settings, lane.clone()));
        Self { settings, reader, lane }
    }
}

impl Provider for Files {
    fn follow(&self) -> Updates {
        let follow = Follow::new(self);
        Box::pin(stream::unfold(follow, async |mut follow| Some((follow.next().await, follow))))
    }
}

/// One stream.
struct Follow {
    settings: FilesSettings,
    reader: Arc<Reader>,
    lane: Lane,
    /// None before the first poll of the stream.
    watch: Option<Watch>,
    /// Reads that began earlier are of an older stream.
    since: Instant,
    /// Nothing was read since the start or the last error.
    owed: bool,
    last: Option<Entries>,
    /// How many reads found a difference.
    revision: u64,
    /// What is to be said before the next wait.
    notes: VecDeque<Note>,
    /// What was said last.
    mode: Option<WatchMode>,
    frozen: Option<Note>,
}

impl Follow {
    fn new(files: &Files) -> Self {
        Self {
            settings: files.settings.clone(),
            reader: Arc::clone(&files.reader),
            lane: files.lane.clone(),
            watch: None,
            since: Instant::now(),
            owed: true,
            last: None,
            revision: 0,
            notes: VecDeque::new(),
            mode: None,
            frozen: None,
        }
    }

    async fn next(&mut self) -> Result<Update, ProviderError> {
        if let Some(note) = self.notes.pop_front() {
            return Ok(Update::Note(note));
        }
        let (path, poll) = (&self.settings.path, self.settings.poll.min(PROOF));
        let watch = self.watch.get_or_insert_with(|| {
            self.since = Instant::now();
            Watch::new_unarmed([path.clone()], poll, self.lane.clone())
        });
        let mut wake = Wake::Hint;
        if self.owed {
            watch.arm().await;
        } else {
            wake = watch.changed().await;
        }
        if wake == Wake::Lost {
            return Ok(Update::Note(Note::Lost("overflow")));
        }
        self.owed = true;
        let found = self.settled().await;
        let watch = self.watch.as_mut().expect("it was set above");
        if wake == Wake::Poll && matches!(found, Ok(Update::Snapshot(_))) {
            watch.doubt().await;
        }
        let (mode, cue) = (watch.mode(), Cue::new(watch.heard(), watch.interval()));
        if self.mode.replace(mode) != Some(mode) {
            self.notes.push_back(Note::Watch(mode));
        }
        self.owed = found.is_err();
        found.map_err(|error| error.with_cue(cue))
    }

    /// Reads until no file is being written.
    async fn settled(&mut self) -> Result<Update, ProviderError> {
        let started = Instant::now();
        let mut before: Option<Tree> = None;
        loop {
            let patient = started.elapsed() < RESTLESS;
            let restless = match self.reader.read(self.since).await {
                Ok((tree, as_of)) => match self.restless(&tree, before.as_ref(), patient) {
                    None => return Ok(self.accept(tree, as_of)),
                    Some(key) => {
                        before = Some(tree);
                        key
                    }
                },
                // Some editors delete a file before they write it anew.
                Err(error) if error.kind == ErrorKind::NotFound && self.last.is_some() => {
                    if before.replace(Tree::default()).is_some_and(|tree| tree.files.is_empty()) {
                        return Err(error);
                    }
                    String::new()
                }
                Err(error) => return Err(error),
            };
            if !patient && started.elapsed() >= 2 * RESTLESS {
                let place = self.settings.path.join(restless);
                let message = format!("{} is written without a pause", place.display());
                return Err(ProviderError::new(ErrorKind::Unavailable, message));
            }
            sleep(REST).await;
        }
    }

    /// A key whose file may not be whole yet, or whose deletion may be half of a replacement.
    fn restless(&self, tree: &Tree, before: Option<&Tree>, patient: bool) -> Option<String> {
        let none = Entries::default();
        let last = self.last.as_ref().unwrap_or(&none);
        let written = tree.files.iter().find(|(key, content)| {
            let known = last.get(key.as_str()).is_some_and(|v| v.bytes() == &content.bytes);
            let earlier = before.and_then(|tree| tree.files.get(*key));
            // Some programs empty a file, close it and write it later.
            let emptied = content.bytes.is_empty() && last.contains_key(key.as_str());
            !known && !self.is_whole(key, content, earlier, patient, emptied)
        });
        if let Some((key, _)) = written {
            return Some(key.clone());
        }
        if tree.atomic {
            return None;
        }
        let was_gone = |key: &str| before.is_some_and(|tree| !tree.files.contains_key(key));
        let gone = |key: &&Key| !tree.files.contains_key(key.as_str()) && !was_gone(key.as_str());
        last.keys().find(gone).map(Key::to_string)
    }

    /// Whether a changed file can be taken as it is.
    fn is_whole(
        &self,
        key: &str,
        content: &Content,
        before: Option<&Content>,
        patient: bool,
        emptied: bool,
    ) -> bool {
        if content.atomic {
            return true;
        }
        match self.activity(key) {
            _ if content.torn => false,
            Some(Activity::Writing) if patient => false,
            Some(Activity::Moved) => true,
            _ if emptied && patient => false,
            _ => before == Some(content) || !is_recent(content.modified),
        }
    }

    fn activity(&self, key: &str) -> Option<Activity> {
        let path = &self.settings.path;
        let watch = self.watch.as_ref()?;
        let absolute = |path: &Path| std::path::absolute(path).ok();
        // A single file's key is its own name.
        let single = || absolute(path).and_then(|path| watch.activity(&path));
        absolute(&path.join(key)).and_then(|path| watch.activity(&path)).or_else(single)
    }

    fn accept(&mut self, tree: Tree, as_of: Instant) -> Update {
        if let Some(watch) = &self.watch {
            watch.forget_activity();
        }
        self.freeze(&tree);
        let entries = updated(self.last.as_ref(), tree);
        if entries.is_none() && self.last.is_some() {
            return Update::Current { revision: Revision(self.revision), as_of };
        }
        self.revision += 1;
        let entries = self.last.insert(entries.unwrap_or_default()).clone();
        let revision = Revision(self.revision);
        Update::Snapshot(Snapshot { revision, entries, doubts: Vec::new(), as_of })
    }

    /// Notes whether a file is mounted by itself: what replaces it elsewhere is never seen here.
    fn freeze(&mut self, tree: &Tree) {
        let frozen = tree.mounted.as_ref().map(|place| {
            let place = place.display();
            format!(
                "{place} is mounted by itself (subPath) and will never update: mount its folder"
            )
        });
        let note = Note::Frozen(frozen);
        if self.frozen.replace(note.clone()).as_ref() != Some(&note) {
            self.notes.push_back(note);
        }
    }
}

/// The content of a read, sharing what did not change since the last; none if nothing did.
fn updated(last: Option<&Entries>, tree: Tree) -> Option<Entries> {
    let none = OrdMap::new();
    let last = last.unwrap_or(&none);
    let mut entries = last.clone();
    for key in last.keys().filter(|key| !tree.files.contains_key(key.as_str())) {
        entries.remove(key);
    }
    for (key, content) in tree.files {
        if last.get(key.as_str()).is_none_or(|value| value.bytes() != &content.bytes) {
            entries.insert(Key::from(key), Value::new(content.bytes));
        }
    }
    (!entries.ptr_eq(last)).then_some(entries)
}

/// Written so short ago that the writer may not be done; a time in the future tells nothing.
fn is_recent(modified: Option<SystemTime>) -> bool {
    modified.is_none_or(|at| at.elapsed().is_ok_and(|age| age < REST) || at > SystemTime::now())
}

#[cfg(test)]
mod tests;

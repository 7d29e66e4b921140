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

mod tree;

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use futures_util::stream;
use imbl::OrdMap;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep, timeout},
};

pub use crate::watch::{Wake, Watch};
use crate::{
    Entries, ErrorKind, Key, Provider, ProviderError, Revision, Snapshot, Update, Updates, Value,
    settings::FilesSettings, watch::Activity,
};
use tree::{Content, Tree};

/// The time between two proofs at most, whatever `poll` says.
const PROOF: Duration = Duration::from_secs(30);
/// A file that was just written must be the same after this long.
const REST: Duration = Duration::from_millis(50);
/// How long a writer may take; then what rests is taken, and what does not is an error.
const RESTLESS: Duration = Duration::from_secs(2);
/// How long one read may take: a network file system may hang.
const READ: Duration = Duration::from_secs(30);

/// The provider `files`.
#[derive(Clone, Debug)]
pub struct Files {
    settings: FilesSettings,
}

impl Files {
    /// Follows what these settings name; nothing is read before the stream is polled.
    pub fn new(settings: FilesSettings) -> Self {
        Self { settings }
    }
}

impl Provider for Files {
    fn follow(&self) -> Updates {
        let follow = Follow::new(self.settings.clone());
        Box::pin(stream::unfold(follow, async |mut follow| Some((follow.next().await, follow))))
    }
}

/// One stream.
struct Follow {
    settings: FilesSettings,
    /// None before the first poll of the stream.
    watch: Option<Watch>,
    /// A read that took too long; there is never a second beside it.
    reading: Option<JoinHandle<Result<Tree, ProviderError>>>,
    /// Nothing was read since the start or the last error.
    owed: bool,
    last: Option<Entries>,
    /// How many reads found a difference.
    revision: u64,
}

impl Follow {
    fn new(settings: FilesSettings) -> Self {
        Self { settings, watch: None, reading: None, owed: true, last: None, revision: 0 }
    }

    async fn next(&mut self) -> Result<Update, ProviderError> {
        let (path, poll) = (&self.settings.path, self.settings.poll.min(PROOF));
        let watch = self.watch.get_or_insert_with(|| Watch::new([path.clone()], poll));
        if !self.owed {
            watch.changed().await;
        }
        self.owed = true;
        let update = self.settled().await?;
        self.owed = false;
        Ok(update)
    }

    /// Reads until no file is being written.
    async fn settled(&mut self) -> Result<Update, ProviderError> {
        let begun = Instant::now();
        let mut before: Option<Tree> = None;
        loop {
            let as_of = Instant::now();
            let patient = as_of - begun < RESTLESS;
            let restless = match self.read().await {
                Ok(tree) => match self.restless(&tree, before.as_ref(), patient) {
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
            if !patient && as_of - begun >= 2 * RESTLESS {
                let place = self.settings.path.join(restless);
                let message = format!("{} is written without a pause", place.display());
                return Err(ProviderError::new(ErrorKind::Unavailable, message));
            }
            sleep(REST).await;
        }
    }

    async fn read(&mut self) -> Result<Tree, ProviderError> {
        let (path, max_bytes) = (self.settings.path.clone(), self.settings.max_bytes);
        let reading = self
            .reading
            .get_or_insert_with(|| spawn_blocking(move || tree::read(&path, max_bytes)));
        let Ok(joined) = timeout(READ, reading).await else {
            let message = format!("reading {} takes too long", self.settings.path.display());
            return Err(ProviderError::new(ErrorKind::Unavailable, message));
        };
        self.reading = None;
        joined.unwrap_or_else(|error| {
            let message = format!("reading {} was cut off", self.settings.path.display());
            Err(ProviderError::new(ErrorKind::Unavailable, message).with_source(error))
        })
    }

    /// A key whose file may not be whole yet, or whose deletion may be half of a replacement.
    fn restless(&self, tree: &Tree, before: Option<&Tree>, patient: bool) -> Option<String> {
        let none = Entries::default();
        let last = self.last.as_ref().unwrap_or(&none);
        let written = tree.files.iter().find(|(key, content)| {
            let known = last.get(key.as_str()).is_some_and(|v| v.bytes() == &content.bytes);
            let earlier = before.and_then(|tree| tree.files.get(*key));
            !known && !self.is_whole(key, content, earlier, patient)
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
    ) -> bool {
        if content.atomic {
            return true;
        }
        match self.activity(key) {
            _ if content.torn => false,
            Some(Activity::Writing) if patient => false,
            Some(Activity::Moved) => true,
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
        let entries = updated(self.last.as_ref(), tree);
        if entries.is_none() && self.last.is_some() {
            return Update::Current { revision: Revision(self.revision), as_of };
        }
        self.revision += 1;
        let entries = self.last.insert(entries.unwrap_or_default()).clone();
        let revision = Revision(self.revision);
        Update::Snapshot(Snapshot { revision, entries, doubts: Vec::new(), as_of })
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

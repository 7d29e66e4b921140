//! What inotify says, reduced to what a reader needs: that something happened, and how.
//!
//! Owns which events count. Runs on notify's thread, so it only takes notes. Events are hints, never
//! the truth: any may be missing.

use std::{
    collections::HashMap,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use notify::{
    Event, EventKind,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use tokio::sync::Notify;

use super::DATA;

/// So many paths are remembered between two reads; beyond, files are read twice instead.
const MOST: usize = 10_000;

/// The last thing that happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Somebody created or wrote it and has not closed it.
    Writing,
    /// A writer closed it.
    Closed,
    /// It was renamed to its place, so it is whole.
    Moved,
}

/// Notes of events, from notify's thread to a [`super::Watch`].
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Something happened below one of the paths.
    pub(super) happened: Arc<Notify>,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    paths: Vec<PathBuf>,
    gone: Vec<PathBuf>,
    overflown: bool,
    activity: HashMap<PathBuf, Activity>,
}

/// What notify calls; `alive` lets the owner see when its thread is gone.
pub(super) struct Handler {
    pub(super) hints: Arc<Hints>,
    pub(super) _alive: Arc<()>,
}

impl notify::EventHandler for Handler {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.hints.overflow(),
            Ok(event) => self.hints.note(&event),
            // Only said when watches ran out or the queue cannot be read: look for yourself.
            Err(_) => self.hints.overflow(),
        }
    }
}

impl Hints {
    /// Changes which paths count; links' targets among them.
    pub(super) fn set_paths(&self, paths: Vec<PathBuf>) {
        self.notes().paths = paths;
    }

    /// Takes the paths that were deleted or renamed away: watches on them are gone or misplaced.
    pub(super) fn take_gone(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.notes().gone)
    }

    /// Takes the note that events were lost.
    pub(super) fn take_overflow(&self) -> bool {
        std::mem::take(&mut self.notes().overflown)
    }

    /// The last thing that happened to a file since [`Self::forget`].
    pub(super) fn activity(&self, path: &Path) -> Option<Activity> {
        self.notes().activity.get(path).copied()
    }

    /// Forgets what happened to files that nobody has open for writing.
    pub(super) fn forget(&self) {
        self.notes().activity.retain(|_, last| *last == Activity::Writing);
    }

    pub(super) fn overflow(&self) {
        let mut notes = self.notes();
        notes.overflown = true;
        notes.activity.clear();
        drop(notes);
        self.happened.notify_one();
    }

    fn note(&self, event: &Event) {
        // Our own reads open files, and `Both` repeats a `From` and a `To`.
        let ignored = match event.kind {
            EventKind::Access(kind) => kind != AccessKind::Close(AccessMode::Write),
            EventKind::Modify(ModifyKind::Name(mode)) => mode == RenameMode::Both,
            _ => false,
        };
        if ignored {
            return;
        }
        let mut notes = self.notes();
        let mut counts = false;
        for path in &event.paths {
            if notes.paths.iter().any(|followed| counts_for(path, followed)) {
                counts = true;
                notes.take(event.kind, path);
            }
        }
        drop(notes);
        if counts {
            self.happened.notify_one();
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn take(&mut self, kind: EventKind, path: &Path) {
        let activity = match kind {
            EventKind::Create(CreateKind::File) if is_new_file(path) => Activity::Writing,
            EventKind::Modify(ModifyKind::Data(_)) => Activity::Writing,
            EventKind::Access(_) => Activity::Closed,
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Activity::Moved,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                self.activity.remove(path);
                self.gone.push(path.to_owned());
                return;
            }
            _ => return,
        };
        if self.activity.len() >= MOST {
            self.activity.clear();
        }
        self.activity.insert(path.to_owned(), activity);
    }
}

/// A link, or another name of a file, is complete when it appears.
fn is_new_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file() && found.nlink() == 1)
}

/// Whether something that happened to `path` may change what `followed` holds.
fn counts_for(path: &Path, followed: &Path) -> bool {
    if followed.starts_with(path) {
        return true;
    }
    if let Ok(below) = path.strip_prefix(followed) {
        return below.iter().all(|name| name == DATA || !name.as_bytes().starts_with(b"."));
    }
    path.file_name().is_some_and(|name| name == DATA) && path.parent() == followed.parent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_change_the_content_counts() {
        let counts = |path, followed| counts_for(Path::new(path), Path::new(followed));
        for path in ["/a/b", "/a/b/key", "/a/b/c/key", "/a/b/..data", "/a/b/c/..data", "/a"] {
            assert!(counts(path, "/a/b"), "{path}");
        }
        for path in ["/a/c", "/a/b/.key.swp", "/a/b/..data_tmp", "/a/b/..2026_11_23.1", "/a/bc"] {
            assert!(!counts(path, "/a/b"), "{path}");
        }
        assert!(counts("/cm/..data", "/cm/app.conf"), "the link that a mounted file hangs on");
        assert!(!counts("/cm/other.conf", "/cm/app.conf"));
        assert!(counts("/cm/.hidden", "/cm/.hidden"), "a name that was asked for");
    }
}

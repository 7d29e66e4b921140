//! The inotify watches themselves.
//!
//! Owns one inotify instance and how its watches follow the folders. Blocks as file systems do, so
//! it lives on threads that may.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tracing::debug;

use super::{
    hint::{Handler, Hints},
    wanted::{Id, Wanted},
};

/// What is watched now.
#[derive(Debug)]
pub(super) struct Arms {
    hints: Arc<Hints>,
    events: Option<Events>,
    /// Watched folders: another one at the same path is another watch.
    armed: HashMap<PathBuf, Id>,
    /// Everything is watched.
    pub(super) complete: bool,
    /// Something is watched that was not, the last time.
    pub(super) added: bool,
}

/// The inotify instance; notify's thread ends when it is dropped.
#[derive(Debug)]
struct Events {
    watcher: Option<RecommendedWatcher>,
    alive: Weak<()>,
}

impl Arms {
    /// Watches nothing yet.
    pub(super) fn new(hints: Arc<Hints>) -> Self {
        Self { hints, events: None, armed: HashMap::new(), complete: false, added: false }
    }

    /// Watches every folder that matters to these paths now and no other. What happened in a new one
    /// before may be news.
    pub(super) fn arm(&mut self, paths: &[PathBuf]) {
        self.added = false;
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
        let wanted = Wanted::below(paths);
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
                self.added = true;
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

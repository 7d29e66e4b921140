//! Which folders must be watched.
//!
//! Owns the way from a path through its links and folders. Must not watch anything itself.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use super::DATA;

/// Folders within folders, and links to links, that are watched.
const DEPTH: usize = 64;

/// Device and inode: another folder at the same path is another watch.
pub(super) type Id = (u64, u64);

/// What must be watched so that no change below some paths goes unseen.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) folders: HashMap<PathBuf, Id>,
    /// Folders whose entries were looked at: links may lead back.
    entered: HashSet<Id>,
    /// The paths, and where they lead if they are links.
    pub(super) counting: Vec<PathBuf>,
}

impl Wanted {
    pub(super) fn below(paths: &[PathBuf]) -> Self {
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

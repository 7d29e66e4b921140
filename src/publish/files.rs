//! `layout: files`: one rename for each plain file, for programs that refuse links.
//!
//! Each file is whole, the set is not. The manifest lies in `..rehup` and is written before the
//! first rename, so that a crash in between leaves a record of what is ours. Must not remove a
//! file whose content is not one that we wrote.

use std::collections::{BTreeMap, BTreeSet};

use rustix::{fs::FileType, io::Errno};

use super::{
    PublishError,
    adopt::Found,
    manifest::{self, FilesManifest},
    root::Dir,
    state,
    thread::Keeper,
    truth::{self, Depth},
};
use crate::{
    digest::Digest,
    generation::{FileRecord, Generation},
    journal::Journal,
    rendering::OutputPath,
};

/// What lies in the root and is ours.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Each file and the content that we put there.
    files: BTreeMap<OutputPath, Digest>,
    /// Folders that we made.
    folders: BTreeSet<String>,
    /// Something is not as recorded: the next publication renames every file.
    drifted: bool,
}

impl Held {
    /// Whether a file of ours is in this folder.
    fn below(&self, folder: &str) -> bool {
        let inside = |path: &OutputPath| {
            path.as_str().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        };
        self.files.keys().any(inside)
    }
}

/// What the manifest in `..rehup` says, and whether it is so.
pub(super) fn find(
    root: &Dir,
    private: &Dir,
    journal: &Journal,
    depth: Depth,
) -> Result<Found, PublishError> {
    let mut found = Found::default();
    let Some(bytes) = state::read(private, state::MANIFEST)? else { return Ok(found) };
    let Some(manifest) = manifest::decode::<FilesManifest>(&bytes) else {
        found.drift = Some("the manifest is torn".to_owned());
        return Ok(found);
    };
    let FilesManifest { generation, before, folders } = manifest;
    found.highest = generation.number;
    let finished = journal.published.iter().any(|listed| listed.number == generation.number);
    let mut verdict: Result<Option<String>, String> = Ok(None);
    if !finished {
        verdict = Ok(Some(format!("generation {} was not finished", generation.number)));
    }
    for (path, record) in &generation.files {
        let pending = !finished && !before.is_empty() && !before.contains_key(path);
        if pending && absent(root, path.as_str()) {
            continue;
        }
        let checked = truth::check(root, path, record, depth);
        verdict = verdict.and_then(|first| Ok(first.or(checked?)));
    }
    if depth == Depth::Contents {
        let drifted = !matches!(verdict, Ok(None));
        found.held = Held { files: held(root, &generation, before), folders, drifted };
    }
    match verdict {
        Ok(drift) => {
            found.drift = drift;
            found.visible = Some((generation, String::new()));
        }
        Err(why) => found.drift = Some(format!("no good generation: {why}")),
    }
    Ok(found)
}

/// Which content of ours each path holds: after a crash, the new or the one before.
fn held(
    root: &Dir,
    generation: &Generation,
    mut before: BTreeMap<OutputPath, Digest>,
) -> BTreeMap<OutputPath, Digest> {
    for (path, record) in &generation.files {
        let old = before.get(path);
        let is_old = old.is_some_and(|old| digest(root, path) == Some(*old));
        if !is_old {
            before.insert(path.clone(), record.digest);
        }
    }
    // The manifest is of before the removals.
    before.retain(|path, _| generation.files.contains_key(path) || !absent(root, path.as_str()));
    before
}

fn absent(root: &Dir, path: &str) -> bool {
    matches!(root.stat_below(path), Err(Errno::NOENT))
}

fn digest(root: &Dir, path: &OutputPath) -> Option<Digest> {
    root.digest_below(path.as_str(), u64::MAX).ok()
}

/// Says what is not as it was published.
pub(super) fn drift(keeper: &mut Keeper) -> Option<String> {
    let shown = keeper.visible.as_mut()?;
    let files = &shown.visible.generation.files;
    let drift = truth::compare(&keeper.root, files, &mut shown.stamps);
    keeper.held.drifted |= drift.is_some();
    drift
}

/// Renames every staged file that differs into place. The inner error: all is visible, but could
/// not be synced.
pub(super) fn replace(
    keeper: &mut Keeper,
    folder: &str,
    generation: &Generation,
) -> Result<Result<(), PublishError>, PublishError> {
    for path in generation.files.keys() {
        in_the_way(&keeper.root, &keeper.held, path)?;
    }
    let parents = parents(generation);
    let folders = keeper.held.folders.union(&missing(keeper, &parents)).cloned().collect();
    let manifest = FilesManifest {
        generation: generation.clone(),
        before: keeper.held.files.clone(),
        folders,
    };
    let bytes = manifest::encode(&manifest)
        .map_err(|error| keeper.private.error("cannot write", state::MANIFEST, error))?;
    state::write(&keeper.private, state::MANIFEST, &bytes, true)?;
    let mut held = std::mem::take(&mut keeper.held);
    held.folders = manifest.folders;
    let replaced = rename_all(keeper, &mut held, folder, generation, &parents);
    held.drifted = replaced.is_err();
    keeper.held = held;
    replaced
}

fn rename_all(
    keeper: &Keeper,
    held: &mut Held,
    folder: &str,
    generation: &Generation,
    parents: &BTreeSet<String>,
) -> Result<Result<(), PublishError>, PublishError> {
    let root = &keeper.root;
    clear(root, held, generation, parents);
    for parent in parents {
        if absent(root, parent) {
            let (above, name) = parent.rsplit_once('/').unwrap_or(("", parent));
            root.folder_below(above)
                .and_then(|above| above.make_folder(name, keeper.folder_mode))
                .map_err(|error| root.error("cannot create", parent, error))?;
        }
    }
    let staged = root.folder(folder).map_err(|error| root.error("cannot open", folder, error))?;
    let before = keeper.visible.as_ref().map(|shown| &shown.visible.generation);
    let mut touched = BTreeSet::new();
    for (path, record) in &generation.files {
        if !held.drifted && unchanged(before, held, path, record) {
            continue;
        }
        move_into_place(&staged, root, path)?;
        held.files.insert(path.clone(), record.digest);
        touched.insert(split(path).0);
    }
    let mut synced = Ok(());
    for parent in touched {
        let done = root.folder_below(parent).and_then(|dir| dir.sync());
        synced = synced.and(done.map_err(|error| root.error("cannot sync", parent, error)));
    }
    let gone = |path: &&OutputPath| !generation.files.contains_key(*path);
    let gone: Vec<_> = held.files.keys().filter(gone).cloned().collect();
    for path in gone {
        remove_ours(root, held, &path);
    }
    remove_folders(root, held, parents);
    Ok(synced)
}

fn split(path: &OutputPath) -> (&str, &str) {
    path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()))
}

fn unchanged(
    before: Option<&Generation>,
    held: &Held,
    path: &OutputPath,
    record: &FileRecord,
) -> bool {
    let known = before.and_then(|before| before.files.get(path));
    known == Some(record) && held.files.get(path) == Some(&record.digest)
}

fn move_into_place(staged: &Dir, root: &Dir, path: &OutputPath) -> Result<(), PublishError> {
    let (above, name) = split(path);
    let moved = staged
        .folder_below(above)
        .and_then(|from| from.rename(name, &root.folder_below(above)?, name));
    moved.map_err(|error| match error {
        Errno::BUSY | Errno::ISDIR | Errno::NOTEMPTY => {
            PublishError::in_the_way(root, path.as_str())
        }
        error => root.error("cannot rename a file to", path.as_str(), error),
    })
}

/// Refuses a path at which, or above which, something is not ours and no folder.
fn in_the_way(root: &Dir, held: &Held, path: &OutputPath) -> Result<(), PublishError> {
    let ours = |name: &str| {
        held.folders.contains(name)
            || OutputPath::parse(name).is_ok_and(|path| held.files.contains_key(&path))
    };
    for (end, _) in path.as_str().match_indices('/') {
        let parent = &path.as_str()[..end];
        match root.stat_below(parent) {
            Err(Errno::NOENT) => return Ok(()),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {}
            // A file of ours gives way to a folder.
            Ok(_) if ours(parent) => return Ok(()),
            _ => return Err(PublishError::in_the_way(root, parent)),
        }
    }
    match root.stat_below(path.as_str()) {
        Err(Errno::NOENT) => Ok(()),
        Ok(_) if ours(path.as_str()) => Ok(()),
        _ => Err(PublishError::in_the_way(root, path.as_str())),
    }
}

/// Every folder that a generation needs, outer ones first.
fn parents(generation: &Generation) -> BTreeSet<String> {
    let of = |path: &OutputPath| -> Vec<String> {
        let text = path.as_str();
        text.match_indices('/').map(|(end, _)| text[..end].to_owned()).collect()
    };
    generation.files.keys().flat_map(of).collect()
}

/// Of these folders, those that are not there yet.
fn missing(keeper: &Keeper, parents: &BTreeSet<String>) -> BTreeSet<String> {
    let is_folder = |path: &String| {
        let stat = keeper.root.stat_below(path);
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    };
    parents.iter().filter(|path| !is_folder(path)).cloned().collect()
}

/// A file becomes a folder or a folder a file: what is ours there goes first.
fn clear(root: &Dir, held: &mut Held, generation: &Generation, parents: &BTreeSet<String>) {
    let clashes = |path: &&OutputPath| {
        let text = path.as_str();
        let above = |(end, _)| OutputPath::parse(&text[..end]).ok();
        let mut folders = text.match_indices('/').filter_map(above);
        parents.contains(text) || folders.any(|folder| generation.files.contains_key(&folder))
    };
    let clashing: Vec<_> = held.files.keys().filter(clashes).cloned().collect();
    for path in &clashing {
        remove_ours(root, held, path);
    }
    if !clashing.is_empty() {
        remove_folders(root, held, parents);
    }
}

/// Removes a file if its content is what we put there; else it is somebody else's now.
fn remove_ours(root: &Dir, held: &mut Held, path: &OutputPath) {
    let Some(ours) = held.files.remove(path) else { return };
    if digest(root, path) != Some(ours) {
        tracing::warn!(%path, "somebody changed this file, so it stays though no template makes it");
        return;
    }
    let (above, name) = split(path);
    if let Err(error) = root.folder_below(above).and_then(|above| above.unlink(name)) {
        tracing::warn!(%path, %error, "cannot remove a file that no template makes any more");
        held.files.insert(path.clone(), ours);
    }
}

/// Removes folders that we made and that are empty now, inner ones first.
fn remove_folders(root: &Dir, held: &mut Held, needed: &BTreeSet<String>) {
    let unneeded: Vec<_> = held.folders.difference(needed).cloned().collect();
    for folder in unneeded.into_iter().rev() {
        let (above, name) = folder.rsplit_once('/').unwrap_or(("", &folder));
        match root.folder_below(above).and_then(|above| above.remove_folder(name)) {
            // What is in it may be a file of ours that goes only after this.
            Err(Errno::NOTEMPTY | Errno::EXIST) if held.below(&folder) => {}
            // Somebody else has something in it: then it is theirs.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {
                held.folders.remove(&folder);
            }
            Err(error) => tracing::warn!(%folder, %error, "cannot remove an empty folder"),
        }
    }
}

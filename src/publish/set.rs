//! `layout: set`: every visible name is a link through `..data`, so one rename flips them all.
//!
//! Owns `..data` and the visible links. A link is ours if it points to `..data/` and its own name;
//! anything else at a visible name is in the way and stays untouched.

use std::collections::BTreeSet;

use rustix::{fs::FileType, io::Errno};

use super::{
    PublishError,
    root::{self, Dir},
    thread::Keeper,
    truth,
};
use crate::generation::Generation;

/// The link that is flipped.
pub(super) const DATA: &str = "..data";

/// Prefix of links that are about to be renamed.
pub(super) const TEMPORARY: &str = "..tmp-";

/// The names that readers see.
pub(super) fn tops(generation: &Generation) -> BTreeSet<&str> {
    generation.files.keys().map(crate::rendering::OutputPath::top).collect()
}

/// Makes `folder` visible. The outer error: nothing changed. The inner one: it is visible, but
/// could not be synced.
pub(super) fn flip(
    keeper: &Keeper,
    folder: &str,
    generation: &Generation,
) -> Result<Result<(), PublishError>, PublishError> {
    let root = &keeper.root;
    let names = tops(generation);
    let mut made = Vec::new();
    let ready = names
        .iter()
        .try_for_each(|name| ensure(root, name).map(|new| made.extend(new.then_some(*name))))
        .and_then(|()| point(root, folder));
    if let Err(error) = ready {
        for name in made {
            root.tidy(name);
        }
        return Err(error);
    }
    let synced = root.sync().map_err(|error| root.error("cannot sync", "", error));
    match &keeper.visible {
        Some(shown) => {
            for name in tops(&shown.visible.generation).difference(&names) {
                unlink_ours(root, name);
            }
        }
        // Which links there are is not known after a start without a good generation.
        None => sweep_links(root, &names),
    }
    Ok(synced)
}

/// Makes sure of a visible link; whether it is new. The name is taken in one call that cannot
/// replace what somebody else made.
pub(super) fn ensure(root: &Dir, name: &str) -> Result<bool, PublishError> {
    let target = format!("{DATA}/{name}");
    let foreign = |what: String| PublishError::Foreign { path: root.path().join(name), what };
    match root.link_target(name) {
        Ok(Some(found)) if found == target => Ok(false),
        Ok(Some(found)) => Err(foreign(format!(
            "it is a link to {found:?}, not ours; remove it or give the output another name"
        ))),
        Err(Errno::INVAL) => Err(PublishError::in_the_way(root, name)),
        Err(error) => Err(root.error("cannot read", name, error)),
        Ok(None) => match root.link(&target, name) {
            Ok(()) => Ok(true),
            Err(error) => Err(root.error("cannot create", name, error)),
        },
    }
}

/// The flip itself: a randomly named link, renamed.
fn point(root: &Dir, folder: &str) -> Result<(), PublishError> {
    // A rename replaces a file as gladly as a link.
    if root.link_target(DATA) == Err(Errno::INVAL) {
        return Err(data_in_the_way(root));
    }
    let (temporary, ()) = root::unique(TEMPORARY, 6, |name| root.link(folder, name))
        .map_err(|error| root.error("cannot create a link in", "", error))?;
    root.rename(&temporary, root, DATA).map_err(|error| {
        root.tidy(&temporary);
        root.error("cannot rename a link to", DATA, error)
    })
}

pub(super) fn data_in_the_way(root: &Dir) -> PublishError {
    PublishError::Foreign {
        path: root.path().join(DATA),
        what: "the name is ours, but this is not; remove it or use another volume".to_owned(),
    }
}

/// Removes a visible link if it points as ours do; one that stays is swept at the next start.
pub(super) fn unlink_ours(root: &Dir, name: &str) {
    if matches!(root.link_target(name), Ok(Some(found)) if found == format!("{DATA}/{name}")) {
        root.tidy(name);
    }
}

/// Removes every visible link of ours that is not in `names`.
fn sweep_links(root: &Dir, names: &BTreeSet<&str>) {
    let found = root.names().unwrap_or_else(|error| {
        tracing::warn!(path = %root.path().display(), %error, "cannot list the volume");
        Vec::new()
    });
    for (name, kind) in found {
        if kind == FileType::Symlink && !names.contains(name.as_str()) {
            unlink_ours(root, &name);
        }
    }
}

/// Puts back links that are missing and says what else is not as it was published.
pub(super) fn repair(keeper: &mut Keeper) -> Result<Option<String>, PublishError> {
    let drift = repair_links(keeper)?;
    let Some(shown) = &mut keeper.visible else { return Ok(None) };
    let files = &shown.visible.generation.files;
    Ok(match keeper.root.folder(&shown.folder) {
        Ok(folder) => truth::compare(&folder, files, &mut shown.stamps).or(drift),
        Err(error) => Some(format!("{} is gone ({error})", shown.folder)),
    })
}

/// Puts back links that are missing; says what is in the way of one.
pub(super) fn repair_links(keeper: &Keeper) -> Result<Option<String>, PublishError> {
    let Some(shown) = &keeper.visible else { return Ok(None) };
    let root = &keeper.root;
    let data = root.link_target(DATA).map_err(|error| match error {
        Errno::INVAL => data_in_the_way(root),
        error => root.error("cannot read", DATA, error),
    })?;
    if data.as_deref() != Some(shown.folder.as_str()) {
        point(root, &shown.folder)?;
        tracing::warn!(path = %root.path().join(DATA).display(), "put the link back");
    }
    let mut drift = None;
    for name in tops(&shown.visible.generation) {
        match ensure(root, name) {
            Ok(_) => {}
            Err(error @ PublishError::Foreign { .. }) => {
                drift.get_or_insert(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(drift)
}

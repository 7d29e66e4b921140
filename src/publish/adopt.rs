//! What is on the volume at a start: what of it is good, what is not ours, what is swept.
//!
//! Owns who uses the volume and what is swept. Must not make anything visible that was not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rustix::{
    fs::{FileType, Stat},
    io::Errno,
};

use super::{
    Opened, PublishError, VolumeOptions, files, lock,
    root::Dir,
    set, stage, state,
    thread::{Keeper, Kept, Shown},
    truth::{Depth, inspect},
};
use crate::{
    config::shape::Layout,
    failpoint,
    generation::{BootTime, Generation, Visible},
    journal::{Journal, Published},
    pulse::Pulse,
};

/// Our folder for what readers need not see.
pub(super) const PRIVATE: &str = "..rehup";

/// What a layout found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) visible: Option<(Generation, String)>,
    pub(super) broken: Option<String>,
    pub(super) kept: Vec<Kept>,
    pub(super) drift: Option<String>,
    /// The number in a manifest that no folder's name carries.
    pub(super) highest: u64,
    pub(super) held: files::Held,
}

/// A good generation, looked at without lock or change.
pub(super) fn glance(options: &VolumeOptions) -> Option<Generation> {
    let root = Dir::root(&options.path).ok()?;
    match options.layout {
        Layout::Set => {
            let folder = root.link_target(set::DATA).ok()??;
            stage::number(&folder)?;
            let dir = root.folder(&folder).ok()?;
            if dir.stat().ok()?.st_uid != ourselves() {
                return None;
            }
            Some(inspect(&dir, &folder, Depth::Names).ok()?.0)
        }
        Layout::Files => {
            let private = root.folder(PRIVATE).ok()?;
            let journal = state::journal(&private).ok()?;
            files::find(&root, &private, &journal, Depth::Names).ok()?.visible.map(|(good, _)| good)
        }
    }
}

/// Opens a volume: lock, adoption, repair, sweeping.
pub(super) fn open(options: VolumeOptions, pulse: Pulse) -> Result<(Keeper, Opened), PublishError> {
    failpoint::pass_thread("adopt");
    let root = Dir::root(&options.path)?;
    let private = private(&root)?;
    let lock = lock::take(&private, &root)?;
    state::sweep(&private)?;
    let key = state::key(&private)?;
    let memory = state::read(&private, state::SOURCES)?;
    let inputs = state::inputs(&private)?;
    let mut journal = state::journal(&private)?;
    refuse_other_layout(&root, &private, options.layout)?;
    let mut found = match options.layout {
        Layout::Set => find(&root, &journal)?,
        Layout::Files => files::find(&root, &private, &journal, Depth::Contents)?,
    };
    let named = sweep(&root, &found)?;
    let visible = found.visible.take().map(|(generation, folder)| {
        let flipped = flipped(&journal, generation.number);
        Shown { visible: Visible { generation, flipped }, folder, stamps: BTreeMap::new() }
    });
    let listed = journal.published.iter().map(|published| published.number).max();
    let highest = found.highest.max(named).max(listed.unwrap_or_default());
    let unlisted = note(&mut journal, visible.as_ref());
    let root_mode = root.stat().map_err(|error| root.error("cannot stat", "", error))?.st_mode;
    let mut keeper = Keeper {
        pulse,
        options,
        root,
        private,
        lock,
        folder_mode: 0o755 | (root_mode & 0o2000),
        next: highest.saturating_add(1),
        journal: Arc::new(journal),
        visible,
        broken: found.broken,
        kept: found.kept,
        staged: None,
        protect: None,
        opened: BootTime::now(),
        inputs,
        held: found.held,
    };
    if unlisted {
        keeper.write_journal()?;
    }
    let mut drift = found.drift;
    if keeper.options.layout == Layout::Set {
        let repaired = set::repair_links(&keeper)?;
        drift = drift.or(repaired);
    }
    let opened = Opened {
        visible: keeper.visible.as_ref().map(|shown| shown.visible.clone()),
        kept: keeper.kept.iter().map(|kept| kept.generation.clone()).collect(),
        journal: Journal::clone(&keeper.journal),
        memory,
        key,
        drift,
        inputs,
    };
    Ok((keeper, opened))
}

/// Whether a name in the root belongs to our user.
pub(super) fn is_ours(root: &Dir, name: &str) -> bool {
    root.stat_name(name).is_ok_and(|stat| stat.st_uid == ourselves())
}

fn ourselves() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn flipped(journal: &Journal, number: u64) -> Option<BootTime> {
    let listed = journal.published.iter().rfind(|published| published.number == number);
    listed.map(|published| published.flipped.clone())
}

/// A crash between flip and journal: lists the visible generation as of now, which only makes
/// more processes count as older than it. Whatever else the journal could not say is lost with it,
/// so every target owes a reload.
fn note(journal: &mut Journal, visible: Option<&Shown>) -> bool {
    let Some(Shown { visible: Visible { generation, flipped: None }, folder, .. }) = visible else {
        return false;
    };
    // A rollback quarantines what it replaces; anything else ends the quarantine before it flips.
    let known = journal.published.iter().any(|earlier| earlier.rendering == generation.rendering);
    let rollback = known && !journal.quarantined.is_empty();
    journal.published.push(Published {
        number: generation.number,
        rendering: generation.rendering,
        folder: folder.clone(),
        flipped: BootTime::now(),
        rollback,
    });
    journal.targets.values_mut().for_each(|target| target.settled = None);
    true
}

/// Opens or makes `..rehup`.
pub(super) fn private(root: &Dir) -> Result<Dir, PublishError> {
    let unusable = |error| match error {
        Errno::NOTDIR | Errno::LOOP => PublishError::Foreign {
            path: root.path().join(PRIVATE),
            what: "the name is ours, but this is not; remove it or use another volume".to_owned(),
        },
        error => PublishError::not_writable(root.path(), error)
            .unwrap_or_else(|| root.error("cannot create", PRIVATE, error)),
    };
    let folder = match root.folder(PRIVATE) {
        Err(Errno::NOENT) => match root.make_folder(PRIVATE, 0o700) {
            // Another Rehup was quicker; the lock decides.
            Err(Errno::EXIST) => root.folder(PRIVATE),
            made => made,
        },
        found => found,
    }
    .map_err(unusable)?;
    // Of what is open: the name may be somebody else's by now.
    let stat = folder.stat().map_err(|error| root.error("cannot stat", PRIVATE, error))?;
    owned(root, PRIVATE, &stat)?;
    Ok(folder)
}

fn owned(root: &Dir, name: &str, stat: &Stat) -> Result<(), PublishError> {
    if stat.st_uid == ourselves() {
        return Ok(());
    }
    let path = root.path().join(name);
    Err(PublishError::Owner { path, theirs: stat.st_uid, ours: ourselves() })
}

/// Files of one layout would be in the way of the other for ever, so that is said at once.
fn refuse_other_layout(root: &Dir, private: &Dir, layout: Layout) -> Result<(), PublishError> {
    let (other, name) = match layout {
        Layout::Set => (private.stat_name(state::MANIFEST).is_ok(), "files"),
        Layout::Files => (matches!(root.link_target(set::DATA), Ok(Some(_))), "set"),
    };
    if !other {
        return Ok(());
    }
    let what = format!("it holds `layout: {name}`; empty the volume (a new pod has an empty one)");
    Err(PublishError::Foreign { path: root.path().to_owned(), what })
}

/// The `set` layout: the visible generation, and the earlier ones that the journal lists.
fn find(root: &Dir, journal: &Journal) -> Result<Found, PublishError> {
    let mut found = Found::default();
    let data = root.link_target(set::DATA).map_err(|error| match error {
        Errno::INVAL => set::data_in_the_way(root),
        error => root.error("cannot read", set::DATA, error),
    })?;
    if let Some(folder) = data {
        let stat =
            root.stat_name(set::DATA).map_err(|e| root.error("cannot stat", set::DATA, e))?;
        owned(root, set::DATA, &stat)?;
        if stage::number(&folder).is_none() {
            return Err(set::data_in_the_way(root));
        }
        adopt(root, folder, &mut found)?;
    } else if !journal.published.is_empty() {
        found.drift = Some(format!("`{}` is gone", set::DATA));
    }
    let mut replaced = found.visible.as_ref().and_then(|(good, _)| flipped(journal, good.number));
    for published in journal.published.iter().rev() {
        let visible = found.visible.as_ref().map(|(_, folder)| folder.as_str());
        let listed = found.kept.iter().any(|kept| kept.folder == published.folder);
        let pattern = stage::number(&published.folder).is_some();
        if listed || !pattern || visible == Some(published.folder.as_str()) {
            continue;
        }
        let Ok(dir) = root.folder(&published.folder) else { continue };
        let ours = dir.stat().is_ok_and(|stat| stat.st_uid == ourselves());
        if let (true, Ok((generation, None))) =
            (ours, inspect(&dir, &published.folder, Depth::Contents))
        {
            let folder = published.folder.clone();
            found.kept.push(Kept { generation, folder, replaced: replaced.clone() });
        }
        replaced = Some(published.flipped.clone());
    }
    found.kept.reverse();
    Ok(found)
}

fn adopt(root: &Dir, folder: String, found: &mut Found) -> Result<(), PublishError> {
    let verdict = match root.folder(&folder) {
        Ok(dir) => {
            let stat = dir.stat().map_err(|error| dir.error("cannot stat", "", error))?;
            owned(root, &folder, &stat)?;
            inspect(&dir, &folder, Depth::Contents)
        }
        Err(error) => Err(error.to_string()),
    };
    match verdict {
        Ok((generation, drift)) => {
            found.visible = Some((generation, folder));
            found.drift = drift;
        }
        Err(why) => {
            found.drift = Some(format!("{folder} is no good generation: {why}"));
            found.broken = Some(folder);
        }
    }
    Ok(())
}

/// Removes what is ours by name and by owner and serves nobody; gives the highest number in any
/// generation's name, also of one that goes.
fn sweep(root: &Dir, found: &Found) -> Result<u64, PublishError> {
    let mut serving: BTreeSet<&str> = found.kept.iter().map(|kept| kept.folder.as_str()).collect();
    serving.extend(found.visible.as_ref().map(|(_, folder)| folder.as_str()));
    serving.extend(found.broken.as_deref());
    if let Some((generation, _)) = &found.visible {
        serving.extend(set::tops(generation));
    }
    let ours = |name: &str| is_ours(root, name);
    let mut highest = 0;
    for (name, kind) in root.names().map_err(|error| root.error("cannot list", "", error))? {
        let number = stage::number(&name);
        highest = highest.max(number.unwrap_or_default());
        if serving.contains(name.as_str()) || !ours(&name) {
            continue;
        }
        match kind {
            FileType::Directory if number.is_some() => stage::remove(root, &name),
            FileType::Symlink if name.starts_with(set::TEMPORARY) => root.tidy(&name),
            // Links into a generation that is not good may still serve readers until the next flip.
            FileType::Symlink if found.broken.is_none() => set::unlink_ours(root, &name),
            _ => {}
        }
    }
    Ok(highest)
}

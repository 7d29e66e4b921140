//! Whether a generation on the volume is what its manifest says.
//!
//! Owns the meaning of "good" (all files exist, none empty that should not be) and of "drift" (they
//! are not what was published). Must not change anything.

use std::collections::BTreeMap;

use rustix::{
    fs::{FileType, Stat},
    io::Errno,
};

use super::{manifest, root::Dir, stage};
use crate::{
    generation::{FileRecord, Generation},
    rendering::OutputPath,
};

/// How closely files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// They exist, and none is empty that should not be.
    Names,
    /// Their contents, modes and owners too.
    Contents,
}

/// Reads a generation's manifest and looks at its files: the generation with its drift, or why it
/// is not good.
pub(super) fn inspect(
    dir: &Dir,
    name: &str,
    depth: Depth,
) -> Result<(Generation, Option<String>), String> {
    let bytes = dir
        .read_below(manifest::NAME, manifest::LIMIT)
        .map_err(|error| format!("its manifest cannot be read ({error})"))?;
    let generation: Generation = manifest::decode(&bytes).ok_or("its manifest is torn")?;
    if stage::number(name) != Some(generation.number) {
        return Err("its manifest is of another generation".to_owned());
    }
    let mut drift = None;
    for (path, record) in &generation.files {
        drift = check(dir, path, record, depth)?.or(drift);
    }
    Ok((generation, drift))
}

/// Looks at one file: its drift, or why its generation is not good.
pub(super) fn check(
    dir: &Dir,
    path: &OutputPath,
    record: &FileRecord,
    depth: Depth,
) -> Result<Option<String>, String> {
    let stat = match dir.stat_below(path.as_str()) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Err(format!("`{path}` is gone")),
        Err(error) => return Err(format!("`{path}` cannot be looked at ({error})")),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(format!("`{path}` is no file any more"));
    }
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    if size == 0 && record.size > 0 {
        return Err(format!("`{path}` is empty"));
    }
    if depth == Depth::Names {
        return Ok(None);
    }
    let access = &record.access;
    let same_owner = access.owner.is_none_or(|owner| owner == stat.st_uid)
        && access.group.is_none_or(|group| group == stat.st_gid);
    if stat.st_mode & 0o7777 != access.mode || !same_owner {
        return Ok(Some(format!("`{path}` has another mode or owner than it was published with")));
    }
    let changed = size != record.size
        || match dir.digest_below(path.as_str(), record.size.saturating_add(1)) {
            Ok(digest) => digest != record.digest,
            // A mode that shuts us out too: size and mode have to do.
            Err(error) => error.kind() != std::io::ErrorKind::PermissionDenied,
        };
    Ok(changed.then(|| format!("`{path}` is not what was published")))
}

/// What a file looked like when its content was last compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp([i128; 8]);

impl Stamp {
    fn of(stat: &Stat) -> Self {
        // The change time cannot be set back, so equal stamps mean an untouched file.
        Self([
            stat.st_ino.into(),
            stat.st_size.into(),
            stat.st_mode.into(),
            stat.st_uid.into(),
            stat.st_gid.into(),
            stat.st_mtime.into(),
            stat.st_ctime.into(),
            stat.st_ctime_nsec.into(),
        ])
    }
}

/// Compares files with their records; reads only those that look different from the last time.
pub(super) fn compare(
    dir: &Dir,
    files: &BTreeMap<OutputPath, FileRecord>,
    stamps: &mut BTreeMap<OutputPath, Stamp>,
) -> Option<String> {
    let mut drift = None;
    for (path, record) in files {
        // Taken before the content is read: a change in between shows the next time.
        let stamp = dir.stat_below(path.as_str()).ok().map(|stat| Stamp::of(&stat));
        if stamp.is_some() && stamps.get(path) == stamp.as_ref() {
            continue;
        }
        match check(dir, path, record, Depth::Contents) {
            Ok(None) => stamps.extend(stamp.map(|stamp| (path.clone(), stamp))),
            Ok(Some(what)) | Err(what) => {
                stamps.remove(path);
                drift.get_or_insert(what);
            }
        }
    }
    drift
}

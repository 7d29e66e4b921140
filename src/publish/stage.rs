//! Writes a rendering whole into a folder that nobody reads yet, and syncs it.
//!
//! Owns the names of generations. Must not make anything visible.

use std::collections::BTreeMap;

use rustix::io::Errno;

use super::{
    PublishError, manifest,
    root::{self, Dir},
};
use crate::{
    generation::{FileRecord, Generation},
    pulse::Pulse,
    rendering::{Access, Rendering},
};

/// Random characters in a generation's name.
const RANDOM: usize = 4;

/// What a generation of this rendering will be.
pub(super) fn describe(
    number: u64,
    rendering: &Rendering,
    sources: BTreeMap<String, u64>,
) -> Generation {
    let record = |file: &crate::rendering::OutputFile| FileRecord {
        size: file.bytes.len() as u64,
        access: file.access,
        digest: file.digest,
    };
    Generation {
        number,
        rendering: *rendering.digest(),
        files: rendering.files().iter().map(|(path, file)| (path.clone(), record(file))).collect(),
        sources,
    }
}

/// The number in a name that is ours by pattern: `..gen-42-k3v9`.
pub(super) fn number(name: &str) -> Option<u64> {
    let (number, random) = name.strip_prefix("..gen-")?.split_once('-')?;
    let ours = random.len() == RANDOM
        && random.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (ours && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| number.parse().ok())?
}

/// Writes and syncs; gives the folder's name. After an error nothing is left.
pub(super) fn write(
    root: &Dir,
    generation: &Generation,
    rendering: &Rendering,
    mode: u32,
    pulse: &Pulse,
) -> Result<String, PublishError> {
    let prefix = format!("..gen-{}-", generation.number);
    let (name, folder) = root::unique(&prefix, RANDOM, |name| root.make_folder(name, mode))
        .map_err(|error| root.error("cannot create a folder in", "", error))?;
    match fill(&folder, generation, rendering, mode, pulse) {
        Ok(()) => Ok(name),
        Err(error) => {
            remove(root, &name);
            Err(error)
        }
    }
}

/// Removes a folder of ours; what cannot be removed now is swept at the next start.
pub(super) fn remove(root: &Dir, name: &str) {
    if let Err(error) = root.remove_tree(name) {
        tracing::warn!(path = %root.path().join(name).display(), %error, "cannot remove a generation");
    }
}

/// What failed: to write, or only to give away.
fn refusal(error: &std::io::Error, access: Access) -> &'static str {
    let given = access.owner.is_some() || access.group.is_some();
    // The folder is ours and new, so nothing else in it is forbidden.
    if given && error.raw_os_error() == Some(Errno::PERM.raw_os_error()) {
        "cannot give the configured owner or group (that takes the capability CHOWN) to"
    } else {
        "cannot write"
    }
}

fn fill(
    folder: &Dir,
    generation: &Generation,
    rendering: &Rendering,
    mode: u32,
    pulse: &Pulse,
) -> Result<(), PublishError> {
    let mut tree = Tree { base: folder, open: Vec::new(), mode };
    for (path, file) in rendering.files() {
        let (above, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
        let parent = tree.enter(above)?;
        // Each file is progress: many on a slow disk may take minutes.
        pulse.beat();
        parent
            .write_new(name, &file.bytes, file.access, true)
            .map_err(|error| parent.error(refusal(&error, file.access), name, error))?;
    }
    tree.leave("")?;
    manifest::encode(generation)
        .and_then(|bytes| folder.write_new(manifest::NAME, &bytes, manifest::PRIVATE, true))
        .map_err(|error| folder.error("cannot write", manifest::NAME, error))?;
    folder.sync().map_err(|error| folder.error("cannot sync", "", error))
}

/// The folders from the staged one down to where files are being written. Paths come sorted, so
/// each folder is entered once, and is synced when it is left: few descriptors however many folders.
struct Tree<'a> {
    base: &'a Dir,
    open: Vec<(String, Dir)>,
    mode: u32,
}

impl Tree<'_> {
    fn enter(&mut self, path: &str) -> Result<&Dir, PublishError> {
        self.leave(path)?;
        let depth = self.open.len();
        let components = path.split('/').filter(|component| !component.is_empty());
        for component in components.skip(depth) {
            let above = self.open.last().map_or(self.base, |(_, dir)| dir);
            let dir = above
                .make_folder(component, self.mode)
                .map_err(|error| above.error("cannot create", component, error))?;
            let path = match self.open.last() {
                Some((above, _)) => format!("{above}/{component}"),
                None => component.to_owned(),
            };
            self.open.push((path, dir));
        }
        Ok(self.open.last().map_or(self.base, |(_, dir)| dir))
    }

    /// Leaves every folder that is not on the way to `path`.
    fn leave(&mut self, path: &str) -> Result<(), PublishError> {
        while let Some((open, dir)) = self.open.last() {
            let below = path.strip_prefix(open.as_str());
            if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                break;
            }
            dir.sync().map_err(|error| dir.error("cannot sync", "", error))?;
            self.open.pop();
        }
        Ok(())
    }
}

//! Calls that are anchored in an open folder: no path is resolved twice, no link is followed.
//!
//! Owns every system call on names. Must not know what a generation is. The volume is shared with
//! a program that may plant links, so nothing here takes a path from the root of the machine
//! except [`Dir::root`].

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, RawDir, ResolveFlags, Stat, StatxAttributes,
        StatxFlags, Uid,
    },
    io::Errno,
};

use super::PublishError;
use crate::{bounded, digest::Digest, rendering::Access};

/// More levels than a path of ours can have: what is deeper is not ours, and would cost a
/// descriptor and a piece of the stack each.
const DEEPEST: usize = 2050;

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open folder, with the path that errors name.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens the output root: the only path that is resolved, and links in it are the operator's.
    pub(super) fn root(path: &Path) -> Result<Self, PublishError> {
        let flags = FOLDER.difference(OFlags::NOFOLLOW);
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path: path.to_owned() }),
            Err(error) => {
                let what = match error {
                    Errno::NOENT => "it does not exist; mount the shared volume there",
                    Errno::NOTDIR => {
                        "it is no folder (a subPath or file mount?); mount the whole volume there"
                    }
                    Errno::ACCESS => "we may not read it; check runAsUser and fsGroup",
                    _ => "it cannot be opened",
                };
                Err(PublishError::unusable(path, what, error))
            }
        }
    }

    /// The descriptor, for calls that are not on names.
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// The path for errors and for checks.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An error about `name` in this folder.
    pub(super) fn error(
        &self,
        action: &'static str,
        name: &str,
        source: impl Into<std::io::Error>,
    ) -> PublishError {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        PublishError::Io { action, path, source: source.into() }
    }

    /// Opens a folder in this one.
    pub(super) fn folder(&self, name: &str) -> Result<Self, Errno> {
        let fd = rustix::fs::openat(&self.fd, name, FOLDER, Mode::empty())?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    /// Makes a folder with exactly this mode, whatever the umask.
    pub(super) fn make_folder(&self, name: &str, mode: u32) -> Result<Self, Errno> {
        rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o700))?;
        let folder = self.folder(name).and_then(|folder| {
            // Somebody who may rename in here can have swapped it for a folder of theirs.
            if folder.stat()?.st_uid != rustix::process::geteuid().as_raw() {
                return Err(Errno::EXIST);
            }
            rustix::fs::fchmod(&folder.fd, Mode::from_raw_mode(mode))?;
            Ok(folder)
        });
        if folder.is_err() {
            // Nobody else has its name.
            self.remove_folder(name).unwrap_or_default();
        }
        folder
    }

    /// Opens something below this folder for reading, following no link on the way.
    pub(super) fn open_below(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve) {
            // Old seccomp profiles answer EPERM for a call that they do not know.
            Err(Errno::NOSYS | Errno::PERM) => self.step_below(path, flags),
            answer => answer,
        }
    }

    /// The same where openat2 is blocked: one component at a time.
    fn step_below(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let Some((above, name)) = path.rsplit_once('/') else {
            return rustix::fs::openat(&self.fd, path, flags, Mode::empty());
        };
        let mut at = self.fd.as_fd().try_clone_to_owned().map_err(|_| Errno::MFILE)?;
        for component in above.split('/') {
            at = rustix::fs::openat(&at, component, FOLDER, Mode::empty())?;
        }
        rustix::fs::openat(&at, name, flags, Mode::empty())
    }

    /// A folder below this one; this one itself for an empty path.
    pub(super) fn folder_below(&self, path: &str) -> Result<Self, Errno> {
        let path_name = if path.is_empty() { "." } else { path };
        let fd = self.open_below(path_name, FOLDER)?;
        Ok(Self { fd, path: self.path.join(path) })
    }

    /// What is at `path` below this folder, without following links.
    pub(super) fn stat_below(&self, path: &str) -> Result<Stat, Errno> {
        rustix::fs::fstat(self.open_below(path, OFlags::PATH)?)
    }

    /// Whether something is mounted at `path` itself, which no rename can replace.
    pub(super) fn is_mount(&self, path: &str) -> bool {
        let known = self
            .open_below(path, OFlags::PATH)
            .and_then(|at| rustix::fs::statx(&at, "", AtFlags::EMPTY_PATH, StatxFlags::empty()));
        known.is_ok_and(|it| it.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
    }

    /// What this folder itself is.
    pub(super) fn stat(&self) -> Result<Stat, Errno> {
        rustix::fs::fstat(&self.fd)
    }

    /// What a name of this folder is, without following it.
    pub(super) fn stat_name(&self, name: &str) -> Result<Stat, Errno> {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Reads a whole file of at most `limit` bytes, following no link; a larger one is an error
    /// and not read.
    pub(super) fn read_below(&self, path: &str, limit: u64) -> std::io::Result<Vec<u8>> {
        bounded::whole(self.open_file(path)?, limit)
    }

    /// The digest of the first `limit` bytes of a file, following no link; nothing of it is kept.
    pub(super) fn digest_below(&self, path: &str, limit: u64) -> std::io::Result<Digest> {
        Digest::of_reader(self.open_file(path)?.take(limit))
    }

    fn open_file(&self, path: &str) -> Result<File, Errno> {
        // A FIFO at the name must not hang us.
        Ok(File::from(self.open_below(path, OFlags::RDONLY | OFlags::NONBLOCK)?))
    }

    /// Creates a file that was not there, with exactly this access, and writes it whole.
    pub(super) fn write_new(
        &self,
        name: &str,
        bytes: &[u8],
        access: Access,
        durable: bool,
    ) -> std::io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Narrow until the owner is right, so that nobody opens it by a wider mode.
        let first = Mode::from_raw_mode(access.mode & 0o600);
        let mut file = File::from(rustix::fs::openat(&self.fd, name, flags, first)?);
        if access.owner.is_some() || access.group.is_some() {
            let (owner, group) = (access.owner.map(Uid::from_raw), access.group.map(Gid::from_raw));
            rustix::fs::fchown(&file, owner, group)?;
        }
        rustix::fs::fchmod(&file, Mode::from_raw_mode(access.mode))?;
        file.write_all(bytes)?;
        if durable { file.sync_all() } else { Ok(()) }
    }

    /// Writes the names of this folder to the disk. Never retried: after a failure the kernel may
    /// call lost pages clean.
    pub(super) fn sync(&self) -> Result<(), Errno> {
        rustix::io::retry_on_intr(|| rustix::fs::fsync(&self.fd))
    }

    /// Where the link `name` points; `None` if there is nothing. [`Errno::INVAL`]: it is no link.
    pub(super) fn link_target(&self, name: &str) -> Result<Option<String>, Errno> {
        match rustix::fs::readlinkat(&self.fd, name, Vec::new()) {
            Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a link; fails if the name is taken.
    pub(super) fn link(&self, target: &str, name: &str) -> Result<(), Errno> {
        rustix::fs::symlinkat(target, &self.fd, name)
    }

    /// Moves a name of this folder over one of `to`.
    pub(super) fn rename(&self, from: &str, to: &Self, name: &str) -> Result<(), Errno> {
        rustix::fs::renameat(&self.fd, from, &to.fd, name)
    }

    /// Removes a file or link.
    pub(super) fn unlink(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
    }

    /// Removes a file or link of ours that serves nobody; one that stays is swept at the next start.
    pub(super) fn tidy(&self, name: &str) {
        if let Err(error) = self.unlink(name) {
            tracing::warn!(path = %self.path.join(name).display(), %error, "cannot remove");
        }
    }

    /// Removes an empty folder.
    pub(super) fn remove_folder(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
    }

    /// Removes a folder and all that is in it, following no link. A name that is gone is fine.
    pub(super) fn remove_tree(&self, name: &str) -> Result<(), Errno> {
        self.remove_levels(name, DEEPEST)
    }

    fn remove_levels(&self, name: &str, levels: usize) -> Result<(), Errno> {
        let below = levels.checked_sub(1).ok_or(Errno::NAMETOOLONG)?;
        let folder = match self.folder(name) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error),
        };
        for (inner, kind) in folder.names()? {
            match kind {
                FileType::Directory => folder.remove_levels(&inner, below)?,
                _ => folder.unlink(&inner)?,
            }
        }
        self.remove_folder(name)
    }

    /// Every name in this folder that is text (ours all are) and what it is.
    pub(super) fn names(&self) -> Result<Vec<(String, FileType)>, Errno> {
        // A fresh description: reading moves an offset that clones of a descriptor share.
        let fd = rustix::fs::openat(&self.fd, ".", FOLDER, Mode::empty())?;
        let mut buffer = Vec::with_capacity(8192);
        let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => FileType::from_raw_mode(self.stat_name(name)?.st_mode),
                kind => kind,
            };
            names.push((name.to_owned(), kind));
        }
        Ok(names)
    }
}

/// Makes something under `prefix` and random lower-case letters and digits that nothing else has,
/// and gives that name. `make` answers "already exists" for a taken one.
pub(super) fn unique<T>(
    prefix: &str,
    random: usize,
    mut make: impl FnMut(&str) -> Result<T, Errno>,
) -> std::io::Result<(String, T)> {
    let named = tempfile::Builder::new()
        .prefix(prefix)
        .rand_bytes(random)
        .disable_cleanup(true)
        // The folder is an open descriptor; of the path only the name is used.
        .make_in("/", |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            let thing = make(&name)?;
            Ok((name, thing))
        })?;
    Ok(named.into_parts().0)
}

#[cfg(test)]
mod tests;

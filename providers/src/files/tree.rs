//! One read of a folder or file, through descriptors: what is there at one moment.
//!
//! Owns what counts as a key, what links may do and how a mounted ConfigMap or Secret is read
//! whole. Must not decide whether what it found is news, nor wait for anything.

mod fault;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{File, Metadata},
    io::Read,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, StatxAttributes, StatxFlags, openat, readlinkat,
        statat, statx,
    },
    io::Errno,
};

use crate::{ErrorKind, ProviderError, watch::DATA};
use fault::Fault;

/// How many attempts a read has when the content moves away below it: an event tells of what comes
/// after the last.
const TRIES: usize = 6;
/// Deeper folders are refused: only links can make them that deep by mistake.
const DEPTH: usize = 64;

/// All files of one read.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// By key: the path below the followed one.
    pub(super) files: BTreeMap<String, Content>,
    /// The whole of it came through one `..data`, so it is of one version.
    pub(super) atomic: bool,
    /// A file that is a mount of its own, one of them.
    pub(super) mounted: Option<PathBuf>,
}

/// One file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// When it was last written.
    pub(super) modified: Option<SystemTime>,
    /// It lies behind `..data`, where nobody writes any more.
    pub(super) atomic: bool,
    /// Somebody wrote it while it was read.
    pub(super) torn: bool,
}

/// Reads everything below `path`, or the one file there.
///
/// A read below which the content was swapped or deleted starts over, some times. FIFOs, sockets
/// and devices are never opened, but are an error: to leave them out would hide a key.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<Tree, ProviderError> {
    let mut moved = PathBuf::new();
    for _ in 0..TRIES {
        match attempt(path, max_bytes) {
            Ok(tree) => return Ok(tree),
            Err(Fault::Moved(what)) => moved = what,
            Err(Fault::Failed(error)) => return Err(error),
        }
    }
    let place = moved.display();
    let (kind, message) = if moved.is_symlink() && !moved.exists() {
        (ErrorKind::NotFound, format!("the link {place} leads nowhere"))
    } else {
        (ErrorKind::Unavailable, format!("{place} keeps changing while it is read"))
    };
    Err(ProviderError::new(kind, message))
}

fn attempt(path: &Path, max_bytes: u64) -> Result<Tree, Fault> {
    let real = path.canonicalize().map_err(|error| Fault::root(path, error))?;
    let left = max_bytes;
    let tree = Tree::default();
    let kind = kind_of(CWD, real.as_os_str(), &real)?;
    if kind == FileType::Directory {
        let root = open_folder(CWD, real.as_os_str(), &real)?;
        let mut walk = Walk { path, root: &real, left, max_bytes, tree, trail: Vec::new() };
        walk.tree.atomic = walk.folder(&root, &real, "", is_versioned(&real))?;
        return Ok(walk.tree);
    }
    let name = path.file_name().or(real.file_name()).unwrap_or_default();
    let key = text(name, path)?.to_owned();
    let mut walk = Walk { path, root: &real, left, max_bytes, tree, trail: Vec::new() };
    walk.entry(kind, CWD, real.as_os_str(), &real, key, is_versioned(&real))?;
    walk.tree.atomic = is_versioned(&real);
    Ok(walk.tree)
}

/// One attempt in progress.
struct Walk<'a> {
    /// As configured, for messages.
    path: &'a Path,
    /// Where it really is: links must end below.
    root: &'a Path,
    /// How many bytes of keys and values may still come.
    left: u64,
    max_bytes: u64,
    tree: Tree,
    /// Device and inode of the folders that are being read, outermost first.
    trail: Vec<(u64, u64)>,
}

impl Walk<'_> {
    /// Reads an open folder; true if its content came through `..data`.
    fn folder(
        &mut self,
        folder: &OwnedFd,
        real: &Path,
        prefix: &str,
        atomic: bool,
    ) -> Result<bool, Fault> {
        let link = match readlinkat(folder, DATA, Vec::new()) {
            Ok(link) => link,
            // EINVAL: a file or folder of that name, and no mount.
            Err(Errno::NOENT | Errno::INVAL) => {
                self.entries(folder, real, prefix, atomic)?;
                return Ok(atomic);
            }
            Err(errno) => return Err(Fault::errno(errno, &real.join(DATA))),
        };
        let target = Path::new(OsStr::from_bytes(link.as_bytes()));
        let place = real.join(DATA);
        if is_plain_name(target) {
            // If it is gone, the link is what leads nowhere.
            let version = open_folder(folder, target.as_os_str(), &place)?;
            self.entries(&version, &real.join(target), prefix, true)?;
        } else {
            let place = self.resolve(&place)?;
            let version = open_folder(CWD, place.as_os_str(), &place)?;
            self.entries(&version, &place, prefix, true)?;
        }
        match readlinkat(folder, DATA, Vec::new()) {
            Ok(now) if now == link => Ok(true),
            _ => Err(Fault::Moved(place)),
        }
    }

    fn entries(
        &mut self,
        folder: &OwnedFd,
        real: &Path,
        prefix: &str,
        atomic: bool,
    ) -> Result<(), Fault> {
        self.enter(folder, real, prefix)?;
        let entries = Dir::read_from(folder).map_err(|errno| Fault::errno(errno, real))?;
        for entry in entries {
            let entry = entry.map_err(|errno| Fault::errno(errno, real))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            let place = real.join(name);
            let key = format!("{prefix}{}", text(name, &place)?);
            let kind = match entry.file_type() {
                FileType::Unknown => kind_of(folder, name, &place)?,
                known => known,
            };
            self.entry(kind, folder, name, &place, key, atomic)?;
        }
        self.trail.pop();
        Ok(())
    }

    /// Reads what `name` in `folder` is; `place` is its real path.
    fn entry(
        &mut self,
        kind: FileType,
        folder: impl AsFd,
        name: &OsStr,
        place: &Path,
        key: String,
        atomic: bool,
    ) -> Result<(), Fault> {
        match kind {
            FileType::Directory => {
                let inner = open_folder(folder, name, place)?;
                self.folder(&inner, place, &format!("{key}/"), atomic).map(drop)
            }
            FileType::RegularFile => {
                let content = self.file(folder, name, place, &key, atomic)?;
                self.tree.files.insert(key, content);
                Ok(())
            }
            FileType::Symlink => {
                let target = self.resolve(place)?;
                let kind = kind_of(CWD, target.as_os_str(), &target)?;
                if kind == FileType::Symlink {
                    return Err(Fault::Moved(place.to_owned()));
                }
                let atomic = atomic || is_versioned(&target);
                self.entry(kind, CWD, target.as_os_str(), &target, key, atomic)
            }
            other => Err(Fault::strange(other, place)),
        }
    }

    fn file(
        &mut self,
        folder: impl AsFd,
        name: &OsStr,
        place: &Path,
        key: &str,
        atomic: bool,
    ) -> Result<Content, Fault> {
        // Should it have become a FIFO meanwhile, the open must not wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = open(folder, name, flags, place)?;
        let mut file = File::from(file);
        let before = metadata(&file, place)?;
        if !before.is_file() {
            return Err(Fault::Moved(place.to_owned()));
        }
        if self.tree.mounted.is_none() && is_mounted(&file) {
            self.tree.mounted = Some(place.to_owned());
        }
        self.charge(key.len() as u64, key)?;
        // A sparse file of any size must not be read to find out that it is too large.
        self.charge(before.len(), key)?;
        let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or_default());
        let grown = self.left.saturating_add(before.len()).saturating_add(1);
        let read = Read::by_ref(&mut file).take(grown).read_to_end(&mut bytes);
        read.map_err(|error| Fault::io(error, place))?;
        self.charge((bytes.len() as u64).saturating_sub(before.len()), key)?;
        let after = metadata(&file, place)?;
        let torn = stamp(&before) != stamp(&after) || after.len() != bytes.len() as u64;
        Ok(Content { bytes, modified: after.modified().ok(), atomic, torn })
    }

    /// Notes a folder that is about to be read; a link back to one that is being read would have no
    /// end.
    fn enter(&mut self, folder: &OwnedFd, place: &Path, prefix: &str) -> Result<(), Fault> {
        let copy = folder.try_clone().map_err(|error| Fault::io(error, place))?;
        let found = metadata(&File::from(copy), place)?;
        let id = (found.dev(), found.ino());
        if self.trail.contains(&id) || self.trail.len() >= DEPTH {
            let name = self.path.join(prefix);
            let message = format!("{} lies in itself: links make a circle", name.display());
            return Err(ProviderError::new(ErrorKind::Malformed, message).into());
        }
        self.trail.push(id);
        Ok(())
    }

    /// Where a link ends, without links in it: below the followed path.
    fn resolve(&self, link: &Path) -> Result<PathBuf, Fault> {
        let target = link.canonicalize().map_err(|error| Fault::io(error, link))?;
        if target.starts_with(self.root) {
            return Ok(target);
        }
        let (link, path) = (link.display(), self.path.display());
        let message = format!("the link {link} leads out of {path}; let it end below");
        Err(ProviderError::new(ErrorKind::Malformed, message).into())
    }

    fn charge(&mut self, bytes: u64, key: &str) -> Result<(), Fault> {
        if let Some(left) = self.left.checked_sub(bytes) {
            self.left = left;
            return Ok(());
        }
        let (path, most) = (self.path.display(), self.max_bytes);
        let message = format!("{path} holds more than max_bytes ({most}); reached at `{key}`");
        Err(ProviderError::new(ErrorKind::TooLarge, message).into())
    }
}

fn open_folder(folder: impl AsFd, name: &OsStr, place: &Path) -> Result<OwnedFd, Fault> {
    open(folder, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, place)
}

fn open(folder: impl AsFd, name: &OsStr, flags: OFlags, place: &Path) -> Result<OwnedFd, Fault> {
    let opened = openat(folder, name, flags | OFlags::CLOEXEC, Mode::empty());
    opened.map_err(|errno| Fault::errno(errno, place))
}

fn kind_of(folder: impl AsFd, name: &OsStr, place: &Path) -> Result<FileType, Fault> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    let stat = stat.map_err(|errno| Fault::errno(errno, place))?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

fn metadata(file: &File, place: &Path) -> Result<Metadata, Fault> {
    file.metadata().map_err(|error| Fault::io(error, place))
}

/// Whether an open file is where something was mounted. Older kernels do not say: then it is not.
fn is_mounted(file: &File) -> bool {
    let found = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::empty());
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn stamp(found: &Metadata) -> (u64, i64, i64) {
    (found.len(), found.mtime(), found.mtime_nsec())
}

fn text<'a>(name: &'a OsStr, place: &Path) -> Result<&'a str, Fault> {
    name.to_str().ok_or_else(|| {
        let place = place.as_os_str().as_bytes().escape_ascii();
        let message = format!("the name \"{place}\" is not UTF-8");
        ProviderError::new(ErrorKind::Malformed, message).into()
    })
}

/// In a folder such as `..2026_11_23_10_00_00.1`: written once, then swapped in.
fn is_versioned(real: &Path) -> bool {
    real.iter().any(|name| name.as_bytes().starts_with(b".."))
}

fn is_plain_name(target: &Path) -> bool {
    let mut components = target.components();
    matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none()
}

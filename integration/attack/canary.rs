//! A folder outside the volume that nobody but its owner has any business with.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

/// Names that a publisher knows, so that a call that is led astray finds something to spoil.
const NAMES: [&str; 17] = [
    "a",
    "b",
    "c",
    "d",
    "conf/a",
    "conf/deep/c",
    "deep/c",
    "lock",
    "journal",
    "key",
    "sources",
    "manifest",
    "inputs",
    ".new-abcdef",
    "..manifest",
    "..gen-1-abcd/conf/a",
    "..rehup/lock",
];

/// What a hard link is made of: its content may be read through the link, so that is not looked at.
const HARD: &str = "hard";

/// Long ago; whoever reads a file or folder makes it younger.
const OLD: i64 = 1_000_000_000;

/// Type and mode, owner, group, times of access and change, content.
type Seen = (u32, u32, u32, i64, i64, Vec<u8>);

/// The folder, and what it was.
pub struct Canary {
    root: PathBuf,
    before: BTreeMap<PathBuf, Seen>,
}

impl Canary {
    /// Makes it.
    pub fn at(root: PathBuf) -> Self {
        for name in NAMES.iter().chain(&[HARD]) {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            // Of the length and mode that is published under that name, so that only reading it tells
            // them apart.
            fs::write(&path, format!("{name} X")).expect("a canary");
            let mode = if name.starts_with("conf") { 0o644 } else { 0o604 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        }
        std::os::unix::fs::symlink("a", root.join("link")).expect("a link");
        let mut canary = Self { root, before: BTreeMap::new() };
        canary.forget_reads();
        canary.before = canary.look();
        canary.forget_reads();
        canary
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What hard links are made of.
    pub fn hard(&self) -> PathBuf {
        self.root.join(HARD)
    }

    /// Fails if anything in it was written, changed, removed, added or read.
    #[track_caller]
    pub fn is_untouched(&self, after: &str) {
        let now = self.look();
        self.forget_reads();
        let paths = self.before.keys().chain(now.keys());
        for path in paths {
            let (before, now) = (self.before.get(path), now.get(path));
            assert_eq!(now, before, "{} outside the volume, after {after}", path.display());
        }
    }

    fn look(&self) -> BTreeMap<PathBuf, Seen> {
        let mut seen = BTreeMap::new();
        visit(&self.root, &mut |path, meta| {
            let content = if meta.is_file() {
                fs::read(path).expect("a canary")
            } else if meta.is_symlink() {
                fs::read_link(path).expect("a link").into_os_string().into_encoded_bytes()
            } else {
                Vec::new()
            };
            let read = if path.ends_with(HARD) { OLD } else { meta.atime() };
            let known = (meta.mode(), meta.uid(), meta.gid(), read, meta.mtime(), content);
            seen.insert(path.to_owned(), known);
        });
        seen
    }

    /// Sets all times back: the next reader shows again.
    fn forget_reads(&self) {
        let old = Timespec { tv_sec: OLD, tv_nsec: 0 };
        let times = Timestamps { last_access: old, last_modification: old };
        visit(&self.root, &mut |path, _| {
            rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("old times");
        });
        rustix::fs::utimensat(CWD, &self.root, &times, AtFlags::empty()).expect("old times");
    }
}

/// Everything from here on, a folder after what is in it; looked at before it is read.
fn visit(path: &Path, look: &mut impl FnMut(&Path, &fs::Metadata)) {
    let meta = fs::symlink_metadata(path).expect("a canary");
    if meta.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            visit(&entry.expect("an entry").path(), look);
        }
    }
    look(path, &meta);
}

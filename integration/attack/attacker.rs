//! A program that shares the volume and means harm: it swaps names under the publisher's hands.

use std::{
    fs,
    os::{fd::OwnedFd, unix::fs::symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, OFlags, RenameFlags};

use super::canary::Canary;

/// What it puts where something of the publisher's is, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// A link to a folder outside.
    FolderLink,
    /// A link to a file outside.
    FileLink,
    /// A link to a name outside that nobody has yet.
    Dangling,
    /// A pipe: who opens it carelessly waits for ever.
    Fifo,
    /// A folder with something in it.
    Folder,
    /// Another name of a file outside.
    HardLink,
}

/// All of them.
pub const PLANTS: [Plant; 6] = [
    Plant::FolderLink,
    Plant::FileLink,
    Plant::Dangling,
    Plant::Fifo,
    Plant::Folder,
    Plant::HardLink,
];

/// Names that the publisher will use next.
const COMING: [&str; 10] =
    ["conf", "a", "b", "deep", "c", "d", "..manifest", "..data", "journal", "manifest"];

/// How often it got its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Names swapped, and swapped back.
    pub swaps: usize,
    /// Names taken before the publisher could.
    pub plants: usize,
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.swaps += other.swaps;
        self.plants += other.plants;
    }
}

/// The volume, and a place beside it on the same file system.
pub struct Attacker<'a> {
    pub volume: &'a Path,
    pub lair: PathBuf,
    pub canary: &'a Canary,
}

impl Attacker<'_> {
    /// Goes on until it is ended; whatever it could put back is back then.
    pub fn attack(&self, plant: Plant, ended: &AtomicBool) -> Count {
        let mut count = Count::default();
        for turn in 0.. {
            if ended.load(Ordering::Relaxed) {
                break;
            }
            // Never the same: a folder that was carried off may be written into to the last.
            let thing = self.lair.join(format!("{plant:?}-{turn}"));
            let Some(folder) = self.folder() else { continue };
            let mut names = names(&folder);
            let fresh = fastrand::u8(..4) == 0;
            if fresh {
                names = COMING.map(str::to_owned).into();
            }
            let Some(name) = fastrand::choice(names) else { continue };
            self.make(plant, &name, &thing);
            let keep = RenameFlags::NOREPLACE;
            let move_to = |flags| rustix::fs::renameat_with(CWD, &thing, &folder, &name, flags);
            if fresh && move_to(keep).is_ok() {
                count.plants += 1;
                linger();
                // It may be gone, or something else by now: then there is nothing to take back.
                rustix::fs::renameat_with(&folder, &name, CWD, &thing, keep).unwrap_or_default();
            } else if !fresh && move_to(RenameFlags::EXCHANGE).is_ok() {
                count.swaps += 1;
                linger();
                // What was put there may be gone by now: then this is where it belongs.
                let back = move_to(RenameFlags::EXCHANGE).or_else(|_| move_to(keep));
                back.unwrap_or_default();
            }
            remove(&thing);
        }
        count
    }

    /// A folder of the publisher's; never one that a link of our own leads to.
    fn folder(&self) -> Option<OwnedFd> {
        let root = open(CWD, self.volume)?;
        let inner = match fastrand::u8(..6) {
            0 | 1 => return Some(root),
            2 => return open(&root, "..rehup"),
            3 => return open(&root, "conf"),
            other => other,
        };
        let generations = names(&root).into_iter().filter(|name| name.starts_with("..gen-"));
        let generation = open(&root, fastrand::choice(generations.collect::<Vec<_>>())?)?;
        if inner == 4 { Some(generation) } else { open(&generation, "conf") }
    }

    /// Makes a plant for a name.
    pub fn make(&self, plant: Plant, name: &str, at: &Path) {
        let outside = self.canary.root();
        let of_name = outside.join(name);
        let made = match plant {
            Plant::FolderLink if of_name.is_dir() => symlink(of_name, at),
            Plant::FolderLink => symlink(outside, at),
            Plant::FileLink if of_name.is_file() => symlink(of_name, at),
            Plant::FileLink => symlink(outside.join("a"), at),
            Plant::Dangling => symlink(outside.join("new").join(name), at),
            Plant::Fifo => {
                rustix::fs::mknodat(CWD, at, FileType::Fifo, Mode::from_raw_mode(0o666), 0)
                    .map_err(Into::into)
            }
            Plant::Folder => fs::create_dir(at).and_then(|()| fs::write(at.join("theirs"), "")),
            Plant::HardLink => fs::hard_link(self.canary.hard(), at),
        };
        made.expect("a plant");
    }

    /// Takes away what could not be put back.
    pub fn clear(&self) {
        self.clear_below(self.volume);
    }

    fn clear_below(&self, folder: &Path) {
        let hard = fs::metadata(self.canary.hard()).expect("a canary");
        // The publisher is at work here too: what was there may be gone.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(meta) = path.symlink_metadata() else { continue };
            let led = fs::read_link(&path).is_ok_and(|to| to.starts_with(self.canary.root()));
            let theirs = path.join("theirs").symlink_metadata().is_ok();
            if meta.is_dir() && !theirs {
                self.clear_below(&path);
                continue;
            }
            let is_fifo = std::os::unix::fs::FileTypeExt::is_fifo(&meta.file_type());
            let is_hard = std::os::unix::fs::MetadataExt::ino(&meta)
                == std::os::unix::fs::MetadataExt::ino(&hard);
            if led || theirs || is_fifo || is_hard {
                remove(&path);
            }
        }
    }
}

/// Long enough for some calls of the publisher, or for none.
fn linger() {
    let until = Instant::now() + Duration::from_micros(fastrand::u64(..400));
    while Instant::now() < until {
        std::thread::yield_now();
    }
}

/// Whatever it is, following no link.
pub fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).unwrap_or_default(),
        Ok(_) => fs::remove_file(path).unwrap_or_default(),
        Err(_) => {}
    }
}

fn open(folder: impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> Option<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty()).ok()
}

fn names(folder: &OwnedFd) -> Vec<String> {
    let Ok(entries) = rustix::fs::Dir::read_from(folder) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name != "." && name != "..").collect()
}

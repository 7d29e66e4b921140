//! A rendering made visible on the volume, numbered; and when that was, in the machine's own time.
//!
//! Must not hold content: names, sizes, modes and digests only.

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    rendering::{self, Access, OutputPath},
};

/// One file of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Content bytes.
    pub size: u64,
    /// Mode and ownership.
    pub access: Access,
    /// The digest of the content.
    pub digest: Digest,
}

/// What is known of a generation: the manifest's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Order on this volume, and nothing else.
    pub number: u64,
    /// The rendering digest.
    pub rendering: Digest,
    /// Each file by path.
    pub files: BTreeMap<OutputPath, FileRecord>,
    /// The revision of each source's snapshot.
    pub sources: BTreeMap<String, u64>,
}

impl Generation {
    /// The digest over the files that `only` picks; `None` if it picks none.
    pub fn digest_of(&self, only: impl Fn(&OutputPath) -> bool) -> Option<Digest> {
        let mut picked = self.files.iter().filter(|(path, _)| only(path)).peekable();
        picked.peek()?;
        Some(rendering::digest(picked.map(|(path, file)| (path, &file.access, &file.digest))))
    }

    /// Paths that are new, gone or different from `other`.
    pub fn changed_from(&self, other: Option<&Self>) -> Vec<OutputPath> {
        let none = BTreeMap::new();
        let before = other.map_or(&none, |other| &other.files);
        let differs = |(path, file): &(&OutputPath, &FileRecord)| before.get(*path) != Some(*file);
        let gone = before.keys().filter(|path| !self.files.contains_key(*path));
        let mut paths: Vec<_> = self.files.iter().filter(differs).map(|(path, _)| path).collect();
        paths.extend(gone);
        paths.sort();
        paths.into_iter().cloned().collect()
    }
}

/// A moment in the machine's own time: which boot, and how long after it. Never wall clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootTime {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// `CLOCK_BOOTTIME`.
    pub since_boot: Duration,
}

impl BootTime {
    /// How long ago this was; `None` if it was in another boot.
    pub fn elapsed(&self) -> Option<Duration> {
        let now = Self::now();
        (now.boot_id == self.boot_id).then(|| now.since_boot.saturating_sub(self.since_boot))
    }

    /// Now.
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
        Self { boot_id: boot_id().to_owned(), since_boot: Duration::new(seconds, nanos) }
    }
}

/// It cannot change while we run. Without the file all moments count as one boot: only the order of
/// times is left.
fn boot_id() -> &'static str {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    BOOT_ID.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        text.trim().to_owned()
    })
}

/// A generation that readers see, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visible {
    /// What it is.
    pub generation: Generation,
    /// When it was flipped; unknown for one that was adopted without a journal.
    pub flipped: Option<BootTime>,
}

//! What is on a simulated volume, and what of it survives.
//!
//! Keeps the promises that `rehup::publish` documents, in memory. What the real one does in each
//! system call is tested on a real file system.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use rehup::{
    digest::{Digest, DigestKey},
    generation::{BootTime, FileRecord, Generation, Visible},
    journal::{self, Entry, Journal},
    publish::{Inputs, Opened, PublishError, Published, Staged},
    rendering::{OutputPath, Rendering},
};
use tokio::time::Instant;

/// How many earlier generations are kept.
const KEEP: usize = 2;

/// The bytes of each file.
pub type Files = BTreeMap<OutputPath, Bytes>;

/// A generation with its files.
#[derive(Clone)]
pub struct Whole {
    pub generation: Generation,
    pub files: Files,
}

/// What was visible before a flip, and what was kept.
type Before = (Option<(Whole, BootTime)>, Vec<Whole>);

/// A volume. What is not marked as memory is on it.
pub struct Disk {
    start: Instant,
    boot: u32,
    pub visible: Option<(Whole, BootTime)>,
    kept: Vec<Whole>,
    pub journal: Journal,
    memory: Option<Vec<u8>>,
    inputs: Option<Inputs>,
    /// Somebody else changed what is visible.
    pub drift: Option<String>,
    next: u64,
    /// In memory: the journal as the writer has it, ahead after a failed write.
    pub known: Journal,
    /// In memory: what is staged.
    staged: Option<Whole>,
    /// In memory: rollback candidates.
    protect: BTreeSet<u64>,
    /// What a power cut may bring back.
    undurable: Option<Before>,
}

/// How a volume may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Full,
    Broken,
}

impl Failure {
    /// As the volume would say it.
    pub fn error(self, action: &'static str) -> PublishError {
        let kind = match self {
            Self::Full => std::io::ErrorKind::StorageFull,
            Self::Broken => std::io::ErrorKind::Other,
        };
        PublishError::Io { action, path: PathBuf::from("/simulated"), source: kind.into() }
    }
}

impl Disk {
    /// An empty volume.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            boot: 1,
            visible: None,
            kept: Vec::new(),
            journal: Journal::default(),
            memory: None,
            inputs: None,
            drift: None,
            next: 1,
            known: Journal::default(),
            staged: None,
            protect: BTreeSet::new(),
            undurable: None,
        }
    }

    /// Now, in the machine's own time.
    pub fn now(&self) -> BootTime {
        BootTime { boot_id: self.boot.to_string(), since_boot: self.start.elapsed() }
    }

    /// Opens what is there, as the next process finds it.
    pub fn open(&mut self) -> Opened {
        self.staged = None;
        self.protect.clear();
        self.undurable = None;
        let listed = |number| self.journal.published.iter().any(|it| it.number == number);
        self.kept.retain(|kept| listed(kept.generation.number));
        self.known = self.journal.clone();
        let visible = self.visible.as_ref().map(|(whole, flipped)| {
            let number = whole.generation.number;
            if !listed(number) {
                self.known.published.push(published(&whole.generation, flipped, false));
                self.known.targets.values_mut().for_each(|target| target.settled = None);
            }
            let flipped = listed(number).then(|| flipped.clone());
            Visible { generation: whole.generation.clone(), flipped }
        });
        self.journal = self.known.clone();
        if let Some(inputs) = &mut self.inputs {
            inputs.ended += 1;
        }
        Opened {
            visible,
            kept: self.kept.iter().map(|kept| kept.generation.clone()).collect(),
            journal: self.journal.clone(),
            memory: self.memory.clone(),
            key: DigestKey::new([7; 32]),
            drift: self.drift.clone(),
            inputs: self.inputs,
        }
    }

    /// The power goes: what was not synced may be undone, and the machine's time starts anew.
    pub fn lose_power(&mut self, loses: bool) {
        if let Some((visible, kept)) = self.undurable.take().filter(|_| loses) {
            (self.visible, self.kept) = (visible, kept);
        }
        if loses {
            self.inputs = None;
        }
        self.boot += 1;
        self.start = Instant::now();
    }

    pub fn stage(&mut self, rendering: &Rendering, sources: BTreeMap<String, u64>) -> Staged {
        let files = rendering.files().iter();
        let files = files.map(|(path, file)| (path.clone(), file.bytes.clone())).collect();
        let records = rendering.files().iter().map(|(path, file)| {
            let size = file.bytes.len() as u64;
            (path.clone(), FileRecord { size, access: file.access, digest: file.digest })
        });
        let generation = Generation {
            number: self.next,
            rendering: *rendering.digest(),
            files: records.collect(),
            sources,
        };
        self.place(Whole { generation, files })
    }

    pub fn restage(&mut self, number: u64) -> Result<Staged, PublishError> {
        let kept = self.kept.iter().find(|kept| kept.generation.number == number).cloned();
        let gone = PublishError::NotKept {
            path: PathBuf::from("/simulated"),
            number,
            what: "it is not kept any more",
        };
        let mut again = kept.ok_or(gone)?;
        again.generation.number = self.next;
        Ok(self.place(again))
    }

    fn place(&mut self, whole: Whole) -> Staged {
        self.next += 1;
        let generation = whole.generation.clone();
        self.staged = Some(whole);
        Staged { dir: PathBuf::from("/simulated").join(generation.number.to_string()), generation }
    }

    /// What would become visible.
    pub fn staged(&self) -> Option<&Whole> {
        self.staged.as_ref()
    }

    pub fn discard(&mut self) {
        self.staged = None;
    }

    /// The flip alone. The journal is written after it, by [`Self::write_journal`].
    pub fn flip(&mut self, rollback: bool) -> Option<Published> {
        let whole = self.staged.take()?;
        let flipped = self.now();
        let before = self.visible.as_ref().map(|(whole, _)| &whole.generation);
        let changed = whole.generation.changed_from(before);
        let generation = whole.generation.clone();
        self.undurable = Some((self.visible.clone(), self.kept.clone()));
        if let Some((old, _)) = self.visible.replace((whole, flipped.clone())) {
            self.kept.push(old);
        }
        self.drift = None;
        self.known.published.push(published(&generation, &flipped, rollback));
        let visible = Visible { generation, flipped: Some(flipped) };
        Some(Published { visible, changed, not_durable: true })
    }

    /// The flip was synced.
    pub fn sync(&mut self) {
        self.undurable = None;
    }

    pub fn write_journal(&mut self) {
        let visible = self.visible.as_ref().map(|(whole, _)| whole.generation.number);
        let kept = &self.kept;
        self.known.published.retain(|it| {
            Some(it.number) == visible
                || kept.iter().any(|kept| kept.generation.number == it.number)
        });
        self.journal = self.known.clone();
    }

    /// Applies a change in memory; [`Self::write_journal`] makes it last.
    pub fn apply(&mut self, entry: Entry) -> Arc<Journal> {
        self.known.apply(entry);
        Arc::new(self.known.clone())
    }

    pub fn collect(&mut self, protect: BTreeSet<u64>) -> Vec<Generation> {
        self.protect = protect;
        self.make_room(KEEP);
        self.kept.iter().map(|kept| kept.generation.clone()).collect()
    }

    fn make_room(&mut self, keep: usize) {
        let go = self.kept.len().saturating_sub(keep);
        let (mut index, protect) = (0, &self.protect);
        self.kept.retain(|kept| {
            index += 1;
            index > go || protect.contains(&kept.generation.number)
        });
    }

    pub fn remember(&mut self, memory: Vec<u8>) {
        self.memory = Some(memory);
    }

    pub fn mark(&mut self, digest: Option<Digest>) {
        let same = self.inputs.filter(|inputs| Some(inputs.digest) == digest);
        self.inputs = digest.map(|digest| same.unwrap_or(Inputs { digest, ended: 0 }));
    }
}

fn published(generation: &Generation, flipped: &BootTime, rollback: bool) -> journal::Published {
    journal::Published {
        number: generation.number,
        rendering: generation.rendering,
        folder: format!("..gen-{}-fake", generation.number),
        flipped: flipped.clone(),
        rollback,
    }
}

//! What must survive us: which generations were published, what each target settled, what is
//! quarantined. One small JSON file, `..rehup/journal`, written whole by the volume's thread.
//!
//! Owns the record and its transitions; must not touch the volume.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, generation::BootTime};

/// The whole record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journal {
    /// Published generations that may still be on the volume, oldest first.
    pub published: Vec<Published>,
    /// What each target settled, by name.
    pub targets: BTreeMap<String, TargetRecord>,
    /// Rendering digests that are not to be published.
    pub quarantined: BTreeSet<Digest>,
}

/// One publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The generation's number.
    pub number: u64,
    /// The rendering digest.
    pub rendering: Digest,
    /// Its folder's name; empty in the `files` layout.
    pub folder: String,
    /// When it was flipped.
    pub flipped: BootTime,
    /// A rollback put it there, so the newest view is not what it shows.
    #[serde(default)]
    pub rollback: bool,
}

/// What one target settled. Digests are over the files that its `only` picks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetRecord {
    /// The last settled reload; none while an attempt is in flight.
    pub settled: Option<Settled>,
    /// The attempt in flight.
    pub attempt: Option<Attempt>,
    /// Digests that it confirmed, newest last, for rollback.
    pub confirmed: Vec<Digest>,
    /// Digests that it rejected, newest last: no rollback candidates.
    pub rejected: Vec<Digest>,
}

/// A settled reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// What the target was told.
    pub digest: Digest,
    /// Which generation that was.
    pub generation: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// An attempt whose end is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What the target is being told.
    pub digest: Digest,
    /// Which generation that is.
    pub generation: u64,
}

/// How a reload ended, or why it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Settled: there is evidence.
    Confirmed,
    /// Settled: it said no.
    Rejected,
    /// Settled: nobody can know.
    Unknown,
    /// Owed: nobody there.
    NotUp,
    /// Owed: set up wrong.
    Misconfigured,
}

impl Outcome {
    /// The outcome in the words of metrics, logs and status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::NotUp => "not_up",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// Whether nothing is owed after it.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Confirmed | Self::Rejected | Self::Unknown)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One change of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An attempt starts: "settled" is cleared, so that a change that goes back is told too.
    Attempt(String, Attempt),
    /// A reload is settled.
    Settled(String, Settled),
    /// These are the configured targets; the debts of all others are dropped.
    Targets(BTreeSet<String>),
    /// An operator wants a settled reload again.
    Repeat(String),
    /// This rendering is not to be published.
    Quarantine(Digest),
    /// This rendering may be published again.
    Unquarantine(Digest),
    /// The rendering changed: nothing is quarantined any more but this.
    KeepQuarantine(Option<Digest>),
}

/// How many digests of each kind a target keeps.
const KEPT: usize = 16;

impl Journal {
    /// Applies one change.
    pub fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Attempt(name, attempt) => {
                let target = self.targets.entry(name).or_default();
                target.settled = None;
                target.attempt = Some(attempt);
            }
            Entry::Settled(name, settled) => {
                let target = self.targets.entry(name).or_default();
                match settled.outcome {
                    Outcome::Confirmed => {
                        target.rejected.retain(|digest| *digest != settled.digest);
                        push(&mut target.confirmed, settled.digest);
                    }
                    Outcome::Rejected => push(&mut target.rejected, settled.digest),
                    _ => {}
                }
                target.attempt = None;
                target.settled = Some(settled);
            }
            Entry::Targets(names) => self.targets.retain(|name, _| names.contains(name)),
            Entry::Repeat(name) => {
                if let Some(target) = self.targets.get_mut(&name) {
                    target.settled = None;
                }
            }
            Entry::Quarantine(digest) => {
                self.quarantined.insert(digest);
            }
            Entry::Unquarantine(digest) => {
                self.quarantined.remove(&digest);
            }
            Entry::KeepQuarantine(kept) => self.quarantined.retain(|digest| Some(*digest) == kept),
        }
    }
}

fn push(digests: &mut Vec<Digest>, digest: Digest) {
    digests.retain(|known| *known != digest);
    digests.push(digest);
    if digests.len() > KEPT {
        digests.remove(0);
    }
}

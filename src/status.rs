//! What is known right now: one record that every task writes its part of and the admin endpoint
//! reads.
//!
//! Owns what "fresh" means. Must not act on anything, and must not hold values or plain digests.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use crate::{generation::Generation, journal::Outcome};

mod report;
mod source;

pub use report::Report;
pub use source::{SourceFault, SourceState, SourceStatus};

/// How long a proof holds: after that a source is stale.
pub const FRESH_FOR: Duration = Duration::from_secs(60);

/// The whole record.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Each configured source.
    pub sources: BTreeMap<String, SourceStatus>,
    /// Each configured target.
    pub targets: BTreeMap<String, TargetStatus>,
    /// The generation that readers see.
    pub generation: Option<GenerationStatus>,
    /// What stands between the newest view and the volume, by cause, each in one sentence.
    pub causes: BTreeMap<Cause, String>,
    /// Why the configuration on disk is not the one in use.
    pub config_refused: Option<String>,
    /// The newest view is not on the volume yet, since then.
    pub behind_since: Option<Instant>,
    /// A snapshot waits for the pipeline to look at it, since then.
    pub unseen_since: Option<Instant>,
    /// Keyed digests of renderings that are not to be published.
    pub quarantined: Vec<String>,
    /// Whether Landlock confines this process: `off`, `on` or why not.
    pub confined: String,
}

/// Why the volume may not be the rendering of what the stores hold now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A source was not proven current within a minute.
    Source,
    /// A snapshot is held by the guard.
    Held,
    /// The newest view cannot be rendered.
    Render,
    /// A check said no.
    Check,
    /// The volume refused.
    Publish,
    /// Another Rehup has the volume.
    Lock,
    /// The newest rendering was rejected and rolled back.
    Quarantined,
    /// The configuration on disk is wrong.
    ConfigRefused,
}

impl Cause {
    /// All causes, for metrics.
    pub const ALL: [Self; 8] = [
        Self::Source,
        Self::Held,
        Self::Render,
        Self::Check,
        Self::Publish,
        Self::Lock,
        Self::Quarantined,
        Self::ConfigRefused,
    ];

    /// The cause in the words of metrics and `/freshz`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Held => "held",
            Self::Render => "render",
            Self::Check => "check",
            Self::Publish => "publish",
            Self::Lock => "lock",
            Self::Quarantined => "quarantined",
            Self::ConfigRefused => "config_refused",
        }
    }
}

/// A snapshot that the guard holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// The keyed snapshot digest: what an operator accepts.
    pub digest: String,
    /// How many keys it has.
    pub keys: usize,
    /// How many keys are gone.
    pub removed: usize,
    /// Why, in one sentence.
    pub reason: String,
    /// Since when.
    pub since: Instant,
}

/// One target.
#[derive(Clone, Debug, Default)]
pub struct TargetStatus {
    /// A reload is owed, since then.
    pub owed_since: Option<Instant>,
    /// The newest outcome, settled or not.
    pub outcome: Option<Outcome>,
    /// The generation of that outcome.
    pub generation: Option<u64>,
    /// What there is to say: the evidence, or why not, in one sentence.
    pub detail: String,
    /// Reloads and attempts by outcome.
    pub counts: BTreeMap<Outcome, u64>,
}

/// The generation that readers see.
#[derive(Clone, Debug)]
pub struct GenerationStatus {
    /// Its number.
    pub number: u64,
    /// The keyed rendering digest.
    pub digest: String,
    /// How many files it has.
    pub files: usize,
    /// Seconds of the wall clock, for people.
    pub unix_seconds: f64,
    /// When the change that made it arrived; unknown for an adopted one.
    pub arrived: Option<Instant>,
    /// Something on the volume is not what the manifest says.
    pub drift: Option<String>,
    /// The flip may not survive a power cut.
    pub not_durable: bool,
    /// A rollback put it there.
    pub rollback: bool,
}

impl GenerationStatus {
    /// A generation that was found on the volume; `digest` is its keyed rendering digest, empty
    /// while the volume's key is out of reach.
    pub fn adopted(generation: &Generation, digest: String) -> Self {
        Self {
            number: generation.number,
            digest,
            files: generation.files.len(),
            unix_seconds: 0.0,
            arrived: None,
            drift: None,
            not_durable: false,
            rollback: false,
        }
    }
}

impl Status {
    /// Every reason why the volume cannot be vouched for at `now`; empty when it is fresh.
    pub fn stale(&self, now: Instant) -> Vec<(Cause, String)> {
        let mut causes: Vec<(Cause, String)> = Vec::new();
        for (name, source) in &self.sources {
            if let Some(why) = source.stale(now) {
                causes.push((Cause::Source, format!("{name} {why}")));
            }
            if let Some(held) = &source.held {
                causes.push((Cause::Held, format!("{name}: {}", held.reason)));
            }
        }
        let waited = |since: Option<Instant>| {
            let waited = now.saturating_duration_since(since?);
            (waited > FRESH_FOR).then_some(waited.as_secs())
        };
        if let Some(seconds) = waited(self.unseen_since) {
            causes
                .push((Cause::Publish, format!("nobody has looked at a snapshot for {seconds}s")));
        }
        if let Some(seconds) = waited(self.behind_since)
            && self.causes.is_empty()
        {
            causes.push((Cause::Publish, format!("the newest view has waited for {seconds}s")));
        }
        causes.extend(self.causes.iter().map(|(cause, why)| (*cause, why.clone())));
        causes.extend(self.config_refused.iter().map(|why| (Cause::ConfigRefused, why.clone())));
        if self.generation.is_none() && causes.is_empty() {
            causes.push((Cause::Publish, "no generation is visible yet".to_owned()));
        }
        causes
    }
}

/// The handle through which tasks write their part.
#[derive(Clone, Debug)]
pub struct Board(watch::Sender<Status>);

impl Default for Board {
    fn default() -> Self {
        Self(watch::Sender::new(Status::default()))
    }
}

impl Board {
    /// Changes the record. The change must be quick: everyone waits for it.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        self.0.send_modify(change);
    }

    /// Changes one source's part, if it is still configured.
    pub fn source(&self, name: &str, change: impl FnOnce(&mut SourceStatus)) {
        self.update(|status| {
            if let Some(source) = status.sources.get_mut(name) {
                change(source);
            }
        });
    }

    /// Changes one target's part, if it is still configured.
    pub fn target(&self, name: &str, change: impl FnOnce(&mut TargetStatus)) {
        self.update(|status| {
            if let Some(target) = status.targets.get_mut(name) {
                change(target);
            }
        });
    }

    /// A copy of the record.
    pub fn read(&self) -> Status {
        self.0.borrow().clone()
    }

    /// Follows the record.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_that_nobody_looks_at_is_told_after_a_minute() {
        let generation = GenerationStatus {
            number: 1,
            digest: String::new(),
            files: 1,
            unix_seconds: 0.0,
            arrived: None,
            drift: None,
            not_durable: false,
            rollback: false,
        };
        let since = Instant::now();
        let status =
            Status { generation: Some(generation), unseen_since: Some(since), ..Status::default() };
        assert!(status.stale(since + FRESH_FOR).is_empty());
        let causes = status.stale(since + FRESH_FOR + Duration::from_secs(1));
        assert_eq!(causes.iter().map(|(cause, _)| *cause).collect::<Vec<_>>(), [Cause::Publish]);
    }
}

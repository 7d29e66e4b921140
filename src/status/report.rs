//! The status as it is told outside: the JSON of `/status`, and the same for people.

use std::{collections::BTreeMap, fmt::Write as _};

use providers::WatchMode;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Status;

/// The whole status, for machines.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Rehup's own version.
    pub version: String,
    /// Readers see a whole generation.
    pub ready: bool,
    /// Nothing stands between the stores and the volume.
    pub fresh: bool,
    /// What stands between them.
    pub causes: Vec<CauseReport>,
    /// The generation that readers see.
    pub generation: Option<GenerationReport>,
    /// Each source.
    pub sources: BTreeMap<String, SourceReport>,
    /// Each target.
    pub targets: BTreeMap<String, TargetReport>,
    /// Keyed digests of renderings that are not to be published.
    pub quarantined: Vec<String>,
    /// Whether Landlock confines this process: `off`, `on` or why not.
    pub confined: String,
}

/// One cause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CauseReport {
    /// `source`, `held`, `render`, `check`, `publish`, `lock`, `quarantined`, `config_refused`.
    pub cause: String,
    /// In one sentence.
    pub why: String,
}

/// The visible generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GenerationReport {
    /// Its number.
    pub number: u64,
    /// Its keyed rendering digest.
    pub digest: String,
    /// How many files it has.
    pub files: usize,
    /// When it became visible, in seconds of the wall clock.
    pub unix_seconds: f64,
    /// What is not as the manifest says.
    pub drift: Option<String>,
    /// The flip may not survive a power cut.
    pub not_durable: bool,
    /// A rollback put it there.
    pub rollback: bool,
}

/// One source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceReport {
    /// `consul`, `etcd` or `files`.
    pub provider: String,
    /// `live`, `resyncing` or `degraded(<reason>)`.
    pub state: String,
    /// The newest revision.
    pub revision: Option<u64>,
    /// How many keys.
    pub keys: usize,
    /// Seconds since it was last proven current.
    pub age_seconds: Option<f64>,
    /// The error that stands now, with its kind in front.
    pub error: Option<String>,
    /// How changes are noticed, where that may differ: `events` or `poll`.
    pub watch: Option<String>,
    /// Why a part of it will never update.
    pub frozen: Option<String>,
    /// What the guard holds.
    pub held: Option<HeldReport>,
}

/// A held snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldReport {
    /// The keyed snapshot digest: accept it with `POST /-/reload?accept=SOURCE:DIGEST`.
    pub digest: String,
    /// How many keys it has.
    pub keys: usize,
    /// How many are gone.
    pub removed: usize,
    /// Why.
    pub reason: String,
}

/// One target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetReport {
    /// A reload is owed for this many seconds.
    pub owed_seconds: Option<f64>,
    /// The newest outcome.
    pub outcome: Option<String>,
    /// Its generation.
    pub generation: Option<u64>,
    /// The evidence, or why not.
    pub detail: String,
}

impl Report {
    /// The status at `now`.
    pub fn of(status: &Status, now: Instant) -> Self {
        let seconds = |at: Instant| now.saturating_duration_since(at).as_secs_f64();
        let causes = status.stale(now);
        let cause = |(cause, why): &(super::Cause, String)| CauseReport {
            cause: cause.as_str().to_owned(),
            why: why.clone(),
        };
        let source = |source: &super::SourceStatus| SourceReport {
            provider: source.provider.to_owned(),
            state: source.state(now).to_string(),
            revision: source.revision,
            keys: source.keys,
            age_seconds: source.proven.map(seconds),
            error: source.error.as_ref().map(|fault| format!("{}: {}", fault.kind, fault.message)),
            watch: source.watch.map(|mode| mode.to_string()),
            frozen: source.frozen.clone(),
            held: source.held.as_ref().map(|held| HeldReport {
                digest: held.digest.clone(),
                keys: held.keys,
                removed: held.removed,
                reason: held.reason.clone(),
            }),
        };
        let target = |target: &super::TargetStatus| TargetReport {
            owed_seconds: target.owed_since.map(seconds),
            outcome: target.outcome.map(|outcome| outcome.as_str().to_owned()),
            generation: target.generation,
            detail: target.detail.clone(),
        };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: status.generation.is_some(),
            fresh: causes.is_empty(),
            causes: causes.iter().map(cause).collect(),
            generation: status.generation.as_ref().map(|generation| GenerationReport {
                number: generation.number,
                digest: generation.digest.clone(),
                files: generation.files,
                unix_seconds: generation.unix_seconds,
                drift: generation.drift.clone(),
                not_durable: generation.not_durable,
                rollback: generation.rollback,
            }),
            sources: status.sources.iter().map(|(name, it)| (name.clone(), source(it))).collect(),
            targets: status.targets.iter().map(|(name, it)| (name.clone(), target(it))).collect(),
            quarantined: status.quarantined.clone(),
            confined: status.confined.clone(),
        }
    }

    /// The status for people: one line for each thing.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to a string");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let word = |yes, word: &'static str, no: &'static str| if yes { word } else { no };
        let ready = word(self.ready, "ready", "not ready");
        let fresh = word(self.fresh, "fresh", "not fresh");
        writeln!(out, "rehup {}: {ready}, {fresh}", self.version)?;
        for cause in &self.causes {
            writeln!(out, "  {}: {}", cause.cause, cause.why)?;
        }
        match &self.generation {
            None => writeln!(out, "generation: none")?,
            Some(generation) => {
                let GenerationReport { number, digest, files, .. } = generation;
                writeln!(out, "generation {number}: {files} files, digest {digest}")?;
                if let Some(drift) = &generation.drift {
                    writeln!(out, "  drift: {drift}")?;
                }
                if generation.rollback {
                    writeln!(out, "  published by a rollback")?;
                }
                if generation.not_durable {
                    writeln!(out, "  not durable: a power cut may undo the flip")?;
                }
            }
        }
        for (name, source) in &self.sources {
            let age = source.age_seconds.map_or("never".to_owned(), |age| format!("{age:.0}s ago"));
            let revision = source.revision.map_or("-".to_owned(), |number| number.to_string());
            let SourceReport { provider, state, keys, .. } = source;
            writeln!(
                out,
                "source {name} ({provider}): {state}, {keys} keys at revision {revision}, proven {age}"
            )?;
            if let Some(error) = &source.error {
                writeln!(out, "  {error}")?;
            }
            if source.watch.as_deref() == Some(WatchMode::Poll.as_str()) {
                writeln!(out, "  no events tell of changes here")?;
            }
            if let Some(frozen) = &source.frozen {
                writeln!(out, "  {frozen}")?;
            }
            if let Some(held) = &source.held {
                writeln!(out, "  held {}: {}", held.digest, held.reason)?;
            }
        }
        for (name, target) in &self.targets {
            let outcome = target.outcome.as_deref().unwrap_or("nothing told yet");
            let generation = target.generation.map(|number| format!(" for generation {number}"));
            let owed = target.owed_seconds.map(|seconds| format!(", owed for {seconds:.0}s"));
            writeln!(
                out,
                "target {name}: {outcome}{}{}",
                generation.unwrap_or_default(),
                owed.unwrap_or_default()
            )?;
            if !target.detail.is_empty() {
                writeln!(out, "  {}", target.detail)?;
            }
        }
        for digest in &self.quarantined {
            writeln!(out, "quarantined: {digest}")?;
        }
        Ok(())
    }
}

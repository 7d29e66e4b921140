//! One source's part of the status, and what its state is called.
//!
//! Owns the words `live`, `resyncing` and `degraded`. Must not decide what is done about them.

use std::{collections::BTreeMap, fmt};

use providers::{Doubt, ErrorKind, Note, WatchMode};
use tokio::time::Instant;

use super::{FRESH_FOR, Held};

/// One source.
#[derive(Clone, Debug, Default)]
pub struct SourceStatus {
    /// `consul`, `etcd` or `files`.
    pub provider: &'static str,
    /// The newest revision seen.
    pub revision: Option<u64>,
    /// How many keys the newest snapshot has.
    pub keys: usize,
    /// When it was last proven current.
    pub proven: Option<Instant>,
    /// The error that stands now.
    pub error: Option<SourceFault>,
    /// Why the newest snapshot may show less than there is.
    pub doubts: Vec<Doubt>,
    /// Everything is being read anew.
    pub resyncing: bool,
    /// The snapshot that the guard holds.
    pub held: Option<Held>,
    /// Full re-reads by reason.
    pub resyncs: BTreeMap<&'static str, u64>,
    /// How changes are noticed, where that may differ.
    pub watch: Option<WatchMode>,
    /// Why a part of it will never update.
    pub frozen: Option<String>,
}

/// An error that stands.
#[derive(Clone, Debug)]
pub struct SourceFault {
    /// Its class.
    pub kind: ErrorKind,
    /// The chain, in one line.
    pub message: String,
    /// Since when.
    pub since: Instant,
}

/// How far a source can be trusted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// What we hold is what the store holds, as of the last proof.
    Live,
    /// Everything is being read anew.
    Resyncing,
    /// What we hold may be out of date, for this reason.
    Degraded(&'static str),
}

impl SourceState {
    /// All words, for metrics.
    pub const WORDS: [&str; 3] = ["live", "resyncing", "degraded"];

    /// The state without its reason.
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Resyncing => "resyncing",
            Self::Degraded(_) => "degraded",
        }
    }
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Degraded(reason) => write!(f, "degraded({reason})"),
            state => f.write_str(state.word()),
        }
    }
}

impl SourceStatus {
    /// Takes what the provider says about the way it follows; true if that is news.
    pub fn note(&mut self, note: &Note) -> bool {
        match note {
            Note::Watch(mode) => self.watch.replace(*mode) != Some(*mode),
            Note::Frozen(why) => std::mem::replace(&mut self.frozen, why.clone()) != *why,
            Note::Lost(reason) => {
                *self.resyncs.entry(reason).or_default() += 1;
                self.resyncing = true;
                true
            }
        }
    }

    /// How far the source can be trusted at `now`: an error or a doubt shows at once, a proof that
    /// does not come when it is too old.
    pub fn state(&self, now: Instant) -> SourceState {
        if let Some(fault) = &self.error {
            return SourceState::Degraded(fault.kind.as_str());
        }
        if let Some(doubt) = self.doubts.first() {
            return SourceState::Degraded(doubt.as_str());
        }
        match self.age(now) {
            None => SourceState::Resyncing,
            Some(age) if age > FRESH_FOR => SourceState::Degraded("unproven"),
            Some(_) if self.resyncing => SourceState::Resyncing,
            Some(_) => SourceState::Live,
        }
    }

    /// How long ago it was last proven current.
    pub fn age(&self, now: Instant) -> Option<std::time::Duration> {
        self.proven.map(|at| now.saturating_duration_since(at))
    }

    /// Why it does not count as fresh at `now`, in one sentence; none while its last proof is
    /// younger than a minute.
    pub(super) fn stale(&self, now: Instant) -> Option<String> {
        let age = self.age(now);
        if age.is_some_and(|age| age <= FRESH_FOR) {
            return None;
        }
        let state = self.state(now);
        let fault = self.error.as_ref().map(|fault| format!(": {}", fault.message));
        let fault = fault.unwrap_or_default();
        Some(match age {
            None => format!("was never read, {state}{fault}"),
            Some(age) => format!("was last proven {}s ago, {state}{fault}", age.as_secs()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_error_or_a_doubt_shows_at_once_and_a_missing_proof_after_a_minute() {
        let now = Instant::now();
        let mut status = SourceStatus::default();
        assert_eq!(status.state(now), SourceState::Resyncing, "never read");
        status.proven = Some(now);
        assert_eq!(status.state(now), SourceState::Live);
        assert_eq!(status.state(now + FRESH_FOR), SourceState::Live);
        let late = now + FRESH_FOR + Duration::from_secs(1);
        assert_eq!(status.state(late), SourceState::Degraded("unproven"));
        status.resyncing = true;
        assert_eq!(status.state(now), SourceState::Resyncing);
        status.doubts = vec![Doubt::Filtered];
        assert_eq!(status.state(now).to_string(), "degraded(filtered)");
        let message = "refused".to_owned();
        status.error = Some(SourceFault { kind: ErrorKind::NoLeader, message, since: now });
        assert_eq!(status.state(now).to_string(), "degraded(no_leader)");
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_age_of_the_proof_makes_a_source_stale() {
        let now = Instant::now();
        let fault =
            SourceFault { kind: ErrorKind::Unavailable, message: "refused".to_owned(), since: now };
        let status =
            SourceStatus { proven: Some(now), error: Some(fault), ..SourceStatus::default() };
        assert_eq!(status.stale(now + FRESH_FOR), None);
        let told = status.stale(now + 2 * FRESH_FOR).expect("stale");
        assert_eq!(told, "was last proven 120s ago, degraded(unavailable): refused");
    }
}

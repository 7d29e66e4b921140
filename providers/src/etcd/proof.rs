//! When a proof is due and how far it is.
//!
//! A proof is a count that the leader answered and then a progress answer of the watch at or above
//! the count's revision: the count alone says nothing about the watch, the progress alone comes
//! also from a member that lost the cluster. Owns the timing; comparing is `watch`'s.

use std::{pin::Pin, time::Duration};

use etcd_client::GetOptions;
use tokio::time::{Instant, sleep_until};

use super::{
    failure::Failure,
    list::revision_of,
    range::Range,
    session::{Session, bounded},
};

/// A server drops a request that comes while the watch is not synced.
const UNSYNCED: Duration = Duration::from_millis(200);
/// A dropped request is asked again.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// Then the watch is no more believed to live.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How many keys the store held at a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) keys: i64,
    pub(super) revision: i64,
}

type Counting = Pin<Box<dyn Future<Output = Result<Count, Failure>> + Send>>;

enum Phase {
    Resting { until: Instant },
    Counting { as_of: Instant, applied: i64, call: Counting },
    Asking { as_of: Instant, count: Count, ask_at: Instant, end: Instant, differed: bool },
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Start the count.
    Count,
    /// Ask the watch for its progress.
    Ask,
}

/// The next proof of one watch.
pub(super) struct Proof {
    endpoint: String,
    every: Duration,
    phase: Phase,
}

impl Proof {
    /// The first proof of a watch that begins now.
    pub(super) fn new(endpoint: String, every: Duration) -> Self {
        let phase = Phase::Resting { until: Instant::now() + spread(every).max(UNSYNCED) };
        Self { endpoint, every, phase }
    }

    /// Waits for the next thing to do. Cancel safe: a dropped wait is taken up by the next call.
    pub(super) async fn turn(&mut self) -> Result<Turn, Failure> {
        match &mut self.phase {
            Phase::Resting { until } => {
                sleep_until(*until).await;
                Ok(Turn::Count)
            }
            Phase::Counting { as_of, applied, call } => {
                let count = call.await?;
                if count.revision < *applied {
                    return Err(Failure::went_back(
                        &self.endpoint,
                        applied.unsigned_abs(),
                        count.revision.unsigned_abs(),
                    ));
                }
                let now = Instant::now();
                let (ask_at, end) = (now + ASK_EVERY, now + ANSWER_WITHIN);
                self.phase = Phase::Asking { as_of: *as_of, count, ask_at, end, differed: false };
                Ok(Turn::Ask)
            }
            Phase::Asking { ask_at, end, .. } => {
                sleep_until((*ask_at).min(*end)).await;
                if Instant::now() >= *end {
                    return Err(Failure::timed_out(&self.endpoint, "a progress request"));
                }
                *ask_at += ASK_EVERY;
                Ok(Turn::Ask)
            }
        }
    }

    /// Starts the count; it runs while [`Proof::turn`] is awaited. A count from before `applied`
    /// is of another history.
    pub(super) fn count(&mut self, session: &Session, range: &Range, applied: i64) {
        let endpoint = self.endpoint.clone();
        let mut kv = session.kv();
        let start = range.start().to_vec();
        let options = GetOptions::new().with_range(range.end()).with_count_only();
        let call = Box::pin(async move {
            let call = kv.get(start, Some(options));
            let answer = bounded(&endpoint, "the count", call).await?;
            let revision = revision_of(&endpoint, &answer)?;
            Ok(Count { keys: answer.count(), revision })
        });
        self.phase = Phase::Counting { as_of: Instant::now(), applied, call };
    }

    /// The count that a progress answer at `revision` covers, with the time it was asked for.
    pub(super) fn answered(&self, revision: i64) -> Option<(Count, Instant)> {
        match self.phase {
            Phase::Asking { as_of, count, .. } if revision >= count.revision => {
                Some((count, as_of))
            }
            _ => None,
        }
    }

    /// What we hold is what was counted: the proof is over.
    pub(super) fn agreed(&mut self) {
        self.phase = Phase::Resting { until: Instant::now() + spread(self.every) };
    }

    /// What we hold differs from what was counted; false if it did so at the answer before too.
    /// Servers before 3.5.8 may answer ahead of events, which then come before the next answer.
    pub(super) fn may_differ(&mut self) -> bool {
        match &mut self.phase {
            Phase::Asking { differed, .. } => !std::mem::replace(differed, true),
            _ => false,
        }
    }
}

/// Up to a tenth earlier, so that many of us do not ask at the same time.
fn spread(every: Duration) -> Duration {
    every.mul_f64(1.0 - fastrand::f64() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, etcd::failure::Recovery};

    const EVERY: Duration = Duration::from_secs(30);

    /// A proof whose count is answered at once.
    fn counted(applied: i64, revision: i64) -> Proof {
        let call: Counting = Box::pin(async move { Ok(Count { keys: 3, revision }) });
        let phase = Phase::Counting { as_of: Instant::now(), applied, call };
        Proof { endpoint: "http://e".to_owned(), every: EVERY, phase }
    }

    #[tokio::test(start_paused = true)]
    async fn a_proof_is_due_within_its_interval_and_not_at_once() {
        let began = Instant::now();
        let turn = Proof::new("http://e".to_owned(), EVERY).turn().await;
        assert!(matches!(turn, Ok(Turn::Count)));
        assert!(began.elapsed() > UNSYNCED && began.elapsed() <= EVERY + ASK_EVERY);
        let mut hasty = Proof::new("http://e".to_owned(), Duration::ZERO);
        let began = Instant::now();
        assert!(hasty.turn().await.is_ok());
        assert!(began.elapsed() >= UNSYNCED);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_asked_for_again_until_the_watch_is_given_up() {
        let began = Instant::now();
        let mut proof = counted(5, 5);
        let mut asked = 0;
        let failure = loop {
            match proof.turn().await {
                Ok(Turn::Ask) => asked += 1,
                Ok(Turn::Count) => panic!("the count is there"),
                Err(failure) => break failure,
            }
        };
        assert_eq!(asked, 5);
        let expected = (ErrorKind::Unavailable, Recovery::Reconnect);
        assert_eq!((failure.error.kind, failure.recovery), expected);
        assert!(began.elapsed() <= ANSWER_WITHIN + ASK_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn only_progress_at_or_above_the_counts_revision_completes_a_proof() {
        let began = Instant::now();
        let mut proof = counted(5, 8);
        assert!(proof.answered(9).is_none(), "the count is not there yet");
        assert!(matches!(proof.turn().await, Ok(Turn::Ask)));
        assert!(proof.answered(7).is_none());
        assert_eq!(proof.answered(8), Some((Count { keys: 3, revision: 8 }, began)));
        proof.agreed();
        assert!(proof.answered(8).is_none(), "each proof counts anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_difference_is_believed_at_the_second_answer() {
        let mut proof = counted(5, 8);
        assert!(matches!(proof.turn().await, Ok(Turn::Ask)));
        assert!(proof.may_differ());
        assert!(matches!(proof.turn().await, Ok(Turn::Ask)), "it is asked again");
        assert!(!proof.may_differ());
    }

    #[tokio::test]
    async fn a_count_from_before_what_we_hold_is_another_history() {
        let failure = counted(5, 4).turn().await.expect_err("the store went back");
        assert_eq!(failure.error.kind, ErrorKind::Regressed);
    }
}

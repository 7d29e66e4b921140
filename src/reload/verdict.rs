//! A rejection that asks for a rollback, on its way to the pipeline.
//!
//! Must not decide the rollback.

use super::{Reloader, matcher::Matcher};
use crate::{config::shape::OnReject, digest::Digest, generation::Generation, journal::Outcome};

/// A generation that a target with `on_reject: rollback` rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The target.
    pub target: String,
    /// The generation's number.
    pub generation: u64,
    /// Its rendering digest.
    pub rendering: Digest,
}

impl<R> Reloader<R> {
    /// An earlier process may have ended between a rejection and its rollback.
    pub(super) async fn ask_again(&self, files: &Matcher) {
        let Some(visible) = self.generations.borrow().clone() else { return };
        let known = self.journal.targets.get(&self.target.name);
        let settled = known.and_then(|known| known.settled.as_ref());
        let digest = visible.generation.digest_of(|path| files.matches(path));
        if let Some(settled) = settled.filter(|settled| Some(settled.digest) == digest) {
            self.ask_for_rollback(settled.outcome, &visible.generation).await;
        }
    }

    pub(super) async fn ask_for_rollback(&self, outcome: Outcome, rejected: &Generation) {
        if outcome == Outcome::Rejected && self.target.on_reject == OnReject::Rollback {
            let (target, generation) = (self.target.name.clone(), rejected.number);
            let verdict = Verdict { target, generation, rendering: rejected.rendering };
            // It fails only when the pipeline is gone: we are ending too.
            drop(self.verdicts.send(verdict).await);
        }
    }
}

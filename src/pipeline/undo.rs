//! Rollback and quarantine: a generation that a target rejected gives way to one that it confirmed.

use tokio::time::Instant;

use super::Pipeline;
use crate::{
    chain::chain,
    digest::Digest,
    journal::{Entry, Journal},
    publish::PublishError,
    reload::Verdict,
    status::Cause,
    world::{Publisher, Recorder, World},
};

impl<W: World> Pipeline<W> {
    /// Publishes the newest confirmed generation again and quarantines the rejected rendering.
    pub(super) async fn roll_back(&mut self, verdict: &Verdict) {
        let current = self.visible.as_ref().map(|visible| visible.generation.number);
        if current != Some(verdict.generation) {
            // A newer generation is visible: the verdict is about the past.
            return;
        }
        self.owed_undo = None;
        let (target, generation) = (verdict.target.as_str(), verdict.generation);
        if self.is_rollback {
            let why = format!("rollback_failed: {target} rejected generation {generation} too");
            self.rollback_failed = Some(why);
            return self.show_quarantined();
        }
        // The verdict came after its journal entry, which this task has not seen yet.
        if let Err(error) = self.journalled(Entry::Quarantine(verdict.rendering)).await {
            return self.undo_later(verdict, &error);
        }
        while let Some(number) = self.candidate(verdict) {
            match self.restore(number).await {
                Ok(()) => return self.show_quarantined(),
                // Somebody changed it where it is kept: an earlier one may be whole.
                Err(error @ PublishError::NotKept { .. }) => {
                    tracing::warn!(error = chain(&error), "it is passed over");
                    self.kept.retain(|kept| kept.number != number);
                }
                Err(error) => return self.undo_later(verdict, &error),
            }
        }
        tracing::warn!(target_name = target, generation, "no generation to roll back to");
        match self.journalled(Entry::Unquarantine(verdict.rendering)).await {
            Ok(()) => self.volume_works(),
            Err(error) => self.undo_later(verdict, &error),
        }
    }

    fn candidate(&self, verdict: &Verdict) -> Option<u64> {
        let (rejected, target) = (verdict.generation, verdict.target.as_str());
        self.plan.rollback.candidate(&self.journal, &self.kept, rejected, target)
    }

    /// A rollback stays owed until the volume takes it.
    fn undo_later(&mut self, verdict: &Verdict, error: &PublishError) {
        self.owed_undo = Some((verdict.clone(), Instant::now() + self.backoff.next(None)));
        self.volume_refused(error);
    }

    async fn restore(&mut self, number: u64) -> Result<(), PublishError> {
        let started = Instant::now();
        let staged = self.wires.world.volume().restage(number).await?;
        let rendering = staged.generation.rendering;
        let published = self.wires.world.volume().publish(staged, true).await?;
        self.flow.published(Some(rendering));
        self.became_visible(published, true, started);
        Ok(())
    }

    /// Quarantine ends when the rendering is another one.
    pub(super) async fn end_quarantine(&mut self, rendering: &Digest) {
        let outdated = |digest: &Digest| digest != rendering;
        if !self.journal.quarantined.iter().any(outdated) {
            return;
        }
        let kept = self.journal.quarantined.get(rendering).copied();
        if let Err(error) = self.journalled(Entry::KeepQuarantine(kept)).await {
            self.volume_refused(&error);
        }
    }

    /// An operator lets a quarantined rendering be published again; `false`: there is none.
    pub(super) async fn unquarantine(&mut self, shown: &str) -> bool {
        let key = &self.wires.key;
        let mut all = self.journal.quarantined.iter();
        let Some(digest) = all.find(|digest| key.show(digest) == shown).copied() else {
            return false;
        };
        tracing::info!(digest = shown, "quarantine lifted by an operator");
        if let Err(error) = self.journalled(Entry::Unquarantine(digest)).await {
            self.volume_refused(&error);
        }
        self.flow.retry(Instant::now());
        true
    }

    pub(super) fn show_quarantined(&self) {
        let shown: Vec<_> =
            self.journal.quarantined.iter().map(|digest| self.wires.key.show(digest)).collect();
        let rolled_back =
            || format!("the newest rendering was rejected and rolled back: {}", shown.join(", "));
        let why = self.rollback_failed.clone().unwrap_or_else(rolled_back);
        self.show_cause(Cause::Quarantined, Some(why));
    }

    /// Writes a change of the journal and takes the new record over.
    async fn journalled(&mut self, entry: Entry) -> Result<(), PublishError> {
        let volume = self.wires.world.volume();
        let (recorded, journal) = match volume.record(entry).await {
            Ok(journal) => (Ok(()), journal),
            // It holds all the same, and the next write carries it.
            Err(error) => match volume.journal().await {
                Ok(journal) => (Err(error), journal),
                Err(gone) => return Err(gone),
            },
        };
        self.take_journal(&journal);
        recorded
    }

    fn take_journal(&mut self, journal: &Journal) {
        self.journal = journal.clone();
        self.flow.quarantined(journal.quarantined.clone());
        let key = &self.wires.key;
        let shown = journal.quarantined.iter().map(|digest| key.show(digest)).collect();
        self.wires.board.update(|status| status.quarantined = shown);
    }
}

//! The middle of the flow, as one task: view, guard, settle, render, stage, checks, publish.
//!
//! Does what [`Flow`] decides. Must not touch a target, write the volume itself, or wait for a
//! store: it takes what is newest and goes on.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    chain::chain,
    digest::Digest,
    failpoint,
    flow::Flow,
    generation::{Generation, Visible},
    journal::Journal,
    publish::{Opened, PublishError},
    reload::Verdict,
    status::Cause,
    world::{Publisher, World},
};

mod produce;
mod report;
mod undo;
mod wires;

pub use wires::{Command, Connections, Plan};

/// What the guard remembers is tried again after this, where the volume refused it.
const MEMORY_AGAIN: Duration = Duration::from_secs(1);

/// How often the pipeline looks after the volume.
const TICK: Duration = Duration::from_secs(15);

/// How long after a flip old generations are collected: the volume's thread has the reload's journal
/// to write first.
const COLLECT_AFTER: Duration = Duration::from_secs(1);

/// How often inputs may end the process before they are held.
const FATAL: u32 = 2;

/// The pipeline's task.
pub struct Pipeline<W> {
    flow: Flow,
    plan: Plan,
    wires: Connections<W>,
    kept: Vec<Generation>,
    visible: Option<Arc<Visible>>,
    /// The visible generation was put there by a rollback.
    is_rollback: bool,
    /// Why no further rollback is tried: the visible one was rejected too.
    rollback_failed: Option<String>,
    /// The journal as this task last wrote or read it: what is quarantined is this task's alone.
    journal: Journal,
    /// Inputs that ended the process twice: not rendered until they change.
    poison: Option<Digest>,
    backoff: Backoff,
    /// When the volume is looked after next: arrivals must not put that off.
    look_at: Instant,
    /// When old generations are collected.
    collect_at: Option<Instant>,
    /// A rollback that the volume refused, and when it is tried again.
    owed_undo: Option<(Verdict, Instant)>,
    /// Since when the volume refuses something that no publication will do again.
    refused: Option<Instant>,
    /// Why the guard's memory could not be written the last time.
    unremembered: Option<String>,
    /// The volume's thread ended: nothing can be published any more.
    volume_gone: bool,
    /// The last run was given up for a newer view: this one goes to its end.
    gave_up: bool,
}

/// What woke the pipeline.
enum Event {
    Arrival,
    Plan(Box<Plan>),
    Command(Command),
    Verdict(Verdict),
    Due,
    Collect,
    Tick,
    Shutdown,
}

impl<W: World> Pipeline<W> {
    /// A pipeline at its first configuration, on what the volume held.
    pub fn new(flow: Flow, plan: Plan, opened: Opened, wires: Connections<W>) -> Self {
        let visible = opened.visible.map(Arc::new);
        let poison = opened.inputs.filter(|inputs| inputs.ended >= FATAL).map(|it| it.digest);
        let is_rollback = opened.journal.published.last().is_some_and(|it| it.rollback);
        let mut pipeline = Self {
            flow,
            is_rollback,
            rollback_failed: None,
            plan,
            wires,
            kept: opened.kept,
            visible,
            journal: opened.journal,
            poison,
            backoff: Backoff::new(),
            look_at: Instant::now() + TICK,
            collect_at: None,
            owed_undo: None,
            refused: None,
            unremembered: None,
            volume_gone: false,
            gave_up: false,
        };
        pipeline.reconfigure();
        pipeline
    }

    /// Follows until `shutdown`. A flip in flight is finished.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let event = self.event(&shutdown).await;
            failpoint::pass("pipeline").await;
            match event {
                Event::Shutdown => return,
                Event::Arrival => self.take_arrivals(),
                Event::Plan(plan) => {
                    self.plan = *plan;
                    self.reconfigure();
                }
                Event::Command(command) => self.obey(command).await,
                Event::Verdict(verdict) => self.roll_back(&verdict).await,
                Event::Collect => self.collect().await,
                Event::Tick => self.look_after().await,
                Event::Due => {}
            }
            while let Some(source) = self.flow.rechecks(Instant::now()) {
                self.wires.resyncs.ask(&source);
            }
            while let Some(due) = self.flow.next(Instant::now()) {
                self.produce(due, &shutdown).await;
                if shutdown.is_cancelled() {
                    return;
                }
            }
            if self.volume_gone {
                // Ended on its own: that ends the process, and the next one opens the volume anew.
                return;
            }
            self.remember().await;
        }
    }

    async fn event(&mut self, shutdown: &CancellationToken) -> Event {
        let (due, collect_at, look_at) = (self.flow.due(), self.collect_at, self.look_at);
        let unremembered = self.unremembered.is_some();
        let (wires, owed_undo) = (&mut self.wires, &mut self.owed_undo);
        let event = async {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => Event::Shutdown,
                Some(plan) = wires.plans.recv() => Event::Plan(Box::new(plan)),
                Some(command) = wires.commands.recv() => Event::Command(command),
                Some(verdict) = wires.verdicts.recv() => Event::Verdict(verdict),
                verdict = undo(owed_undo) => Event::Verdict(verdict),
                () = wires.inbox.arrival() => Event::Arrival,
                () = sleep_until(due) => Event::Due,
                () = sleep_until(collect_at) => Event::Collect,
                () = tokio::time::sleep(MEMORY_AGAIN), if unremembered => Event::Due,
                () = tokio::time::sleep_until(look_at) => Event::Tick,
            }
        };
        wires.pulse.wait(event).await
    }

    fn reconfigure(&mut self) {
        let (rules, guard) = (self.plan.rules.clone(), self.plan.guard.clone());
        self.flow.configure(rules, guard, self.plan.settle, Instant::now());
    }

    /// Lets what arrived into the view, or shows why not.
    fn take_arrivals(&mut self) {
        let now = Instant::now();
        failpoint::pass_thread("guard");
        for (source, seen) in self.wires.inbox.take() {
            let judgement = self.flow.take(&source, seen, now);
            self.show_judgement(&source, &judgement);
        }
        // Only now: what was looked at is in `behind_since` or held, or changes nothing.
        self.wires.board.update(|status| status.unseen_since = None);
        self.show_behind(now);
    }

    async fn remember(&mut self) {
        let Some(memory) = self.flow.memory() else { return };
        let written = self.wires.world.volume().remember(memory).await;
        let error = written.err().map(|error| chain(&error));
        if let Some(error) = &error {
            self.flow.memory_was_not_written();
            if self.unremembered.as_ref() != Some(error) {
                tracing::warn!(error, "the guard's memory cannot be written");
            }
        }
        self.unremembered = error;
    }

    /// The newest view is what readers see already.
    async fn found_same(&mut self) {
        match self.wires.world.volume().repair().await {
            Ok(drift) => self.show_drift(drift),
            Err(error) => return self.publish_failed(&error),
        }
        self.show_cause(Cause::Check, None);
        self.show_fresh();
    }

    fn publish_failed(&mut self, error: &PublishError) {
        self.flow.retry(Instant::now() + self.backoff.next(None));
        self.show_publish_error(error);
    }

    /// The volume refused what has to be done beside a publication.
    fn volume_refused(&mut self, error: &PublishError) {
        self.refused.get_or_insert_with(Instant::now);
        self.show_publish_error(error);
    }

    /// The volume does again what it refused; a publication that waits keeps its cause.
    fn volume_works(&mut self) {
        if self.refused.is_some() && self.owed_undo.is_none() && !self.flow.has_retry() {
            self.refused = None;
            self.show_cause(Cause::Publish, None);
        }
    }

    /// Repairs links and reports or heals what somebody else changed.
    async fn look_after(&mut self) {
        self.look_at = Instant::now() + TICK;
        if self.visible.is_none() {
            return;
        }
        match self.wires.world.volume().repair().await {
            Ok(drift) => {
                if drift.is_some() && self.plan.self_heal {
                    self.flow.published(None);
                    self.flow.retry(Instant::now());
                }
                self.show_drift(drift);
                self.volume_works();
            }
            Err(error) => self.volume_refused(&error),
        }
        self.collect().await;
    }

    async fn collect(&mut self) {
        self.collect_at = None;
        // What targets have confirmed since is not in the journal as this task knows it.
        let journal = match self.wires.world.volume().journal().await {
            Ok(journal) => journal,
            Err(error) => return tracing::warn!(error = chain(&error), "old generations stay"),
        };
        let protect = self.plan.rollback.protected(&journal, &self.kept);
        match self.wires.world.volume().collect(protect).await {
            Ok(kept) => self.kept = kept,
            Err(error) => tracing::warn!(error = chain(&error), "old generations stay"),
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Accept { source, digest, done } => {
                let accepted = self.flow.accept(&source, &digest, Instant::now());
                if accepted {
                    tracing::info!(source, digest, "held snapshot accepted by an operator");
                    self.wires.board.source(&source, |status| status.held = None);
                    self.wires.accepted.ask(&source);
                }
                answer(done, accepted);
            }
            Command::Unquarantine { digest, done } => {
                let found = self.unquarantine(&digest).await;
                answer(done, found);
            }
        }
    }
}

/// The caller may be gone; its wish is done all the same.
fn answer(done: oneshot::Sender<bool>, answer: bool) {
    if done.send(answer).is_err() {
        tracing::debug!("nobody waits for the answer any more");
    }
}

/// Waits until a refused rollback is tried again.
async fn undo(owed: &mut Option<(Verdict, Instant)>) -> Verdict {
    sleep_until(owed.as_ref().map(|(_, at)| *at)).await;
    owed.take().map(|(verdict, _)| verdict).expect("without one it waits for ever")
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

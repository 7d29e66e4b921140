//! The middle of the flow, as one task: view, guard, settle, render, stage, checks, publish.
//!
//! Does what [`Flow`] decides. Must not touch a target, write the volume itself, or wait for a
//! store: it takes what is newest and goes on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    bells::Bells,
    chain::chain,
    check,
    config::shape,
    digest::{Digest, DigestBuilder, DigestKey},
    flow::{Decision, Due, Flow, SourceRules},
    generation::{Generation, Visible},
    inbox::Inbox,
    journal::Journal,
    metrics::Metrics,
    publish::{Opened, PublishError, Staged, Volume},
    pulse::Pulse,
    reload::Verdict,
    rendering::Rendering,
    rollback::Rollback,
    status::{Board, Cause},
    template::{TemplateError, TemplateSet},
};

mod report;
mod undo;

/// How often the pipeline says that it is alive, and looks after the volume.
const TICK: Duration = Duration::from_secs(15);

/// How often inputs may end the process before they are held.
const FATAL: u32 = 2;

/// What one accepted configuration means for the pipeline.
pub struct Plan {
    /// The sources' rules.
    pub rules: BTreeMap<String, SourceRules>,
    /// When a loss is not believed.
    pub guard: shape::Guard,
    /// How long a burst is coalesced.
    pub settle: shape::Settle,
    /// What must say yes.
    pub checks: Arc<[shape::Check]>,
    /// The compiled templates.
    pub templates: TemplateSet,
    /// Who may ask for a rollback, and who is told of one.
    pub rollback: Rollback,
    /// Publish again what somebody else changed.
    pub self_heal: bool,
    /// The digest of configuration and templates.
    pub digest: Digest,
}

/// What an operator asks for.
#[derive(Debug)]
pub enum Command {
    /// Let the held snapshot of this source with this shown digest through.
    Accept {
        /// The source.
        source: String,
        /// The digest as `/status` shows it.
        digest: String,
        /// `false`: nothing of that digest is held.
        done: oneshot::Sender<bool>,
    },
    /// Let the quarantined rendering with this shown digest be published again.
    Unquarantine {
        /// The digest as `/status` shows it.
        digest: String,
        /// `false`: nothing of that digest is quarantined.
        done: oneshot::Sender<bool>,
    },
}

/// What the pipeline is connected to.
pub struct Connections {
    /// The newest snapshots.
    pub inbox: Arc<Inbox>,
    /// Accepted configurations.
    pub plans: mpsc::Receiver<Plan>,
    /// An operator's wishes.
    pub commands: mpsc::Receiver<Command>,
    /// Rejections that ask for a rollback.
    pub verdicts: mpsc::Receiver<Verdict>,
    /// Where the newest generation is announced.
    pub generations: watch::Sender<Option<Arc<Visible>>>,
    /// How many times the newest view was found or made visible.
    pub rendered: watch::Sender<u64>,
    /// How sources are asked for a full read.
    pub resyncs: Bells,
    /// The volume.
    pub volume: Volume,
    /// The volume's key.
    pub key: DigestKey,
    /// Where all this is shown.
    pub board: Board,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// How it says that it is alive.
    pub pulse: Pulse,
}

/// The pipeline's task.
pub struct Pipeline {
    flow: Flow,
    plan: Plan,
    wires: Connections,
    kept: Vec<Generation>,
    visible: Option<Arc<Visible>>,
    /// The visible generation was put there by a rollback.
    is_rollback: bool,
    /// The journal as this task last wrote or read it: what is quarantined is this task's alone.
    journal: Journal,
    /// Inputs that ended the process twice: not rendered until they change.
    poison: Option<Digest>,
    backoff: Backoff,
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
    Tick,
    Shutdown,
}

impl Pipeline {
    /// A pipeline at its first configuration, on what the volume held.
    pub fn new(flow: Flow, plan: Plan, opened: Opened, wires: Connections) -> Self {
        let visible = opened.visible.map(Arc::new);
        let poison = opened.inputs.filter(|inputs| inputs.ended >= FATAL).map(|it| it.digest);
        let is_rollback = opened.journal.published.last().is_some_and(|it| it.rollback);
        let mut pipeline = Self {
            flow,
            is_rollback,
            plan,
            wires,
            kept: opened.kept,
            visible,
            journal: opened.journal,
            poison,
            backoff: Backoff::new(),
            gave_up: false,
        };
        pipeline.reconfigure();
        pipeline
    }

    /// Follows until `shutdown`. A flip in flight is finished.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            match self.event(&shutdown).await {
                Event::Shutdown => return,
                Event::Arrival => self.take_arrivals(),
                Event::Plan(plan) => {
                    self.plan = *plan;
                    self.reconfigure();
                }
                Event::Command(command) => self.obey(command).await,
                Event::Verdict(verdict) => self.roll_back(&verdict).await,
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
            self.remember().await;
        }
    }

    async fn event(&mut self, shutdown: &CancellationToken) -> Event {
        self.wires.pulse.beat();
        let due = self.flow.due();
        let wires = &mut self.wires;
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Event::Shutdown,
            Some(plan) = wires.plans.recv() => Event::Plan(Box::new(plan)),
            Some(command) = wires.commands.recv() => Event::Command(command),
            Some(verdict) = wires.verdicts.recv() => Event::Verdict(verdict),
            () = wires.inbox.arrival() => Event::Arrival,
            () = sleep_until(due) => Event::Due,
            () = tokio::time::sleep(TICK) => Event::Tick,
        }
    }

    fn reconfigure(&mut self) {
        let (rules, guard) = (self.plan.rules.clone(), self.plan.guard.clone());
        self.flow.configure(rules, guard, self.plan.settle, Instant::now());
    }

    /// Lets what arrived into the view, or shows why not.
    fn take_arrivals(&mut self) {
        let now = Instant::now();
        for (source, seen) in self.wires.inbox.take() {
            let judgement = self.flow.take(&source, seen, now);
            self.show_judgement(&source, &judgement);
        }
        self.show_behind(now);
    }

    async fn remember(&mut self) {
        if let Some(memory) = self.flow.memory()
            && let Err(error) = self.wires.volume.remember(memory).await
        {
            tracing::warn!(error = chain(&error), "the guard's memory cannot be written");
        }
    }

    /// Renders a view and takes the result as far as it may go.
    async fn produce(&mut self, due: Due, shutdown: &CancellationToken) {
        let lacking = self.flow.lacking(&due.view);
        if !lacking.is_empty() {
            let why = format!("required keys are missing: {}", lacking.join(", "));
            return self.show_cause(Cause::Render, Some(why));
        }
        let inputs = self.inputs(&due);
        if self.poison == Some(inputs) {
            let why = "these inputs ended the process twice; they are held until they change";
            return self.show_cause(Cause::Render, Some(why.to_owned()));
        }
        let rendering = match self.render(&due, inputs).await {
            Ok(rendering) => rendering,
            Err(errors) => return self.show_render_errors(&errors),
        };
        self.show_cause(Cause::Render, None);
        let digest = *rendering.digest();
        let decision = self.flow.decide(&digest);
        self.end_quarantine(&digest).await;
        match decision {
            Decision::Same => self.found_same().await,
            Decision::Refused => {}
            Decision::Quarantined => self.show_quarantined(),
            Decision::Publish => self.publish(due, rendering, shutdown).await,
        }
    }

    /// What a render depends on.
    fn inputs(&self, due: &Due) -> Digest {
        let mut builder = DigestBuilder::default();
        builder.part(self.plan.digest.as_bytes()).part(due.view.identity().as_bytes()).finish()
    }

    /// Renders on the blocking pool: a long template must not silence the probes. A marker on the
    /// volume tells the next process, if this one does not survive it.
    async fn render(
        &mut self,
        due: &Due,
        inputs: Digest,
    ) -> Result<Arc<Rendering>, Vec<TemplateError>> {
        self.mark(Some(inputs)).await;
        let mut templates = std::mem::take(&mut self.plan.templates);
        let view = due.view.clone();
        let work = tokio::task::spawn_blocking(move || {
            let rendering = templates.render(&view);
            (templates, rendering)
        });
        let (templates, rendering) = work.await.expect("a panic ends the process");
        self.plan.templates = templates;
        self.mark(None).await;
        rendering
    }

    async fn mark(&self, inputs: Option<Digest>) {
        if let Err(error) = self.wires.volume.mark_inputs(inputs).await {
            // A full volume must not stop a rendering that may be the same as what is visible.
            tracing::debug!(error = chain(&error), "no marker of the inputs");
        }
    }

    /// Stages, checks and flips.
    async fn publish(&mut self, due: Due, rendering: Arc<Rendering>, shutdown: &CancellationToken) {
        let sources = due.view.revisions();
        let staged = match self.wires.volume.stage(Arc::clone(&rendering), sources).await {
            Ok(staged) => staged,
            Err(error) => return self.publish_failed(&error),
        };
        match self.checked(&staged, &rendering, shutdown).await {
            Answer::Yes => {}
            Answer::No => return self.wires.volume.discard(staged).await,
            Answer::Newer => {
                self.flow.retry(Instant::now());
                return self.wires.volume.discard(staged).await;
            }
        }
        match self.wires.volume.publish(staged, false).await {
            Ok(published) => {
                self.wires.metrics.change_to_visible(due.since.elapsed());
                self.flow.published(Some(*rendering.digest()));
                self.became_visible(published, false, due.since);
                self.show_fresh();
                self.collect().await;
            }
            Err(error) => self.publish_failed(&error),
        }
    }

    /// Runs the checks, unless a newer view makes them pointless; that happens never twice in a
    /// row, so that a busy store cannot keep everything unpublished.
    async fn checked(
        &mut self,
        staged: &Staged,
        rendering: &Rendering,
        shutdown: &CancellationToken,
    ) -> Answer {
        if self.plan.checks.is_empty() {
            self.show_cause(Cause::Check, None);
            return Answer::Yes;
        }
        let checks = Arc::clone(&self.plan.checks);
        let may_give_up = !std::mem::take(&mut self.gave_up);
        let verdict = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Answer::Newer,
            verdict = check::run(&checks, &staged.dir, rendering) => verdict,
            () = self.newer_view(), if may_give_up => {
                self.gave_up = true;
                return Answer::Newer;
            }
        };
        match verdict {
            Ok(skipped) => {
                for check in skipped {
                    self.wires.metrics.check_skipped();
                    tracing::warn!(check = check.check, "check skipped: nobody answers there");
                }
                self.show_cause(Cause::Check, None);
                Answer::Yes
            }
            Err(error) => {
                self.show_cause(Cause::Check, Some(chain(&error)));
                if error.said_no {
                    self.flow.refused(*rendering.digest());
                } else {
                    self.flow.retry(Instant::now() + self.backoff.next(None));
                }
                Answer::No
            }
        }
    }

    /// Completes when a newer view is due.
    async fn newer_view(&mut self) {
        loop {
            if self.flow.due().is_some_and(|due| due <= Instant::now()) {
                return;
            }
            let due = self.flow.due();
            tokio::select! {
                () = self.wires.inbox.arrival() => self.take_arrivals(),
                () = sleep_until(due) => {}
            }
        }
    }

    /// The newest view is what readers see already.
    async fn found_same(&mut self) {
        match self.wires.volume.repair().await {
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

    /// Repairs links and reports or heals what somebody else changed.
    async fn look_after(&mut self) {
        if self.visible.is_none() {
            return;
        }
        match self.wires.volume.repair().await {
            Ok(drift) => {
                if drift.is_some() && self.plan.self_heal {
                    self.flow.published(None);
                    self.flow.retry(Instant::now());
                }
                self.show_drift(drift);
            }
            Err(error) => self.show_publish_error(&error),
        }
        self.collect().await;
    }

    async fn collect(&mut self) {
        let protect = self.plan.rollback.protected(&self.journal, &self.kept);
        match self.wires.volume.collect(protect).await {
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

/// What the checks lead to.
enum Answer {
    Yes,
    No,
    Newer,
}

/// The caller may be gone; its wish is done all the same.
fn answer(done: oneshot::Sender<bool>, answer: bool) {
    if done.send(answer).is_err() {
        tracing::debug!("nobody waits for the answer any more");
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

//! Everything that runs on an accepted configuration: the pipeline, a task for each source, a task
//! for each target. Starts, changes and stops them; decides nothing about content.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    bells::Bells,
    chain::chain,
    config::{Config, source::Source},
    digest::Digest,
    flow::{Flow, SourceRules},
    generation::{BootTime, Visible},
    guard::Guard,
    inbox::Inbox,
    journal::{Entry, Journal},
    load::Accepted,
    metrics::Metrics,
    pipeline::{Command, Connections, Pipeline, Plan},
    publish::{Opened, PublishError},
    pulse::{Pulse, Pulses},
    reload::{Reloader, Verdict},
    rollback::Rollback,
    source::Follower,
    status::{Board, GenerationStatus, SourceStatus, TargetStatus},
    tasks::{TaskEnded, Tasks},
    world::{Publisher, Recorder, World},
};

/// Over how long first reads spread when nobody waits for them.
const SPREAD: Duration = Duration::from_secs(30);

/// A generation that has been visible for so long is not of this start: nobody waits for the next.
const LONG_VISIBLE: Duration = Duration::from_secs(600);

/// How many messages may wait between tasks; all are rare.
const WAITING: usize = 16;

/// What the engine shares with the rest of the process.
#[derive(Clone, Default)]
pub struct Shared {
    /// What is known.
    pub board: Board,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who is alive.
    pub pulses: Pulses,
    /// How sources are asked for a full read.
    pub resyncs: Bells,
    /// How sources are told that an operator accepted what was held.
    pub accepted: Bells,
    /// How targets are asked for a settled reload.
    pub repeats: Bells,
}

/// Whether targets are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// `run`: they are.
    Told,
    /// `once`: never.
    LeftAlone,
}

/// The running tasks of one configuration.
pub struct Engine<W> {
    tasks: Tasks,
    shared: Shared,
    config: Config,
    targets: Targets,
    /// Sources are not read before then.
    first: Instant,
    inbox: Arc<Inbox>,
    plans: mpsc::Sender<Plan>,
    verdicts: mpsc::Sender<Verdict>,
    generations: watch::Receiver<Option<Arc<Visible>>>,
    rendered: watch::Receiver<u64>,
    world: W,
    /// The journal as it was last written or read here.
    journal: Arc<Journal>,
}

impl<W: World> Engine<W> {
    /// Starts all tasks on what the volume held.
    pub async fn start(
        accepted: Accepted,
        world: W,
        opened: Opened,
        targets: Targets,
        shared: Shared,
        commands: mpsc::Receiver<Command>,
        shutdown: CancellationToken,
    ) -> Result<Self, PublishError> {
        show_volume(&shared.board, &opened);
        let first = first_read(opened.visible.as_ref(), targets);
        let (config, plan) = planned(accepted);
        let guard = Guard::new(opened.key.clone(), plan.guard.clone(), opened.memory.as_deref());
        // What is not as the manifest says does not count as rendered.
        let visible = opened.visible.as_ref().filter(|_| opened.drift.is_none());
        let rendered = visible.map(|visible| visible.generation.rendering);
        let flow = Flow::new(guard, rendered, opened.journal.quarantined.clone());
        let (plans, plan_receiver) = mpsc::channel(WAITING);
        let (verdicts, verdict_receiver) = mpsc::channel(WAITING);
        let (generation_sender, generations) = watch::channel(opened.visible.clone().map(Arc::new));
        let (rendered_sender, rendered) = watch::channel(0);
        let inbox = Arc::new(Inbox::default());
        let journal = Arc::new(opened.journal.clone());
        let mut tasks = Tasks::new(shutdown, shared.pulses.clone());
        let key = opened.key.clone();
        let wires = |pulse: Arc<Pulse>| Connections {
            inbox: Arc::clone(&inbox),
            plans: plan_receiver,
            commands,
            verdicts: verdict_receiver,
            generations: generation_sender,
            rendered: rendered_sender,
            resyncs: shared.resyncs.clone(),
            accepted: shared.accepted.clone(),
            world: world.asked_by(Arc::clone(&pulse)),
            key,
            board: shared.board.clone(),
            metrics: Arc::clone(&shared.metrics),
            pulse,
        };
        tasks.start("pipeline", |stop, pulse| {
            let wires = wires(pulse);
            Pipeline::new(flow, plan, opened, wires).run(stop)
        });
        let mut engine = Self {
            tasks,
            shared,
            config,
            targets,
            first,
            inbox,
            plans,
            verdicts,
            generations,
            rendered,
            world,
            journal,
        };
        for (name, source) in engine.config.sources.clone() {
            engine.start_source(&name, source);
        }
        let names = engine.config.targets.iter().map(|target| target.name.clone()).collect();
        engine.start_targets(&names).await?;
        Ok(engine)
    }

    /// Takes another configuration over: only what differs is stopped and started.
    pub async fn apply(&mut self, accepted: Accepted) -> Result<(), PublishError> {
        let (config, plan) = planned(accepted);
        let old = std::mem::replace(&mut self.config, config);
        for (name, source) in &old.sources {
            if self.config.sources.get(name).is_none_or(|new| !same_follower(new, source)) {
                self.tasks.stop(&source_task(name)).await;
                self.shared.resyncs.remove(name);
                self.shared.accepted.remove(name);
                self.shared.board.update(|status| drop(status.sources.remove(name)));
            }
        }
        // The pipeline learns of new sources before they answer.
        if self.plans.send(plan).await.is_err() {
            return Ok(());
        }
        for (name, source) in self.config.sources.clone() {
            if old.sources.get(&name).is_none_or(|before| !same_follower(&source, before)) {
                self.start_source(&name, source);
            }
        }
        let is_same = |name: &str| {
            let of =
                |config: &Config| config.targets.iter().find(|target| target.name == name).cloned();
            of(&old) == of(&self.config)
        };
        for target in old.targets.iter().filter(|target| !is_same(&target.name)) {
            self.tasks.stop(&target_task(&target.name)).await;
            self.shared.repeats.remove(&target.name);
            self.shared.board.update(|status| drop(status.targets.remove(&target.name)));
        }
        let names = self.config.targets.iter().map(|target| target.name.clone());
        let changed = names.filter(|name| !is_same(name)).collect();
        self.start_targets(&changed).await
    }

    /// The configuration in use.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Waits until the newest view was found or made visible, or a task ends before that.
    pub async fn rendered(&mut self) -> Result<(), TaskEnded> {
        let rendered = async {
            // An error means that the pipeline is gone, which the other branch tells.
            if self.rendered.wait_for(|count| *count > 0).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = rendered => Ok(()),
            ended = self.tasks.unexpected_end() => Err(ended),
        }
    }

    /// Waits for a task that ends though nobody asked it to.
    pub async fn unexpected_end(&mut self) -> TaskEnded {
        self.tasks.unexpected_end().await
    }

    /// Stops all tasks; `false` if one had to be left.
    pub async fn finish(self) -> bool {
        self.tasks.finish().await
    }

    fn start_source(&mut self, name: &str, source: Source) {
        let status =
            SourceStatus { provider: source.provider.provider(), ..SourceStatus::default() };
        self.shared.board.update(|board| drop(board.sources.insert(name.to_owned(), status)));
        let follower = Follower {
            name: name.to_owned(),
            source,
            inbox: Arc::clone(&self.inbox),
            resync: self.shared.resyncs.bell(name),
            accepted: self.shared.accepted.bell(name),
            board: self.shared.board.clone(),
            first: self.first,
        };
        let (world, origin) = (self.world.clone(), follower.source.clone());
        let open = move || world.provider(&origin);
        self.tasks.start(&source_task(name), |stop, pulse| follower.run(open, stop, pulse));
    }

    /// Starts the tasks of these targets; the debts of targets that are gone are dropped.
    async fn start_targets(&mut self, names: &BTreeSet<String>) -> Result<(), PublishError> {
        if self.targets == Targets::LeftAlone {
            return Ok(());
        }
        let all = self.config.targets.iter().map(|target| target.name.clone()).collect();
        match self.world.volume().record(Entry::Targets(all)).await {
            Ok(journal) => self.journal = journal,
            Err(error @ PublishError::Gone) => return Err(error),
            // A full volume must not keep targets from being told; the next write carries it. What
            // they have settled since is in the record that the volume holds, not in ours.
            Err(error) => {
                tracing::warn!(error = chain(&error), "the journal cannot be written");
                self.journal = self.world.volume().journal().await?;
            }
        }
        for target in self.config.targets.clone() {
            if names.contains(&target.name) {
                self.start_target(target, Arc::clone(&self.journal));
            }
        }
        Ok(())
    }

    fn start_target(&mut self, target: crate::config::shape::Target, journal: Arc<Journal>) {
        let name = target.name.clone();
        // What an earlier process settled is shown until there is something newer.
        let settled = journal.targets.get(&name).and_then(|known| known.settled.as_ref());
        let status = TargetStatus {
            outcome: settled.map(|settled| settled.outcome),
            generation: settled.map(|settled| settled.generation),
            ..TargetStatus::default()
        };
        self.shared.board.update(|board| drop(board.targets.insert(name.clone(), status)));
        let reloader = |volume| Reloader {
            target,
            generations: self.generations.clone(),
            volume,
            journal,
            verdicts: self.verdicts.clone(),
            repeat: self.shared.repeats.bell(&name),
            board: self.shared.board.clone(),
            metrics: Arc::clone(&self.shared.metrics),
        };
        let world = self.world.clone();
        self.tasks.start(&target_task(&name), |stop, pulse| {
            let volume = world.asked_by(Arc::clone(&pulse)).volume().clone();
            let reloader = reloader(volume);
            let teller = world.teller(&reloader.target);
            reloader.run(teller, stop, pulse)
        });
    }
}

/// When sources may be read first. At once, as a rule. But after a node's or a cluster's restart
/// many instances start together, each with what it published long ago: they spread, so that the
/// stores are not asked by all of them at the same moment.
fn first_read(visible: Option<&Visible>, targets: Targets) -> Instant {
    let now = Instant::now();
    let age = visible.map(|visible| visible.flipped.as_ref().and_then(BootTime::elapsed));
    match age {
        Some(age) if targets == Targets::Told && age.is_none_or(|age| age > LONG_VISIBLE) => {
            now + SPREAD.mul_f64(fastrand::f64())
        }
        _ => now,
    }
}

fn source_task(name: &str) -> String {
    format!("source {name}")
}

fn target_task(name: &str) -> String {
    format!("target {name}")
}

/// Whether two settings need the same task: `required` is the pipeline's.
fn same_follower(one: &Source, other: &Source) -> bool {
    one.provider == other.provider && one.resync == other.resync
}

/// What an accepted configuration means for the pipeline.
fn planned(accepted: Accepted) -> (Config, Plan) {
    let config = accepted.config;
    let rule =
        |source: &Source| SourceRules { origin: origin(source), required: source.required.clone() };
    let plan = Plan {
        rules: config.sources.iter().map(|(name, it)| (name.clone(), rule(it))).collect(),
        guard: config.guard.clone(),
        settle: config.settle,
        checks: config.checks.clone().into(),
        templates: accepted.templates,
        rollback: Rollback::new(&config.targets),
        self_heal: config.output.self_heal,
        digest: accepted.digest,
    };
    (config, plan)
}

/// What a source's keys belong to: another store or prefix is another origin.
fn origin(source: &Source) -> Digest {
    let settings = serde_json::to_vec(&source.provider).expect("settings are JSON");
    Digest::of(&settings)
}

/// Shows what was found on the volume.
fn show_volume(board: &Board, opened: &Opened) {
    if let Some(drift) = &opened.drift {
        tracing::warn!("the volume is not as it was published, so it is published anew: {drift}");
    }
    let journal = &opened.journal;
    let rollback = journal.published.last().is_some_and(|published| published.rollback);
    let generation = opened.visible.as_ref().map(|visible| {
        let digest = opened.key.show(&visible.generation.rendering);
        let adopted = GenerationStatus::adopted(&visible.generation, digest);
        GenerationStatus { drift: opened.drift.clone(), rollback, ..adopted }
    });
    let quarantined = journal.quarantined.iter().map(|digest| opened.key.show(digest)).collect();
    board.update(|status| {
        status.generation = generation;
        status.quarantined = quarantined;
    });
}

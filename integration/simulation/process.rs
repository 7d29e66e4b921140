//! One process of the simulated Rehup: its engine, and the way in which that reaches the world.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use providers::{Provider, settings::NotBuilt};
use rehup::{
    check::{CheckError, Skipped},
    config::{shape, source::Source},
    engine::{Engine, Shared, Targets},
    pipeline::Command,
    pulse::Pulse,
    rendering::Rendering,
    status::Status,
    world::World,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    setup::Setup,
    store::Store,
    target::{Target, Teller},
    volume::{Site, Volume},
};

/// How long a check takes that gives no answer.
pub const CHECK: Duration = Duration::from_secs(5);

/// What a checker says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checker {
    #[default]
    Yes,
    No,
    Mute,
    NotThere,
}

/// Everything outside of a process.
#[derive(Clone)]
pub struct Outside {
    pub stores: BTreeMap<String, Store>,
    pub targets: BTreeMap<String, Target>,
    pub site: Arc<Mutex<Site>>,
    pub checker: Arc<Mutex<Checker>>,
    /// Counts tellers: each starts its intervals anew.
    pub tellers: Arc<Mutex<u32>>,
}

/// The world as one process sees it.
#[derive(Clone)]
pub struct Simulated {
    outside: Outside,
    volume: Volume,
}

impl World for Simulated {
    type Volume = Volume;
    type Teller = Teller;

    fn provider(&self, source: &Source) -> Result<Box<dyn Provider>, NotBuilt> {
        Ok(Box::new(self.outside.stores[source.provider.provider()].clone()))
    }

    fn volume(&self) -> &Volume {
        &self.volume
    }

    fn asked_by(&self, _: Arc<Pulse>) -> Self {
        self.clone()
    }

    fn teller(&self, target: &shape::Target) -> Result<Teller, String> {
        let mut tellers = self.outside.tellers.lock().expect("nobody panics with it");
        *tellers += 1;
        Ok(self.outside.targets[&target.name].teller(target, *tellers))
    }

    /// Here and now: the order of things is the same each time.
    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        work()
    }

    async fn check(
        &self,
        _: &[shape::Check],
        _: &Path,
        _: &Rendering,
    ) -> Result<Vec<Skipped>, CheckError> {
        let checker = *self.outside.checker.lock().expect("nobody panics with it");
        let answer = |answer: &str, said_no| CheckError::new("simulated", answer, said_no);
        sleep(Duration::from_millis(20)).await;
        match checker {
            Checker::Yes => Ok(Vec::new()),
            Checker::No => Err(answer("said no", true)),
            Checker::Mute => {
                sleep(CHECK).await;
                Err(answer("gave no answer", false))
            }
            Checker::NotThere => Ok(vec![Skipped { check: "simulated".to_owned() }]),
        }
    }
}

/// A running process.
pub struct Process {
    pub engine: Engine<Simulated>,
    pub shared: Shared,
    commands: mpsc::Sender<Command>,
}

impl Process {
    /// Starts on what the volume holds; none if it ended at once.
    pub async fn start(outside: &Outside, setup: &Setup, ended: Arc<Notify>) -> Option<Self> {
        let opened = outside.site.lock().expect("nobody panics with it").disk.open();
        let volume = Volume::open(Arc::clone(&outside.site), Arc::clone(&ended));
        let world = Simulated { outside: outside.clone(), volume };
        let shared = Shared::default();
        let (commands, receiver) = mpsc::channel(16);
        let (accepted, shutdown) = (setup.accepted(), CancellationToken::new());
        let targets = Targets::Told;
        let engine =
            Engine::start(accepted, world, opened, targets, shared.clone(), receiver, shutdown);
        tokio::select! {
            biased;
            () = ended.notified() => None,
            engine = engine => {
                let engine = engine.map_err(|error| error.to_string()).expect("volumes stay");
                Some(Self { engine, shared, commands })
            }
        }
    }

    /// What it knows now.
    pub fn status(&self) -> Status {
        self.shared.board.read()
    }

    /// An operator lets through what is held of a source.
    pub async fn accept(&self, source: &str) -> bool {
        let held = self.status().sources.get(source).and_then(|source| source.held.clone());
        let Some(held) = held else { return false };
        let source = source.to_owned();
        self.ask(|done| Command::Accept { source, digest: held.digest, done }).await
    }

    /// An operator lifts every quarantine.
    pub async fn unquarantine(&self) {
        for digest in self.status().quarantined {
            self.ask(|done| Command::Unquarantine { digest, done }).await;
        }
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<bool>) -> Command) -> bool {
        let (done, answer) = oneshot::channel();
        drop(self.commands.send(command(done)).await);
        let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
        matches!(answer, Ok(Ok(true)))
    }
}

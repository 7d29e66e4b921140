//! One simulated life: a world from a seed, faults of all kinds, and at the end everything well.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use super::{
    chance::Chance,
    ledger::Ledger,
    process::{Checker, Outside, Process},
    promises::Promises,
    setup::{STORES, Setup, TARGETS, files_of},
    store::{Mood, Store},
    target::{self, Target},
    vigil::Vigil,
    volume::Site,
};

/// The longest that an edit may take: each target may be in its last call.
const EDIT: Duration = Duration::from_secs(10);
/// The longest time without a look at the promises.
const LOOK: Duration = Duration::from_secs(3);

/// What became of a seed.
pub struct Outcome {
    pub seed: u64,
    /// Of everything that happened.
    pub digest: u64,
    pub counts: BTreeMap<String, u64>,
    pub broken: Vec<String>,
    /// The newest lines of the trace.
    pub told: String,
}

/// A world and the process in it.
pub struct Life {
    pub chance: Chance,
    pub ledger: Ledger,
    pub outside: Outside,
    pub promises: Promises,
    pub setup: Setup,
    /// When the configuration was edited last.
    pub edited: Instant,
    /// When everybody was awake again after the last suspension.
    pub woke: Instant,
    pub process: Option<Process>,
    pub vigil: Vigil,
    ended: Arc<Notify>,
}

/// Lives through a seed.
pub fn live(seed: u64, scene: impl AsyncFnOnce(&mut Life)) -> Outcome {
    // The core's own jitter.
    fastrand::seed(seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let mut life = Life::new(seed);
        life.start().await;
        scene(&mut life).await;
        let digest = life.ledger.digest();
        let told = life.ledger.told();
        let pages = life.ledger.pages();
        let (counts, broken) = (pages.counts.clone(), pages.broken.clone());
        drop(pages);
        Outcome { seed, digest, counts, broken, told }
    })
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let ledger = Ledger::new();
        let store = |name: &str, chance: Chance| {
            (name.to_owned(), Store::new(name, chance, ledger.clone()))
        };
        let stores: BTreeMap<_, _> = STORES.map(|name| store(name, chance.fork())).into();
        let promises = Promises::new(ledger.clone(), stores.clone());
        let site = Site::new(chance.fork(), promises.clone(), ledger.clone());
        let site = Arc::new(Mutex::new(site));
        let mut target = |name: &str| {
            let target = Target::new(name, chance.fork(), Arc::clone(&site), ledger.clone());
            (name.to_owned(), target)
        };
        let targets = TARGETS.map(&mut target).into();
        let setup = Setup::draw(&mut chance);
        promises.setups.lock().expect("new").insert(setup.version, setup.clone());
        let (checker, tellers) = (Arc::default(), Arc::default());
        Self {
            chance,
            ledger: ledger.clone(),
            outside: Outside { stores, targets, site, checker, tellers },
            promises,
            setup,
            edited: Instant::now(),
            woke: Instant::now(),
            process: None,
            vigil: Vigil::default(),
            ended: Arc::new(Notify::new()),
        }
    }

    /// The volume.
    pub fn site(&self) -> MutexGuard<'_, Site> {
        self.outside.site.lock().expect("nobody panics with it")
    }

    /// An empty volume.
    pub fn new_site(&mut self) -> Site {
        Site::new(self.chance.fork(), self.promises.clone(), self.ledger.clone())
    }

    /// Whether a promise was broken.
    pub fn is_over(&self) -> bool {
        !self.ledger.pages().broken.is_empty()
    }

    /// Starts a process, again and again if it ends at once.
    pub async fn start(&mut self) {
        while self.process.is_none() {
            self.ended = Arc::new(Notify::new());
            self.ledger.note("start", format_args!("{:?}", self.setup));
            self.vigil.forget();
            let ended = Arc::clone(&self.ended);
            self.process = Process::start(&self.outside, &self.setup, ended).await;
        }
    }

    /// The process is gone from one moment to the next, and another comes a while later.
    pub async fn crash(&mut self, loses_power: bool) {
        self.process = None;
        self.site().next_user();
        if loses_power {
            let mut site = self.site();
            let loses = site.chance.one_in(2);
            site.disk.lose_power(loses);
            // A flip that was not durable may be undone: what it showed comes after it again.
            site.promises.forget();
            drop(site);
            self.restart_targets();
        }
        self.ledger.note(if loses_power { "power cut" } else { "process killed" }, "");
        let down = self.chance.millis(1, 20_000);
        tokio::time::sleep(down).await;
        self.start().await;
    }

    /// The process is asked to stop and another is started.
    pub async fn stop(&mut self) {
        self.ledger.note("stopped", "");
        let Some(process) = self.process.take() else { return };
        let asked = Instant::now();
        tokio::select! {
            biased;
            () = self.ended.notified() => {}
            _ = process.engine.finish() => {
                self.ledger.promise("the bound of a stop", asked.elapsed().as_secs() <= 2, || {
                    format!("it took {:?}", asked.elapsed())
                });
            }
        }
        self.start().await;
    }

    /// All targets' processes start anew.
    pub fn restart_targets(&self) {
        for (name, target) in &self.outside.targets {
            target.restart(files_of(name));
        }
    }

    /// Takes another configuration over.
    pub async fn edit(&mut self) {
        let setup = self.setup.edit(&mut self.chance);
        self.take_over(setup).await;
    }

    /// This is the configuration from now on.
    pub fn adopt(&mut self, setup: Setup) {
        self.ledger.note("edit", format_args!("{setup:?}"));
        self.promises.setups.lock().expect("nobody panics").insert(setup.version, setup.clone());
        (self.setup, self.edited) = (setup, Instant::now());
    }

    /// A running process takes this configuration over.
    pub async fn take_over(&mut self, setup: Setup) {
        self.adopt(setup.clone());
        let Some(process) = &mut self.process else { return };
        let went_on = tokio::select! {
            biased;
            () = self.ended.notified() => false,
            applied = timeout(EDIT, process.engine.apply(setup.accepted())) => {
                self.ledger.promise("the bound of an edit", applied.is_ok(), || {
                    format!("it was not taken over within {EDIT:?}")
                });
                true
            }
        };
        self.vigil.forget();
        if !went_on {
            self.crash(false).await;
        }
    }

    /// Lets time pass, with a look at every promise now and then.
    pub async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.is_over() {
            let next = (Instant::now() + LOOK).min(end);
            let mut unexpected = None;
            let crashed = match &mut self.process {
                None => false,
                Some(process) => tokio::select! {
                    biased;
                    () = self.ended.notified() => true,
                    task = process.engine.unexpected_end() => {
                        unexpected = Some(task.to_string());
                        false
                    }
                    () = sleep_until(next) => false,
                },
            };
            self.ledger.promise("the life of every task", unexpected.is_none(), || {
                unexpected.clone().unwrap_or_default()
            });
            if crashed {
                let loses_power = self.chance.one_in(3);
                self.crash(loses_power).await;
            }
            Vigil::look(self);
        }
    }

    /// Everything is well from now on, and every store holds something new that nobody refuses.
    pub fn heal(&mut self) {
        self.calm();
        self.ledger.note("healed", "");
        for store in self.outside.stores.values() {
            store.mend();
        }
        if !self.setup.self_heal {
            // Nobody else mends it before the next change, which comes now.
            self.site().disk.drift = None;
        }
    }

    /// Everything is well from now on, and nothing else changes.
    pub fn calm(&mut self) {
        self.ledger.note("calm", "");
        for store in self.outside.stores.values() {
            store.feel("store well", |_| Mood::Well);
        }
        for target in self.outside.targets.values() {
            target.state().mood = target::Mood::Takes;
        }
        *self.outside.checker.lock().expect("nobody panics with it") = Checker::Yes;
        let mut site = self.site();
        (site.failing, site.ends_in) = (None, None);
    }
}

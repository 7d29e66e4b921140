//! A target that is not there: it accepts, refuses, hangs, is away, or was set up wrong.
//!
//! Fake, because what a real process does with a reload cannot be made to follow a virtual time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rehup::{
    config::shape,
    digest::Digest,
    generation::{BootTime, Visible},
    reload::{Class, Look, Report, Tell, matcher::Matcher},
    rendering::OutputPath,
};
use tokio::time::{Instant, sleep};

use super::{chance::Chance, ledger::Ledger, setup::files_of, volume::Site};

/// The longest look and call of a target that answers.
pub const SLOWEST: Duration = Duration::from_millis(300);
/// How long a call to one that hangs takes.
pub const DEADLINE: Duration = Duration::from_secs(10);
const MIN_UPTIME: Duration = Duration::from_secs(2);

/// What a target does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Takes,
    Refuses,
    Hangs,
    Away,
    WrongSetup,
}

/// Everything about one target.
pub struct State {
    pub chance: Chance,
    pub mood: Mood,
    /// When its process started, in the machine's own time.
    pub started: BootTime,
    /// What it has loaded: the digest over its files.
    pub loaded: Option<Digest>,
    /// When it was told, and how many epochs there had been.
    pub told: VecDeque<(Instant, u32)>,
}

/// One target of the world.
#[derive(Clone)]
pub struct Target {
    name: String,
    site: Arc<Mutex<Site>>,
    ledger: Ledger,
    state: Arc<Mutex<State>>,
}

impl Target {
    /// A target that takes what it is told.
    pub fn new(name: &str, chance: Chance, site: Arc<Mutex<Site>>, ledger: Ledger) -> Self {
        let started = site.lock().expect("nobody panics with it").disk.now();
        let mood = Mood::Takes;
        let state = State { chance, mood, started, loaded: None, told: VecDeque::new() };
        Self { name: name.to_owned(), site, ledger, state: Arc::new(Mutex::new(state)) }
    }

    /// Its state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Its process ends and another starts, which reads what is visible.
    pub fn restart(&self, files: &Matcher) {
        let site = self.site.lock().expect("nobody panics with it");
        let visible = site.disk.visible.as_ref();
        let loaded =
            visible.and_then(|(it, _)| it.generation.digest_of(|path| files.matches(path)));
        let started = site.disk.now();
        drop(site);
        let mut state = self.state();
        (state.started, state.loaded) = (started, loaded);
        self.ledger.note("target restarts", &self.name);
    }

    /// A teller for one task of this process.
    pub fn teller(&self, settings: &shape::Target, epoch: u32) -> Teller {
        let files = files_of(&self.name);
        Teller { target: self.clone(), settings: settings.clone(), files, epoch }
    }

    /// Reads what is visible, as a process that reloads does; whether it likes it.
    fn load(&self, files: &Matcher) -> bool {
        let site = self.site.lock().expect("nobody panics with it");
        let Some((visible, _)) = &site.disk.visible else { return false };
        let bad =
            visible.files.keys().any(|path| files.matches(path) && path.as_str().ends_with("/bad"));
        let digest = visible.generation.digest_of(|path| files.matches(path));
        drop(site);
        let mut state = self.state();
        if !bad && state.mood != Mood::Refuses {
            state.loaded = digest;
        }
        !bad && state.mood != Mood::Refuses
    }
}

/// Tells a simulated target.
pub struct Teller {
    target: Target,
    settings: shape::Target,
    files: &'static Matcher,
    epoch: u32,
}

impl Teller {
    async fn pause(&self, most: Duration) {
        let pause = self.target.state().chance.up_to(most);
        sleep(pause).await;
    }

    /// The journal was written before, and the last reload was long enough ago.
    fn check(&self, generation: u64) {
        let (name, ledger) = (&self.target.name, &self.target.ledger);
        let site = self.target.site.lock().expect("nobody panics with it");
        // In memory: a volume that refuses the journal holds up no reload.
        let noted = site.disk.known.targets.get(name).and_then(|target| target.attempt.as_ref());
        ledger.promise("I8", noted.map(|it| it.generation) == Some(generation), || {
            format!("{name} is told of {generation}, the journal has {noted:?}")
        });
        drop(site);
        let (now, interval) = (Instant::now(), self.settings.min_interval);
        let mut state = self.target.state();
        let before = state.told.back().filter(|(_, epoch)| *epoch == self.epoch);
        if let Some((at, _)) = before {
            ledger.promise("I9", now - *at >= interval, || {
                format!("{name} is told {:?} after the last time, not {interval:?}", now - *at)
            });
        }
        state.told.push_back((now, self.epoch));
        if state.told.len() > 64 {
            state.told.pop_front();
        }
    }
}

impl Tell for Teller {
    type Evidence = ();

    async fn look(&mut self, visible: &Visible, repeat: bool) -> Look<()> {
        self.pause(SLOWEST / 10).await;
        let now = self.target.site.lock().expect("nobody panics with it").disk.now();
        let state = self.target.state();
        match state.mood {
            Mood::Away => return Look::Wait(Report::new(Class::NotUp, "away")),
            Mood::WrongSetup if self.settings.signal.is_some() => {
                return Look::Wait(Report::new(Class::Unfit, "no handler"));
            }
            _ => {}
        }
        if self.settings.signal.is_none() {
            return Look::Ready(self.settings.verify.as_ref().map(|_| ()));
        }
        let young = state.started.boot_id == now.boot_id
            && now.since_boot.saturating_sub(state.started.since_boot) < MIN_UPTIME;
        if young {
            return Look::Wait(Report::new(Class::NotUp, "too young"));
        }
        let has_read_it = visible.flipped.as_ref().is_some_and(|flipped| {
            flipped.boot_id == state.started.boot_id
                && state.started.since_boot > flipped.since_boot
        });
        if has_read_it && !repeat { Look::Fresh } else { Look::Ready(None) }
    }

    async fn act(&mut self, generation: u64, _: &[OutputPath]) -> Report {
        self.check(generation);
        self.pause(SLOWEST).await;
        let mood = self.target.state().mood;
        self.target
            .ledger
            .note("told", format_args!("{} of {generation}: {mood:?}", self.target.name));
        match mood {
            Mood::Away => return Report::new(Class::NotUp, "away"),
            Mood::WrongSetup => return Report::new(Class::Misconfigured, "wrong"),
            Mood::Hangs if self.settings.signal.is_none() => {
                sleep(DEADLINE).await;
                return Report::new(Class::CannotKnow, "no answer");
            }
            _ => {}
        }
        let liked = self.target.load(self.files);
        match (&self.settings.signal, liked) {
            (Some(_), _) => Report::new(Class::Sent, "sent"),
            (None, true) => Report::new(Class::Confirmed, "200"),
            (None, false) => Report::new(Class::SaidNo, "500"),
        }
    }

    async fn confirm(&mut self, told: Report, before: Option<&()>) -> Report {
        if before.is_some() && told.class == Class::Confirmed {
            self.pause(SLOWEST).await;
        }
        told
    }
}

//! The promises about time and about what is said, checked after every step and at the end.

use std::{collections::BTreeMap, time::Duration};

use rehup::{
    digest::Digest,
    journal::Outcome,
    status::{Cause, FRESH_FOR},
};
use tokio::time::Instant;

use super::{
    disk::Whole,
    life::Life,
    process::CHECK,
    promises::Promises,
    reader,
    setup::{TARGETS, files_of},
    store::text,
    target, volume,
};

/// A stream that says nothing is opened again after this.
const SILENT: Duration = Duration::from_secs(120);
/// The longest back-off.
const CAP: Duration = Duration::from_secs(30);
/// The longest wait that a store may ask for.
const ASKED_WAIT: Duration = Duration::from_secs(60);
/// A target that is set up wrong is asked again after this.
const BARRED: Duration = Duration::from_secs(30);
/// How long a debt may go unseen: the way of an announcement.
const UNSEEN: Duration = Duration::from_secs(2);

/// A task may take this long to come round after a suspension: a check may be in flight, or a call
/// to a target up to its deadline.
const AWAKE: Duration = target::DEADLINE.saturating_add(Duration::from_secs(2));

/// What the looks before remember.
#[derive(Default)]
pub struct Vigil {
    unseen: BTreeMap<String, Instant>,
    silent: Option<Instant>,
    visible: Option<Visible>,
}

/// The visible generation, as far as a look needs it.
#[derive(Clone)]
struct Visible {
    number: u64,
    version: u64,
    /// The text of each source's content.
    texts: BTreeMap<String, String>,
    /// The digest over each target's files.
    digests: BTreeMap<String, Option<Digest>>,
}

impl Visible {
    fn of(whole: &Whole) -> Self {
        let shown = Promises::shown(&whole.files);
        let digest = |name: &str| {
            (name.to_owned(), whole.generation.digest_of(|path| files_of(name).matches(path)))
        };
        Self {
            number: whole.generation.number,
            version: shown.version,
            texts: shown.sources.iter().map(|(name, it)| (name.clone(), text(it))).collect(),
            digests: TARGETS.map(digest).into(),
        }
    }
}

impl Vigil {
    /// Another process, or another configuration.
    pub fn forget(&mut self) {
        self.unseen.clear();
        self.silent = None;
        self.visible = None;
    }

    /// One look at everything.
    pub fn look(life: &mut Life) {
        life.ledger.count("steps");
        if life.process.is_none() {
            return;
        }
        let site = life.outside.site.lock().expect("nobody panics with it");
        let whole = site.disk.visible.as_ref().map(|(whole, _)| whole);
        let number = whole.map(|whole| whole.generation.number);
        if life.vigil.visible.as_ref().map(|it| it.number) != number {
            life.vigil.visible = whole.map(Visible::of);
        }
        drop(site);
        Self::says_what_is_visible(life);
        Self::says_when_it_is_stale(life);
        Self::owes_what_is_not_settled(life);
        Self::asks_with_measure(life);
    }

    /// A visible generation keeps us ready.
    fn says_what_is_visible(life: &Life) {
        let Some(process) = &life.process else { return };
        let visible = life.site().disk.visible.as_ref().map(|(whole, _)| whole.generation.number);
        let told = process.status().generation.map(|generation| generation.number);
        // The flip is told a moment after it happened.
        let holds = told == visible || (told < visible && told.is_some() == visible.is_some());
        let first = told.is_none() && visible == Some(1);
        life.ledger.promise("readiness", holds || first, || {
            format!("{visible:?} is visible, {told:?} is told")
        });
        if life.woke.elapsed() < AWAKE {
            return;
        }
        let silent = process.shared.pulses.silent(Instant::now());
        life.ledger.promise("liveness", silent.is_empty(), || format!("{silent:?} are silent"));
    }

    /// From an answer to a flip, when nothing fails.
    pub fn way(life: &Life) -> Duration {
        let checks = if life.setup.checks { CHECK * 2 } else { Duration::ZERO };
        reader::SLOWEST + life.setup.longest_settle() + checks + volume::SLOWEST * 12
    }

    /// A volume may be behind by more than the way of a change for a minute at most, unless it is
    /// called stale.
    fn says_when_it_is_stale(life: &mut Life) {
        let now = Instant::now();
        let outdated = Self::outdated(life, now);
        let stale = life.process.as_ref().is_none_or(|it| !it.status().stale(now).is_empty());
        let Some(what) = outdated.filter(|_| !stale) else {
            life.vigil.silent = None;
            return;
        };
        let since = *life.vigil.silent.get_or_insert(now);
        let bound = FRESH_FOR + Self::way(life);
        life.ledger.promise("I2", now - since <= bound, || what);
    }

    /// What the volume shows that has not been so for longer than a change is on its way.
    fn outdated(life: &Life, now: Instant) -> Option<String> {
        let way = Self::way(life);
        let shown = life.vigil.visible.as_ref()?;
        if shown.version != life.setup.version {
            let age = now - life.edited;
            return (age > way).then(|| format!("the edit of {age:?} ago is not visible"));
        }
        life.setup.sources.iter().find_map(|name| {
            let text = shown.texts.get(name).map_or("", String::as_str);
            let state = life.outside.stores[name].state();
            let until = state.known.get(text).and_then(|known| known.until)?;
            // A watch that lies is found out by the next full read, and no sooner.
            let lied = state.lied.is_some_and(|at| now - at < life.setup.resync * 2 + way);
            let (held, age) = (&state.content, now - until);
            let why = || format!("{name} holds {} keys since {age:?}, nothing is said", held.len());
            (age > way && !lied).then(why)
        })
    }

    /// What a target has not settled is owed, and that is said.
    fn owes_what_is_not_settled(life: &mut Life) {
        let Some(process) = &life.process else { return };
        let (now, status) = (Instant::now(), process.status());
        let Some(visible) = life.vigil.visible.clone() else { return };
        for name in life.setup.targets.clone() {
            let digest = visible.digests[&name];
            let site = life.site();
            let record = site.disk.known.targets.get(&name);
            let settled = record.and_then(|target| target.settled.as_ref());
            let settled = settled.map(|settled| settled.digest);
            drop(site);
            let owed = digest.is_some() && settled != digest;
            let said = status.targets.get(&name).is_some_and(|it| it.owed_since.is_some());
            if !owed || said {
                life.vigil.unseen.remove(&name);
                continue;
            }
            let since = *life.vigil.unseen.entry(name.clone()).or_insert(now);
            life.ledger.promise("I8", now - since <= UNSEEN, || {
                format!("{name} has not settled what is visible, and nothing is owed")
            });
        }
    }

    /// Attempts at a store are bounded, whatever it does.
    fn asks_with_measure(life: &Life) {
        let now = Instant::now();
        let window = Duration::from_secs(600);
        for (name, store) in &life.outside.stores {
            let mut state = store.state();
            let state = &mut *state;
            for times in [&mut state.opens, &mut state.failures] {
                while times.front().is_some_and(|at| now - *at > window) {
                    times.pop_front();
                }
            }
            let (opens, failures) = (state.opens.len(), state.failures.len());
            life.ledger.promise("I9", opens <= 200 && failures <= 600, || {
                format!("{name} was opened {opens} times and failed {failures} times in 10 min")
            });
        }
    }

    /// Within which time after the healing the volume must be the rendering of every store.
    pub fn converges_within(life: &Life) -> Duration {
        let lied = life.outside.stores.values().any(|store| store.state().lied.is_some());
        let reread = if lied { life.setup.resync.mul_f64(1.2) } else { Duration::ZERO };
        let heard = (SILENT + CAP).max(ASKED_WAIT + reader::DEADLINE).max(reread);
        heard + reader::SLOWEST + CAP + Self::way(life)
    }

    /// Within which time after that every target must have settled it.
    pub fn settles_within(life: &Life) -> Duration {
        let waits = life.setup.min_interval + life.setup.splay + BARRED + target::DEADLINE;
        waits + (target::SLOWEST * 3 + volume::SLOWEST * 4) * 3
    }

    /// The volume is the rendering of what every store holds.
    pub fn is_rendered(life: &Life) -> bool {
        let contents = life.outside.stores.iter();
        let contents = contents.map(|(name, store)| (name.clone(), store.state().content.clone()));
        let expected = life.setup.render(&contents.collect());
        let visible = life.site().disk.visible.as_ref().map(|(whole, _)| whole.files.clone());
        visible == expected
    }

    /// That, and nothing says otherwise.
    pub fn is_converged(life: &Life) -> bool {
        Self::is_rendered(life) && Self::causes(life).is_empty()
    }

    /// What stands between the stores and the volume.
    pub fn causes(life: &Life) -> Vec<Cause> {
        let Some(process) = &life.process else { return Cause::ALL.to_vec() };
        let stale = process.status().stale(Instant::now());
        stale.into_iter().map(|(cause, _)| cause).collect()
    }

    /// Every target has loaded what is visible and settled it.
    pub fn is_settled(life: &Life) -> bool {
        let Some(process) = &life.process else { return false };
        let status = process.status();
        let visible = life.site().disk.visible.as_ref().map(|(whole, _)| whole.generation.clone());
        life.setup.targets.iter().all(|name| {
            let files = files_of(name);
            let digest = visible.as_ref().and_then(|it| it.digest_of(|path| files.matches(path)));
            let target = &status.targets[name];
            let good = matches!(target.outcome, Some(Outcome::Confirmed | Outcome::Unknown));
            let loaded = life.outside.targets[name].state().loaded;
            good && target.owed_since.is_none() && loaded == digest
        })
    }
}

//! Reload: tells one target about the newest generation, until that is settled.
//!
//! Owns what is owed, the three ways to reload, verification and outcomes. Only this module
//! touches a target. Must not write the volume (the journal goes through a
//! [`Recorder`]) and
//! must not decide a rollback (a [`Verdict`] goes to the pipeline).

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    chain::chain,
    config::shape,
    digest::Digest,
    failpoint,
    generation::{Generation, Visible},
    journal::{Attempt, Entry, Journal, Outcome, Settled},
    publish::Volume,
    pulse::Pulse,
    status::Board,
    world::Recorder,
};

mod attempt;
mod exec;
mod gate;
mod http;
pub mod matcher;
mod process;
mod signal;
mod tell;
mod teller;
mod verdict;
mod verify;
mod wait;

use attempt::Pace;
pub use attempt::{Class, Report};
use matcher::Matcher;
pub use tell::{Look, Tell};
pub use teller::Teller;
pub use verdict::Verdict;
use wait::{last_call, superseded, until};

/// A journal that cannot be written is tried again after this.
const RECORD_AGAIN: Duration = Duration::from_secs(1);

/// Everything one target's task needs.
pub struct Reloader<R = Volume> {
    /// The target's settings.
    pub target: shape::Target,
    /// The newest visible generation.
    pub generations: watch::Receiver<Option<Arc<Visible>>>,
    /// Where the journal is written.
    pub volume: R,
    /// The journal when this task was started.
    pub journal: Arc<Journal>,
    /// Where a rejection is told that asks for a rollback.
    pub verdicts: mpsc::Sender<Verdict>,
    /// An operator's wish to repeat a settled reload.
    pub repeat: watch::Receiver<u64>,
    /// Where outcomes are shown.
    pub board: Board,
    /// Where durations are counted.
    pub metrics: Arc<crate::metrics::Metrics>,
}

/// A reload that is owed.
struct Debt {
    visible: Arc<Visible>,
    digest: Digest,
    since: Instant,
}

/// What woke a target's task.
enum Event {
    Generation,
    Repeat,
    Due,
    Shutdown,
}

/// What changes from reload to reload.
struct Course<T> {
    teller: T,
    files: Matcher,
    pace: Pace,
    debt: Option<Debt>,
    told: Option<Generation>,
    repeat: bool,
    complaint: Option<String>,
    /// The volume refused the last change of the journal.
    unwritten: bool,
}

impl Reloader {
    /// Whether the target could be told now, without telling it: `check --connect`. The answer is
    /// one sentence.
    pub async fn diagnose(target: &shape::Target) -> Result<String, String> {
        Teller::new(target.clone())?.diagnose().await
    }
}

impl<R: Recorder> Reloader<R> {
    /// Follows generations and settles what is owed, until `shutdown`; then starts no reload and
    /// returns within a second.
    pub async fn run<T: Tell>(
        mut self,
        teller: Result<T, String>,
        shutdown: CancellationToken,
        pulse: Arc<Pulse>,
    ) {
        let compiled = Matcher::new(self.target.only.as_deref()).map_err(|e| e.to_string());
        let compiled = compiled.and_then(|matcher| Ok((matcher, teller?)));
        let (files, teller) = match compiled {
            Ok(compiled) => compiled,
            Err(error) => {
                tracing::error!(target = self.target.name, %error, "the target is set up wrong");
                return pulse.wait(shutdown.cancelled()).await;
            }
        };
        let pace = Pace::new(self.target.tries, self.target.min_interval);
        let mut course = Course {
            teller,
            files,
            pace,
            debt: None,
            told: None,
            repeat: false,
            complaint: None,
            unwritten: false,
        };
        self.ask_again(&course.files).await;
        while !shutdown.is_cancelled() {
            self.assess(&mut course);
            let due = course.debt.is_some().then(|| course.pace.due(Instant::now()));
            match pulse.wait(self.event(due, &shutdown)).await {
                Event::Shutdown => return,
                Event::Generation => {}
                Event::Repeat => self.again(&mut course).await,
                Event::Due => self.attempt(&mut course, &shutdown, &pulse).await,
            }
        }
    }

    async fn event(&mut self, due: Option<Instant>, shutdown: &CancellationToken) -> Event {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Event::Shutdown,
            changed = self.generations.changed() => {
                if changed.is_err() {
                    shutdown.cancelled().await;
                }
                Event::Generation
            }
            Ok(()) = self.repeat.changed() => Event::Repeat,
            () = until(due) => Event::Due,
        }
    }

    /// Compares the newest generation with what was settled last.
    fn assess<T>(&mut self, course: &mut Course<T>) {
        let newest = self.generations.borrow_and_update().clone();
        let settled = self.journal.targets.get(&self.target.name).and_then(|t| t.settled.as_ref());
        let owed = newest.and_then(|visible| {
            let digest = visible.generation.digest_of(|path| course.files.matches(path))?;
            (settled.map(|settled| settled.digest) != Some(digest)).then_some((visible, digest))
        });
        let now = Instant::now();
        let before = course.debt.take();
        course.debt = owed.map(|(visible, digest)| {
            if before.as_ref().is_none_or(|debt| debt.digest != digest) {
                course.pace.renew();
            }
            let splay = self.target.splay.mul_f64(fastrand::f64());
            course.pace.owe(now, splay);
            Debt { visible, digest, since: before.as_ref().map_or(now, |debt| debt.since) }
        });
        let since = course.debt.as_ref().map(|debt| debt.since);
        if since != before.map(|debt| debt.since) {
            self.board.target(&self.target.name, |status| status.owed_since = since);
        }
    }

    async fn again<T>(&mut self, course: &mut Course<T>) {
        course.repeat = true;
        self.record(course, Entry::Repeat(self.target.name.clone())).await;
    }

    /// Writes one change; false if the volume refused, which is told once. The change holds all the
    /// same: the volume has it in memory, and only this task changes its target's record. Should we
    /// end before it is written, nothing is lost: the written record says that this digest is owed,
    /// and a generation that no journal lists makes every target owe.
    async fn record<T>(&mut self, course: &mut Course<T>, entry: Entry) -> bool {
        match self.volume.record(entry.clone()).await {
            Ok(journal) => {
                self.journal = journal;
                course.unwritten = false;
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut course.unwritten, true) {
                    let (target, error) = (&self.target.name, chain(&error));
                    tracing::error!(target, error, "cannot write the journal, trying again");
                }
                Arc::make_mut(&mut self.journal).apply(entry);
                false
            }
        }
    }

    /// Whether the journal has this attempt, and no end of it.
    fn is_noted(&self, attempt: &Attempt) -> bool {
        let known = self.journal.targets.get(&self.target.name);
        known.is_some_and(|it| it.settled.is_none() && it.attempt.as_ref() == Some(attempt))
    }

    /// One look and, if the target can be told, one attempt.
    async fn attempt<T: Tell>(
        &mut self,
        course: &mut Course<T>,
        shutdown: &CancellationToken,
        pulse: &Pulse,
    ) {
        failpoint::pass("target").await;
        let Some(Debt { visible, digest, .. }) = &course.debt else { return };
        let (visible, digest) = (Arc::clone(visible), *digest);
        let started = Instant::now();
        let look = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = superseded(&mut self.generations, &course.files, digest) => return,
            look = course.teller.look(&visible, course.repeat) => look,
        };
        let before = match look {
            Look::Wait(report) => {
                return self.finish(course, report, false, (started, shutdown), pulse).await;
            }
            Look::Fresh => {
                let report = Report::new(Class::Confirmed, "fresh_start");
                return self.finish(course, report, false, (started, shutdown), pulse).await;
            }
            Look::Ready(before) => before,
        };
        let number = visible.generation.number;
        let entry = Attempt { digest, generation: number };
        // Where nobody is there for days, the volume is not written every other second.
        if course.unwritten || !self.is_noted(&entry) {
            // A volume without room for the journal is no reason to leave the target with old files.
            self.record(course, Entry::Attempt(self.target.name.clone(), entry)).await;
        }
        if shutdown.is_cancelled() {
            return;
        }
        course.pace.start(Instant::now());
        let mut changed = visible.generation.changed_from(course.told.as_ref());
        changed.retain(|path| course.files.matches(path));
        let act = course.teller.act(number, &changed);
        let deadline = self.target.http.as_ref().map_or(self.target.timeout, |http| http.timeout);
        let told = pulse.within(deadline, last_call(act, shutdown)).await;
        let Some(told) = told else { return };
        let verifies = self.target.verify.is_some();
        let deadline = self.target.verify.as_ref().map_or(Duration::ZERO, |verify| verify.timeout);
        let confirmed = async {
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if verifies => None,
                report = course.teller.confirm(told, before.as_ref()) => Some(report),
                () = superseded(&mut self.generations, &course.files, digest) => None,
            }
        };
        let Some(report) = pulse.within(deadline, confirmed).await else { return };
        self.finish(course, report, true, (started, shutdown), pulse).await;
    }

    /// Notes an end, and settles the reload if it is one that settles.
    async fn finish<T>(
        &mut self,
        course: &mut Course<T>,
        report: Report,
        tried: bool,
        (from, shutdown): (Instant, &CancellationToken),
        pulse: &Pulse,
    ) {
        let Some(Debt { visible, digest, .. }) = &course.debt else { return };
        let (visible, digest) = (Arc::clone(visible), *digest);
        let generation = visible.generation.number;
        let (last, used) = (course.pace.settles(report.class), course.pace.used);
        let outcome = course.pace.end(report.class, tried, Instant::now());
        if !last {
            return self.complain(course, &report, outcome, tried);
        }
        let settled = Settled { digest, generation, outcome };
        tracing::info!(
            target = self.target.name,
            generation,
            outcome = outcome.as_str(),
            evidence = report.detail,
            took = ?crate::telemetry::took(from),
            tries = used,
            "reload"
        );
        course.told = Some(visible.generation.clone());
        course.debt = None;
        course.repeat = false;
        course.complaint = None;
        self.show(outcome, generation, &report.detail, true);
        let arrived = self.board.read().generation.filter(|it| it.number == generation);
        if let Some(arrived) = arrived.and_then(|generation| generation.arrived) {
            self.metrics.change_to_settled(&self.target.name, arrived.elapsed());
        }
        self.write_down(course, settled, shutdown, pulse).await;
        self.ask_for_rollback(outcome, &visible.generation).await;
    }

    /// Writes down what is settled. It was told and is shown, so neither a newer generation, nor an
    /// operator, nor our end waits for a volume that refuses.
    async fn write_down<T>(
        &mut self,
        course: &mut Course<T>,
        settled: Settled,
        shutdown: &CancellationToken,
        pulse: &Pulse,
    ) {
        let entry = Entry::Settled(self.target.name.clone(), settled);
        loop {
            let written = self.record(course, entry.clone()).await;
            let news = self.generations.has_changed().unwrap_or_default();
            if written || news || self.repeat.has_changed().unwrap_or_default() {
                break;
            }
            self.clear_debt();
            // A volume that stays full is no silence of ours.
            let pause = pulse.wait(sleep(RECORD_AGAIN));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = self.generations.changed() => break self.generations.mark_changed(),
                _ = self.repeat.changed() => break self.repeat.mark_changed(),
                () = pause => {}
            }
        }
        // What is owed after that is assessed before anybody can look.
        self.clear_debt();
    }

    fn clear_debt(&self) {
        self.board.target(&self.target.name, |status| status.owed_since = None);
    }

    /// Loud once, then quiet until the reason is another; a mere look counts only when loud.
    fn complain<T>(&self, course: &mut Course<T>, report: &Report, outcome: Outcome, tried: bool) {
        let Some(debt) = &course.debt else { return };
        let generation = debt.visible.generation.number;
        let news = course.complaint.as_ref() != Some(&report.detail);
        self.show(outcome, generation, &report.detail, news || tried);
        if news {
            let (target, why) = (&self.target.name, &report.detail);
            tracing::warn!(target, generation, outcome = outcome.as_str(), why, "reload is owed");
            course.complaint = Some(report.detail.clone());
        }
    }

    fn show(&self, outcome: Outcome, generation: u64, detail: &str, counts: bool) {
        self.board.target(&self.target.name, |status| {
            status.outcome = Some(outcome);
            status.generation = Some(generation);
            detail.clone_into(&mut status.detail);
            if counts {
                *status.counts.entry(outcome).or_default() += 1;
            }
        });
    }
}

//! The state of one followed prefix: what is held, what is asked next, what runs now.

use std::{pin::Pin, sync::PoisonError, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    Timers, Trusted, body,
    pace::Pace,
    wire::{Answer, Request, Wire},
};
use crate::{
    Doubt, Entries, ProviderError, Revision, Snapshot, Update,
    settings::{Consistency, ConsulSettings},
};

type Asking<T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send>>;

/// An answer and what its body holds.
type Content = (Answer, Entries);

/// The next read of the reading side.
#[derive(Clone, Copy, Debug)]
enum Ask {
    /// The content now: the first read.
    First,
    /// The content now, from a leader that is sure of itself: after an error, a reset or a proof that failed to match.
    Again,
    /// The content now, after a while: the last answer had doubts.
    Doubting,
    /// The content once the index is above this one.
    Behind(u64),
}

/// What was told last.
struct Held {
    snapshot: Snapshot,
    digest: blake3::Hash,
}

/// What ended first.
enum Event {
    Read(Result<Content, ProviderError>),
    Proof(Result<Answer, ProviderError>),
}

/// One followed prefix; dropping it ends both requests.
pub(super) struct Following {
    settings: ConsulSettings,
    timers: Timers,
    wire: Wire,
    ask: Ask,
    reading: Option<Asking<Content>>,
    proving: Option<Asking<Answer>>,
    prove_at: Instant,
    held: Option<Held>,
    trusted: Trusted,
    /// Answers that brought nothing new, or no index to wait behind.
    idle: Pace,
    /// Answers that brought a change.
    busy: Pace,
    read_at: Instant,
}

impl Following {
    pub(super) fn new(settings: ConsulSettings, timers: Timers, trusted: Trusted) -> Self {
        Self {
            wire: Wire::new(settings.clone()),
            settings,
            timers,
            ask: Ask::First,
            reading: None,
            proving: None,
            prove_at: Instant::now(),
            held: None,
            trusted,
            idle: Pace::new(1, Duration::from_secs(1)),
            busy: Pace::new(2, Duration::from_millis(100)),
            read_at: Instant::now(),
        }
    }

    /// The next item. Cancel safe: requests that run are kept for the next call.
    pub(super) async fn next(&mut self) -> Result<Update, ProviderError> {
        loop {
            let told = match self.event().await {
                Event::Read(Ok((answer, entries))) => self.read(&answer, entries),
                Event::Proof(Ok(answer)) => self.proof(&answer),
                Event::Read(Err(error)) | Event::Proof(Err(error)) => {
                    self.start_over();
                    return Err(error);
                }
            };
            if let Some(update) = told {
                return Ok(update);
            }
        }
    }

    /// Starts what is due and waits for the first to end. Token and certificates are read when a
    /// request starts, so none is prepared before its time.
    async fn event(&mut self) -> Event {
        loop {
            let now = Instant::now();
            if self.reading.is_none() && self.read_at <= now {
                self.reading = Some(self.start_reading());
            }
            let prove_at = self.proof_is_due().then_some(self.prove_at);
            if prove_at.is_some_and(|at| at <= now) {
                self.proving = Some(self.start_proving());
            }
            let read_at = self.reading.is_none().then_some(self.read_at);
            let prove_at = prove_at.filter(|at| *at > now);
            let (reading, proving) = (&mut self.reading, &mut self.proving);
            tokio::select! {
                biased;
                answer = running(reading) => { *reading = None; return Event::Read(answer); }
                answer = running(proving) => { *proving = None; return Event::Proof(answer); }
                () = alarm(read_at) => {}
                () = alarm(prove_at) => {}
            }
        }
    }

    /// A proof needs something sure to prove, and a reading side that waits.
    fn proof_is_due(&self) -> bool {
        let sure = self.held.as_ref().is_some_and(|held| held.snapshot.doubts.is_empty());
        self.proving.is_none() && sure && matches!(self.ask, Ask::Behind(_))
    }

    fn start_reading(&mut self) -> Asking<Content> {
        let wait = self.settings.wait;
        let consistency = match self.ask {
            Ask::Behind(_) => self.settings.consistency,
            Ask::First if self.settings.consistency == Consistency::Stale => Consistency::Stale,
            // A leader that has just started answers default reads while it still replays its log:
            // with an older content that it had once.
            Ask::First | Ask::Again | Ask::Doubting => Consistency::Consistent,
        };
        let block = if let Ask::Behind(index) = self.ask { Some((index, wait)) } else { None };
        let deadline = match block {
            // The server adds up to a sixteenth, an agent seven seconds in an outage.
            Some(_) => wait + wait / 16 + Duration::from_secs(10),
            None => self.timers.probe,
        };
        let request = Request { block, consistency, keep: true, deadline };
        let asking = self.wire.ask(request);
        let (prefix, max_bytes) = (self.settings.prefix.clone(), self.settings.max_bytes);
        let before = self.held.as_ref().map(|held| held.snapshot.entries.clone());
        let before = before.unwrap_or_default();
        Box::pin(async move {
            let mut answer = asking.await?;
            let Some(body) = answer.body.take() else { return Ok((answer, Entries::new())) };
            let entries = body::read(body, prefix, max_bytes, before).await?;
            Ok((answer, entries))
        })
    }

    fn start_proving(&mut self) -> Asking<Answer> {
        let request = Request {
            block: None,
            consistency: Consistency::Default,
            keep: false,
            deadline: self.timers.probe,
        };
        Box::pin(self.wire.ask(request))
    }

    /// After an error nothing that runs is worth waiting for: the next poll reads the content now.
    fn start_over(&mut self) {
        self.reading = None;
        self.proving = None;
        self.read_at = Instant::now();
        self.ask = if self.held.is_some() { Ask::Again } else { Ask::First };
    }

    /// Reads the content now, in the rhythm of answers that brought nothing.
    fn read_again(&mut self) {
        self.reading = None;
        self.proving = None;
        self.ask = Ask::Again;
        let now = Instant::now();
        self.read_at = now + self.idle.take(now);
    }

    fn proof(&mut self, answer: &Answer) -> Option<Update> {
        let held = self.held.as_ref()?;
        let revision = held.snapshot.revision;
        let same = answer.meta.index == Some(revision.0)
            && answer.digest == held.digest
            && !answer.meta.filtered
            && !answer.meta.stale;
        if !same {
            self.read_again();
            return None;
        }
        self.plan_proof();
        Some(Update::Current { revision, as_of: answer.started })
    }

    fn read(&mut self, answer: &Answer, entries: Entries) -> Option<Update> {
        let asked = self.ask;
        let index = answer.meta.index.unwrap_or(1);
        // Lower than what was known before this stream: a restored store, or a server that is late.
        if matches!(asked, Ask::First) && answer.meta.index.is_some() && index < self.known() {
            self.read_again();
            return None;
        }
        if let Ask::Behind(behind) = asked {
            let early = answer.arrived - answer.started < self.settings.wait;
            // Lower: a restored store. Unchanged too early: a restore or an ending agent, and the
            // answer is from before.
            if answer.meta.index.is_some() && (index < behind || (index == behind && early)) {
                self.read_again();
                return None;
            }
        }
        let doubts = self.doubts(answer, index, &entries);
        let held = self.held.as_ref().map(|held| &held.snapshot);
        let same_content = held.is_some_and(|held| held.entries == entries);
        let same = same_content && held.is_some_and(|held| held.doubts == doubts);
        // A server that is not the leader may answer late.
        let woken = matches!(asked, Ask::Behind(behind) if behind != index)
            && self.settings.consistency != Consistency::Stale;
        let as_of = if woken { answer.arrived } else { answer.started };
        let snapshot = Snapshot { revision: Revision(index), entries, doubts, as_of };
        // Without an index the next request waits for nothing, whatever it brings.
        let slowly = same_content || answer.meta.index.is_none();
        self.plan(index, &snapshot.doubts, same_content, slowly);
        if snapshot.doubts.is_empty() {
            *self.trusted.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot.clone());
        }
        self.held = Some(Held { snapshot: snapshot.clone(), digest: answer.digest });
        if !same {
            return Some(Update::Snapshot(snapshot));
        }
        let proves = snapshot.doubts.is_empty() && matches!(asked, Ask::Again | Ask::Doubting);
        proves.then_some(Update::Current { revision: snapshot.revision, as_of })
    }

    /// The index of the last snapshot without doubts, also of an earlier stream.
    fn known(&self) -> u64 {
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        trusted.as_ref().map_or(0, |trusted| trusted.revision.0)
    }

    /// What to ask after an answer.
    fn plan(&mut self, index: u64, doubts: &[Doubt], same: bool, slowly: bool) {
        let now = Instant::now();
        if !doubts.is_empty() {
            self.proving = None;
            self.ask = Ask::Doubting;
            self.read_at = now + self.timers.doubt.mul_f64(0.8 + 0.4 * fastrand::f64());
            return;
        }
        let waited = matches!(self.ask, Ask::Behind(_));
        // An unchanged answer is as old as its start and proves too little to put off a proof.
        if !(same && waited) {
            self.proving = None;
            self.plan_proof();
        }
        self.ask = Ask::Behind(index);
        self.read_at = now + if slowly { self.idle.take(now) } else { self.busy.take(now) };
    }

    fn plan_proof(&mut self) {
        self.prove_at = Instant::now() + self.timers.proof.mul_f64(0.9 + 0.1 * fastrand::f64());
    }

    fn doubts(&self, answer: &Answer, index: u64, entries: &Entries) -> Vec<Doubt> {
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = trusted.as_ref().is_some_and(|trusted| {
            trusted.entries.keys().any(|key| !entries.contains_key(key.as_str()))
        });
        let stood = trusted.as_ref().is_some_and(|trusted| trusted.revision.0 == index);
        let anonymous = self.settings.token_file.is_none() && answer.meta.default_deny;
        [
            (answer.meta.filtered, Doubt::Filtered),
            (anonymous && (lost || entries.is_empty()), Doubt::DefaultDeny),
            (lost && stood, Doubt::GoneInPlace),
            (answer.meta.stale, Doubt::Stale),
        ]
        .into_iter()
        .filter_map(|(present, doubt)| present.then_some(doubt))
        .collect()
    }
}

/// Ends at the given time; never, if there is none.
async fn alarm(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The answer of what runs; never, if nothing does.
async fn running<T>(asking: &mut Option<Asking<T>>) -> Result<T, ProviderError> {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

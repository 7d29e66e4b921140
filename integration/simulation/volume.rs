//! The volume of the simulated world: one worker does what is asked, in order and slowly, fails as
//! the world wants it to, and may be where everything ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rehup::{
    digest::Digest,
    generation::Generation,
    journal::{Entry, Journal},
    publish::{PublishError, Published, Staged},
    rendering::Rendering,
    world::{Publisher, Recorder},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::sleep,
};

use super::{
    chance::Chance,
    disk::{Disk, Failure},
    ledger::Ledger,
    promises::Promises,
};

/// The longest that one request to the volume takes.
pub const SLOWEST: Duration = Duration::from_millis(100);

type Work = Box<dyn FnOnce(&mut Site) + Send>;

/// What outlives a process: the disk, and what it does to whoever uses it.
pub struct Site {
    pub disk: Disk,
    pub chance: Chance,
    /// It refuses some requests, or all.
    pub failing: Option<(Failure, u32)>,
    /// The process ends within this many requests.
    pub ends_in: Option<u32>,
    /// The process ends in this request: nobody hears of it.
    ends_here: bool,
    /// Which process uses it: what an earlier one asked for is never done.
    user: u64,
    pub promises: Promises,
    ledger: Ledger,
}

impl Site {
    /// The process that used it is gone, and nothing that it asked for is done any more.
    pub fn next_user(&mut self) -> u64 {
        self.user += 1;
        self.user
    }

    /// An empty disk that works.
    pub fn new(chance: Chance, promises: Promises, ledger: Ledger) -> Self {
        Self {
            disk: Disk::new(),
            chance,
            failing: None,
            ends_in: None,
            ends_here: false,
            user: 0,
            promises,
            ledger,
        }
    }

    /// Does one request; true if the process ends in it. Then it may be done or not.
    fn ends_in_this(&mut self, work: Work) -> bool {
        let left = self.ends_in.map(|left| left.saturating_sub(1));
        self.ends_in = left.filter(|left| *left > 0);
        self.ends_here = left == Some(0);
        if !self.ends_here || self.chance.one_in(2) {
            work(self);
        }
        if self.ends_here {
            self.ledger.note("crash", "at the volume");
        }
        std::mem::take(&mut self.ends_here)
    }

    /// An error, if this request is to fail.
    fn failure(&mut self, action: &'static str) -> Result<(), PublishError> {
        let Some((failure, one_in)) = self.failing else { return Ok(()) };
        if !self.chance.one_in(one_in) {
            return Ok(());
        }
        self.ledger.note(if failure == Failure::Full { "disk full" } else { "disk error" }, action);
        Err(failure.error(action))
    }

    /// The journal goes to the disk, or stays in memory.
    fn write_journal(&mut self) -> Result<(), PublishError> {
        self.failure("cannot write the journal")?;
        self.disk.write_journal();
        Ok(())
    }
}

/// One process's handle. After the process's end it answers nobody.
#[derive(Clone)]
pub struct Volume {
    requests: mpsc::UnboundedSender<Work>,
}

impl Volume {
    /// Opens the disk for a new process; `ended` is told when the process must end here.
    pub fn open(site: Arc<Mutex<Site>>, ended: Arc<Notify>) -> Self {
        let (requests, asked) = mpsc::unbounded_channel();
        let user = lock(&site).next_user();
        tokio::spawn(serve(site, user, asked, ended));
        Self { requests }
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Site) -> T + Send + 'static,
    ) -> T {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |site| {
            let done = work(site);
            if !site.ends_here {
                drop(reply.send(done));
            }
        });
        drop(self.requests.send(work));
        match answer.await {
            Ok(answer) => answer,
            // The process has ended; nothing goes on in it.
            Err(_) => std::future::pending().await,
        }
    }
}

async fn serve(
    site: Arc<Mutex<Site>>,
    user: u64,
    mut asked: mpsc::UnboundedReceiver<Work>,
    ended: Arc<Notify>,
) {
    while let Some(work) = asked.recv().await {
        let pause = lock(&site).chance.up_to(SLOWEST);
        sleep(pause).await;
        if lock(&site).user != user {
            return;
        }
        if lock(&site).ends_in_this(work) {
            ended.notify_one();
            // Requests are taken and never answered.
            return std::future::pending().await;
        }
    }
}

fn lock(site: &Mutex<Site>) -> MutexGuard<'_, Site> {
    site.lock().expect("nobody panics with it")
}

/// An entry without its digests.
fn told(entry: &Entry) -> String {
    match entry {
        Entry::Attempt(name, it) => format!("{name} attempts {}", it.generation),
        Entry::Settled(name, it) => format!("{name} settled {}: {}", it.generation, it.outcome),
        Entry::Targets(names) => format!("targets {names:?}"),
        Entry::Repeat(name) => format!("repeat {name}"),
        Entry::Quarantine(_) => "quarantine".to_owned(),
        Entry::Unquarantine(_) => "quarantine lifted".to_owned(),
        Entry::KeepQuarantine(kept) => format!("quarantine kept: {}", kept.is_some()),
    }
}

impl Recorder for Volume {
    async fn record(&self, entry: Entry) -> Result<Arc<Journal>, PublishError> {
        self.ask(move |site| {
            site.promises.before_record(&site.disk, &entry);
            site.ledger.note("record", told(&entry));
            let journal = site.disk.apply(entry);
            site.write_journal()?;
            Ok(journal)
        })
        .await
    }
}

impl Publisher for Volume {
    async fn stage(
        &self,
        rendering: Arc<Rendering>,
        sources: BTreeMap<String, u64>,
    ) -> Result<Staged, PublishError> {
        self.ask(move |site| {
            site.failure("cannot create")?;
            Ok(site.disk.stage(&rendering, sources))
        })
        .await
    }

    async fn restage(&self, number: u64) -> Result<Staged, PublishError> {
        self.ask(move |site| {
            site.failure("cannot create")?;
            site.disk.restage(number)
        })
        .await
    }

    async fn publish(&self, staged: Staged, rollback: bool) -> Result<Published, PublishError> {
        self.ask(move |site| {
            site.promises.before_flip(&site.disk, &staged, rollback);
            if let Err(error) = site.failure("cannot flip") {
                site.disk.discard();
                return Err(error);
            }
            let mut published = site.disk.flip(rollback).expect("it was staged last");
            let number = published.visible.generation.number;
            site.ledger.note(if rollback { "rolled back" } else { "published" }, number);
            let synced = site.failure("cannot sync").is_ok();
            if synced {
                site.disk.sync();
            }
            if site.ends_here && site.chance.one_in(2) {
                // Between the flip and its record.
                return Ok(published);
            }
            published.not_durable = !synced | site.write_journal().is_err();
            Ok(published)
        })
        .await
    }

    async fn discard(&self, _: Staged) {
        self.ask(|site| site.disk.discard()).await;
    }

    async fn repair(&self) -> Result<Option<String>, PublishError> {
        self.ask(|site| {
            site.failure("cannot repair")?;
            Ok(site.disk.drift.clone())
        })
        .await
    }

    async fn collect(&self, protect: BTreeSet<u64>) -> Result<Vec<Generation>, PublishError> {
        self.ask(move |site| Ok(site.disk.collect(protect))).await
    }

    async fn journal(&self) -> Result<Arc<Journal>, PublishError> {
        self.ask(|site| Ok(Arc::new(site.disk.known.clone()))).await
    }

    async fn remember(&self, memory: Vec<u8>) -> Result<(), PublishError> {
        self.ask(move |site| {
            site.failure("cannot write what the guard remembers")?;
            site.disk.remember(memory);
            Ok(())
        })
        .await
    }

    async fn mark_inputs(&self, inputs: Option<Digest>) -> Result<(), PublishError> {
        self.ask(move |site| {
            site.failure("cannot mark inputs")?;
            site.disk.mark(inputs);
            Ok(())
        })
        .await
    }
}

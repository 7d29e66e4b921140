//! The state machine of one stream: connect, list, watch, and the way back after each failure.
//!
//! Owns which endpoint is next. Must not wait between attempts: that is the core's.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    content::Content,
    failure::{Failure, Recovery},
    list::list,
    range::Range,
    session::Session,
    watch::Watch,
};
use crate::{ErrorKind, ProviderError, Snapshot, Update, settings::EtcdSettings};

/// Where the next poll goes on.
enum State {
    Disconnected,
    /// Everything is to be read.
    Connected(Session),
    /// Read and told; the watch is to be opened.
    Listed(Session, Content),
    Watching(Session, Box<Watch>),
}

/// One stream's progress.
pub(super) struct Follow {
    settings: EtcdSettings,
    range: Range,
    proof_every: Duration,
    /// Counts up; the endpoint is this modulo their number.
    turn: usize,
    /// The highest revision seen, shared with the streams before and after this one.
    highest: Arc<AtomicU64>,
    state: State,
}

impl Follow {
    /// Nothing done yet. The first endpoint is a random one, so that many of us spread.
    pub(super) fn new(
        settings: EtcdSettings,
        proof_every: Duration,
        highest: Arc<AtomicU64>,
    ) -> Self {
        let range = Range::below(&settings.prefix);
        let turn = fastrand::usize(..settings.endpoints.len().max(1));
        Self { settings, range, proof_every, turn, highest, state: State::Disconnected }
    }

    /// The next update; an error leaves the state from which the next call tries again.
    pub(super) async fn next(&mut self) -> Result<Update, ProviderError> {
        loop {
            if let Some(update) = self.step().await? {
                let (Update::Snapshot(Snapshot { revision, .. })
                | Update::Current { revision, .. }) = &update;
                self.highest.fetch_max(revision.0, Ordering::Relaxed);
                return Ok(update);
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Update>, ProviderError> {
        match mem::replace(&mut self.state, State::Disconnected) {
            State::Disconnected => match connect(&self.settings, self.turn).await {
                Ok(session) => {
                    self.state = State::Connected(session);
                    Ok(None)
                }
                Err(failure) => {
                    self.turn = self.turn.wrapping_add(1);
                    Err(failure.error)
                }
            },
            State::Connected(session) => {
                let as_of = Instant::now();
                match list(&session, &self.range, self.settings.max_bytes).await {
                    Ok(content) if content.revision().0 < self.highest.load(Ordering::Relaxed) => {
                        let failure = self.restored(session.endpoint(), content.applied());
                        self.recover(session, failure).await
                    }
                    Ok(content) => {
                        let snapshot = content.snapshot(as_of);
                        self.state = State::Listed(session, content);
                        Ok(Some(Update::Snapshot(snapshot)))
                    }
                    Err(failure) => self.recover(session, failure).await,
                }
            }
            State::Listed(mut session, content) => {
                let range = self.range.clone();
                match Watch::open(&session, range, content, self.proof_every).await {
                    Ok(watch) => {
                        session.proved_useful();
                        self.state = State::Watching(session, Box::new(watch));
                        Ok(None)
                    }
                    Err(failure) => self.recover(session, failure).await,
                }
            }
            State::Watching(session, mut watch) => match watch.next(&session).await {
                Ok(update) => {
                    self.state = State::Watching(session, watch);
                    Ok(Some(update))
                }
                Err(failure) => self.recover(session, failure).await,
            },
        }
    }

    /// A store that was restored is told once; what it holds now is the truth.
    fn restored(&self, endpoint: &str, revision: i64) -> Failure {
        let before = self.highest.swap(revision.unsigned_abs(), Ordering::Relaxed);
        Failure::went_back(endpoint, before.cast_signed(), revision)
    }

    /// The state after a failure. Only an expired login is mended at once: it is part of normal
    /// life and tells nothing about the store.
    async fn recover(
        &mut self,
        mut session: Session,
        failure: Failure,
    ) -> Result<Option<Update>, ProviderError> {
        tracing::debug!(
            endpoint = session.endpoint(),
            kind = failure.error.kind.as_str(),
            recovery = ?failure.recovery,
            "following etcd failed"
        );
        match failure.recovery {
            Recovery::Relist => self.state = State::Connected(session),
            Recovery::Login if session.may_log_in(&self.settings) => {
                session.login(&self.settings).await.map_err(|failure| failure.error)?;
                self.state = State::Connected(session);
                return Ok(None);
            }
            Recovery::Login => {}
            Recovery::Reconnect => self.turn = self.turn.wrapping_add(1),
        }
        Err(failure.error)
    }
}

async fn connect(settings: &EtcdSettings, turn: usize) -> Result<Session, Failure> {
    let endpoints = &settings.endpoints;
    let Some(endpoint) = endpoints.get(turn % endpoints.len().max(1)) else {
        let error = ProviderError::new(ErrorKind::Malformed, "no endpoints are set");
        return Err(Failure::reconnect(error));
    };
    // Boxed: the client's connecting is large and rare, and would make every step as large.
    Box::pin(Session::connect(settings, endpoint)).await
}

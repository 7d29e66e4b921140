//! The state machine of one stream: connect, list, watch, and the way back after each failure.
//!
//! Owns which endpoint is next. Must not wait between attempts: that is the core's.

use std::{mem, time::Duration};

use tokio::time::Instant;

use super::{
    failure::{Failure, Recovery},
    lessons::Lessons,
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
    /// Read and told.
    Watching(Session, Box<Watch>),
}

/// One stream's progress.
pub(super) struct Follow {
    settings: EtcdSettings,
    range: Range,
    proof_every: Duration,
    /// Counts up; the endpoint is this modulo their number.
    turn: usize,
    /// Connections that led to nothing since the last full read.
    vain: usize,
    lessons: Lessons,
    state: State,
}

impl Follow {
    /// Nothing done yet. The first endpoint is a random one, so that many of us spread.
    pub(super) fn new(settings: EtcdSettings, proof_every: Duration, lessons: Lessons) -> Self {
        let range = Range::below(&settings.prefix);
        let turn = fastrand::usize(..settings.endpoints.len().max(1));
        let state = State::Disconnected;
        Self { settings, range, proof_every, turn, vain: 0, lessons, state }
    }

    /// The next update; an error leaves the state from which the next call tries again.
    pub(super) async fn next(&mut self) -> Result<Update, ProviderError> {
        loop {
            if let Some(update) = self.step().await? {
                if let Update::Snapshot(Snapshot { revision, .. })
                | Update::Current { revision, .. } = &update
                {
                    self.lessons.saw(revision.0);
                }
                return Ok(update);
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Update>, ProviderError> {
        match mem::replace(&mut self.state, State::Disconnected) {
            State::Disconnected => match self.connect().await {
                Ok(session) => {
                    self.state = State::Connected(session);
                    Ok(None)
                }
                Err(failure) => {
                    self.next_endpoint();
                    Err(failure.error)
                }
            },
            State::Connected(mut session) => {
                let as_of = Instant::now();
                match self.read_and_watch(&mut session).await {
                    Ok(watch) => {
                        session.proved_useful();
                        let snapshot = watch.snapshot(as_of);
                        self.state = State::Watching(session, Box::new(watch));
                        Ok(Some(Update::Snapshot(snapshot)))
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

    /// Reads everything and opens the watch that goes on from there. What was read is told only
    /// then: a source whose watch is refused again and again is not a live one.
    async fn read_and_watch(&mut self, session: &mut Session) -> Result<Watch, Failure> {
        let content = list(session, &self.range, self.settings.max_bytes).await?;
        self.vain = 0;
        let revision = content.revision().0;
        if let Some(before) = self.lessons.went_back_to(revision) {
            return Err(Failure::went_back(session.endpoint(), before, revision));
        }
        Watch::open(session, self.range.clone(), content, self.proof_every).await
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
                let renewed = session.login(&self.settings, &self.lessons).await;
                renewed.map_err(|failure| failure.error)?;
                self.state = State::Connected(session);
                return Ok(None);
            }
            Recovery::Login => {}
            Recovery::Reconnect => self.next_endpoint(),
        }
        Err(failure.error)
    }

    fn next_endpoint(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        self.vain = self.vain.saturating_add(1);
    }

    async fn connect(&mut self) -> Result<Session, Failure> {
        let endpoints = &self.settings.endpoints;
        let Some(endpoint) = endpoints.get(self.turn % endpoints.len().max(1)) else {
            let error = ProviderError::new(ErrorKind::Malformed, "no endpoints are set");
            return Err(Failure::reconnect(error));
        };
        // While others were not tried yet, one that accepts and stays silent is left sooner.
        let hasty = self.vain + 1 < endpoints.len();
        // Boxed: the client's connecting is large and rare, and would make every step as large.
        Box::pin(Session::connect(&self.settings, endpoint, &self.lessons, hasty)).await
    }
}

//! One outage of a source, in the log: told when it begins or changes, then ever less often.

use std::time::Duration;

use providers::ErrorKind;
use tokio::time::Instant;
use tracing::{info, warn};

const AGAIN: Duration = Duration::from_secs(60);
const AGAIN_AT_MOST: Duration = Duration::from_secs(3600);

/// From the first error to the next answer.
pub(super) struct Outage {
    since: Instant,
    /// The kind that was told last, and when to tell it again.
    told: Option<(ErrorKind, Instant)>,
    again: Duration,
}

impl Outage {
    pub(super) fn begin() -> Self {
        Self { since: Instant::now(), told: None, again: AGAIN }
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Logs an error, unless the same kind was told a short time ago; true if it did.
    pub(super) fn tell(&mut self, source: &str, kind: ErrorKind, message: &str) -> bool {
        let now = Instant::now();
        match self.told {
            Some((told, _)) if told != kind => self.again = AGAIN,
            Some((_, next)) if now < next => return false,
            Some(_) => self.again = (self.again * 2).min(AGAIN_AT_MOST),
            None => {}
        }
        self.told = Some((kind, now + self.again));
        let seconds = self.since.elapsed().as_secs();
        warn!(source, %kind, seconds, "the source cannot be followed: {message}");
        true
    }

    pub(super) fn end(self, source: &str) {
        let seconds = self.since.elapsed().as_secs();
        info!(source, seconds, "the source answers again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_error_is_told_once_then_at_growing_intervals_and_when_it_changes() {
        let mut outage = Outage::begin();
        let mut told = Vec::new();
        for second in 0..600 {
            if outage.tell("app", ErrorKind::Unavailable, "refused") {
                told.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(told, [0, 60, 180, 420]);
        assert!(outage.tell("app", ErrorKind::Auth, "wrong password"));
        assert!(!outage.tell("app", ErrorKind::Auth, "wrong password"));
    }
}

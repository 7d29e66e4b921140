//! The outages of a source, in the log: told when they begin or change, then ever less often.

use std::time::Duration;

use providers::ErrorKind;
use tokio::time::Instant;
use tracing::{info, warn};

const AGAIN: Duration = Duration::from_secs(60);
const AGAIN_AT_MOST: Duration = Duration::from_secs(3600);

/// The outages of one source, one after the other. A store that fails and answers in turns is told
/// as seldom as one that stays away.
pub(super) struct Outages {
    /// The one that lasts, and whether it was told.
    now: Option<(Instant, bool)>,
    /// The kind that was told last, and when to tell it again.
    told: Option<(ErrorKind, Instant)>,
    again: Duration,
}

impl Outages {
    pub(super) fn none() -> Self {
        Self { now: None, told: None, again: AGAIN }
    }

    /// Forgets what was told: the source was well for long.
    pub(super) fn forget(&mut self) {
        *self = Self::none();
    }

    /// Notes an error and logs it, unless the same kind was told a short time ago; since when the
    /// outage lasts.
    pub(super) fn tell(&mut self, source: &str, kind: ErrorKind, message: &str) -> Instant {
        let (since, _) = *self.now.get_or_insert((Instant::now(), false));
        if self.is_news(kind) {
            self.now = Some((since, true));
            let seconds = since.elapsed().as_secs();
            warn!(source, %kind, seconds, "the source cannot be followed: {message}");
        }
        since
    }

    fn is_news(&mut self, kind: ErrorKind) -> bool {
        let now = Instant::now();
        match self.told {
            Some((told, _)) if told != kind => self.again = AGAIN,
            Some((_, next)) if now < next => return false,
            Some(_) => self.again = (self.again * 2).min(AGAIN_AT_MOST),
            None => {}
        }
        self.told = Some((kind, now + self.again));
        true
    }

    /// Notes an answer; one that ends an outage of which nobody heard is nothing to tell.
    pub(super) fn end(&mut self, source: &str) {
        if let Some((since, true)) = self.now.take() {
            let seconds = since.elapsed().as_secs();
            info!(source, seconds, "the source answers again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds of the first ten minutes in which something new is told.
    async fn told(outages: &mut Outages, mut second: impl FnMut(u64, &mut Outages)) -> Vec<u64> {
        let mut told = Vec::new();
        for number in 0..600 {
            let before = outages.told;
            second(number, outages);
            if outages.told != before {
                told.push(number);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        told
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_told_once_then_at_growing_intervals_and_when_it_changes() {
        let mut outages = Outages::none();
        let fails = |_, outages: &mut Outages| {
            outages.tell("app", ErrorKind::Unavailable, "refused");
        };
        assert_eq!(told(&mut outages, fails).await, [0, 60, 180, 420]);
        assert!(outages.is_news(ErrorKind::Auth));
        assert!(!outages.is_news(ErrorKind::Auth));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_and_answers_in_turns_is_told_as_seldom() {
        let mut outages = Outages::none();
        let turns = |second, outages: &mut Outages| {
            if second % 20 == 0 {
                outages.tell("app", ErrorKind::Unavailable, "broke off");
            } else {
                outages.end("app");
            }
        };
        assert_eq!(told(&mut outages, turns).await, [0, 60, 180, 420]);
        outages.forget();
        assert!(outages.is_news(ErrorKind::Unavailable));
    }
}

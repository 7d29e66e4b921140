//! What an attempt's end means, and when the next one may start.
//!
//! Pure: the moment is passed in. Must not touch a target.

use std::time::Duration;

use tokio::time::Instant;

use crate::journal::Outcome;

/// How one attempt, or the look before it, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// There is evidence.
    Confirmed,
    /// Nobody there: no try used.
    NotUp,
    /// Set up wrong, as seen without an attempt: looked at again soon, because a target that is
    /// just starting looks the same.
    Unfit,
    /// Set up wrong, as an attempt showed: no try used, one attempt in 30 s at most.
    Misconfigured,
    /// It said no: one try.
    SaidNo,
    /// Nobody can know: one try.
    CannotKnow,
    /// A signal was sent and nothing verifies it: settled at once.
    Sent,
}

/// An end and its reason in one sentence, without values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How.
    pub class: Class,
    /// Why, without values.
    pub detail: String,
}

impl Report {
    /// An end of this class.
    pub fn new(class: Class, detail: impl Into<String>) -> Self {
        Self { class, detail: detail.into() }
    }
}

const MISCONFIGURED: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(250);
const POLL_MOST: Duration = Duration::from_secs(2);
const JITTER: f64 = 0.25;
const RETRY: Duration = Duration::from_secs(1);

/// Tries and deadlines of one target.
#[derive(Debug)]
pub(super) struct Pace {
    tries: u32,
    min_interval: Duration,
    /// Tries used on the digest that is owed now.
    pub(super) used: u32,
    looks: u32,
    retry: Option<Instant>,
    splay: Option<Instant>,
    sent: Option<Instant>,
    barred: Option<Instant>,
}

impl Pace {
    pub(super) fn new(tries: u32, min_interval: Duration) -> Self {
        Self {
            tries: tries.max(1),
            min_interval,
            used: 0,
            looks: 0,
            retry: None,
            splay: None,
            sent: None,
            barred: None,
        }
    }

    /// Another digest is owed: tries start anew; `min_interval`, splay and the bar stay.
    pub(super) fn renew(&mut self) {
        (self.used, self.looks, self.retry) = (0, 0, None);
    }

    /// Something is owed: draws the splay once, until the next attempt.
    pub(super) fn owe(&mut self, now: Instant, splay: Duration) {
        self.splay.get_or_insert(now + splay);
    }

    /// When the next attempt may start.
    pub(super) fn due(&self, now: Instant) -> Instant {
        let interval = self.sent.map(|sent| sent + self.min_interval);
        let deadlines = [interval, self.splay, self.retry, self.barred];
        deadlines.into_iter().flatten().fold(now, Instant::max)
    }

    /// An attempt starts.
    pub(super) fn start(&mut self, now: Instant) {
        self.sent = Some(now);
        self.used += 1;
    }

    /// An end: the outcome, after which something is still owed unless it is settled.
    /// `tried` tells an attempt from a mere look.
    pub(super) fn end(&mut self, class: Class, tried: bool, now: Instant) -> Outcome {
        let outcome = match class {
            Class::Confirmed => Outcome::Confirmed,
            Class::NotUp => Outcome::NotUp,
            Class::Unfit | Class::Misconfigured => Outcome::Misconfigured,
            Class::SaidNo => Outcome::Rejected,
            Class::Sent | Class::CannotKnow => Outcome::Unknown,
        };
        let counts = matches!(class, Class::SaidNo | Class::CannotKnow);
        if tried && !outcome.is_settled() {
            self.used -= 1;
        }
        match class {
            Class::NotUp | Class::Unfit => {
                let pause = (POLL * 2_u32.pow(self.looks.min(3))).min(POLL_MOST);
                // Many instances may wait for one target.
                self.retry = Some(now + pause.mul_f64(1.0 - JITTER * fastrand::f64()));
                self.looks += 1;
            }
            Class::Misconfigured => self.barred = Some(now + MISCONFIGURED),
            _ if counts && self.used < self.tries => self.retry = Some(now + RETRY),
            _ => {
                self.splay = None;
                self.renew();
            }
        }
        outcome
    }

    /// Whether an end of this class settles the reload.
    pub(super) fn settles(&self, class: Class) -> bool {
        match class {
            Class::Confirmed | Class::Sent => true,
            Class::SaidNo | Class::CannotKnow => self.used >= self.tries,
            Class::NotUp | Class::Unfit | Class::Misconfigured => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_no_settles_and_those_before_do_not() {
        let now = Instant::now();
        let mut pace = Pace::new(2, Duration::ZERO);
        pace.start(now);
        assert!(!pace.settles(Class::SaidNo));
        pace.end(Class::SaidNo, true, now);
        assert!(pace.due(now) > now);
        pace.start(now);
        assert!(pace.settles(Class::SaidNo));
    }

    #[test]
    fn nobody_there_uses_no_try_and_a_wrong_setup_bars_for_30_seconds() {
        let now = Instant::now();
        let mut pace = Pace::new(1, Duration::ZERO);
        pace.start(now);
        pace.end(Class::NotUp, true, now);
        assert_eq!(pace.used, 0);
        assert!((now + POLL.mul_f64(1.0 - JITTER)..=now + POLL).contains(&pace.due(now)));
        pace.end(Class::Misconfigured, false, now);
        pace.renew();
        assert_eq!(pace.due(now), now + MISCONFIGURED);
    }

    #[test]
    fn min_interval_and_splay_are_not_restarted_by_a_newer_generation() {
        let now = Instant::now();
        let mut pace = Pace::new(3, Duration::from_secs(5));
        pace.start(now);
        pace.end(Class::Sent, true, now);
        pace.owe(now, Duration::from_secs(1));
        pace.renew();
        pace.owe(now + Duration::from_secs(3), Duration::from_secs(9));
        assert_eq!(pace.due(now), now + Duration::from_secs(5));
    }
}

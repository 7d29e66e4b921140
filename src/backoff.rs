//! Back-off: how long to wait after a failure.
//!
//! Owns the one retry policy and the crate behind it. Must not wait itself: no clock, no I/O.

use std::time::Duration;

use ::backoff::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

const BASE: Duration = Duration::from_millis(250);
const CAP: Duration = Duration::from_secs(30);
const RETRY_AFTER_CAP: Duration = Duration::from_secs(60);

/// Growing waits with full jitter: anything between nothing and 250 ms after the first failure,
/// the bound doubled after each further one, up to 30 s. It never gives up.
#[derive(Debug)]
pub struct Backoff {
    bounds: ExponentialBackoff,
}

impl Backoff {
    /// A policy that has seen no failure yet.
    pub fn new() -> Self {
        Self { bounds: bounds() }
    }

    /// How long to wait after another failure. A `retry_after` that the other side asked for is the
    /// least that is waited, as far as it is not above 60 s.
    pub fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let bound = self.bounds.next().unwrap_or(CAP);
        // The crate's own jitter adds to the bound; full jitter draws below it.
        let drawn = bound.mul_f64(fastrand::f64());
        drawn.max(retry_after.unwrap_or_default().min(RETRY_AFTER_CAP))
    }

    /// Forgets the failures. For callers that saw success for long enough: a store that answers and
    /// fails in turns would otherwise be asked without a pause.
    pub fn reset(&mut self) {
        self.bounds = bounds();
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

fn bounds() -> ExponentialBackoff {
    ExponentialBuilder::new().with_min_delay(BASE).with_max_delay(CAP).without_max_times().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest of many first, second, … waits.
    fn longest(failures: usize) -> Duration {
        let wait = |_| {
            let mut backoff = Backoff::new();
            (0..failures).map(|_| backoff.next(None)).last().expect("at least one failure")
        };
        (0..500).map(wait).max().expect("many waits")
    }

    #[test]
    fn waits_are_drawn_below_a_bound_that_doubles() {
        for (failures, bound) in [(1, 250), (2, 500), (3, 1000)] {
            let bound = Duration::from_millis(bound);
            assert!(longest(failures) <= bound, "after {failures} failures");
            assert!(longest(failures) > bound / 2, "after {failures} failures");
        }
    }

    #[test]
    fn waits_never_exceed_the_cap_and_never_end() {
        assert!(longest(200) <= CAP);
    }

    #[test]
    fn a_wait_that_was_asked_for_is_the_least_up_to_its_cap() {
        let mut backoff = Backoff::new();
        assert!(backoff.next(Some(Duration::from_secs(7))) >= Duration::from_secs(7));
        assert_eq!(backoff.next(Some(Duration::from_secs(3600))), RETRY_AFTER_CAP);
    }

    #[test]
    fn a_reset_forgets_the_failures() {
        let mut backoff = Backoff::new();
        for _ in 0..20 {
            backoff.next(None);
        }
        backoff.reset();
        assert!(backoff.next(None) <= BASE);
    }
}

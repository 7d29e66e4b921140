//! A small token bucket: a few requests at once, then one for each interval.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket that is full at the start.
#[derive(Debug)]
pub(super) struct Pace {
    burst: u32,
    every: Duration,
    /// When the bucket was, or will be, full again.
    full: Instant,
}

impl Pace {
    /// `burst` at once, then one for each `every`.
    pub(super) fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every, full: Instant::now() }
    }

    /// Takes one token; how long to wait before it may be used.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        self.full = self.full.max(now) + self.every;
        let spare = self.every * self.burst;
        self.full.saturating_duration_since(now).saturating_sub(spare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_the_rest_is_spread() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(2, second);
        let now = Instant::now();
        assert_eq!(pace.take(now), Duration::ZERO);
        assert_eq!(pace.take(now), Duration::ZERO);
        assert_eq!(pace.take(now), second);
        assert_eq!(pace.take(now + second), second);
        assert_eq!(pace.take(now + 60 * second), Duration::ZERO);
    }
}

//! Coalesces changes: a burst ends after a quiet time, but never later than the longest wait; and
//! changes that keep coming with quiet times between are rendered once for each longest wait.
//!
//! Pure: the caller brings the time.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::shape;

/// When a change may be rendered.
#[derive(Debug)]
pub struct Settle {
    quiet: Duration,
    max: Duration,
    burst: Option<Burst>,
    /// When renderings this far apart would have come to, had each waited for its turn: two may
    /// follow each other, so that a correction does not wait, and no third.
    paced: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Burst {
    first: Instant,
    due: Instant,
}

impl Settle {
    /// As configured.
    pub fn new(settings: shape::Settle) -> Self {
        let (quiet, max) = windows(settings);
        Self { quiet, max, burst: None, paced: None }
    }

    /// Other settings; a burst that waits keeps its deadline.
    pub fn configure(&mut self, settings: shape::Settle) {
        (self.quiet, self.max) = windows(settings);
    }

    /// A change was seen.
    pub fn poke(&mut self, now: Instant) {
        let first = self.burst.map_or(now, |burst| burst.first);
        let quiet = (now + self.quiet).min(first + self.max);
        let turn = self.paced.and_then(|paced| paced.checked_sub(self.max)).unwrap_or(quiet);
        self.burst = Some(Burst { first, due: quiet.max(turn) });
    }

    /// What waits is due at once: nothing is visible yet, or an operator asked.
    pub fn hurry(&mut self, now: Instant) {
        let first = self.burst.map_or(now, |burst| burst.first);
        self.burst = Some(Burst { first, due: now });
    }

    /// When the burst ends, if there is one.
    pub fn due(&self) -> Option<Instant> {
        self.burst.map(|burst| burst.due)
    }

    /// Ends the burst if it is due; gives the moment of its first change.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let burst = self.burst.filter(|burst| burst.due <= now)?;
        self.burst = None;
        self.paced = Some(self.paced.map_or(now, |paced| paced.max(now)) + self.max);
        Some(burst.first)
    }
}

fn windows(settings: shape::Settle) -> (Duration, Duration) {
    match settings {
        shape::Settle::Off => (Duration::ZERO, Duration::ZERO),
        shape::Settle::On { quiet, max } => (quiet, max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn settle() -> Settle {
        Settle::new(shape::Settle::On { quiet: 200 * MS, max: 2000 * MS })
    }

    #[test]
    fn a_lone_change_is_due_after_the_quiet_time() {
        let (mut settle, start) = (settle(), Instant::now());
        settle.poke(start);
        assert_eq!(settle.take(start + 199 * MS), None);
        assert_eq!(settle.take(start + 200 * MS), Some(start));
        assert_eq!(settle.due(), None);
    }

    #[test]
    fn a_burst_is_due_at_the_longest_wait_however_long_it_goes_on() {
        let (mut settle, start) = (settle(), Instant::now());
        for step in 0..30 {
            settle.poke(start + 100 * step * MS);
        }
        assert_eq!(settle.due(), Some(start + 2000 * MS));
    }

    #[test]
    fn flapping_is_rendered_once_for_each_longest_wait() {
        let (mut settle, start) = (settle(), Instant::now());
        let mut taken = Vec::new();
        for step in 0..20_000_u32 {
            let now = start + step * MS;
            if step % 300 == 0 {
                settle.poke(now);
            }
            taken.extend(settle.take(now).map(|first| (first, now)));
        }
        assert_eq!(taken[0], (start, start + 200 * MS));
        assert_eq!(taken[1].1, start + 500 * MS, "a correction does not wait");
        assert!((10..=11).contains(&taken.len()), "{} in ten times the longest wait", taken.len());
        let latest = taken.iter().map(|(first, taken)| *taken - *first).max();
        assert!(latest <= Some(2000 * MS), "none waits longer");
        let last = start + 20_000 * MS;
        assert!(settle.due().is_none_or(|due| due <= last + 2000 * MS));
    }

    #[test]
    fn off_means_at_once() {
        let (mut settle, start) = (Settle::new(shape::Settle::Off), Instant::now());
        settle.poke(start);
        assert_eq!(settle.take(start), Some(start));
    }

    #[test]
    fn a_hurried_change_waits_for_nothing() {
        let (mut settle, start) = (settle(), Instant::now());
        settle.poke(start);
        settle.hurry(start + MS);
        assert_eq!(settle.take(start + MS), Some(start));
    }
}

//! Chance, all of it from the seed: the same seed draws the same world.

use std::time::Duration;

/// A stream of draws.
pub struct Chance(fastrand::Rng);

impl Chance {
    /// All draws follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Another stream, for a part of the world that draws in its own time.
    pub fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// True once in `n` draws.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.0.u32(0..n) == 0
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.usize(0..end)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Milliseconds, as likely short as long: from 10 to 20 as often as from 1000 to 2000.
    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        self.between(Duration::from_millis(least), Duration::from_millis(most))
    }

    /// A time up to this, from a millisecond on, as likely short as long.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        self.between(Duration::from_millis(1), most)
    }

    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let (low, high) = (least.as_secs_f64().ln(), most.as_secs_f64().ln());
        Duration::from_secs_f64((low + (high - low) * self.0.f64()).exp())
    }

    /// A number from 1 to `most`.
    pub fn count(&mut self, most: u32) -> u32 {
        self.0.u32(1..=most)
    }
}

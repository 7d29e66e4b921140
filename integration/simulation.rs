//! The core in a world that is simulated: virtual time, faults of all kinds at once, and every
//! promise checked after every step. A seed is a life; the same seed is the same life.

mod chance;
mod disk;
mod faults;
mod ledger;
mod life;
mod process;
mod promises;
mod reader;
mod scenes;
mod setup;
mod store;
mod target;
mod vigil;
mod volume;

use std::{collections::BTreeMap, time::Duration};

use rehup::status::Cause;
use tokio::time::Instant;

use life::{Life, Outcome, live};
use vigil::Vigil;

/// How many seeds every run of the tests lives through.
const SEEDS: u64 = 200;

/// Faults of all kinds, then everything heals and must come right by itself.
async fn faults(life: &mut Life) {
    for _ in 0..20 + life.chance.below(40) {
        life.happen().await;
        let pause = life.chance.millis(1, 90_000);
        life.pass(pause).await;
        if life.is_over() {
            return;
        }
    }
    if life.chance.one_in(2) {
        life.calm();
        comes_right_by_itself(life).await;
    }
    life.heal();
    comes_right(life).await;
    if life.is_over() {
        return;
    }
    stays_quiet(life).await;
}

/// What failed is tried again though nothing changes: only what somebody must decide stays.
async fn comes_right_by_itself(life: &mut Life) {
    life.pass(Vigil::converges_within(life)).await;
    let decided = [Cause::Held, Cause::Render, Cause::Check, Cause::Quarantined];
    let causes = Vigil::causes(life);
    let right = Vigil::is_converged(life);
    // What the volume refused before somebody decided may be told until it is published.
    let waits = causes.iter().any(|it| decided.contains(it)) && !causes.contains(&Cause::Source);
    let fine = right || waits;
    life.ledger.promise("I1", fine || life.is_over(), || {
        format!("the volume is not right though nothing fails: {causes:?}")
    });
}

/// Within the bounds that follow from the configuration, and without a restart.
async fn comes_right(life: &mut Life) {
    let healed = Instant::now();
    let bound = Vigil::converges_within(life);
    while !Vigil::is_converged(life) && healed.elapsed() <= bound && !life.is_over() {
        life.pass(Duration::from_millis(500)).await;
    }
    let (right, took) = (Vigil::is_converged(life), healed.elapsed());
    let status = life.process.as_ref().map(|it| it.status().stale(Instant::now()));
    life.ledger.promise("I1", right || life.is_over(), || {
        format!("the volume is not right {took:?} after everything healed: {status:?}")
    });
    let (visible, bound) = (Instant::now(), Vigil::settles_within(life));
    while !Vigil::is_settled(life) && visible.elapsed() <= bound && !life.is_over() {
        life.pass(Duration::from_millis(500)).await;
    }
    let settled = Vigil::is_settled(life);
    let targets = life.process.as_ref().map(|it| it.status().targets);
    life.ledger.promise("I8", settled || life.is_over(), || {
        format!("a target has not settled {:?} after it: {targets:?}", visible.elapsed())
    });
}

/// Nothing changes, so nothing is published and nobody is told.
async fn stays_quiet(life: &mut Life) {
    let done = |life: &Life| {
        let pages = life.ledger.pages();
        ["published", "told", "rolled back"].map(|what| pages.counts.get(what).copied())
    };
    let before = done(life);
    life.pass(Duration::from_secs(900)).await;
    let after = done(life);
    life.ledger.promise("I9", before == after, || {
        format!("nothing happened for 15 min, and yet {before:?} became {after:?}")
    });
}

/// The command that lives through a seed again.
fn replay(outcome: &Outcome) -> String {
    let Outcome { seed, broken, told, .. } = outcome;
    format!("{told}\n\nseed {seed}: {}\nreplay: make simulate SEED={seed}", broken.join("\n  "))
}

/// Lives through many seeds on every processor; ends at the first that breaks a promise.
fn live_through(seeds: std::ops::Range<u64>) -> Result<BTreeMap<String, u64>, Outcome> {
    let (next, end) = (std::sync::atomic::AtomicU64::new(seeds.start), seeds.end);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let lives = || {
        let mut counts = BTreeMap::<String, u64>::new();
        loop {
            let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if seed >= end {
                return Ok(counts);
            }
            let outcome = live(seed, faults);
            *counts.entry("seeds".to_owned()).or_default() += 1;
            for (what, count) in &outcome.counts {
                *counts.entry(what.clone()).or_default() += count;
            }
            if !outcome.broken.is_empty() {
                next.store(end, std::sync::atomic::Ordering::Relaxed);
                return Err(outcome);
            }
        }
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(lives)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a life")).collect()
    });
    let mut all = BTreeMap::new();
    for part in parts {
        for (what, count) in part? {
            *all.entry(what).or_default() += count;
        }
    }
    Ok(all)
}

#[test]
fn l11_two_hundred_lives_with_faults_of_all_kinds_keep_every_promise() {
    if let Err(outcome) = live_through(0..SEEDS) {
        panic!("{}", replay(&outcome));
    }
}

#[test]
fn l11_a_seed_is_the_same_life_each_time() {
    for seed in [1, 7, 42] {
        let (one, other) = (live(seed, faults), live(seed, faults));
        assert_eq!(one.digest, other.digest, "seed {seed} was two lives");
        assert_eq!(one.counts, other.counts, "seed {seed} was two lives");
    }
}

/// As many lives as somebody has time for: `make simulate`.
mod soak {
    use super::*;

    fn number(name: &str) -> Option<u64> {
        std::env::var(name).ok()?.parse().ok()
    }

    #[test]
    fn l11_lives_as_many_as_are_asked_for_keep_every_promise() {
        let begun = std::time::Instant::now();
        let from = number("SEED").unwrap_or_default();
        let count = if number("SEED").is_some() { 1 } else { number("SEEDS").unwrap_or(10_000) };
        let seeds = from..from + count;
        let counts = live_through(seeds).unwrap_or_else(|outcome| panic!("{}", replay(&outcome)));
        for (what, count) in &counts {
            eprintln!("{count:>12} {what}");
        }
        eprintln!("{:>12.1} s", begun.elapsed().as_secs_f64());
    }
}

//! Waiting for a condition: never a sleep and a hope.

use std::{
    fmt::Display,
    fs::OpenOptions,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

/// How long a condition may take before the test fails; bounds in time are not tested here.
const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until `probe` gives a value; fails with what was expected.
#[track_caller]
pub fn eventually<T>(expected: impl Display, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "expected within {PATIENCE:?}: {expected}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How long something may take in which a whole cluster has a part.
const MUCH_PATIENCE: Duration = Duration::from_secs(120);

/// The same for what a cluster does: with more patience, and asking less often.
#[track_caller]
pub fn patiently<T>(expected: impl Display, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + MUCH_PATIENCE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "expected within {MUCH_PATIENCE:?}: {expected}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The same for asynchronous probes.
pub async fn eventually_async<T>(
    expected: impl Display,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < end, "expected within {PATIENCE:?}: {expected}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for something that is promised within a bound: four times as long on a machine that may be
/// busy, with a record of how long it took in `times` of the test's target folder. The bound itself
/// is asserted where the clock is simulated.
pub async fn within<T>(
    bound: Duration,
    expected: impl Display,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = probe().await {
            record(bound, &expected, begun.elapsed());
            return value;
        }
        assert!(begun.elapsed() < 4 * bound, "expected within 4 times {bound:?}: {expected}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Notes how long something took that is promised within a bound.
pub fn record(bound: Duration, expected: &impl Display, took: Duration) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("times");
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    // What is expected may end with a log; its first line says it.
    let expected = expected.to_string();
    let expected = expected.lines().next().unwrap_or_default();
    let line = format!("{took:>10.3?} of {bound:>6.0?}  {test}: {expected}\n");
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("a record of times");
}

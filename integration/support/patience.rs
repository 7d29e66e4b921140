//! Waiting for a condition: never a sleep and a hope.

use std::{
    fmt::Display,
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

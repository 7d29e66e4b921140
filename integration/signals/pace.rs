//! S14: many generations in a short time.

use std::time::{Duration, Instant};

use super::{change, ends, signalling};
use crate::support::{patience::eventually, target::Counter};

/// Between two changes.
const PAUSE: Duration = Duration::from_millis(80);

#[test]
fn s14_a_hundred_generations_in_ten_seconds_are_a_signal_a_second_and_the_last_comes_last() {
    let counter = Counter::start();
    let mut app = signalling(&counter.process_yaml());
    let yaml = std::fs::read_to_string(app.config()).expect("a configuration");
    app.configure(yaml.replace("min_interval: 0s", "min_interval: 1s"));
    app.start().ready();
    ends(&app, "main", "unknown");
    eventually("it is told", || (counter.count() == 1).then_some(()));
    let begun = Instant::now();
    for _ in 0..99 {
        change(&app);
        std::thread::sleep(PAUSE);
    }
    let before = counter.count();
    assert_eq!(change(&app), 101);
    ends(&app, "main", "unknown");
    eventually("it is told of the last", || (counter.count() > before).then_some(()));
    // However late each is handled: they were sent between the beginning and now.
    let (signals, seconds) = (counter.count() - 1, begun.elapsed().as_secs());
    let most = usize::try_from(seconds).expect("a small number") + 1;
    assert!((2..=most).contains(&signals), "{signals} signals in {seconds} s");
}

//! P17: numbers mean order, whatever the clock says.

use std::fs;

use super::{app, publishes};
use crate::{clock::library, support::patience::eventually};

const OUTPUTS: [&str; 2] = ["conf/a", "b"];

#[test]
fn p17_generations_follow_each_other_whatever_the_clock_says() {
    for layout in ["set", "files"] {
        let mut app = app(layout, &OUTPUTS);
        // Stopped clocks: everything of one life happens in the same second.
        let clocks = ["2030-01-01 00:00:00", "1970-01-01 00:00:00", "2030-01-01 00:00:00"];
        let clocks = clocks.into_iter().chain(["2005-05-05 05:05:05", "1970-01-01 00:00:00"]);
        app.variable("LD_PRELOAD", library()).variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let (mut number, mut value) = (0, 0);
        for clock in clocks {
            app.variable("FAKETIME", clock);
            app.start().ready();
            eventually(format_args!("it has the clock {clock}; {}", app.tail()), || {
                app.log().contains(&clock[..10]).then_some(())
            });
            for _ in 0..4 {
                value += 1;
                publishes(&app, &OUTPUTS, &value.to_string());
                let now = eventually("it is counted", || {
                    let now = app.count("rehup_generation");
                    (now > number).then_some(now)
                });
                assert!(number == 0 || now == number + 1, "{now} follows {number} at {clock}");
                number = now;
            }
            let journal = fs::read_to_string(app.volume().join("..rehup/journal"));
            let journal: serde_json::Value =
                serde_json::from_str(&journal.expect("a journal")).expect("JSON");
            let listed = journal["published"].as_array().expect("a list");
            assert_eq!(listed.last().expect("one")["number"], number, "the newest comes last");
            app.answers("/freshz", 200);
            app.stop();
        }
    }
}

//! E15: a revision comes in parts. Where real servers split is up to their limits; this one splits
//! anywhere, and takes its time between the parts.

use std::time::Duration;

use etcd_client::proto::{PbEvent, PbWatchResponse};

use super::{FILE, following, is_live};
use crate::support::{app::App, fake_etcd::FakeEtcd};

const KEYS: [&str; 6] = ["/app/a", "/app/b", "/app/c", "/app/d", "/app/e", "/app/f"];
const REVISIONS: u64 = 40;
/// Long enough for a generation, were a part taken for the whole.
const PAUSE: Duration = Duration::from_millis(30);

fn content(value: u64) -> String {
    KEYS.map(|key| format!("{}={value}\n", &key["/app/".len()..])).concat()
}

/// Follows a server on which every key is 0.
fn following_parts() -> (FakeEtcd, App) {
    let fake = FakeEtcd::start();
    fake.put_silently(&KEYS, "0");
    let mut app = following(&[fake.endpoint()], "", "    resync: 1h\n");
    app.start().shows(FILE, &content(0));
    is_live(&app);
    (fake, app)
}

/// Splits at places that chance chooses; no part is empty.
fn parts(mut events: Vec<PbEvent>) -> Vec<Vec<PbEvent>> {
    let mut parts = Vec::new();
    while events.len() > 1 && fastrand::bool() {
        let rest = events.split_off(fastrand::usize(1..events.len()));
        parts.push(std::mem::replace(&mut events, rest));
    }
    parts.push(events);
    parts
}

fn part(fake: &FakeEtcd, events: Vec<PbEvent>, fragment: bool) -> PbWatchResponse {
    PbWatchResponse { events, fragment, ..fake.message() }
}

#[test]
fn e15_no_generation_between_the_parts_of_a_revision() {
    let (fake, app) = following_parts();
    for value in 1..=REVISIONS {
        let before = app.generation();
        let mut parts = parts(fake.put_silently(&KEYS, &value.to_string()));
        let last = parts.pop().expect("a last part");
        for events in parts {
            fake.say(&Ok(part(&fake, events, true)));
            std::thread::sleep(PAUSE);
            assert_eq!(app.read(FILE), Some(content(value - 1)), "a part is not the whole");
        }
        fake.say(&Ok(part(&fake, last, false)));
        app.shows(FILE, &content(value));
        assert_eq!(app.generation(), before + 1, "one revision, one generation");
    }
    assert_eq!(app.state("app"), "live");
    app.answers("/freshz", 200);
    assert_eq!(fake.watched_from().len(), 1, "one watch all along");
}

#[test]
fn e15_parts_without_their_last_one_are_forgotten_with_their_stream() {
    let (fake, app) = following_parts();
    let mut events = fake.put_silently(&KEYS, "1");
    events.truncate(KEYS.len() / 2);
    fake.say(&Ok(part(&fake, events, true)));
    fake.put_silently(&KEYS, "2");
    fake.end_watches();
    app.shows(FILE, &content(2));
    assert_eq!(app.generation(), 2, "what came in parts was never shown");
    is_live(&app);
    let events = fake.put_silently(&KEYS, "3");
    fake.say(&Ok(part(&fake, events, false)));
    app.shows(FILE, &content(3));
}

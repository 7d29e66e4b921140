//! E08 and E17: watches that live and lie. The bugs behind it are mended in the newest servers, so
//! it is one that does it on cue; that a store that is only idle is left alone is a real one's.

use std::time::{Duration, Instant};

use etcd_client::proto::PbWatchResponse;

use super::{FILE, following, is_degraded, is_live, put, resyncs};
use crate::support::{
    app::App,
    etcd::{Etcd, Version},
    fake_etcd::FakeEtcd,
    patience::within,
    proxy::Proxy,
};

const A: &str = "/app/a";
/// A proof begins within 30 s and is given 10 s.
const NOTICED: Duration = Duration::from_secs(40);

/// Follows a server that holds `a=1`, and nothing reads it anew by the clock.
fn following_fake() -> (FakeEtcd, App) {
    let fake = FakeEtcd::start();
    fake.put(A, "1");
    let mut app = following(&[fake.endpoint()], "", "    resync: 1h\n");
    app.start().shows(FILE, "a=1\n");
    is_live(&app);
    (fake, app)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e08_a_watch_that_swallows_events_and_progress_is_given_up() {
    let (fake, app) = following_fake();
    fake.swallow(true);
    fake.put(A, "2");
    let mut degraded = false;
    within(NOTICED, format_args!("the swallowed write is read; {}", app.tail()), async || {
        degraded |= is_degraded(&app, "unavailable");
        (app.read(FILE).as_deref() == Some("a=2\n")).then_some(())
    })
    .await;
    assert!(app.log().contains("no answer to a progress request"), "{}", app.tail());
    assert_eq!(fake.watched_from().len(), 2, "one new watch");
    assert_eq!(app.generation(), 2);

    fake.swallow(false);
    fake.put(A, "3");
    app.shows(FILE, "a=3\n");
    is_live(&app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e08_an_event_that_is_lost_between_others_is_noticed_as_drift() {
    let (fake, app) = following_fake();
    fake.put_silently(&["/app/lost"], "1");
    fake.put(A, "2");
    app.shows(FILE, "a=2\n");
    within(NOTICED, format_args!("the lost key is there; {}", app.tail()), async || {
        (app.read(FILE).as_deref() == Some("a=2\nlost=1\n")).then_some(())
    })
    .await;
    assert_eq!(resyncs(&app, "drift"), 1, "counted");
    is_live(&app);
    fake.put(A, "3");
    app.shows(FILE, "a=3\nlost=1\n");
}

#[test]
fn e17_old_events_are_dropped() {
    let (fake, app) = following_fake();
    let old = fake.put_silently(&[A], "2");
    fake.put(A, "3");
    app.shows(FILE, "a=3\n");
    let before = app.generation();
    // What the last message said comes again, and what was before it, under a header of now.
    for _ in 0..3 {
        fake.say(&Ok(PbWatchResponse { events: old.clone(), ..fake.message() }));
    }
    let mut again = old.clone();
    again[0].kv.as_mut().expect("a pair").mod_revision = fake.revision();
    fake.say(&Ok(PbWatchResponse { events: again, ..fake.message() }));
    // Messages come in order: what is written now is behind all of them.
    fake.put("/app/mark", "1");
    app.shows(FILE, "a=3\nmark=1\n");
    assert_eq!(app.generation(), before + 1, "old events make no generation");
    assert_eq!(app.state("app"), "live");
    assert_eq!(fake.watched_from().len(), 1, "and are no reason to read anew");
}

#[test]
fn e17_a_header_that_goes_back_is_a_reason_to_read_anew() {
    let (fake, app) = following_fake();
    for value in ["2", "3"] {
        fake.put(A, value);
        app.shows(FILE, &format!("a={value}\n"));
    }
    let mut back = fake.message();
    back.header.as_mut().expect("a header").revision -= 1;
    back.events = fake.put_silently(&["/app/b"], "1");
    fake.say(&Ok(back));
    app.shows(FILE, "a=3\nb=1\n");
    assert_eq!(resyncs(&app, "regressed"), 1, "counted; {}", app.tail());
    is_live(&app);
    fake.put(A, "4");
    app.shows(FILE, "a=4\nb=1\n");
}

mod soak {
    use super::{Duration, Etcd, FILE, Instant, Proxy, Version, following, is_live, put, resyncs};

    const IDLE: Duration = Duration::from_secs(300);
    /// A proof each 30 s, with what an answer may take.
    const PROVEN: f64 = 45.0;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn e08_a_store_that_is_only_idle_is_left_alone() {
        let etcd = Etcd::start(Version::Current).await;
        let mut writer = etcd.client().await;
        put(&mut writer, "a", "1").await;
        let proxy = Proxy::to(etcd.port());
        let mut app = following(&[proxy.url()], "", "    resync: 1h\n");
        app.start().shows(FILE, "a=1\n");
        is_live(&app);
        let end = Instant::now() + IDLE;
        while Instant::now() < end {
            let age = app.metric("rehup_source_age_seconds{source=\"app\"}");
            assert!(age < PROVEN, "every proof is answered; the last is {age} s old");
            assert_eq!(app.state("app"), "live");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(proxy.accepted(), 1, "one connection all along");
        let reasons = ["compacted", "regressed", "drift", "silent"];
        assert_eq!(reasons.map(|reason| resyncs(&app, reason)), [0; 4]);
        assert!(!app.log().contains("following etcd failed"), "{}", app.tail());
        put(&mut writer, "a", "2").await;
        app.shows(FILE, "a=2\n");
    }
}

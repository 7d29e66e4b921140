//! Answers that are wrong: indexes, bodies, redirects. Nothing of them is published.
//!
//! Most of them come from a fake: a real Consul sends its index with each list, finishes its answers
//! and redirects only paths that are never sent.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{SOON, degraded, follow, live, path, shows, within};
use crate::support::{
    app::App,
    consul::{
        Consul,
        fake::{Fake, answer, body, list},
    },
    proxy::Proxy,
};

/// How often a fake with this index header is asked in so many seconds from its first answer on.
fn asked(index: &[&str], seconds: u64) -> Vec<Duration> {
    let fake = Fake::saying(answer("200 OK", index, &body(&[("a", "1")])));
    let mut app = follow(&fake.url(), json!({}));
    app.start().ready();
    let end = Instant::now() + Duration::from_secs(seconds);
    within(Duration::from_secs(seconds), "the time passes", || {
        (Instant::now() > end).then_some(())
    });
    live(&app, SOON);
    app.answers("/freshz", 200);
    let requests = fake.requests();
    let times = requests.iter().map(|request| request.at - requests[0].at).collect();
    // Healed: an index that can be waited for.
    fake.turn(|request, stream| {
        if request.index() == Some(9) {
            std::thread::sleep(Duration::from_millis(500));
        }
        stream.write_all(&list(9, &[("a", "2")])).is_ok()
    });
    shows(&app, SOON, "a=2;");
    assert!(app.stop().success());
    times
}

fn c02(index: &[&str]) {
    let times = asked(index, 8);
    // A pause of the machine fills the bucket again, so each stretch has its own two quick ones, and
    // one more that was noted late.
    for (first, start) in times.iter().enumerate() {
        for (last, end) in times.iter().enumerate().skip(first) {
            let paced = end.saturating_sub(*start).as_secs();
            assert!((last - first) as u64 <= 3 + paced, "{index:?}: {times:?}");
        }
    }
}

#[test]
fn c02_a_missing_index_makes_no_storm() {
    c02(&[]);
}

#[test]
fn c02_an_index_of_zero_makes_no_storm() {
    c02(&["X-Consul-Index: 0"]);
}

#[test]
fn c02_a_negative_index_makes_no_storm() {
    c02(&["X-Consul-Index: -7"]);
}

#[test]
fn c02_an_index_that_is_text_makes_no_storm() {
    c02(&["X-Consul-Index: soon"]);
}

#[test]
fn c02_an_index_beyond_all_bounds_makes_no_storm() {
    c02(&["X-Consul-Index: 9223372036854775809"]);
}

// A real server adds a sixteenth of the wait; an agent adds seven seconds in an outage.
#[test]
fn c03_an_answer_just_before_the_deadline_is_no_error() {
    let fake = Fake::start(|request, stream| {
        if request.index().is_some() {
            std::thread::sleep(Duration::from_secs(10));
        }
        stream.write_all(&list(5, &[("a", "1")])).is_ok()
    });
    let mut app = follow(&fake.url(), json!({ "wait": "1s" }));
    app.start().ready();
    within(Duration::from_secs(30), "two waits end", || {
        let waits = fake.requests().into_iter().filter(|request| request.index().is_some());
        (waits.count() >= 3).then_some(())
    });
    assert!(!app.log().contains("WARN"), "{}", app.tail());
    live(&app, SOON);
    fake.say(list(6, &[("a", "2")]));
    shows(&app, Duration::from_secs(12), "a=2;");
    assert!(app.stop().success());
}

// A real server is in this state only for the moments of a replay.
#[test]
fn c17_a_leader_that_still_replays_its_log_is_not_believed() {
    let fake = Fake::saying(list(50, &[("a", "new")]));
    let mut app = follow(&fake.url(), json!({}));
    app.start().ready();
    // It ended, came back, and answers from the beginning of its log.
    fake.turn(|_, _| false);
    degraded(&app, SOON, "unavailable");
    fake.turn(|request, stream| {
        let sure = request.head.lines().next().is_some_and(|line| line.contains("consistent"));
        let unready = || answer("500 Error", &[], "Not ready to serve consistent reads");
        let said = if sure { unready() } else { list(30, &[("a", "old")]) };
        stream.write_all(&said).is_ok()
    });
    let from = fake.requests().len();
    within(SOON, "it is asked three times", || (fake.requests().len() >= from + 3).then_some(()));
    assert_eq!((app.read("all").as_deref(), app.generation()), (Some("a=new;"), 1));
    degraded(&app, SOON, "unavailable");
    fake.say(list(51, &[("a", "newer")]));
    shows(&app, Duration::from_secs(30), "a=newer;");
    live(&app, SOON);
    assert_eq!(app.generation(), 2);
    assert!(app.stop().success());
}

// Tombstones live for 15 min, and no key of Consul's configuration says otherwise.
#[test]
fn c04_an_index_that_fell_is_the_new_place_to_wait_behind() {
    let state = Arc::new(Mutex::new((27, "1")));
    let store = Arc::clone(&state);
    // Like Consul: the query with the old index is not woken and shows the lower one at its end.
    let fake = Fake::start(move |request, stream| {
        let waits = |(index, _): (u64, &str)| request.index().is_some_and(|asked| asked >= index);
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end && waits(*store.lock().expect("a store")) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let (index, value) = *store.lock().expect("a store");
        stream.write_all(&list(index, &[("a", value)])).is_ok()
    });
    let mut app = follow(&fake.url(), json!({ "wait": "1s" }));
    app.start().ready();
    *state.lock().expect("a store") = (23, "1");
    within(SOON, "the lower index is waited behind", || {
        fake.requests().iter().any(|request| request.index() == Some(23)).then_some(())
    });
    assert_eq!(super::source(&app)["revision"], 23);
    app.answers("/freshz", 200);
    assert_eq!(app.generation(), 1);
    *state.lock().expect("a store") = (24, "2");
    shows(&app, SOON, "a=2;");
    assert!(app.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_an_answer_that_the_network_cuts_off_is_refused_whole() {
    let server = Consul::start().await;
    server.put(&path("a"), &[b'x'; 8 << 10]).await;
    let proxy = Proxy::to(server.port());
    let mut app = follow(&proxy.url(), json!({}));
    app.start().ready();
    let before = app.read("all");
    for bytes in [1, 100, 1000, 9000] {
        proxy.truncate(Some(bytes));
        proxy.cut();
        server.put(&path("a"), &bytes.to_string().repeat(2000).into_bytes()).await;
        degraded(&app, SOON, "unavailable");
        assert_eq!((app.read("all"), app.generation()), (before.clone(), 1), "{bytes}");
    }
    proxy.truncate(None);
    server.put(&path("a"), b"2").await;
    shows(&app, Duration::from_secs(30), "a=2;");
    live(&app, SOON);
    assert!(app.stop().success());
}

/// An answer instead of the good one, and the word for it.
fn refused(bad: impl Into<Vec<u8>>, kind: &str) {
    let bad = bad.into();
    let told = String::from_utf8_lossy(&bad[..bad.len().min(300)]).into_owned();
    let fake = Fake::saying(list(5, &[("a", "1")]));
    let mut app = follow(&fake.url(), json!({ "max_bytes": "64KiB" }));
    app.start().ready();
    fake.turn(move |_, stream| {
        drop(stream.write_all(&bad));
        false
    });
    degraded(&app, SOON, kind);
    assert_eq!((app.read("all").as_deref(), app.generation()), (Some("a=1;"), 1), "{told}");
    app.answers("/readyz", 200);
    assert!(!app.log().contains("c2VjcmV0") && !app.log().contains("secret"), "{}", app.tail());
    fake.say(list(6, &[("a", "2")]));
    shows(&app, Duration::from_secs(10), "a=2;");
    live(&app, SOON);
    assert!(fake.requests().iter().all(|request| !request.has_header("accept-encoding")));
    assert!(app.stop().success());
}

fn good(body: &str) -> Vec<u8> {
    answer("200 OK", &["X-Consul-Index: 6"], body)
}

#[test]
fn c12_a_body_without_its_last_chunk_is_refused() {
    let head = "HTTP/1.1 200 OK\r\nX-Consul-Index: 6\r\nTransfer-Encoding: chunked\r\n\r\n";
    refused(format!("{head}2\r\n[]\r\n"), "unavailable");
}

#[test]
fn c12_a_body_shorter_than_its_length_is_refused() {
    refused("HTTP/1.1 200 OK\r\nX-Consul-Index: 6\r\nContent-Length: 9\r\n\r\n[]", "unavailable");
}

#[test]
fn c12_compressed_bytes_that_nobody_asked_for_are_refused_unopened() {
    let bomb = "HTTP/1.1 200 OK\r\nX-Consul-Index: 6\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n";
    refused([bomb.as_bytes(), &[0x1f, 0x8b, 8, 0]].concat(), "malformed");
}

#[test]
fn c12_bodies_that_are_no_list_of_keys_are_refused() {
    for body in [
        "[",
        "<html>secret</html>",
        r#"{"Key":"payment/app/a"}"#,
        r#"[{"Key":7,"Value":"c2VjcmV0"}]"#,
        r#"[{"Key":"payment/app/a","Value":["c2VjcmV0"]}]"#,
        r#"[{"Key":"payment/app/a","Value":"c2VjcmV0!"}]"#,
        r#"[{"Key":"payment/app/a","Value":null},{"Key":"payment/app/a","Value":null}]"#,
        r#"[{"Key":"elsewhere","Value":"c2VjcmV0"}]"#,
    ] {
        refused(good(body), "malformed");
    }
}

#[test]
fn c12_a_null_value_is_an_empty_one() {
    let fake = Fake::saying(good(r#"[{"Key":"payment/app/a","Value":null}]"#));
    let mut app = follow(&fake.url(), json!({}));
    app.start().ready();
    shows(&app, SOON, "a=;");
}

#[test]
fn c13_a_redirect_is_refused_and_the_other_host_hears_nothing() {
    let elsewhere = Fake::saying(list(9, &[("a", "elsewhere")]));
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let fake = Fake::saying(list(5, &[("a", "1")]));
        let app = App::new();
        let token = app.folder().join("token");
        std::fs::write(&token, "a-token").expect("a token");
        super::configure(&app, &fake.url(), json!({ "token_file": token }), "");
        let mut app = app;
        app.start().ready();
        let to = format!("Location: {}/v1/kv/payment/app/?recurse", elsewhere.url());
        fake.say(answer(status, &[&to], ""));
        let source = degraded(&app, SOON, "malformed");
        assert!(source["error"].as_str().expect("an error").contains(&elsewhere.url()), "{source}");
        assert_eq!(app.read("all").as_deref(), Some("a=1;"));
        fake.say(list(6, &[("a", "2")]));
        shows(&app, Duration::from_secs(10), "a=2;");
        assert!(fake.requests().iter().all(|request| request.has_header("x-consul-token")));
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

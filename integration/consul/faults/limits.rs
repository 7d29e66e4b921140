//! Bounds: what a server asks us to slow down, how much it may say, and how much we ask.

use std::{
    io::Write as _,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use super::{SOON, degraded, follow, live, path, shows, within};
use crate::support::{
    app::App,
    consul::{
        Consul,
        fake::{Fake, answer, list},
    },
    patience::eventually,
    proxy::Proxy,
};

/// A fake that has shown one key, and then answers each request with this.
fn then(bad: Vec<u8>) -> (Fake, App) {
    let fake = Fake::saying(list(5, &[("a", "1")]));
    let mut app = follow(&fake.url(), json!({}));
    app.start().ready();
    fake.turn(move |_, stream| stream.write_all(&bad).is_ok());
    (fake, app)
}

/// How far apart the requests were that a fake got while it was refusing.
fn gaps(fake: &Fake, from: usize) -> Vec<Duration> {
    let requests = fake.requests();
    requests[from..].windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

fn heals(fake: &Fake, mut app: App) {
    assert_eq!((app.read("all").as_deref(), app.generation()), (Some("a=1;"), 1));
    fake.say(list(6, &[("a", "2")]));
    shows(&app, Duration::from_secs(30), "a=2;");
    live(&app, SOON);
    assert!(app.stop().success());
}

// A real Consul never sends `Retry-After`; what stands before it may.
#[test]
fn c11_the_wait_that_is_asked_for_is_kept() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let (fake, app) = then(answer(status, &["Retry-After: 3"], ""));
        degraded(&app, SOON, "throttled");
        let from = fake.requests().len() - 1;
        within(Duration::from_secs(10), "two more attempts", || {
            (fake.requests().len() >= from + 3).then_some(())
        });
        let gaps = gaps(&fake, from);
        assert!(gaps.iter().all(|gap| *gap >= Duration::from_secs(3)), "{status}: {gaps:?}");
        heals(&fake, app);
    }
}

// A real Consul answers so only under a load that a test cannot make on cue.
#[test]
fn c11_without_a_wait_the_own_back_off_makes_no_storm() {
    let (fake, app) = then(answer("429 Too Many Requests", &["Connection: close"], "slow down"));
    degraded(&app, SOON, "throttled");
    let (from, start) = (fake.requests().len(), Instant::now());
    within(Duration::from_secs(8), "some time passes", || {
        (start.elapsed() > Duration::from_secs(6)).then_some(())
    });
    let requests = fake.requests();
    assert!(requests.len() - from <= 12, "{} attempts in 6 s", requests.len() - from);
    // What was to be closed is not used again.
    let refused = &requests[from.saturating_sub(1)..];
    assert!(refused.windows(2).all(|pair| pair[0].connection != pair[1].connection));
    heals(&fake, app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c11_a_server_with_too_many_connections_is_tried_until_it_has_room() {
    let server = Consul::start_adjusted(|config| {
        config["limits"] = json!({ "http_max_conns_per_client": 5 });
    })
    .await;
    server.put(&path("a"), b"1").await;
    let proxy = Proxy::to(server.port());
    let mut app = follow(&proxy.url(), json!({}));
    app.start().ready();
    shows(&app, SOON, "a=1;");
    // Somebody else takes every place that there is, also the ones that become free.
    let taken = Taken::start(server.port());
    proxy.cut();
    within(SOON, format_args!("the refusal is told; {}", app.tail()), || {
        let source = super::source(&app);
        source["state"].as_str()?.starts_with("degraded(").then_some(())
    });
    let (before, start) = (proxy.accepted(), Instant::now());
    within(Duration::from_secs(6), "some time passes", || {
        (start.elapsed() > Duration::from_secs(4)).then_some(())
    });
    assert!(proxy.accepted() - before <= 12, "{} connections in 4 s", proxy.accepted() - before);
    assert_eq!((app.read("all").as_deref(), app.generation()), (Some("a=1;"), 1));
    drop(taken);
    live(&app, Duration::from_secs(30));
    server.put(&path("a"), b"2").await;
    shows(&app, SOON, "a=2;");
    assert!(app.stop().success());
}

/// Holds as many connections as a server has places, until it is dropped.
struct Taken {
    ended: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
}

impl Taken {
    fn start(port: u16) -> Self {
        let taken = Self { ended: Arc::default(), full: Arc::default() };
        let (end, full) = (Arc::clone(&taken.ended), Arc::clone(&taken.full));
        std::thread::spawn(move || {
            let mut held: Vec<TcpStream> = Vec::new();
            while !end.load(Ordering::SeqCst) {
                held.retain(|stream| {
                    let mut byte = [0];
                    // A refused one was answered or closed.
                    stream
                        .peek(&mut byte)
                        .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
                });
                for _ in held.len()..8 {
                    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                    stream.set_nonblocking(true).expect("a socket");
                    held.push(stream);
                }
                std::thread::sleep(Duration::from_millis(5));
                if held.len() >= 5 {
                    full.store(true, Ordering::SeqCst);
                }
            }
        });
        eventually("a full server", || taken.full.load(Ordering::SeqCst).then_some(()));
        taken
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

/// The most memory that the process ever held, in MiB.
fn peak(app: &mut App) -> u64 {
    let status = format!("/proc/{}/status", app.process().pid());
    let status = std::fs::read_to_string(status).expect("a running rehup");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") >> 10
}

// No real server holds a gibibyte below one prefix, nor sends without end.
#[test]
fn c16_an_endless_body_is_cut_at_the_bound() {
    let fake = Fake::saying(list(5, &[("a", "1")]));
    let mut app = follow(&fake.url(), json!({ "max_bytes": "4MiB" }));
    app.start().ready();
    fake.turn(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\nX-Consul-Index: 6\r\nContent-Length: 1073741824\r\n\r\n[";
        let mut sent = stream.write_all(head.as_bytes()).is_ok();
        let piece = [b' '; 8 << 10];
        for _ in 0..(1 << 30) / piece.len() {
            sent = sent && stream.write_all(&piece).is_ok();
        }
        false
    });
    degraded(&app, SOON, "too_large");
    let peak = peak(&mut app);
    assert!(peak < 64, "{peak} MiB for a bound of 4 MiB");
    heals(&fake, app);
}

// A proxy cannot slow down the body alone.
#[test]
fn c16_a_body_that_drips_ends_at_the_deadline() {
    let fake = Fake::saying(list(5, &[("a", "1")]));
    let mut app = follow(&fake.url(), json!({ "wait": "1s" }));
    app.start().ready();
    fake.turn(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\nX-Consul-Index: 6\r\nContent-Length: 1000\r\n\r\n[";
        let mut sent = stream.write_all(head.as_bytes()).is_ok();
        while sent {
            std::thread::sleep(Duration::from_secs(1));
            sent = stream.write_all(b" ").is_ok();
        }
        false
    });
    let source = degraded(&app, Duration::from_secs(12), "unavailable");
    assert!(source["error"].as_str().expect("an error").contains("no answer within"), "{source}");
    heals(&fake, app);
}

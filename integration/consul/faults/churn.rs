//! A busy prefix, an agent that comes and goes, a network that closes what is idle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use super::{SOON, follow, fresh, live, path, shows, source, within};
use crate::support::{
    app::App, canary::unhide, connections::established, consul::Consul, proxy::Proxy,
};

/// Room for the machine that runs the tests: a request that was paced comes later, never earlier.
const A_SECOND: Duration = Duration::from_secs(1);

/// Writes for so long, about a hundred values each second, and checks what a busy prefix may cost.
async fn a_busy_prefix(time: Duration) {
    let server = Consul::start().await;
    server.put(&path("a"), b"0").await;
    let proxy = Proxy::to(server.port());
    let mut app = App::new();
    super::configure(&app, &proxy.url(), json!({}), "");
    let yaml = std::fs::read_to_string(app.config()).expect("a configuration");
    app.configure(yaml.replace("settle: off", "settle: { quiet: 200ms, max: 2s }"));
    app.quiet().start().ready();
    let (asked, generations) = (proxy.requests().len(), app.generation());
    let (start, mut value, mut most) = (Instant::now(), 0, 0);
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while start.elapsed() < time {
        ticks.tick().await;
        value += 1;
        server.put(&path("a"), value.to_string().as_bytes()).await;
        most = most.max(established(proxy.port()));
    }
    let seconds = start.elapsed().as_secs();
    shows(&app, Duration::from_secs(2), &format!("a={value};"));
    let requests = proxy.requests();
    let times: Vec<_> = requests[asked..].iter().map(|(at, _)| *at).collect();
    assert!(times.len() as u64 <= 11 * seconds + 12, "{} requests in {seconds} s", times.len());
    // Two at once, and a proof beside them.
    let burst = times.windows(4).filter(|four| four[3] - four[0] < Duration::from_millis(20));
    assert_eq!(burst.count(), 0, "{times:?}");
    let generations = app.generation() - generations;
    // At most one for each quiet time; a busy machine makes pauses of its own.
    assert!(generations <= 5 * seconds + 1, "{generations} generations in {seconds} s");
    assert!(most <= 2, "{most} connections");
    fresh(&app, A_SECOND);
    assert!(app.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c15_a_busy_prefix_costs_ten_requests_a_second_and_ends_with_the_last_value() {
    a_busy_prefix(Duration::from_secs(10)).await;
}

/// How the agent goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    Terminated,
}

/// Ends and starts the agent for so long, each 3 s, with writes in between.
async fn an_agent_that_comes_and_goes(time: Duration, ends: &[End]) {
    let mut server = Consul::start().await;
    server.put(&path("a"), b"0").await;
    let proxy = Proxy::to(server.port());
    let mut app = follow(&proxy.url(), json!({}));
    app.quiet().start().ready();
    let seen = Seen::start(&app);
    let (start, mut value, mut most) = (Instant::now(), 0_u64, 0);
    let mut first = None;
    for end in ends.iter().cycle() {
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            value += 1;
            server.put(&path("a"), value.to_string().as_bytes()).await;
            most = most.max(established(proxy.port()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        match end {
            End::Killed => server.stop(),
            End::Terminated => server.terminate(),
        }
        server.restart().await;
        first.get_or_insert_with(|| Use::of(&mut app));
        if start.elapsed() > time {
            break;
        }
    }
    value += 1;
    server.put(&path("a"), value.to_string().as_bytes()).await;
    shows(&app, Duration::from_secs(30), &format!("a={value};"));
    live(&app, SOON);
    let (seen, first, last) = (seen.end(), first.expect("a restart"), Use::of(&mut app));
    assert!(seen.windows(2).all(|two| two[0] < two[1]), "never an older value: {seen:?}");
    assert!(app.generation() <= value + 1, "{} of {value} values", app.generation());
    assert!(last.descriptors <= first.descriptors + 2, "{first:?}, then {last:?}");
    assert!(last.resident <= first.resident + 4096, "in KiB: {first:?}, then {last:?}");
    assert!(most <= 2, "{most} connections");
    assert!(app.stop().success());
}

/// Each value that a reader saw, in the order in which it saw them.
struct Seen {
    ended: Arc<AtomicBool>,
    reader: std::thread::JoinHandle<Vec<u64>>,
}

impl Seen {
    fn start(app: &App) -> Self {
        let ended = Arc::<AtomicBool>::default();
        let (file, end) = (app.volume().join("all"), ended.clone());
        let reader = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while !end.load(Ordering::SeqCst) {
                let text = std::fs::read_to_string(&file).expect("the file is always there");
                let value = unhide(&text);
                let value = value.trim_start_matches("a=").trim_end_matches(';').parse();
                let value = value.unwrap_or_else(|_| panic!("half a file: {text:?}"));
                if seen.last() != Some(&value) {
                    seen.push(value);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            seen
        });
        Self { ended, reader }
    }

    fn end(self) -> Vec<u64> {
        self.ended.store(true, Ordering::SeqCst);
        self.reader.join().expect("a reader that found the file each time")
    }
}

/// What a process holds.
#[derive(Debug)]
struct Use {
    descriptors: usize,
    /// KiB.
    resident: u64,
}

impl Use {
    fn of(app: &mut App) -> Self {
        let process = format!("/proc/{}", app.process().pid());
        let status = std::fs::read_to_string(format!("{process}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        let resident = line.trim().trim_end_matches(" kB").parse().expect("a number");
        let descriptors = std::fs::read_dir(format!("{process}/fd")).expect("it runs").count();
        Self { descriptors, resident }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c17_an_agent_that_is_killed_loses_no_final_value() {
    an_agent_that_comes_and_goes(Duration::from_secs(15), &[End::Killed]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c17_an_agent_that_ends_cleanly_loses_no_final_value() {
    an_agent_that_comes_and_goes(Duration::from_secs(10), &[End::Terminated]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c18_a_wait_that_the_network_ends_is_tried_again_without_a_storm_or_a_claim() {
    let server = Consul::start().await;
    server.put(&path("a"), b"1").await;
    let proxy = Proxy::to(server.port());
    proxy.close_idle(Some(Duration::from_secs(2)));
    let mut app = follow(&proxy.url(), json!({}));
    app.quiet().start().ready();
    let start = Instant::now();
    let mut cut = 0;
    within(Duration::from_secs(15), "the network closed the connection five times", || {
        cut = proxy.accepted();
        (cut > 5).then_some(())
    });
    // Each answer proves the content at the time it was asked for, and the wait proves nothing.
    let age = source(&app)["age_seconds"].as_f64().expect("an age");
    let last = proxy.requests().into_iter().rfind(|(_, line)| !line.contains("index="));
    let since = last.expect("a read").0.elapsed().as_secs_f64();
    assert!(age >= since - 0.5, "proven {age} s ago, but asked {since} s ago");
    assert_eq!(app.generation(), 1);
    let told = app.log().matches("WARN").count();
    assert!(told <= 2, "{told} warnings for {cut} cuts: {}", app.tail());
    assert!(proxy.requests().len() as u64 <= 2 * (start.elapsed().as_secs() + 4), "no storm");
    server.put(&path("a"), b"2").await;
    shows(&app, SOON, "a=2;");
    proxy.close_idle(None);
    proxy.cut();
    live(&app, Duration::from_secs(30));
    server.put(&path("a"), b"3").await;
    shows(&app, SOON, "a=3;");
    assert!(app.stop().success());
}

/// Waits of 8 s end after 8.5 s: none is an error.
async fn full_waits(count: usize) {
    let server = Consul::start().await;
    server.put(&path("a"), b"1").await;
    let proxy = Proxy::to(server.port());
    let mut app = follow(&proxy.url(), json!({ "wait": "8s" }));
    app.quiet().start().ready();
    let mut most = 0;
    let mut waits = || {
        most = most.max(established(proxy.port()));
        let requests = proxy.requests();
        requests.iter().filter(|(_, line)| line.contains("index=")).count()
    };
    // The last one runs: so many have ended.
    let limit = Duration::from_secs(9) * u32::try_from(count).expect("few");
    within(limit, "the waits end", || (waits() > count).then_some(()));
    assert!(!app.log().contains("WARN"), "{}", app.tail());
    assert!(most <= 2, "{most} connections");
    assert_eq!(app.generation(), 1);
    live(&app, SOON);
    server.put(&path("a"), b"2").await;
    shows(&app, SOON, "a=2;");
    assert!(app.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c03_the_servers_extra_wait_is_no_error() {
    full_waits(2).await;
}

mod soak {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn c03_fifty_full_waits_are_no_error() {
        full_waits(50).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn c15_five_minutes_of_writes() {
        a_busy_prefix(Duration::from_mins(5)).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn c17_ten_minutes_of_restarts() {
        an_agent_that_comes_and_goes(Duration::from_mins(10), &[End::Killed, End::Terminated])
            .await;
    }
}

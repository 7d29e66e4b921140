//! The wall clock jumps: nothing that we promise depends on it.
//!
//! `libfaketime` gives one process a clock of its own; no test may set that of the machine.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::support::{
    app::App,
    canary::hide,
    etcd::{Etcd, Version},
    patience::eventually,
    proxy::Proxy,
    target::Counter,
};

/// Where Debian puts it, for any architecture.
pub fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("libraries").flatten();
    let places = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    places.into_iter().find(|place| place.is_file()).expect("libfaketime (Debian: libfaketime)")
}

fn set(clock: &Path, offset: &str) {
    let staged = clock.with_extension("new");
    std::fs::write(&staged, format!("{offset}\n")).expect("a clock");
    std::fs::rename(staged, clock).expect("a clock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l08_a_clock_that_jumps_an_hour_makes_no_storm_and_stops_no_timer() {
    let (server, counter) = (Etcd::start(Version::Current).await, Counter::start());
    let (mut app, mut client) = (App::new(), server.client().await);
    let proxy = Proxy::to(server.port());
    let clock = app.folder().join("clock");
    set(&clock, "+0");
    app.variable("LD_PRELOAD", library())
        .variable("FAKETIME_TIMESTAMP_FILE", &clock)
        .variable("FAKETIME_NO_CACHE", "1")
        .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    // Both kinds of sources, and the default intervals of settle and target.
    app.configure(format!(
        "sources:\n  app: {{ etcd: {{ endpoints: [\"{}\"], prefix: /app/ }} }}\n  \
         base: {{ files: {{ path: {}/base }} }}\n\
         templates: [{{ inline: \"{{{{ app.n }}}}{{{{ base.n }}}}\", to: n }}]\n\
         targets: [{{ name: main, signal: SIGHUP, {}, min_uptime: 0s }}]\n",
        proxy.url(),
        app.folder().display(),
        counter.process_yaml()
    ));
    client.put("/app/n", hide("0"), None).await.expect("a put");
    app.put("n", "0");
    app.start().shows("n", "00");
    app.settles("main", "unknown");
    let connections = proxy.accepted();

    let mut wall = app.status()["generation"]["unix_seconds"].as_f64().expect("a time");
    for (step, offset) in ["+1h", "-1h", "+0", "+1h"].into_iter().enumerate() {
        set(&clock, offset);
        let (value, told) = ((step + 1).to_string(), counter.count());
        client.put("/app/n", hide(&value), None).await.expect("a put");
        app.put("n", &value);
        app.shows("n", &value.repeat(2));
        eventually("it is told", || (counter.count() > told).then_some(()));
        let status = app.status();
        let now = status["generation"]["unix_seconds"].as_f64().expect("a time");
        assert!((now - wall).abs() > 3000.0, "the process has that clock: {wall}, then {now}");
        wall = now;
        for source in ["app", "base"] {
            let age = status["sources"][source]["age_seconds"].as_f64().expect("a proof");
            assert!((0.0..60.0).contains(&age), "{source}: {age}");
        }
        app.answers("/freshz", 200);
        app.answers("/livez", 200);
    }
    let quiet = Instant::now();
    let generation = app.generation();
    while quiet.elapsed() < Duration::from_secs(3) {
        assert_eq!(app.generation(), generation, "nothing more happens");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(proxy.accepted(), connections, "no connection was made anew");
    assert!(!app.answers("/metrics", 200).contains("rehup_source_resyncs_total{"));
    assert!((5..=9).contains(&counter.count()), "{} signals", counter.count());
}

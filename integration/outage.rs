//! Stores that are gone: what is good stays visible and ready, it is said that nobody vouches for
//! it, and nobody ever gives up.

use crate::support::canary::hide;
use std::time::{Duration, Instant};

use providers::conformance::Bench as _;

use crate::{
    consul::ConsulBench,
    etcd::EtcdBench,
    support::{
        app::App,
        etcd::{Etcd, Version},
        patience::{eventually, within},
        proxy::{Manner, Proxy},
        store::Store,
    },
};

/// Follows these sources with one template over all of them, which reads `n` of each.
fn following(sources: &[(&str, String)]) -> App {
    let app = App::new();
    let list: Vec<_> = sources.iter().map(|(name, source)| format!("{name}: {source}")).collect();
    let texts = sources.iter().map(|(name, _)| format!("{{{{ {name}.n }}}}"));
    let text = texts.collect::<Vec<_>>().concat();
    app.configure(format!(
        "sources: {{ {} }}\ntemplates: [{{ inline: \"{text}\", to: n }}]\nsettle: off\n",
        list.join(", ")
    ));
    app
}

/// What must be told of a source that cannot be reached.
#[track_caller]
fn unreachable(app: &App, source: &str) -> serde_json::Value {
    let status = eventually(format_args!("{source} has an error; {}", app.tail()), || {
        let status = app.try_status()?["sources"][source].clone();
        status["error"].is_string().then_some(status)
    });
    let state = status["state"].as_str().expect("a state");
    assert!(state.starts_with("degraded"), "{status}");
    let sample = format!("rehup_source_state{{source=\"{source}\",state=\"degraded\"}} 1");
    assert!(app.answers("/metrics", 200).contains(&sample), "{sample}");
    app.answers("/livez", 200);
    status
}

async fn restart_with_the_store_down(mut store: impl Store) {
    store.write("n", "1").await;
    let mut app = following(&[("app", store.source())]);
    app.start().shows("n", "1");
    let before = std::fs::read_link(app.volume().join("..data")).expect("a generation");
    app.kill();
    store.stop().await;

    app.start().answers("/readyz", 200);
    app.answers("/startupz", 200);
    let status = unreachable(&app, "app");
    assert!(status["age_seconds"].is_null(), "this process has no proof: {status}");
    assert!(app.answers("/freshz", 503).contains("source: app"));
    assert!(app.answers("/metrics", 200).contains("rehup_fresh{cause=\"source\"} 0\n"));
    assert_eq!(std::fs::read_link(app.volume().join("..data")).expect("a link"), before);
    assert_eq!(app.read("n").as_deref(), Some("1"));

    store.start().await;
    store.write("n", "2").await;
    app.shows("n", "2");
    app.answers("/freshz", 200);
    assert_eq!(app.generation(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l01_a_restart_without_etcd_keeps_the_generation_and_says_so() {
    restart_with_the_store_down(EtcdBench::start(Version::Current).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l01_a_restart_without_consul_keeps_the_generation_and_says_so() {
    restart_with_the_store_down(ConsulBench::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l02_a_first_start_without_a_store_publishes_nothing_and_never_gives_up() {
    let proxy = Proxy::to_nothing();
    proxy.turn(Manner::Refuse);
    let etcd = format!("{{ etcd: {{ endpoints: [\"{}\"], prefix: /app/ }} }}", proxy.url());
    let mut app = following(&[("app", etcd)]);
    app.start();
    for _ in 0..3 {
        let before = proxy.accepted();
        eventually("it tries again", || (proxy.accepted() > before).then_some(()));
    }
    unreachable(&app, "app");
    app.answers("/readyz", 503);
    app.answers("/startupz", 503);
    assert!(app.answers("/freshz", 503).contains("source: app was never read"));
    let visible = std::fs::read_dir(app.volume()).expect("a volume").flatten();
    let visible = visible.filter(|entry| entry.file_name() != "..rehup");
    assert_eq!(visible.count(), 0, "nothing is published");

    let store = Etcd::start(Version::Current).await;
    store.client().await.put("/app/n", hide("1"), None).await.expect("a put");
    proxy.aim(store.port());
    proxy.turn(Manner::Forward);
    app.shows("n", "1");
    app.answers("/freshz", 200);
    app.answers("/readyz", 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r13_without_one_store_nothing_begins_and_later_the_other_goes_on() {
    let (mut etcd, mut consul) =
        (EtcdBench::start(Version::Current).await, ConsulBench::start().await);
    etcd.write("n", "1").await;
    consul.write("n", "2").await;
    consul.stop().await;
    let mut app = following(&[("flags", etcd.source()), ("app", consul.source())]);

    // One is down from the start: a half-filled view is never rendered.
    app.start();
    unreachable(&app, "app");
    eventually("the other has answered", || {
        (app.try_status()?["sources"]["flags"]["keys"] == 1).then_some(())
    });
    app.answers("/readyz", 503);
    assert!(app.answers("/freshz", 503).contains("source: app was never read"));
    assert_eq!(app.read("n"), None);
    consul.start().await;
    app.shows("n", "12");
    app.answers("/freshz", 200);

    // One goes down later: the other goes on beside its last snapshot, whose age is shown.
    etcd.stop().await;
    unreachable(&app, "flags");
    consul.write("n", "3").await;
    app.shows("n", "13");
    let age = |app: &App| app.status()["sources"]["flags"]["age_seconds"].as_f64();
    let before = age(&app).expect("it was proven once");
    eventually("the age grows", || (age(&app)? > before + 1.0).then_some(()));
    app.answers("/readyz", 200);
    etcd.start().await;
    etcd.write("n", "4").await;
    app.shows("n", "43");
    app.answers("/freshz", 200);
    assert_eq!(app.status()["sources"]["flags"]["state"], "live");
}

mod soak {
    use super::*;

    async fn gone_for_ten_minutes(mut store: impl Store) {
        store.write("n", "1").await;
        let mut app = following(&[("app", store.source())]);
        app.start().shows("n", "1");
        app.answers("/freshz", 200);
        store.stop().await;
        let gone = Instant::now();
        within(Duration::from_secs(60), "/freshz says that it is stale", async || {
            assert_eq!(app.get("/readyz").map(|answer| answer.status), Some(200));
            let answer = app.get("/freshz").filter(|answer| answer.status == 503)?;
            answer.body.contains("source: app was last proven").then_some(())
        })
        .await;
        while gone.elapsed() < Duration::from_secs(600) {
            for (probe, status) in [("/readyz", 200), ("/livez", 200), ("/freshz", 503)] {
                let answer = app.get(probe).expect("an answer");
                assert_eq!(answer.status, status, "{probe}: {}", answer.body);
            }
            assert_eq!(app.read("n").as_deref(), Some("1"));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(app.log().lines().count() < 100, "a long outage is no flood of lines");
        store.start().await;
        store.write("n", "2").await;
        within(Duration::from_secs(45), "the volume converges", async || {
            (app.read("n").as_deref() == Some("2")).then_some(())
        })
        .await;
        app.answers("/freshz", 200);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn l13_ten_minutes_without_etcd() {
        gone_for_ten_minutes(EtcdBench::start(Version::Current).await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn l13_ten_minutes_without_consul() {
        gone_for_ten_minutes(ConsulBench::start().await).await;
    }
}

//! Servers without a leader, and answers of a server that fell behind: neither proves anything.

use std::time::Duration;

use serde_json::json;

use super::{SOON, follow, fresh, live, path, shows, stale, within};
use crate::support::{
    app::App,
    consul::{
        cluster::{Cluster, Through},
        fake::{Fake, answer, body},
    },
    patience::eventually_async,
};

/// A proof each 30 s at most and its deadline of 10 s find it; four times this, which is waited for
/// here, is less than the two minutes after which silence alone would.
const NOTICED: Duration = Duration::from_secs(28);

/// The longest pause between two attempts, and a new election.
const HEALED: Duration = Duration::from_secs(40);

async fn a_lost_quorum_is_told_and_heals(through: Through, wait: &str) {
    let cluster = Cluster::start().await;
    cluster.servers[0].put(&path("a"), b"1").await;
    let mut app = follow(&cluster.url(through).await, json!({ "wait": wait }));
    app.start().ready();
    shows(&app, SOON, "a=1;");
    cluster.lose_quorum(through).await;
    without_a_leader(&app, NOTICED);
    assert_eq!((app.read("all").as_deref(), app.generation()), (Some("a=1;"), 1));
    app.answers("/readyz", 200);
    cluster.thaw();
    live(&app, HEALED);
    cluster.servers[0].put(&path("a"), b"2").await;
    shows(&app, SOON, "a=2;");
    assert!(app.stop().success());
}

/// The store says that it has no leader, or says nothing within the probe's deadline.
fn without_a_leader(app: &App, limit: Duration) {
    within(limit, format_args!("no leader is told; {}", app.tail()), || {
        let source = app.try_status()?["sources"]["app"].clone();
        let state = source["state"].as_str()?;
        ["degraded(no_leader)", "degraded(unavailable)"].contains(&state).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c08_a_leader_that_lost_its_followers_is_told() {
    a_lost_quorum_is_told_and_heals(Through::Leader, "8s").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c08_a_follower_of_a_frozen_leader_is_told_though_it_says_nothing() {
    a_lost_quorum_is_told_and_heals(Through::Follower, "8s").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c08_a_client_agent_without_a_leader_behind_it_is_told() {
    a_lost_quorum_is_told_and_heals(Through::Agent, "8s").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c09_a_long_wait_does_not_hide_that_the_quorum_is_lost() {
    // The query that runs ends after 5 min and would say 200 with a known leader.
    a_lost_quorum_is_told_and_heals(Through::Leader, "5m").await;
}

mod soak {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn c09_freshness_ends_a_minute_after_the_last_proof_and_not_after_the_wait() {
        let cluster = Cluster::start().await;
        cluster.servers[0].put(&path("a"), b"1").await;
        let mut app = follow(&cluster.url(Through::Leader).await, json!({ "wait": "5m" }));
        app.start().ready();
        shows(&app, SOON, "a=1;");
        cluster.lose_quorum(Through::Leader).await;
        stale(&app, Duration::from_mins(1), &["source: app was last proven"]);
        cluster.thaw();
        live(&app, HEALED);
        fresh(&app, SOON);
        assert!(app.stop().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c10_a_server_without_a_leader_is_never_used_for_the_first_publication() {
    let cluster = Cluster::start().await;
    cluster.servers[0].put(&path("a"), b"1").await;
    let address = cluster.url(Through::Follower).await;
    cluster.lose_quorum(Through::Follower).await;
    // Until then it still believes in its leader.
    behind(&address).await;
    let mut app = follow(&address, json!({ "consistency": "stale" }));
    app.start();
    stale(&app, SOON, &["held: app", "stale"]);
    assert_eq!(app.generation(), 0);
    cluster.thaw();
    shows(&app, HEALED, "a=1;");
    live(&app, SOON);
    cluster.servers[0].put(&path("a"), b"2").await;
    shows(&app, SOON, "a=2;");
}

/// Waits until the server says by itself that it knows no leader.
async fn behind(address: &str) {
    let client = providers::http::client(None).expect("certificates").no_proxy();
    let client = client.build().expect("a client");
    eventually_async("a server that knows no leader", async || {
        let answer = client.get(format!("{address}/v1/kv/{}?recurse&stale", super::PREFIX));
        let answer = answer.send().await.ok()?;
        (answer.headers().get("x-consul-knownleader")? == "false").then_some(())
    })
    .await;
}

// A real server that is 10 s behind has no leader either; the fake separates the two signs.
#[test]
fn c10_an_answer_that_is_behind_is_not_fresh_and_the_leader_is_asked_instead() {
    for sign in ["X-Consul-KnownLeader: false", "X-Consul-LastContact: 10001"] {
        let good = ["X-Consul-Index: 5", "X-Consul-KnownLeader: true", "X-Consul-LastContact: 0"];
        let behind = ["X-Consul-Index: 5", sign];
        let fake = Fake::saying(answer("200 OK", &behind, &body(&[("a", "behind")])));
        let mut app = follow(&fake.url(), json!({ "consistency": "stale" }));
        app.start();
        stale(&app, SOON, &["held: app", "stale"]);
        assert_eq!(app.generation(), 0, "{sign}");
        let leader = within(SOON, "the leader is asked", || {
            fake.requests().into_iter().find(|request| !request.head.contains("stale"))
        });
        assert_eq!(leader.index(), None, "without waiting: {}", leader.head);
        let (now, later) = (
            answer("200 OK", &good, &body(&[("a", "1")])),
            answer("200 OK", &["X-Consul-Index: 6"], &body(&[("a", "2")])),
        );
        fake.say(now);
        shows(&app, SOON, "a=1;");
        live(&app, SOON);
        fake.say(later);
        shows(&app, SOON, "a=2;");
    }
}

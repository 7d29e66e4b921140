//! Indexes that go back: restored stores.

use std::time::Duration;

use serde_json::json;

use super::{SOON, follow, fresh, path, shows, source};
use crate::support::consul::{
    Consul,
    cluster::{Cluster, Through},
};

/// A proof is at least 27 s away from the last change, and the wait is longer still: neither can
/// be what finds the restore in this time.
const AT_ONCE: Duration = Duration::from_secs(2);

async fn a_restore_is_found_at_once(server: &Consul, address: &str, consistency: &str) {
    server.put(&path("a"), b"old").await;
    let saved = server.save().await;
    let mut app = follow(address, json!({ "wait": "60s", "consistency": consistency }));
    app.start().ready();
    for round in 0..3 {
        let new = format!("new-{round}");
        server.put(&path("a"), new.as_bytes()).await;
        shows(&app, SOON, &format!("a={new};"));
        let before = source(&app)["revision"].as_u64().expect("a revision");
        server.restore(&saved).await;
        shows(&app, AT_ONCE, "a=old;");
        let after = source(&app);
        assert!(after["revision"].as_u64() < Some(before), "{before} before, then {after}");
        assert_eq!(after["state"], "live", "{after}");
        fresh(&app, SOON);
    }
    server.put(&path("b"), b"healed").await;
    shows(&app, SOON, "a=old;b=healed;");
    assert!(app.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_a_restored_store_is_published_at_once_and_not_after_the_wait() {
    let server = Consul::start().await;
    a_restore_is_found_at_once(&server, &server.url(), "default").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_a_restored_cluster_is_published_at_once_through_a_stale_follower() {
    let cluster = Cluster::start().await;
    let follower = cluster.url(Through::Follower).await;
    a_restore_is_found_at_once(&cluster.servers[0], &follower, "stale").await;
}

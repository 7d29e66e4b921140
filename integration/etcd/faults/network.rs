//! E06 in its milder forms: a network that is slow, narrow, or ends one direction.

use std::time::Duration;

use super::{FILE, following, is_live, put};
use crate::support::{
    app::App,
    etcd::{Etcd, Version},
    proxy::{Manner, Proxy},
};

/// Follows `a=1` through a proxy.
async fn scene() -> (Etcd, Proxy, App) {
    let etcd = Etcd::start(Version::Current).await;
    put(&mut *etcd.client().await, "a", "1").await;
    let proxy = Proxy::to(etcd.port());
    let mut app = following(&[proxy.url()], "", "");
    app.start().shows(FILE, "a=1\n");
    is_live(&app);
    (etcd, proxy, app)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e06_a_slow_network_makes_a_change_late_and_nothing_else() {
    let (etcd, proxy, app) = scene().await;
    proxy.turn(Manner::Delay(Duration::from_millis(300)));
    put(&mut *etcd.client().await, "a", "2").await;
    app.shows(FILE, "a=2\n");
    assert_eq!((app.state("app").as_str(), app.generation()), ("live", 2));
    assert_eq!(proxy.accepted(), 1, "on the same connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e06_a_narrow_network_brings_a_long_value_whole() {
    let (etcd, proxy, app) = scene().await;
    let (long, before) = ("x".repeat(100 << 10), proxy.answered());
    proxy.turn(Manner::Throttle(50 << 10));
    put(&mut *etcd.client().await, "a", long.as_str()).await;
    app.shows(FILE, &format!("a={long}\n"));
    assert_eq!(app.generation(), 2, "nothing was published before all of it was there");
    assert!(proxy.answered() - before > 100 << 10, "it came through the narrow network");
    assert_eq!(app.state("app"), "live");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e06_a_server_that_ends_its_side_is_connected_to_again() {
    let (etcd, proxy, app) = scene().await;
    proxy.half_close();
    put(&mut *etcd.client().await, "a", "2").await;
    app.shows(FILE, "a=2\n");
    is_live(&app);
    assert_eq!(app.generation(), 2);
}

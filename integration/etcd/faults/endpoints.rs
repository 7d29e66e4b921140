//! E18 and E19: endpoints that are dead from the start, and a server that bears few pings; what
//! happens when it does complain is in the provider's own tests.

use std::time::Duration;

use super::{FILE, following, is_live, put};
use crate::support::{
    etcd::{Etcd, Options, Version},
    patience::within,
    process::free_port,
    proxy::{Manner, Proxy},
};

/// Starts so many at once, each with one good endpoint of three.
async fn starts(count: usize) {
    let etcd = Etcd::start(Version::Current).await;
    put(&mut *etcd.client().await, "a", "1").await;
    let silent = Proxy::to(etcd.port());
    silent.turn(Manner::Hold);
    let closed = format!("http://127.0.0.1:{}", free_port());
    let endpoints = [closed, silent.url(), etcd.endpoint()];
    // In each order; which one is first is drawn besides.
    let order = |turn: usize| -> Vec<_> { (0..3).map(|i| &endpoints[(i + turn) % 3]).collect() };
    let mut apps: Vec<_> = (0..count).map(|turn| following(&order(turn), "", "")).collect();
    for app in &mut apps {
        app.quiet().start();
    }
    for app in &apps {
        let expected = format_args!("a first generation; {}", app.tail()).to_string();
        within(Duration::from_secs(5), expected, async || {
            (app.read(FILE).as_deref() == Some("a=1\n")).then_some(())
        })
        .await;
    }
    silent.turn(Manner::Forward);
    put(&mut *etcd.client().await, "a", "2").await;
    for app in &apps {
        app.shows(FILE, "a=2\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e18_one_good_endpoint_of_three_is_enough_to_start() {
    starts(12).await;
}

mod soak {
    use super::*;

    /// Each answer of a server takes back what it held against our pings, and proofs are frequent
    /// enough.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn e19_a_server_that_bears_few_pings_has_nothing_to_complain_of() {
        let flags = vec!["--grpc-keepalive-min-time=60s".to_owned()];
        let options = Options { flags, ..Options::default() };
        let etcd = Etcd::start_with(Version::Current, options).await;
        let mut writer = etcd.client().await;
        put(&mut writer, "a", "1").await;
        let proxy = Proxy::to(etcd.port());
        let mut app = following(&[proxy.url()], "", "");
        app.start().shows(FILE, "a=1\n");
        tokio::time::sleep(Duration::from_secs(150)).await;
        is_live(&app);
        assert_eq!(proxy.accepted(), 1, "one connection all along; {}", app.tail());
        put(&mut writer, "a", "2").await;
        app.shows(FILE, "a=2\n");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn e18_one_good_endpoint_of_three_is_enough_for_a_hundred_starts() {
        super::starts(100).await;
    }
}

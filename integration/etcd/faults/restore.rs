//! E03 and E04: the store is restored from an older snapshot.

use std::time::Duration;

use super::{FILE, following, is_live, put, resyncs};
use crate::support::{
    etcd::{Etcd, Version},
    patience::within,
    proxy::{Manner, Proxy},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e03_a_restored_store_is_a_new_truth() {
    let mut etcd = Etcd::start(Version::Current).await;
    let mut writer = etcd.client().await;
    put(&mut writer, "a", "before").await;
    let snapshot = etcd.backup().await;
    let mut app = following(&[etcd.endpoint()], "", "");
    app.start().shows(FILE, "a=before\n");
    for number in 1..=5 {
        put(&mut writer, "a", format!("after-{number}")).await;
    }
    app.shows(FILE, "a=after-5\n");
    is_live(&app);

    etcd.restore(&snapshot);
    etcd.restart().await;
    within(
        Duration::from_secs(5),
        format_args!("the restored content; {}", app.tail()),
        async || (app.read(FILE).as_deref() == Some("a=before\n")).then_some(()),
    )
    .await;
    assert_eq!(resyncs(&app, "regressed"), 1, "told once");
    assert!(app.log().contains("went back from revision"), "{}", app.tail());

    // Writes that reuse the revisions that were seen already.
    let mut writer = etcd.client().await;
    for number in 1..=5 {
        put(&mut writer, "a", format!("anew-{number}")).await;
        app.shows(FILE, &format!("a=anew-{number}\n"));
    }
    is_live(&app);
    app.answers("/freshz", 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e04_a_restored_store_that_went_past_the_old_revision_is_read_anew() {
    let mut etcd = Etcd::start(Version::Current).await;
    let mut writer = etcd.client().await;
    put(&mut writer, "a", "before").await;
    put(&mut writer, "kept", "1").await;
    let snapshot = etcd.backup().await;
    let proxy = Proxy::to(etcd.port());
    let mut app = following(&[proxy.url()], "", "    resync: 2s\n");
    app.start();
    put(&mut writer, "a", "after").await;
    app.shows(FILE, "a=after\nkept=1\n");

    // The store is restored and overtakes its old revision while nobody watches.
    proxy.turn(Manner::Hold);
    etcd.restore(&snapshot);
    etcd.restart().await;
    let mut writer = etcd.client().await;
    for number in 0..20 {
        put(&mut writer, "other", number.to_string()).await;
    }
    let generation = app.generation();
    proxy.turn(Manner::Forward);
    app.shows(FILE, "a=before\nkept=1\nother=19\n");
    assert_eq!(app.generation(), generation + 1);
    put(&mut writer, "a", "at last").await;
    app.shows(FILE, "a=at last\nkept=1\nother=19\n");
    is_live(&app);
}

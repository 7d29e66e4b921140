//! E01: the history that we would need is gone.

use etcd_client::Client;

use super::{FILE, PREFIX, degrades, following, is_live, put, resyncs};
use crate::support::{
    etcd::{Etcd, Version},
    patience::eventually,
    proxy::{Manner, Proxy},
};

/// A value that is long enough to fill what lies between server and client.
const LONG: usize = 64 << 10;

async fn compact(client: &mut Client) {
    let revision = client.get("x", None).await.expect("an answer");
    let revision = revision.header().expect("a header").revision();
    client.compact(revision, None).await.expect("a compaction");
}

async fn cut_off_while_history_is_compacted(version: Version) {
    let etcd = Etcd::start(version).await;
    let mut writer = etcd.client().await;
    for key in ["a", "b", "gone"] {
        put(&mut writer, key, "1").await;
    }
    let proxy = Proxy::to(etcd.port());
    let mut app = following(&[proxy.url()], "", "");
    app.start().shows(FILE, "a=1\nb=1\ngone=1\n");
    app.answers("/freshz", 200);

    proxy.sever();
    for number in 2..=50 {
        put(&mut writer, "a", number.to_string()).await;
        put(&mut writer, &format!("passing-{number}"), "").await;
        writer.delete(format!("{PREFIX}passing-{number}"), None).await.expect("a delete");
    }
    writer.delete(format!("{PREFIX}gone"), None).await.expect("a delete");
    compact(&mut writer).await;
    degrades(&app, "unavailable");
    assert_eq!(app.read(FILE).as_deref(), Some("a=1\nb=1\ngone=1\n"), "the last good one stays");
    assert_eq!(app.generation(), 1);

    proxy.turn(Manner::Forward);
    app.shows(FILE, "a=50\nb=1\n");
    assert_eq!(app.generation(), 2, "one generation with the final state, whatever was missed");
    is_live(&app);
    put(&mut writer, "b", "2").await;
    app.shows(FILE, "a=50\nb=2\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_cut_off_while_the_history_is_compacted() {
    cut_off_while_history_is_compacted(Version::Current).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_cut_off_while_the_history_is_compacted_by_the_old_version() {
    cut_off_while_history_is_compacted(Version::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_a_slow_watch_is_overtaken_by_the_compaction() {
    let etcd = Etcd::start(Version::Current).await;
    let mut writer = etcd.client().await;
    put(&mut writer, "a", "1").await;
    put(&mut writer, "gone", "").await;
    let proxy = Proxy::to(etcd.port());
    let mut app = following(&[proxy.url()], "", "");
    app.start().shows(FILE, "a=1\ngone=\n");
    is_live(&app);

    // Shorter than the client waits for the answer to a ping, so that the stream itself stays.
    proxy.turn(Manner::HoldAnswers);
    let connections = proxy.accepted();
    for _ in 0..400 {
        put(&mut writer, "long", vec![b'x'; LONG]).await;
    }
    writer.delete(format!("{PREFIX}gone"), None).await.expect("a delete");
    put(&mut writer, "long", "short").await;
    compact(&mut writer).await;
    proxy.turn(Manner::Forward);

    app.shows(FILE, "a=1\nlong=short\n");
    eventually("the compaction was met", || (resyncs(&app, "compacted") > 0).then_some(()));
    assert_eq!(resyncs(&app, "compacted"), 1, "a refused revision is not asked again");
    assert_eq!(proxy.accepted(), connections, "on the same connection");
    is_live(&app);
    put(&mut writer, "a", "2").await;
    app.shows(FILE, "a=2\nlong=short\n");
}

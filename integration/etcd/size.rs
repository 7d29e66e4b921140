//! Many keys, large values, and what is too much.

use etcd_client::{Client, DeleteOptions};
use providers::ErrorKind;

use super::{OFTEN, PREFIX, RARELY, Server, Version, follow, path, settings};

/// More than two pages, and more than gRPC decodes by default.
const KEYS: usize = 1200;
const VALUE: usize = 4 << 10;

async fn fill(writer: &mut Client) {
    for n in 0..KEYS {
        writer.put(path(&format!("{n:04}")), vec![b'x'; VALUE], None).await.expect("a put");
    }
}

async fn large(version: Version) {
    let server = Server::start(version).await;
    let mut writer = server.client().await;
    fill(&mut writer).await;
    let mut follower = follow(settings(&server), OFTEN);
    let snapshot = follower.snapshot().await;
    assert_eq!(snapshot.entries.len(), KEYS);
    assert!(snapshot.entries.values().all(|value| value.bytes().len() == VALUE));
    follower.proof().await;
    // One revision, one snapshot: nothing between all and nothing.
    let options = DeleteOptions::new().with_prefix();
    writer.delete(PREFIX, Some(options)).await.expect("a delete");
    assert_eq!(follower.snapshot().await.entries.len(), 0);
    follower.proof().await;
}

#[tokio::test]
async fn many_pages_are_one_snapshot() {
    large(Version::Current).await;
}

#[tokio::test]
async fn many_pages_are_one_snapshot_of_the_old_version_too() {
    large(Version::Old).await;
}

#[tokio::test]
async fn a_long_catch_up_comes_in_parts_and_is_applied() {
    let server = Server::start(Version::Current).await;
    let mut writer = server.client().await;
    writer.put(path("n"), "0", None).await.expect("a put");
    let mut follower = follow(settings(&server), OFTEN);
    follower.until(&[("n", b"0")]).await;
    // Nobody polls now, so all of it comes at once when the watch opens.
    for n in 0..8_u8 {
        writer.put(path("large"), vec![n; 1 << 20], None).await.expect("a put");
    }
    while follower.snapshot().await.entries.get("large").is_none_or(|large| large.bytes()[0] < 7) {}
    follower.proof().await;
}

#[tokio::test]
async fn more_than_the_bound_is_too_large_until_there_is_less() {
    let server = Server::start(Version::Current).await;
    let mut writer = server.client().await;
    writer.put(path("a"), "1", None).await.expect("a put");
    let mut small = settings(&server);
    small.max_bytes = 100;
    let mut follower = follow(small.clone(), RARELY);
    follower.until(&[("a", b"1")]).await;
    writer.put(path("b"), vec![b'x'; 100], None).await.expect("a put");
    assert_eq!(follower.error().await, ErrorKind::TooLarge, "told by the watch");
    assert_eq!(follower.error().await, ErrorKind::TooLarge, "told by the read");
    writer.delete(path("b"), None).await.expect("a delete");
    follower.until(&[("a", b"1")]).await;
}

#[tokio::test]
async fn a_key_that_is_no_text_is_malformed_until_it_is_gone() {
    let server = Server::start(Version::Current).await;
    let mut writer = server.client().await;
    writer.put(path("a"), "1", None).await.expect("a put");
    let mut follower = follow(settings(&server), RARELY);
    follower.until(&[("a", b"1")]).await;
    let mut raw = path("").into_bytes();
    raw.push(0xff);
    writer.put(raw.clone(), "1", None).await.expect("a put");
    assert_eq!(follower.error().await, ErrorKind::Malformed, "told by the watch");
    assert_eq!(follower.error().await, ErrorKind::Malformed, "told by the read");
    writer.delete(raw, None).await.expect("a delete");
    follower.until(&[("a", b"1")]).await;
}

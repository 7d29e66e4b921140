//! History that is gone, or another.

use etcd_client::Client;
use providers::{ErrorKind, Update};

use super::{OFTEN, RARELY, Server, Version, follow, path, settings};

async fn write(writer: &mut Client, values: std::ops::Range<u32>) -> i64 {
    let mut revision = 0;
    for value in values {
        let answer = writer.put(path("a"), value.to_string(), None).await.expect("a put");
        revision = answer.header().expect("a header").revision();
    }
    revision
}

async fn compacted_right_behind_the_read(version: Version) {
    let server = Server::start(version).await;
    let mut writer = server.client().await;
    write(&mut writer, 0..1).await;
    writer.put(path("gone"), "", None).await.expect("a put");
    let mut follower = follow(settings(&server), RARELY);
    follower.until(&[("a", b"0"), ("gone", b"")]).await;
    // For up to 100 ms the server has not taken the watch to its newest revision: it either tells
    // what happens now or that it is gone.
    writer.delete(path("gone"), None).await.expect("a delete");
    let revision = write(&mut writer, 1..20).await;
    writer.compact(revision, None).await.expect("a compaction");
    let snapshot = loop {
        match follower.item().await {
            Ok(Update::Snapshot(snapshot)) if snapshot.revision.0 >= revision.unsigned_abs() => {
                break snapshot;
            }
            Ok(_) => {}
            Err(kind) => assert_eq!(kind, ErrorKind::Compacted),
        }
    };
    assert_eq!(snapshot.entries.len(), 1, "{:?}", snapshot.entries);
    assert_eq!(snapshot.entries["a"].bytes().as_ref(), b"19");
}

#[tokio::test]
async fn a_compaction_right_behind_the_read_loses_nothing() {
    compacted_right_behind_the_read(Version::Current).await;
}

#[tokio::test]
async fn a_compaction_right_behind_the_read_loses_nothing_in_the_old_version() {
    compacted_right_behind_the_read(Version::Old).await;
}

#[tokio::test]
async fn missed_changes_are_caught_up_with() {
    let server = Server::start(Version::Current).await;
    let mut writer = server.client().await;
    write(&mut writer, 0..1).await;
    let mut follower = follow(settings(&server), OFTEN);
    let first = follower.until(&[("a", b"0")]).await;
    let revision = write(&mut writer, 1..1000).await;
    let last = follower.until(&[("a", b"999")]).await;
    assert_eq!(last.revision.0, revision.unsigned_abs());
    assert!(last.as_of > first.as_of);
    follower.proof().await;
}

/// Counts and watch are compared at one revision, however many others come meanwhile.
async fn proven_under_load(version: Version) {
    let server = Server::start(version).await;
    let mut writer = server.client().await;
    let mut follower = follow(settings(&server), OFTEN);
    let busy = async {
        for n in 0_u32.. {
            let key = path(&(n % 7).to_string());
            if n % 3 == 0 {
                writer.delete(key, None).await.expect("a delete");
            } else {
                writer.put(key, n.to_string(), None).await.expect("a put");
            }
        }
    };
    let proofs = async {
        let mut proofs = 0;
        while proofs < 5 {
            match follower.item().await {
                Ok(Update::Current { .. }) => proofs += 1,
                Ok(Update::Snapshot(_) | Update::Note(_)) => {}
                Err(kind) => panic!("{kind} under load"),
            }
        }
    };
    tokio::select! {
        () = busy => {}
        () = proofs => {}
    }
}

#[tokio::test]
async fn a_busy_store_is_proven() {
    proven_under_load(Version::Current).await;
}

#[tokio::test]
async fn a_busy_store_of_the_old_version_is_proven() {
    proven_under_load(Version::Old).await;
}

#[tokio::test]
async fn a_store_that_lost_everything_is_a_new_truth() {
    let mut server = Server::start(Version::Current).await;
    let mut writer = server.client().await;
    write(&mut writer, 0..10).await;
    let mut follower = follow(settings(&server), OFTEN);
    let before = follower.until(&[("a", b"9")]).await.revision;
    server.wipe();
    server.restart().await;
    server.client().await.put(path("b"), "1", None).await.expect("a put");
    let after = follower.until(&[("b", b"1")]).await.revision;
    assert!(after < before, "{after} follows {before}");
}

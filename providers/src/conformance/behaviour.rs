//! The behaviours themselves, each a line of the contract in the crate's root.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Bench, Follower};
use crate::Update;

/// An interval that no behaviour waits for.
const RARELY: Duration = Duration::from_secs(30);

/// An interval for behaviours that are about proofs.
const OFTEN: Duration = Duration::from_millis(300);

/// The first item is everything that was written before the stream was opened.
pub async fn first_snapshot_is_complete<B: Bench>(bench: &mut B) {
    bench.put("a", b"1").await;
    bench.put("deep/er/b", b"2").await;
    let mut follower = Follower::new(&*bench.provider(RARELY));
    let first = follower.item().await;
    assert!(matches!(first, Ok(Update::Snapshot(_))), "the first item is a snapshot: {first:?}");
    let mut another = Follower::new(&*bench.provider(RARELY));
    let snapshot = another.until(&[("a", b"1"), ("deep/er/b", b"2")]).await;
    assert!(snapshot.doubts.is_empty(), "{:?}", snapshot.doubts);
}

/// Each change leads to a snapshot that holds it; a newer one may come instead of an older one,
/// never the other way round.
pub async fn changes_arrive_one_by_one_or_newer<B: Bench>(bench: &mut B) {
    bench.put("n", b"0").await;
    let mut follower = Follower::new(&*bench.provider(RARELY));
    follower.until(&[("n", b"0")]).await;
    let mut last = 0_u32;
    for n in 1..=10_u32 {
        let before = Instant::now();
        bench.put("n", n.to_string().as_bytes()).await;
        while last < n {
            let snapshot = follower.snapshot().await;
            let text = snapshot.entries["n"].bytes().clone();
            let seen = std::str::from_utf8(&text).expect("digits").parse().expect("digits");
            assert!(seen >= last, "{seen} came after {last}");
            assert!(seen < n || snapshot.as_of >= before, "as_of is before the change it holds");
            last = seen;
        }
    }
}

/// While transactions write the same number to several keys, no snapshot holds two numbers.
pub async fn transactions_are_seen_whole<B: Bench>(bench: &mut B) {
    const ROUNDS: u32 = 200;
    bench.transaction(&[("a", b"0"), ("dir/b", b"0"), ("z", b"0")]).await;
    let mut follower = Follower::new(&*bench.provider(OFTEN));
    let writer = async {
        for n in 1..=ROUNDS {
            let n = n.to_string();
            let n = n.as_bytes();
            bench.transaction(&[("a", n), ("dir/b", n), ("z", n)]).await;
        }
    };
    let reader = async {
        loop {
            let snapshot = follower.snapshot().await;
            let values: Vec<_> =
                snapshot.entries.values().map(super::super::Value::bytes).collect();
            assert_eq!(values.len(), 3, "{:?}", snapshot.entries);
            assert!(values.iter().all(|value| *value == values[0]), "a transaction seen in part");
            if **values[0] == *ROUNDS.to_string().as_bytes() {
                return;
            }
        }
    };
    tokio::join!(writer, reader);
}

/// A deleted key is gone from the next snapshot, the others stay.
pub async fn deleted_keys_are_gone<B: Bench>(bench: &mut B) {
    bench.put("gone", b"1").await;
    bench.put("stays", b"2").await;
    let mut follower = Follower::new(&*bench.provider(RARELY));
    follower.until(&[("gone", b"1"), ("stays", b"2")]).await;
    bench.delete("gone").await;
    follower.until(&[("stays", b"2")]).await;
}

/// A source in which nothing happens is proven current again and again, each time later.
pub async fn idle_content_is_proven<B: Bench>(bench: &mut B) {
    bench.put("a", b"1").await;
    let mut follower = Follower::new(&*bench.provider(OFTEN));
    let mut last = follower.until(&[("a", b"1")]).await.as_of;
    for _ in 0..3 {
        let (_, as_of) = follower.proof().await;
        assert!(as_of > last, "a proof that is not newer");
        assert!(as_of <= Instant::now(), "a proof from the future");
        last = as_of;
    }
    bench.put("a", b"2").await;
    follower.until(&[("a", b"2")]).await;
}

/// A store that went away is told as an error; when it is back, its newest content comes.
pub async fn content_after_a_restart_is_the_newest<B: Bench>(bench: &mut B) {
    bench.put("a", b"1").await;
    let mut follower = Follower::new(&*bench.provider(OFTEN));
    follower.until(&[("a", b"1")]).await;
    if !bench.stop().await {
        return;
    }
    follower.error().await;
    bench.start().await;
    bench.put("a", b"2").await;
    follower.until(&[("a", b"2")]).await;
    bench.put("b", b"3").await;
    follower.until(&[("a", b"2"), ("b", b"3")]).await;
}

/// Once the stream is dropped, nothing of it is left at the store.
pub async fn dropping_the_stream_closes_it<B: Bench>(bench: &mut B) {
    bench.put("a", b"1").await;
    let Some(before) = bench.held().await else { return };
    let mut follower = Follower::new(&*bench.provider(RARELY));
    follower.until(&[("a", b"1")]).await;
    // A change that arrives shows that the watch stands.
    bench.put("a", b"2").await;
    follower.until(&[("a", b"2")]).await;
    assert!(bench.held().await > Some(before), "following holds something");
    drop(follower);
    let gone = async {
        while bench.held().await > Some(before) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), gone).await.expect("everything is closed");
}

/// Values come as they are: empty, with NUL, not UTF-8, with a line end.
pub async fn values_are_bytes<B: Bench>(bench: &mut B) {
    let values: [(&str, &[u8]); 4] =
        [("crlf", b"1\r\n"), ("empty", b""), ("nul", b"a\0b"), ("raw", &[0xff, 0xfe, 0x80])];
    for (key, value) in values {
        bench.put(key, value).await;
    }
    let mut follower = Follower::new(&*bench.provider(RARELY));
    follower.until(&values).await;
    bench.put("empty", &[0xc0]).await;
    bench.put("raw", b"").await;
    let changed: [(&str, &[u8]); 4] =
        [("crlf", b"1\r\n"), ("empty", &[0xc0]), ("nul", b"a\0b"), ("raw", b"")];
    follower.until(&changed).await;
}

/// A key that is equal to the prefix is left out, whether read or watched.
pub async fn prefix_itself_is_no_key<B: Bench>(bench: &mut B) {
    bench.put("a", b"1").await;
    if !bench.put_prefix(b"x").await {
        return;
    }
    let mut follower = Follower::new(&*bench.provider(OFTEN));
    follower.until(&[("a", b"1")]).await;
    bench.put_prefix(b"y").await;
    bench.put("b", b"2").await;
    follower.until(&[("a", b"1"), ("b", b"2")]).await;
    // The proof counts the same keys as the snapshot, or it would never hold.
    follower.proof().await;
}

/// With nobody there, each poll tries again and says so; the content comes without a new stream.
pub async fn errors_are_items_and_never_an_end<B: Bench>(bench: &mut B) {
    bench.put("a", b"1").await;
    if !bench.stop().await {
        return;
    }
    let mut follower = Follower::new(&*bench.provider(RARELY));
    for _ in 0..3 {
        let item = follower.item().await;
        assert!(item.is_err(), "nobody is there: {item:?}");
    }
    bench.start().await;
    follower.until(&[("a", b"1")]).await;
}

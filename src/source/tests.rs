use std::{collections::BTreeMap, path::PathBuf};

use futures_util::stream;
use providers::{Doubt, Key, Settings, Value, settings::FilesSettings};
use tokio::sync::mpsc;

use super::*;
use crate::{config::source::Source, pulse::Pulses};

type Item = Result<Update, ProviderError>;

/// A provider whose streams say what the test sends; each stream is announced when it is opened.
struct Script {
    opened: mpsc::UnboundedSender<mpsc::UnboundedSender<Item>>,
}

impl Provider for Script {
    fn follow(&self) -> Updates {
        let (say, items) = mpsc::unbounded_channel();
        self.opened.send(say).expect("the test listens");
        Box::pin(stream::unfold(items, |mut items| async {
            let item = match items.recv().await {
                Some(item) => item,
                None => std::future::pending().await,
            };
            Some((item, items))
        }))
    }
}

/// A follower of a script, and everything around it.
struct Scene {
    inbox: Arc<Inbox>,
    resync: watch::Sender<u64>,
    board: Board,
    streams: mpsc::UnboundedReceiver<mpsc::UnboundedSender<Item>>,
}

/// Runs `test` beside a follower that re-reads every five minutes.
async fn scene(test: impl AsyncFnOnce(&mut Scene)) {
    let (opened, streams) = mpsc::unbounded_channel();
    let inbox = Arc::new(Inbox::default());
    let (resync, wishes) = watch::channel(0);
    let board = Board::default();
    board.update(|status| drop(status.sources.insert("app".to_owned(), SourceStatus::default())));
    let files = FilesSettings {
        path: PathBuf::from("/nowhere"),
        poll: Duration::from_secs(30),
        max_bytes: 1,
    };
    let follower = Follower {
        name: "app".to_owned(),
        source: Source {
            provider: Settings::Files(files),
            required: Vec::new(),
            resync: Duration::from_secs(300),
        },
        inbox: Arc::clone(&inbox),
        resync: wishes,
        accepted: watch::channel(0).1,
        board: board.clone(),
        first: Instant::now(),
    };
    let mut scene = Scene { inbox, resync, board, streams };
    let provider = Script { opened };
    let pulse = Pulses::default().task("source app");
    tokio::select! {
        () = follower.follow(&provider, &pulse) => unreachable!("followers follow for ever"),
        () = test(&mut scene) => {}
    }
}

impl Scene {
    async fn stream(&mut self) -> mpsc::UnboundedSender<Item> {
        self.streams.recv().await.expect("a stream is opened")
    }

    async fn seen(&mut self) -> Seen {
        self.inbox.arrival().await;
        self.inbox.take().remove("app").expect("a snapshot")
    }

    fn status(&self) -> SourceStatus {
        self.board.read().sources["app"].clone()
    }

    /// Waits until the source's status is as described.
    async fn until(&self, is: impl Fn(&SourceStatus) -> bool) {
        let mut board = self.board.subscribe();
        board.wait_for(|status| is(&status.sources["app"])).await.expect("the board stays");
    }
}

fn entries(content: &[(&str, &str)]) -> Entries {
    content.iter().map(|(key, value)| (Key::from(*key), Value::new(value.to_string()))).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "it is an item of a stream")]
fn snapshot(revision: u64, content: &[(&str, &str)], doubts: &[Doubt]) -> Item {
    Ok(Update::Snapshot(Snapshot {
        revision: Revision(revision),
        entries: entries(content),
        doubts: doubts.to_vec(),
        as_of: Instant::now(),
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "it is an item of a stream")]
fn current(revision: u64) -> Item {
    Ok(Update::Current { revision: Revision(revision), as_of: Instant::now() })
}

fn refused() -> Item {
    Err(ProviderError::new(ErrorKind::Unavailable, "refused"))
}

#[tokio::test(start_paused = true)]
async fn the_newest_snapshot_is_handed_on_and_equal_ones_are_not() {
    scene(async |scene| {
        let say = scene.stream().await;
        say.send(snapshot(1, &[("a", "1")], &[])).unwrap();
        let seen = scene.seen().await;
        assert_eq!((seen.reads, seen.snapshot.revision), (1, Revision(1)));
        say.send(snapshot(2, &[("a", "1")], &[])).unwrap();
        scene.until(|status| status.revision == Some(2)).await;
        assert!(scene.inbox.take().is_empty());
        say.send(snapshot(3, &[("a", "1"), ("b", "2")], &[])).unwrap();
        let seen = scene.seen().await;
        assert_eq!((seen.reads, seen.snapshot.entries.len()), (1, 2));
        assert_eq!(scene.status().keys, 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_read_is_due_at_the_interval_and_counts_also_if_nothing_changed() {
    scene(async |scene| {
        let begun = Instant::now();
        let say = scene.stream().await;
        say.send(snapshot(1, &[("a", "1")], &[])).unwrap();
        let first = scene.seen().await;
        let prove = async {
            loop {
                tokio::time::sleep(Duration::from_secs(30)).await;
                drop(say.send(current(1)));
            }
        };
        let streams = &mut scene.streams;
        let say = tokio::select! {
            () = prove => unreachable!(),
            say = streams.recv() => say.unwrap(),
        };
        let waited = begun.elapsed().as_secs();
        assert!((240..=360).contains(&waited), "{waited}");
        say.send(snapshot(1, &[("a", "1")], &[])).unwrap();
        let second = scene.seen().await;
        assert_eq!(second.reads, 2);
        assert!(second.snapshot.entries.ptr_eq(&first.snapshot.entries), "nothing is held twice");
        assert_eq!(scene.status().resyncs, BTreeMap::from([("interval", 1)]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wish_re_reads_at_once_also_during_back_off() {
    scene(async |scene| {
        let say = scene.stream().await;
        for _ in 0..10 {
            say.send(refused()).unwrap();
        }
        scene.until(|status| status.error.is_some()).await;
        scene.resync.send_modify(|wish| *wish += 1);
        let say = scene.stream().await;
        let asked = Instant::now();
        say.send(snapshot(1, &[("a", "1")], &[])).unwrap();
        scene.seen().await;
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert_eq!(scene.status().resyncs["asked"], 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn errors_stand_until_the_store_answers_and_are_retried_ever_later() {
    scene(async |scene| {
        let say = scene.stream().await;
        let begun = Instant::now();
        for _ in 0..12 {
            say.send(refused()).unwrap();
        }
        scene.until(|status| status.error.is_some()).await;
        let since = scene.status().error.unwrap().since;
        say.send(snapshot(1, &[("a", "1")], &[])).unwrap();
        scene.seen().await;
        assert!(begun.elapsed() > Duration::from_secs(10), "{:?}", begun.elapsed());
        assert!(scene.status().error.is_none());
        assert_eq!(since, begun);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn only_answers_without_doubts_are_proof() {
    scene(async |scene| {
        let say = scene.stream().await;
        say.send(snapshot(1, &[("a", "1")], &[Doubt::Filtered])).unwrap();
        assert_eq!(scene.seen().await.snapshot.doubts, [Doubt::Filtered]);
        say.send(current(2)).unwrap();
        scene.until(|status| status.revision == Some(2)).await;
        assert_eq!(scene.status().proven, None);
        say.send(snapshot(2, &[("a", "1")], &[])).unwrap();
        assert!(scene.seen().await.snapshot.doubts.is_empty(), "a lost doubt is news");
        let first = scene.status().proven.expect("a proof");
        tokio::time::sleep(Duration::from_secs(30)).await;
        say.send(current(3)).unwrap();
        scene.until(|status| status.revision == Some(3)).await;
        assert_eq!(scene.status().proven, Some(first + Duration::from_secs(30)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_is_opened_again() {
    scene(async |scene| {
        let _silent = scene.stream().await;
        scene.stream().await;
        assert_eq!(scene.status().resyncs["silent"], 1);
    })
    .await;
}

/// An error that carries a cue.
fn gone(heard: tokio::sync::Notify, at_most: Duration) -> Item {
    let cue = Cue::new(Arc::new(heard), at_most);
    Err(ProviderError::new(ErrorKind::NotFound, "gone").with_cue(cue))
}

#[tokio::test(start_paused = true)]
async fn a_cue_ends_the_wait_after_an_error_but_never_all_of_it() {
    scene(async |scene| {
        let say = scene.stream().await;
        for _ in 0..12 {
            say.send(refused()).unwrap();
        }
        say.send(snapshot(1, &[("a", "1")], &[])).unwrap();
        scene.seen().await;
        let begun = Instant::now();
        for _ in 0..20 {
            let heard = tokio::sync::Notify::new();
            heard.notify_one();
            say.send(gone(heard, Duration::from_secs(30))).unwrap();
        }
        say.send(snapshot(2, &[("a", "2")], &[])).unwrap();
        scene.seen().await;
        let waited = begun.elapsed();
        assert!((10 * PAUSE..=21 * PAUSE).contains(&waited), "{waited:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cue_is_given_after_its_time_though_nothing_was_heard() {
    scene(async |scene| {
        let say = scene.stream().await;
        let second = Duration::from_secs(1);
        let waits = 50;
        for _ in 0..waits {
            say.send(gone(tokio::sync::Notify::new(), second)).unwrap();
        }
        say.send(snapshot(1, &[("a", "1")], &[])).unwrap();
        let begun = Instant::now();
        scene.seen().await;
        assert!(begun.elapsed() <= waits * (second + PAUSE), "{:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn notes_are_shown_and_counted_and_prove_nothing() {
    scene(async |scene| {
        let say = scene.stream().await;
        say.send(snapshot(1, &[("a", "1")], &[])).unwrap();
        scene.seen().await;
        let proven = scene.status().proven;
        tokio::time::sleep(Duration::from_secs(1)).await;
        for note in [
            Note::Watch(WatchMode::Poll),
            Note::Frozen(Some("a is a mount".to_owned())),
            Note::Lost("overflow"),
        ] {
            say.send(Ok(Update::Note(note))).unwrap();
        }
        scene.until(|status| status.resyncing).await;
        let status = scene.status();
        assert_eq!(status.watch, Some(WatchMode::Poll));
        assert_eq!(status.frozen.as_deref(), Some("a is a mount"));
        assert_eq!(status.resyncs, BTreeMap::from([("overflow", 1)]));
        assert_eq!(status.proven, proven);
        say.send(current(1)).unwrap();
        scene.until(|status| !status.resyncing).await;
        assert!(scene.status().proven > proven);
    })
    .await;
}

#[test]
fn entries_of_two_streams_share_what_is_equal() {
    let old = entries(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let (new, differs) = shared(Some(&old), entries(&[("a", "1"), ("b", "x"), ("d", "4")]));
    assert!(differs);
    assert_eq!(new, entries(&[("a", "1"), ("b", "x"), ("d", "4")]));
    assert_eq!(new["a"].bytes().as_ptr(), old["a"].bytes().as_ptr());
}

#[test]
fn errors_name_what_is_below_them() {
    let error = ProviderError::new(ErrorKind::Permission, "x cannot be read")
        .with_source(std::io::Error::other("not permitted"));
    assert_eq!(chain(&error), "x cannot be read: not permitted");
}

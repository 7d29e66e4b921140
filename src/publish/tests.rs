use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::{
    digest::Digest,
    journal::{Attempt, Entry},
    rendering::{Access, OutputFile},
};

mod files;
mod large;

fn scratch() -> TempDir {
    let shm = Path::new("/dev/shm");
    let base = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("rehup-volume-").tempdir_in(base).expect("a scratch folder")
}

fn options(dir: &TempDir, layout: Layout) -> VolumeOptions {
    VolumeOptions { path: dir.path().to_owned(), layout, keep: 2, grace: Duration::ZERO }
}

fn rendering(files: &[(&str, &str, u32)]) -> Arc<Rendering> {
    let outputs = files.iter().map(|(path, text, mode)| {
        let access = Access { mode: *mode, owner: None, group: None };
        let file = OutputFile::new(Bytes::copy_from_slice(text.as_bytes()), access);
        (OutputPath::parse(path).expect("a path"), file, String::new())
    });
    Arc::new(Rendering::collect(outputs).expect("no clash"))
}

fn plain(files: &[(&str, &str)]) -> Arc<Rendering> {
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, *text, 0o644)).collect();
    rendering(&files)
}

/// Opens, waiting for the thread of a handle that was dropped before.
async fn open(options: VolumeOptions) -> (Volume, Opened) {
    loop {
        match Volume::open(options.clone()).await {
            Err(PublishError::Locked { .. }) => tokio::task::yield_now().await,
            opened => return opened.expect("the volume opens"),
        }
    }
}

/// Opens what cannot be opened, waiting in the same way.
async fn refused(options: VolumeOptions) -> PublishError {
    loop {
        match Volume::open(options.clone()).await {
            Err(PublishError::Locked { .. }) => tokio::task::yield_now().await,
            opened => return opened.map(drop).expect_err("refused"),
        }
    }
}

async fn publish(volume: &Volume, files: &[(&str, &str)]) -> Published {
    let staged = volume.stage(plain(files), BTreeMap::new()).await.expect("staged");
    volume.publish(staged, false).await.expect("published")
}

fn read(dir: &TempDir, path: &str) -> String {
    fs::read_to_string(dir.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn exists(dir: &TempDir, path: &str) -> bool {
    fs::symlink_metadata(dir.path().join(path)).is_ok()
}

fn target(dir: &TempDir, path: &str) -> String {
    fs::read_link(dir.path().join(path)).expect("a link").to_string_lossy().into_owned()
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn generations(dir: &TempDir) -> usize {
    names(dir).iter().filter(|name| name.starts_with("..gen-")).count()
}

#[tokio::test]
async fn the_first_generation_looks_like_a_mounted_config_map() {
    let dir = scratch();
    let (volume, opened) = open(options(&dir, Layout::Set)).await;
    assert!(opened.visible.is_none() && opened.drift.is_none());
    let published = publish(&volume, &[("a.conf", "1"), ("conf.d/x/b", "2"), (".dot", "3")]).await;
    assert_eq!(published.visible.generation.number, 1);
    assert_eq!(published.changed.len(), 3);
    assert_eq!((read(&dir, "a.conf"), read(&dir, "conf.d/x/b")), ("1".into(), "2".into()));
    assert_eq!(target(&dir, "a.conf"), "..data/a.conf");
    assert_eq!(target(&dir, "conf.d"), "..data/conf.d");
    assert!(target(&dir, "..data").starts_with("..gen-1-"));
    let mode = |path: &str| fs::metadata(dir.path().join(path)).expect("there").permissions();
    assert_eq!(mode("..rehup").mode() & 0o7777, 0o700);
    assert_eq!(mode("..rehup/key").mode() & 0o7777, 0o600);
    assert_eq!(mode("..data/..manifest").mode() & 0o7777, 0o600);
    assert_eq!(mode("conf.d/x").mode() & 0o777, 0o755);
}

#[tokio::test]
async fn modes_are_exact_and_a_change_of_mode_alone_is_a_change() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    for mode in [0o777, 0o640, 0o400] {
        let staged =
            volume.stage(rendering(&[("a", "1", mode)]), BTreeMap::new()).await.expect("staged");
        let published = volume.publish(staged, false).await.expect("published");
        assert_eq!(published.changed.len(), 1);
        let permissions = fs::metadata(dir.path().join("a")).expect("there").permissions();
        assert_eq!(permissions.mode() & 0o7777, mode);
    }
}

#[tokio::test]
async fn shapes_change_and_gone_names_go() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    fs::write(dir.path().join("sentinel"), "theirs").expect("written");
    publish(&volume, &[("a", "file"), ("b/c", "1"), ("gone", "1")]).await;
    publish(&volume, &[("a/b", "folder"), ("b", "file")]).await;
    assert_eq!((read(&dir, "a/b"), read(&dir, "b")), ("folder".into(), "file".into()));
    assert!(!exists(&dir, "gone"));
    publish(&volume, &[]).await;
    assert!(!exists(&dir, "a") && !exists(&dir, "b"));
    assert_eq!(read(&dir, "sentinel"), "theirs");
}

#[tokio::test]
async fn a_restart_adopts_the_visible_generation_and_the_kept_ones() {
    let dir = scratch();
    let (volume, first) = open(options(&dir, Layout::Set)).await;
    for text in ["1", "2", "3"] {
        publish(&volume, &[("a", text), ("d/b", text)]).await;
    }
    let attempt = Attempt { digest: Digest::of(b"x"), generation: 3 };
    volume.record(Entry::Attempt("nginx".into(), attempt)).await.expect("recorded");
    volume.remember(b"memory".to_vec()).await.expect("remembered");
    drop(volume);
    let (volume, opened) = open(options(&dir, Layout::Set)).await;
    let visible = opened.visible.expect("a visible generation");
    assert_eq!(visible.generation.number, 3);
    assert!(visible.flipped.is_some());
    assert_eq!(visible.generation.rendering, *plain(&[("a", "3"), ("d/b", "3")]).digest());
    let kept: Vec<_> = opened.kept.iter().map(|kept| kept.number).collect();
    assert_eq!(kept, [1, 2]);
    assert_eq!(opened.memory.as_deref(), Some(b"memory".as_slice()));
    assert_eq!(opened.key.name("x"), first.key.name("x"));
    assert!(opened.journal.targets["nginx"].attempt.is_some());
    assert_eq!(opened.drift, None);
    assert_eq!(publish(&volume, &[("a", "4")]).await.visible.generation.number, 4);
}

#[tokio::test]
async fn leftovers_of_a_crash_are_swept_and_nothing_else_is_touched() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("a", "1")]).await;
    drop(volume);
    let root = dir.path();
    fs::create_dir_all(root.join("..gen-9-abcd/x")).expect("made");
    fs::write(root.join("..gen-9-abcd/x/y"), "half").expect("written");
    symlink("..gen-9-abcd", root.join("..tmp-abc123")).expect("linked");
    symlink("..data/new", root.join("new")).expect("linked");
    fs::write(root.join("..rehup/.new-abc123"), "half").expect("written");
    fs::create_dir(root.join("..gen-theirs")).expect("made");
    symlink("elsewhere", root.join("link")).expect("linked");
    fs::write(root.join("..data_tmp"), "theirs").expect("written");
    let (volume, opened) = open(options(&dir, Layout::Set)).await;
    assert_eq!(opened.visible.expect("visible").generation.number, 1);
    assert!(!exists(&dir, "..gen-9-abcd") && !exists(&dir, "..tmp-abc123") && !exists(&dir, "new"));
    assert!(!exists(&dir, "..rehup/.new-abc123"));
    assert!(exists(&dir, "..gen-theirs") && exists(&dir, "link") && exists(&dir, "..data_tmp"));
    assert_eq!(publish(&volume, &[("a", "2")]).await.visible.generation.number, 10);
}

#[tokio::test]
async fn missing_links_are_repaired_though_nothing_changed() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("a", "1"), ("b", "1")]).await;
    fs::remove_file(dir.path().join("a")).expect("removed");
    fs::remove_file(dir.path().join("..data")).expect("removed");
    assert_eq!(volume.repair().await.expect("repaired"), None);
    assert_eq!(read(&dir, "a"), "1");
    drop(volume);
    fs::remove_file(dir.path().join("b")).expect("removed");
    let (_volume, opened) = open(options(&dir, Layout::Set)).await;
    assert_eq!(opened.drift, None);
    assert_eq!(read(&dir, "b"), "1");
}

#[tokio::test]
async fn a_crash_between_flip_and_journal_is_adopted_with_an_unknown_flip() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("a", "1")]).await;
    let journal = fs::read(dir.path().join("..rehup/journal")).expect("a journal");
    publish(&volume, &[("a", "2")]).await;
    drop(volume);
    fs::write(dir.path().join("..rehup/journal"), journal).expect("written");
    let (volume, opened) = open(options(&dir, Layout::Set)).await;
    let visible = opened.visible.expect("visible");
    assert_eq!((visible.generation.number, visible.flipped), (2, None));
    assert_eq!(opened.kept.len(), 1);
    assert_eq!(opened.journal.published.len(), 2);
    drop(volume);
    let (_volume, opened) = open(options(&dir, Layout::Set)).await;
    assert!(opened.visible.expect("visible").flipped.is_some());
}

#[tokio::test]
async fn an_unreadable_journal_forgets_debts_but_not_the_generation() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("a", "1")]).await;
    drop(volume);
    fs::write(dir.path().join("..rehup/journal"), "{\"publ").expect("written");
    let (_volume, opened) = open(options(&dir, Layout::Set)).await;
    assert_eq!(opened.visible.expect("visible").generation.number, 1);
}

#[tokio::test]
async fn a_wrong_digest_is_drift_and_a_missing_or_empty_file_is_no_good_generation() {
    for (damage, good) in [("other", true), ("mode", true), ("empty", false), ("missing", false)] {
        let dir = scratch();
        let (volume, _) = open(options(&dir, Layout::Set)).await;
        publish(&volume, &[("a", "right"), ("b", "")]).await;
        assert_eq!(volume.repair().await.expect("looked"), None);
        let file = dir.path().join("..data/a");
        match damage {
            "other" => fs::write(&file, "wrong").expect("written"),
            "mode" => fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("set"),
            "empty" => fs::write(&file, "").expect("written"),
            _ => fs::remove_file(&file).expect("removed"),
        }
        assert!(volume.repair().await.expect("looked").is_some(), "{damage}");
        drop(volume);
        let (volume, opened) = open(options(&dir, Layout::Set)).await;
        assert_eq!(opened.visible.is_some(), good, "{damage}");
        assert!(opened.drift.expect("drift").contains("`a`"));
        assert_eq!(Volume::glance(&options(&dir, Layout::Set)).is_some(), good, "{damage}");
        publish(&volume, &[("a", "mended")]).await;
        assert_eq!(read(&dir, "a"), "mended");
        assert!(!exists(&dir, "b"));
        assert_eq!(volume.repair().await.expect("looked"), None);
    }
}

#[tokio::test]
async fn a_torn_manifest_is_not_good_but_stays_for_readers_until_the_next_flip() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("a", "1"), ("gone", "1")]).await;
    drop(volume);
    let manifest = dir.path().join("..data/..manifest");
    let bytes = fs::read(&manifest).expect("a manifest");
    fs::write(&manifest, &bytes[..bytes.len() / 2]).expect("written");
    assert!(Volume::glance(&options(&dir, Layout::Set)).is_none());
    let (volume, opened) = open(options(&dir, Layout::Set)).await;
    assert!(opened.visible.is_none());
    assert_eq!(read(&dir, "gone"), "1");
    let published = publish(&volume, &[("a", "2")]).await;
    assert_eq!(published.visible.generation.number, 2);
    assert!(!exists(&dir, "gone"));
    assert_eq!(generations(&dir), 1);
}

#[tokio::test]
async fn a_half_deleted_earlier_generation_is_not_kept() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("a", "1"), ("b", "1")]).await;
    let old = target(&dir, "..data");
    publish(&volume, &[("a", "2"), ("b", "2")]).await;
    drop(volume);
    fs::remove_file(dir.path().join(old).join("a")).expect("removed");
    let (_volume, opened) = open(options(&dir, Layout::Set)).await;
    assert!(opened.kept.is_empty());
    assert_eq!(generations(&dir), 1);
}

#[tokio::test]
async fn something_foreign_at_a_visible_name_stops_the_publication_and_is_named() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("a", "1")]).await;
    fs::create_dir(dir.path().join("folder")).expect("made");
    fs::write(dir.path().join("file"), "theirs").expect("written");
    symlink("/etc/passwd", dir.path().join("link")).expect("linked");
    for name in ["folder", "file", "link"] {
        let files = plain(&[("a", "2"), ("aa", "2"), (name, "2")]);
        let staged = volume.stage(files, BTreeMap::new()).await.expect("staged");
        let error = volume.publish(staged, false).await.expect_err("foreign");
        assert!(matches!(&error, PublishError::Foreign { path, .. } if path.ends_with(name)));
    }
    assert_eq!(read(&dir, "a"), "1");
    assert_eq!(read(&dir, "file"), "theirs");
    assert!(!exists(&dir, "aa"));
    assert_eq!(generations(&dir), 1);
}

#[tokio::test]
async fn planted_links_at_our_own_names_are_refused() {
    for name in ["..rehup", "..data"] {
        let dir = scratch();
        let outside = scratch();
        symlink(outside.path(), dir.path().join(name)).expect("linked");
        let error = refused(options(&dir, Layout::Set)).await;
        assert!(matches!(error, PublishError::Foreign { .. }), "{error}");
        assert!(names(&outside).is_empty());
    }
}

#[tokio::test]
async fn a_volume_takes_one_rehup() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("a", "1")]).await;
    let error = Volume::open(options(&dir, Layout::Set)).await.expect_err("locked");
    let PublishError::Locked { holder, .. } = error else { panic!("{error}") };
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    assert_eq!(Volume::glance(&options(&dir, Layout::Set)).expect("good").number, 1);
}

#[tokio::test]
async fn a_root_that_cannot_hold_generations_says_why() {
    let dir = scratch();
    fs::write(dir.path().join("file"), "").expect("written");
    for name in ["missing", "file"] {
        let path = dir.path().join(name);
        let options = VolumeOptions { path: path.clone(), ..options(&dir, Layout::Set) };
        let error = Volume::open(options).await.expect_err("no volume");
        assert!(matches!(error, PublishError::Unusable { .. }));
        assert!(error.to_string().contains(path.to_str().expect("text")));
    }
}

#[tokio::test]
async fn old_generations_are_collected_but_for_rollback_candidates() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    for text in ["1", "2", "3", "4", "5"] {
        publish(&volume, &[("a", text)]).await;
    }
    assert_eq!(generations(&dir), 5);
    let kept = volume.collect(BTreeSet::from([1])).await.expect("collected");
    assert_eq!(kept.iter().map(|kept| kept.number).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(generations(&dir), 4);
    assert_eq!(read(&dir, "a"), "5");
}

#[tokio::test]
async fn grace_keeps_more_but_never_more_than_ten() {
    let dir = scratch();
    let grace = Duration::from_secs(3600);
    let (volume, _) = open(VolumeOptions { grace, ..options(&dir, Layout::Set) }).await;
    for number in 0..13 {
        publish(&volume, &[("a", &number.to_string())]).await;
    }
    assert_eq!(volume.collect(BTreeSet::new()).await.expect("collected").len(), 10);
}

#[tokio::test]
async fn a_kept_generation_is_published_again_under_a_new_number() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("a", "good"), ("b/c", "1")]).await;
    publish(&volume, &[("a", "bad")]).await;
    let staged = volume.restage(1).await.expect("staged");
    assert_eq!(staged.generation.number, 3);
    let published = volume.publish(staged, true).await.expect("published");
    assert_eq!(published.changed.len(), 2);
    assert_eq!((read(&dir, "a"), read(&dir, "b/c")), ("good".into(), "1".into()));
    assert!(matches!(volume.restage(77).await, Err(PublishError::NotKept { number: 77, .. })));
    drop(volume);
    let (_volume, opened) = open(options(&dir, Layout::Set)).await;
    assert!(opened.journal.published.last().expect("listed").rollback);
}

#[tokio::test]
async fn what_is_staged_and_not_published_leaves_nothing() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    let first = volume.stage(plain(&[("a", "1")]), BTreeMap::new()).await.expect("staged");
    assert!(first.dir.join("a").is_file());
    let second = volume.stage(plain(&[("a", "2")]), BTreeMap::new()).await.expect("staged");
    assert!(!first.dir.exists());
    assert!(volume.publish(first, false).await.is_err());
    volume.discard(second).await;
    assert_eq!(generations(&dir), 0);
}

#[tokio::test]
async fn inputs_that_end_the_process_are_counted() {
    let dir = scratch();
    let poison = Digest::of(b"poison");
    for ended in [None, Some(1), Some(2)] {
        let (volume, opened) = open(options(&dir, Layout::Set)).await;
        assert_eq!(opened.inputs.map(|inputs| inputs.ended), ended);
        volume.mark_inputs(Some(poison)).await.expect("marked");
    }
    let (volume, opened) = open(options(&dir, Layout::Set)).await;
    assert_eq!(opened.inputs, Some(Inputs { digest: poison, ended: 3 }));
    volume.mark_inputs(None).await.expect("cleared");
    drop(volume);
    assert_eq!(open(options(&dir, Layout::Set)).await.1.inputs, None);
}

#[tokio::test]
async fn a_reader_never_sees_a_torn_pair_or_a_missing_file() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("d/a", "0"), ("d/b", "0")]).await;
    let (done, pairs) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (root, stop, count) = (dir.path().to_owned(), Arc::clone(&done), Arc::clone(&pairs));
    let reader = std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            // One resolution of the link, as a program that opens its folder once does.
            let seen = fs::canonicalize(root.join("d")).expect("never missing");
            let read = |name| fs::read_to_string(seen.join(name)).expect("never missing");
            assert_eq!(read("a"), read("b"));
            fs::read(root.join("d/a")).expect("never missing");
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    for number in 1..300 {
        let text = number.to_string();
        publish(&volume, &[("d/a", &text), ("d/b", &text)]).await;
        if number % 30 == 0 {
            // No grace here: collect when the reader has let go of what it found before.
            let before = pairs.load(Ordering::Relaxed);
            while pairs.load(Ordering::Relaxed) < before + 2 && !reader.is_finished() {
                tokio::task::yield_now().await;
            }
            volume.collect(BTreeSet::new()).await.expect("collected");
        }
    }
    done.store(true, Ordering::Relaxed);
    reader.join().expect("no torn pair, nothing missing");
}

#[tokio::test]
async fn things_of_ours_with_another_owner_name_both_users() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for name in ["..rehup", "..data"] {
        let dir = scratch();
        let (volume, _) = open(options(&dir, Layout::Set)).await;
        publish(&volume, &[("a", "1")]).await;
        drop(volume);
        std::os::unix::fs::lchown(dir.path().join(name), Some(4242), None).expect("chown");
        let error = refused(options(&dir, Layout::Set)).await;
        assert!(matches!(error, PublishError::Owner { theirs: 4242, ours: 0, .. }), "{error}");
        assert_eq!(read(&dir, "a"), "1");
    }
}

//! The `files` layout.

use super::*;

#[tokio::test]
async fn files_are_plain_and_removed_ones_go_with_their_folders() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Files)).await;
    fs::create_dir(dir.path().join("theirs")).expect("made");
    publish(&volume, &[("a", "1"), ("x/y/b", "1"), ("theirs/c", "1")]).await;
    assert!(fs::symlink_metadata(dir.path().join("a")).expect("there").is_file());
    assert_eq!(read(&dir, "x/y/b"), "1");
    let published = publish(&volume, &[("a", "2")]).await;
    assert_eq!(published.changed.len(), 3);
    assert_eq!(read(&dir, "a"), "2");
    assert!(!exists(&dir, "x") && exists(&dir, "theirs") && !exists(&dir, "theirs/c"));
    assert_eq!(generations(&dir), 0);
    assert!(matches!(volume.restage(1).await, Err(PublishError::NotKept { .. })));
}

#[tokio::test]
async fn unchanged_files_are_not_touched() {
    use std::os::unix::fs::MetadataExt;
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Files)).await;
    publish(&volume, &[("a", "1"), ("b", "1")]).await;
    let inode = |name| fs::metadata(dir.path().join(name)).expect("there").ino();
    let before = inode("a");
    publish(&volume, &[("a", "1"), ("b", "2")]).await;
    assert_eq!(inode("a"), before);
}

#[tokio::test]
async fn a_restart_adopts_and_a_changed_file_of_ours_stays_when_its_template_goes() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Files)).await;
    publish(&volume, &[("a", "1"), ("b", "1")]).await;
    drop(volume);
    let (volume, opened) = open(options(&dir, Layout::Files)).await;
    assert_eq!(opened.visible.expect("visible").generation.number, 1);
    assert_eq!(opened.drift, None);
    assert_eq!(opened.journal.published.len(), 1);
    fs::write(dir.path().join("b"), "edited").expect("written");
    assert!(volume.repair().await.expect("looked").is_some());
    assert_eq!(publish(&volume, &[("a", "2")]).await.visible.generation.number, 2);
    assert_eq!(read(&dir, "b"), "edited");
}

#[tokio::test]
async fn something_foreign_is_named_and_nothing_is_written_through_links() {
    let dir = scratch();
    let outside = scratch();
    let (volume, _) = open(options(&dir, Layout::Files)).await;
    fs::write(dir.path().join("file"), "theirs").expect("written");
    symlink(outside.path(), dir.path().join("link")).expect("linked");
    fs::create_dir(dir.path().join("folder")).expect("made");
    for (path, named) in
        [("file", "file"), ("link/x", "link"), ("file/x", "file"), ("folder", "folder")]
    {
        let staged = volume.stage(plain(&[("a", "1"), (path, "1")]), BTreeMap::new()).await;
        let error = volume.publish(staged.expect("staged"), false).await.expect_err("foreign");
        assert!(matches!(&error, PublishError::Foreign { path, .. } if path.ends_with(named)));
    }
    assert!(names(&outside).is_empty() && !exists(&dir, "a"));
    assert_eq!(read(&dir, "file"), "theirs");
}

#[tokio::test]
async fn shapes_change() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Files)).await;
    publish(&volume, &[("a", "file"), ("b/c", "1")]).await;
    publish(&volume, &[("a/b", "folder"), ("b", "file")]).await;
    assert_eq!((read(&dir, "a/b"), read(&dir, "b")), ("folder".into(), "file".into()));
}

#[tokio::test]
async fn old_and_new_mixed_after_a_crash_count_as_good_and_are_finished() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Files)).await;
    publish(&volume, &[("a", "1"), ("b", "1"), ("gone", "1")]).await;
    let journal = fs::read(dir.path().join("..rehup/journal")).expect("a journal");
    publish(&volume, &[("a", "2"), ("b", "2"), ("new", "2")]).await;
    drop(volume);
    // As if killed after the first rename: the rest is still as it was.
    fs::write(dir.path().join("..rehup/journal"), journal).expect("written");
    fs::write(dir.path().join("b"), "1").expect("written");
    fs::write(dir.path().join("gone"), "1").expect("written");
    fs::remove_file(dir.path().join("new")).expect("removed");
    assert_eq!(Volume::glance(&options(&dir, Layout::Files)).expect("good").number, 2);
    let (volume, opened) = open(options(&dir, Layout::Files)).await;
    assert_eq!(opened.visible.expect("visible").generation.number, 2);
    assert!(opened.drift.expect("drift").contains("not finished"));
    publish(&volume, &[("a", "2"), ("b", "2"), ("new", "2")]).await;
    assert_eq!((read(&dir, "b"), read(&dir, "new")), ("2".into(), "2".into()));
    assert!(!exists(&dir, "gone"));
    drop(volume);
    assert_eq!(open(options(&dir, Layout::Files)).await.1.drift, None);
}

#[tokio::test]
async fn a_volume_of_the_other_layout_is_refused_with_that_word() {
    for (one, other) in [(Layout::Set, Layout::Files), (Layout::Files, Layout::Set)] {
        let dir = scratch();
        let (volume, _) = open(options(&dir, one)).await;
        publish(&volume, &[("a", "1")]).await;
        drop(volume);
        let error = refused(options(&dir, other)).await;
        assert!(error.to_string().contains("layout"), "{error}");
        assert_eq!(read(&dir, "a"), "1");
    }
}

//! Files on the volume that are larger than any of ours: not read, and no reason to stop.

use super::*;

/// More than is read of anything, without a block on the disk.
fn enormous(path: &Path) {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).open(path);
    file.and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
}

#[tokio::test]
async fn enormous_files_of_ours_are_those_of_a_new_volume() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("a", "1")]).await;
    drop(volume);
    for name in ["journal", "sources", "inputs"] {
        enormous(&dir.path().join("..rehup").join(name));
    }
    let (volume, opened) = open(options(&dir, Layout::Set)).await;
    assert!(opened.visible.is_some(), "the generation is vouched for by its own manifest");
    assert!(opened.memory.is_none() && opened.inputs.is_none(), "these were not ours");
    publish(&volume, &[("a", "2")]).await;
    assert!(fs::metadata(dir.path().join("..rehup/journal")).expect("a journal").len() < 4096);
}

#[tokio::test]
async fn an_enormous_manifest_vouches_for_nothing() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Set)).await;
    publish(&volume, &[("a", "1")]).await;
    drop(volume);
    enormous(&dir.path().join("..data/..manifest"));
    let (_volume, opened) = open(options(&dir, Layout::Set)).await;
    assert!(opened.visible.is_none(), "a generation whose manifest nobody can read");
    assert_eq!(read(&dir, "a"), "1", "readers keep it");
}

#[tokio::test]
async fn an_enormous_manifest_of_files_makes_them_somebody_elses() {
    let dir = scratch();
    let (volume, _) = open(options(&dir, Layout::Files)).await;
    publish(&volume, &[("a", "1")]).await;
    drop(volume);
    enormous(&dir.path().join("..rehup/manifest"));
    let (volume, opened) = open(options(&dir, Layout::Files)).await;
    assert!(opened.visible.is_none(), "nothing vouches for the files");
    let staged = volume.stage(plain(&[("a", "2")]), BTreeMap::new()).await.expect("staged");
    let error = volume.publish(staged, false).await.expect_err("`a` may be anybody's");
    assert!(matches!(error, PublishError::Foreign { .. }), "{error}");
    assert_eq!(read(&dir, "a"), "1", "readers keep it");
}

#[tokio::test]
async fn an_enormous_key_is_made_anew() {
    let dir = scratch();
    drop(open(options(&dir, Layout::Set)).await);
    let key = dir.path().join("..rehup/key");
    enormous(&key);
    drop(open(options(&dir, Layout::Set)).await);
    assert_eq!(fs::metadata(&key).expect("a key").len(), 32);
}

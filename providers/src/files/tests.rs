use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::PathBuf,
    pin::pin,
};

use futures_util::{StreamExt, future::ready};
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

fn settings(path: &Path) -> FilesSettings {
    FilesSettings { path: path.to_owned(), poll: Duration::from_secs(30), max_bytes: 16 << 20 }
}

/// What is said about the content; notes are not.
fn follow(path: &Path) -> Updates {
    let no_note = |item: &Result<Update, _>| !matches!(item, Ok(Update::Note(_)));
    Box::pin(Files::new(settings(path)).follow().filter(move |item| ready(no_note(item))))
}

/// Swaps in a new version as the kubelet does, the removal of the old one included.
fn swap(mount: &Path, version: &str, files: &[(&str, &str)]) {
    let old = fs::read_link(mount.join("..data")).ok();
    let new = format!("..version_{version}");
    for (name, value) in files {
        let file = mount.join(&new).join(name);
        fs::create_dir_all(file.parent().expect("a parent")).expect("folders");
        fs::write(file, value).expect("a file");
    }
    symlink(&new, mount.join("..data_tmp")).expect("a link");
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).expect("a rename");
    for (name, _) in files {
        let top = Path::new(name.split('/').next().expect("a first part"));
        // It exists from an earlier version.
        drop(symlink(Path::new("..data").join(top), mount.join(top)));
    }
    if let Some(old) = old {
        fs::remove_dir_all(mount.join(old)).expect("the old version");
    }
}

async fn snapshot(updates: &mut Updates) -> Snapshot {
    loop {
        match updates.next().await.expect("streams never end") {
            Ok(Update::Snapshot(snapshot)) => return snapshot,
            Ok(Update::Current { .. } | Update::Note(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn failure(path: &Path) -> ProviderError {
    match follow(path).next().await.expect("streams never end") {
        Err(error) => error,
        Ok(update) => panic!("{update:?}"),
    }
}

/// Waits for a snapshot with exactly this content.
async fn expect(updates: &mut Updates, expected: &[(&str, &str)]) -> Snapshot {
    let expected: Entries = expected
        .iter()
        .map(|(key, value)| (Key::from(*key), Value::new(value.to_string())))
        .collect();
    let arrives = async {
        loop {
            let snapshot = snapshot(updates).await;
            if snapshot.entries == expected {
                return snapshot;
            }
        }
    };
    timeout(Duration::from_secs(20), arrives).await.expect("the content arrives")
}

#[tokio::test]
async fn keys_are_paths_below_and_hidden_names_are_left_out() {
    let dir = folder();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    fs::create_dir(dir.path().join(".git")).unwrap();
    for name in ["top", "a/b/deep", ".hidden", ".git/config"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    let first = expect(&mut follow(dir.path()), &[("top", "top"), ("a/b/deep", "a/b/deep")]).await;
    assert_eq!(first.revision, Revision(1));
}

#[tokio::test]
async fn a_single_file_is_one_key_and_follows_its_mount() {
    let dir = folder();
    swap(dir.path(), "1", &[("app.conf", "one"), ("other", "x")]);
    let mut updates = follow(&dir.path().join("app.conf"));
    expect(&mut updates, &[("app.conf", "one")]).await;
    swap(dir.path(), "2", &[("app.conf", "two"), ("other", "x")]);
    expect(&mut updates, &[("app.conf", "two")]).await;
    swap(dir.path(), "3", &[("app.conf", "three"), ("other", "x")]);
    expect(&mut updates, &[("app.conf", "three")]).await;
}

#[tokio::test]
async fn a_mount_is_what_is_behind_its_data_link() {
    let dir = folder();
    swap(dir.path(), "1", &[("kept", "1"), ("gone", "1")]);
    let mut updates = follow(dir.path());
    expect(&mut updates, &[("kept", "1"), ("gone", "1")]).await;
    // `gone` dangles now, as it does for a moment in the kubelet's order.
    swap(dir.path(), "2", &[("kept", "2"), ("folder/new", "2")]);
    expect(&mut updates, &[("kept", "2"), ("folder/new", "2")]).await;
}

#[tokio::test]
async fn mounts_below_the_folder_are_followed() {
    let dir = folder();
    for mount in ["a", "b"] {
        fs::create_dir(dir.path().join(mount)).unwrap();
        swap(&dir.path().join(mount), "1", &[("key", "1")]);
    }
    let mut updates = follow(dir.path());
    expect(&mut updates, &[("a/key", "1"), ("b/key", "1")]).await;
    swap(&dir.path().join("b"), "2", &[("key", "2")]);
    expect(&mut updates, &[("a/key", "1"), ("b/key", "2")]).await;
}

#[tokio::test]
async fn a_thousand_fast_swaps_never_show_two_versions_at_once() {
    let dir = folder();
    swap(dir.path(), "0", &[("a", "0"), ("b", "0")]);
    let mount = dir.path().to_owned();
    let writer = std::thread::spawn(move || {
        for version in 1..=1000 {
            let version = version.to_string();
            swap(&mount, &version, &[("a", &version), ("b", &version)]);
        }
    });
    let mut updates = follow(dir.path());
    let last = async {
        loop {
            // Under this load a read may give up; that is an error and no half truth.
            let Some(Ok(Update::Snapshot(seen))) = updates.next().await else { continue };
            assert_eq!(seen.entries.get("a"), seen.entries.get("b"));
            assert_eq!(seen.entries.len(), 2);
            if seen.entries.get("a").is_some_and(|value| value.bytes() == "1000") {
                return;
            }
        }
    };
    timeout(Duration::from_secs(60), last).await.expect("the last version arrives");
    writer.join().unwrap();
}

#[tokio::test]
async fn saves_in_place_are_never_seen_half() {
    use std::io::Write;
    let dir = folder();
    let file = dir.path().join("key");
    fs::write(&file, "before").unwrap();
    let mut updates = follow(dir.path());
    expect(&mut updates, &[("key", "before")]).await;
    let mut writer = fs::File::create(&file).unwrap();
    writer.write_all(b"first half, ").unwrap();
    {
        let mut next = pin!(updates.next());
        let half = timeout(Duration::from_millis(300), &mut next).await;
        assert!(half.is_err(), "nothing is said while the file is open: {half:?}");
        writer.write_all(b"second half").unwrap();
        drop(writer);
        match next.await {
            Some(Ok(Update::Snapshot(whole))) => {
                assert_eq!(whole.entries.get("key").unwrap().bytes(), "first half, second half");
                assert_eq!(whole.revision, Revision(2));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn editors_that_move_the_old_file_away_make_one_change() {
    let dir = folder();
    let file = dir.path().join("key");
    fs::write(&file, "before").unwrap();
    let mut updates = follow(dir.path());
    expect(&mut updates, &[("key", "before")]).await;
    fs::write(dir.path().join("4913"), "").unwrap();
    fs::remove_file(dir.path().join("4913")).unwrap();
    fs::rename(&file, dir.path().join("key~")).unwrap();
    fs::write(&file, "after").unwrap();
    fs::remove_file(dir.path().join("key~")).unwrap();
    let after = expect(&mut updates, &[("key", "after")]).await;
    assert_eq!(after.revision, Revision(2));
}

#[tokio::test]
async fn unchanged_values_are_shared_with_the_snapshot_before() {
    let dir = folder();
    swap(dir.path(), "1", &[("same", "same"), ("other", "1")]);
    let mut updates = follow(dir.path());
    let one = snapshot(&mut updates).await;
    swap(dir.path(), "2", &[("same", "same"), ("other", "2")]);
    let two = expect(&mut updates, &[("same", "same"), ("other", "2")]).await;
    let address = |snapshot: &Snapshot| snapshot.entries.get("same").unwrap().bytes().as_ptr();
    assert_eq!(address(&one), address(&two));
}

#[tokio::test]
async fn what_is_no_file_is_named_and_never_opened() {
    let dir = folder();
    let odd = dir.path().join("odd");
    let fifo =
        || rustix::fs::mknodat(rustix::fs::CWD, &odd, rustix::fs::FileType::Fifo, 0o600.into(), 0);
    fifo().unwrap();
    for path in [dir.path(), &odd] {
        let error = failure(path).await;
        assert_eq!(error.kind, ErrorKind::Malformed);
        assert!(error.to_string().contains("odd is a FIFO"), "{error}");
    }
    fs::remove_file(&odd).unwrap();
    let _socket = UnixListener::bind(&odd).unwrap();
    assert!(failure(dir.path()).await.to_string().contains("odd is a socket"));
    assert!(failure(Path::new("/dev/null")).await.to_string().contains("/dev/null is a device"));
}

#[tokio::test]
async fn links_must_end_below_the_folder() {
    let outside = folder();
    fs::write(outside.path().join("secret"), "x").unwrap();
    let dir = folder();
    fs::write(dir.path().join("file"), "text").unwrap();
    symlink(dir.path().join("file"), dir.path().join("absolute")).unwrap();
    symlink("file", dir.path().join("relative")).unwrap();
    let content = [("file", "text"), ("absolute", "text"), ("relative", "text")];
    expect(&mut follow(dir.path()), &content).await;

    for (target, said) in [
        (outside.path().join("secret"), "leads out of"),
        (outside.path().to_owned(), "leads out of"),
        (PathBuf::from("bad"), "cannot be read"),
        (PathBuf::from("nothing"), "leads nowhere"),
        (PathBuf::from("."), "circle"),
    ] {
        symlink(target, dir.path().join("bad")).unwrap();
        let error = failure(dir.path()).await;
        assert!(error.to_string().contains("bad") && error.to_string().contains(said), "{error}");
        fs::remove_file(dir.path().join("bad")).unwrap();
    }
}

#[tokio::test]
async fn names_that_are_not_utf8_are_shown_escaped() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let dir = folder();
    fs::write(dir.path().join(OsStr::from_bytes(b"caf\xe9")), "x").unwrap();
    let error = failure(dir.path()).await;
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert!(error.to_string().contains(r"caf\xe9"), "{error}");
}

#[tokio::test]
async fn a_data_link_to_nothing_is_a_missing_file() {
    let dir = folder();
    symlink("..nothing", dir.path().join("..data")).unwrap();
    let error = failure(dir.path()).await;
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.to_string().contains("..data leads nowhere"), "{error}");
}

#[tokio::test]
async fn too_much_is_refused_without_reading_it() {
    let dir = folder();
    let sparse = fs::File::create(dir.path().join("sparse")).unwrap();
    sparse.set_len(10 << 30).unwrap();
    let error = failure(dir.path()).await;
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert!(error.to_string().contains("`sparse`"), "{error}");
}

#[tokio::test]
async fn a_path_that_appears_later_is_found() {
    let dir = folder();
    let path = dir.path().join("not/yet");
    let mut updates = follow(&path);
    let error = updates.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("key"), "1").unwrap();
    expect(&mut updates, &[("key", "1")]).await;
    fs::rename(dir.path().join("not"), dir.path().join("away")).unwrap();
    let error = updates.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    fs::rename(dir.path().join("away"), dir.path().join("not")).unwrap();
    fs::write(path.join("key"), "2").unwrap();
    timeout(Duration::from_secs(20), async {
        while !matches!(
            updates.next().await,
            Some(Ok(Update::Current { .. } | Update::Snapshot(_)))
        ) {}
    })
    .await
    .expect("the folder is followed again");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_folder_is_proven_each_poll() {
    let dir = folder();
    swap(dir.path(), "1", &[("key", "1")]);
    let mut updates = follow(dir.path());
    let first = snapshot(&mut updates).await;
    let Some(Ok(Update::Current { revision, as_of })) = updates.next().await else {
        panic!("a proof")
    };
    assert_eq!(revision, first.revision);
    assert!(as_of - first.as_of <= Duration::from_secs(31));
}

#[tokio::test]
async fn a_watch_tells_of_paths_that_do_not_exist_yet_and_of_swaps() {
    let dir = folder();
    let file = dir.path().join("a/b/file");
    let mut watch = Watch::new([file.clone()], Duration::from_secs(3600));
    fs::create_dir(dir.path().join("a")).unwrap();
    assert_eq!(watch.changed().await, Wake::Hint);
    fs::create_dir(dir.path().join("a/b")).unwrap();
    swap(&dir.path().join("a/b"), "1", &[("file", "1")]);
    while !file.exists() || watch.changed().await != Wake::Hint {}
    for version in ["2", "3"] {
        swap(&dir.path().join("a/b"), version, &[("file", version)]);
        timeout(Duration::from_secs(20), watch.changed()).await.expect("a hint for each swap");
    }
    assert_eq!(watch.mode(), WatchMode::Events);
}

//! The volume under a publisher that is killed at any moment, and readers all the while.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rehup::{
    config::shape::Layout,
    publish::{Opened, PublishError, Volume, VolumeOptions},
    rendering::{Access, OutputFile, OutputPath, Rendering},
};

use crate::support::{
    patience::{eventually, eventually_async},
    process::{Process, scratch},
};

/// How often the publisher is killed in each layout.
const KILLS: usize = 25;

/// Tells a copy of this test binary to be the publisher, and on which volume.
const VOLUME: &str = "REHUP_TEST_VOLUME";
const LAYOUT: &str = "REHUP_TEST_LAYOUT";
/// Tells it to keep every generation: without grace a slow reader would lose the one it found.
const KEEP_ALL: &str = "REHUP_TEST_KEEP_ALL";

fn options(path: &Path, layout: Layout) -> VolumeOptions {
    VolumeOptions { path: path.to_owned(), layout, keep: 2, grace: Duration::ZERO }
}

fn rendering(number: u64) -> Arc<Rendering> {
    let access = Access { mode: 0o644, owner: None, group: None };
    let text = number.to_string().repeat(100);
    // Every other generation has another shape: names come and go.
    let odd = if number.is_multiple_of(2) { "even" } else { "odd/x" };
    let outputs = ["conf/a", "conf/b", "top", odd].map(|path| {
        let file = OutputFile::new(Bytes::from(text.clone()), access);
        (OutputPath::parse(path).expect("a path"), file, String::new())
    });
    Arc::new(Rendering::collect(outputs).expect("no clash"))
}

async fn open(path: &Path, layout: Layout) -> (Volume, Opened) {
    eventually_async("a free volume that opens", async || {
        match Volume::open(options(path, layout)).await {
            Err(PublishError::Locked { .. }) => None,
            opened => Some(opened.expect("a volume needs no help after a crash")),
        }
    })
    .await
}

/// The process that the tests below kill; without a volume it has nothing to do and ends.
#[tokio::test]
async fn publisher() {
    let (Ok(path), Ok(layout)) = (std::env::var(VOLUME), std::env::var(LAYOUT)) else { return };
    let layout = if layout == "set" { Layout::Set } else { Layout::Files };
    let (volume, _) = open(&PathBuf::from(path), layout).await;
    for number in 0.. {
        let staged = volume.stage(rendering(number), BTreeMap::new()).await.expect("staged");
        volume.publish(staged, false).await.expect("published");
        if std::env::var(KEEP_ALL).is_err() {
            volume.collect(BTreeSet::new()).await.expect("collected");
        }
    }
}

fn start(
    path: &Path,
    layout: &str,
    log: &Path,
    adjust: impl FnOnce(&mut std::process::Command),
) -> Process {
    start_in("exec \"$@\"", path, layout, log, adjust)
}

/// Starts the publisher from a shell script that ends in `exec "$@"`.
fn start_in(
    script: &str,
    path: &Path,
    layout: &str,
    log: &Path,
    adjust: impl FnOnce(&mut std::process::Command),
) -> Process {
    let program = std::env::current_exe().expect("this binary").into_os_string();
    let mut arguments: Vec<OsString> = ["-c", script, "sh"].map(OsString::from).into();
    arguments.push(program);
    arguments.extend(["publish::publisher", "--exact", "--nocapture"].map(OsString::from));
    Process::start("sh", arguments, log, |command| {
        command.env(VOLUME, path).env(LAYOUT, layout);
        adjust(command);
    })
}

/// Kills publishers at moments that differ by design: after a few more flips each.
async fn survive(layout: Layout, name: &str) {
    let (dir, logs) = (scratch(), scratch());
    let mut last = 0;
    for kill in 0..KILLS {
        let log = logs.path().join(format!("{kill}.log"));
        let mut process = start(dir.path(), name, &log, |_| {});
        let aim = last + 1 + kill as u64 % 7;
        eventually("generations go on", || {
            assert!(process.exited().is_none(), "the publisher failed: {}", process.output());
            let visible = Volume::glance(&options(dir.path(), layout));
            visible.filter(|visible| visible.number >= aim)
        });
        process.kill();
        let (volume, opened) = open(dir.path(), layout).await;
        let visible = opened.visible.expect("a good generation").generation;
        assert!(visible.number >= aim, "numbers only grow");
        if layout == Layout::Set {
            assert_eq!(opened.drift, None);
        }
        last = visible.number;
        drop(volume);
        tidy(dir.path());
    }
}

/// After an open nothing is left but what serves somebody.
fn tidy(root: &Path) {
    for entry in fs::read_dir(root).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        assert!(!name.starts_with("..tmp-"), "{name} is left");
    }
    for entry in fs::read_dir(root.join("..rehup")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        assert!(!name.starts_with('.'), "{name} is left");
    }
}

#[tokio::test]
async fn a_killed_publisher_leaves_a_whole_set() {
    survive(Layout::Set, "set").await;
}

#[tokio::test]
async fn a_killed_publisher_of_single_files_is_finished_by_the_next() {
    survive(Layout::Files, "files").await;
}

#[tokio::test]
async fn readers_see_whole_sets_while_publishers_are_killed() {
    let (dir, logs) = (scratch(), scratch());
    let (volume, _) = open(dir.path(), Layout::Set).await;
    let staged = volume.stage(rendering(0), BTreeMap::new()).await.expect("staged");
    volume.publish(staged, false).await.expect("published");
    drop(volume);
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2).map(|_| reader(dir.path(), &stop)).collect();
    for kill in 0..5 {
        let number = || Volume::glance(&options(dir.path(), Layout::Set)).map(|g| g.number);
        let before = number().expect("a good generation");
        let log = logs.path().join(format!("{kill}.log"));
        let mut process = start(dir.path(), "set", &log, |command| {
            command.env(KEEP_ALL, "1");
        });
        eventually("generations go on", || number().filter(|now| *now > before + 20));
        process.kill();
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().expect("no torn set") > 0);
    }
}

fn reader(root: &Path, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    let (root, stop) = (root.to_owned(), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut sets = 0;
        while !stop.load(Ordering::Relaxed) {
            let read = |path: &Path| fs::read_to_string(path);
            // A name that both generations have is never missing.
            read(&root.join("top")).expect("never missing");
            let seen = fs::canonicalize(root.join("conf")).expect("never missing");
            let half = |name| read(&seen.join(name)).expect("never missing");
            assert_eq!(half("a"), half("b"));
            sets += 1;
        }
        sets
    })
}

#[tokio::test]
async fn modes_are_exact_whatever_the_umask() {
    for (umask, layout, name) in [("077", Layout::Set, "set"), ("000", Layout::Files, "files")] {
        let (dir, logs) = (scratch(), scratch());
        let script = format!("umask {umask} && exec \"$@\"");
        let mut process =
            start_in(&script, dir.path(), name, &logs.path().join("log"), |command| {
                command.env(KEEP_ALL, "1");
            });
        let good = || Volume::glance(&options(dir.path(), layout));
        eventually("a generation", || good().filter(|good| good.number > 2));
        process.kill();
        let mode = |path| {
            let metadata = fs::metadata(dir.path().join(path)).expect("there");
            metadata.permissions().mode() & 0o7777
        };
        assert_eq!((mode("top"), mode("conf/a"), mode("conf")), (0o644, 0o644, 0o755));
        assert_eq!((mode("..rehup"), mode("..rehup/key")), (0o700, 0o600));
    }
}

#[tokio::test]
async fn a_full_volume_lets_earlier_generations_go_and_goes_on() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can mount a small volume");
        return;
    }
    for limit in ["size=160k", "nr_inodes=60"] {
        let (dir, logs) = (scratch(), scratch());
        let mount = format!("mount -t tmpfs -o {limit} none \"${VOLUME}\" && exec \"$@\"");
        let script = format!("exec unshare --mount sh -c '{mount}' sh \"$@\"");
        let mut process =
            start_in(&script, dir.path(), "set", &logs.path().join("log"), |command| {
                command.env(KEEP_ALL, "1");
            });
        // The mount is seen from inside only.
        let inside = PathBuf::from(format!("/proc/{}/root", process.pid()));
        let path = inside.join(dir.path().strip_prefix("/").expect("absolute"));
        eventually("many more generations than fit", || {
            assert!(process.exited().is_none(), "the publisher failed: {}", process.output());
            Volume::glance(&options(&path, Layout::Set)).filter(|good| good.number > 100)
        });
        process.kill();
    }
}

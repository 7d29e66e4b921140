//! The files provider: the behaviour suite on a mounted volume and on a plain folder, and what
//! happens where inotify cannot be used.

pub mod folder;
mod events;
mod faults;
mod fuse;
mod mounts;
mod saves;
mod scene;
mod swaps;

use std::{fs, path::Path, process::Command, time::Duration};

use futures_util::StreamExt;
use providers::{Update, WatchMode, files::Watch};

use folder::{Mounted, Plain, files};

mod mounted {
    use super::Mounted;

    providers::conformance!(async { Mounted::new() });
}

/// Without transactions: files that are no mount cannot change together.
mod plain {
    use super::Plain;

    providers::conformance!(@each async { Plain::new() };
        first_snapshot_is_complete
        changes_arrive_one_by_one_or_newer
        deleted_keys_are_gone
        idle_content_is_proven
        content_after_a_restart_is_the_newest
        dropping_the_stream_closes_it
        values_are_bytes
        errors_are_items_and_never_an_end
    );
}

/// How many inotify instances a user of this namespace may have.
const LIMIT: &str = "/proc/sys/user/max_inotify_instances";

/// Runs itself again in a user namespace of its own in which there are no inotify instances.
#[tokio::test]
async fn without_inotify_changes_are_polled() {
    if fs::read_to_string(LIMIT).is_ok_and(|limit| limit.trim() == "0") {
        return changes_are_polled().await;
    }
    let script = format!("echo 0 > {LIMIT} && exec \"$0\" --exact \"$1\" --nocapture");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--", "sh", "-c", &script])
        .arg(std::env::current_exe().expect("a test binary"))
        .arg("files::without_inotify_changes_are_polled")
        .output()
        .expect("unshare of util-linux");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

async fn changes_are_polled() {
    let dir = crate::support::process::scratch();
    let watch = Watch::new([dir.path().to_owned()], Duration::from_secs(1));
    assert_eq!(watch.mode(), WatchMode::Poll);
    let key = dir.path().join("key");
    fs::write(&key, "1").expect("a file");
    let mut updates = files(dir.path(), Duration::from_millis(100)).follow();
    let mut expect = async |value: &str| {
        loop {
            if let Some(Ok(Update::Snapshot(seen))) = updates.next().await
                && seen.entries["key"].bytes() == value
            {
                return;
            }
        }
    };
    expect("1").await;
    fs::write(&key, "2").expect("a file");
    expect("2").await;
    replace(&key, "3");
    expect("3").await;
}

fn replace(path: &Path, value: &str) {
    let new = path.with_file_name(".new");
    fs::write(&new, value).expect("a file");
    fs::rename(new, path).expect("a rename");
}

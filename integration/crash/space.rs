//! P03: a volume that is full at any point of a publication, then has room again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    each_of,
    scene::{Layout, Place, Scene},
};
use crate::support::{namespace::Namespace, patience::eventually, process::scratch};

/// What follows each file: five of them are 40 KiB.
const PADDING: usize = 8 << 10;

/// Small volumes in memory, seen only from within.
struct Volumes {
    folder: tempfile::TempDir,
    namespace: Namespace,
}

impl Volumes {
    fn new() -> Self {
        Self { folder: scratch(), namespace: Namespace::of_mounts() }
    }

    fn mount(&self, limit: &str) -> PathBuf {
        let path = self.folder.path().join(limit);
        fs::create_dir(&path).expect("a mount point");
        self.run("mount -t tmpfs none", limit, &path);
        path
    }

    fn widen(&self, limit: &str, path: &Path) {
        self.run("mount -o remount", limit, path);
    }

    #[track_caller]
    fn run(&self, mount: &str, limit: &str, path: &Path) {
        let line = format!("{mount} -o {limit} {}", path.display());
        let words: Vec<_> = line.split(' ').collect();
        let done = self.namespace.command(&words).status().expect("mount of util-linux");
        assert!(done.success(), "{line}");
    }
}

/// Full, it says so and keeps what readers have; with room, it goes on by itself.
fn full_then_not(volumes: &Volumes, layout: Layout, limit: &str, wide: &str) -> bool {
    let path = volumes.mount(limit);
    let outside = volumes.namespace.path(&path);
    let place = Place::mounted(path.clone(), outside, volumes.namespace.entry());
    let mut scene = Scene::new(layout, place, PADDING);
    scene.start(&[]);
    // Fresh is what is published and told; or the reason why not. None yet is no reason.
    let settled = |scene: &Scene| {
        let told = scene.app.get("/freshz")?.body;
        let full = told.contains("publish: ") && !told.contains("no generation is visible yet");
        (full || scene.is_told()).then(|| !full && scene.is_told())
    };
    let old = eventually(format_args!("{limit}: {}", scene.app.tail()), || settled(&scene));
    let mut full = !old;
    if old {
        scene.becomes("new");
        full = eventually(format_args!("{limit}: {}", scene.app.tail()), || {
            scene.is_whole(limit);
            settled(&scene).map(|told| !told)
        });
        scene.app.answers("/readyz", 200);
    }
    volumes.widen(wide, &path);
    eventually(format_args!("{limit}: there is room; {}", scene.app.tail()), || {
        scene.is_shown().then_some(())
    });
    scene.waits_until_told(limit);
    scene.app.answers("/freshz", 200);
    scene.app.answers("/readyz", 200);
    eventually(format_args!("{limit}: nothing is left"), || scene.untidy().is_none().then_some(()));
    scene.app.stop();
    full
}

fn each_size(every: usize) {
    let volumes = Volumes::new();
    for layout in [Layout::Set, Layout::Files] {
        let sizes = (8..100).map(|page| (format!("size={}k", 4 * page), "size=4m"));
        let nodes =
            (4..90).step_by(2).map(|count| (format!("nr_inodes={count}"), "nr_inodes=1000"));
        let name = |limit: String| {
            format!("{limit},mode={}", if layout == Layout::Set { 755 } else { 700 })
        };
        let all = sizes.chain(nodes).map(|(limit, wide)| (name(limit), wide));
        let all: Vec<_> = all.collect();
        let begin = fastrand::usize(..every);
        // Always among them: the least and the most, and those with room for a generation and none
        // for the journal that lists it.
        let narrow = |at: usize| (16..=24).contains(&(at + 8));
        let always = |at: usize| at == 0 || at + 1 == all.len() || narrow(at);
        let chosen = |at: usize| at % every == begin || always(at);
        let some = all.iter().enumerate().filter(|(at, _)| chosen(*at)).map(|(_, it)| it.clone());
        let some: Vec<_> = some.collect();
        let full = std::sync::atomic::AtomicUsize::new(0);
        let count = each_of(some, |(limit, wide)| {
            if full_then_not(&volumes, layout, limit, wide) {
                full.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        });
        let full = full.into_inner();
        assert!(full > 0, "{full} of {count} volumes were too small");
        eprintln!("{count} volumes in layout {layout:?}, {full} of them too small");
    }
}

#[test]
fn p03_a_full_volume_keeps_the_last_good_generation_and_goes_on_when_there_is_room() {
    each_size(9);
}

mod soak {
    #[test]
    fn p03_each_size_of_a_volume() {
        super::each_size(1);
    }
}

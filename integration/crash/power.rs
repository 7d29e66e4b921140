//! P02: power cuts. What a disk held at a moment is an image of ext4 at that moment; mounted, its
//! journal is replayed, as after a cut.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use super::{
    scene::{Layout, Place, Scene, is_whole, tmpfs},
    trace::watch,
};
use crate::support::{namespace::Namespace, patience::eventually, process::scratch};

/// Calls at which the power may go: all that change names or ask for durability.
const STEPS: &str = "mkdirat,renameat,renameat2,symlinkat,unlinkat,fchmod,fsync,ftruncate";

/// An image of ext4 in memory, mounted where only some processes see it.
struct Disk {
    folder: tempfile::TempDir,
    namespace: Namespace,
}

impl Disk {
    fn new(options: &str) -> Self {
        let disk = Self { folder: scratch(), namespace: Namespace::of_mounts() };
        let image = disk.path("image");
        fs::File::create(&image).and_then(|file| file.set_len(8 << 20)).expect("an image");
        disk.runs(&["mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", &text(&image)]);
        for mount in ["disk", "cut"] {
            fs::create_dir(disk.path(mount)).expect("a mount point");
        }
        disk.runs(&["mount", "-o", options, &text(&image), &text(&disk.path("disk"))]);
        // What mkfs left there is nobody's.
        disk.runs(&["rmdir", &text(&disk.path("disk/lost+found"))]);
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[track_caller]
    fn runs(&self, words: &[&str]) {
        let output = self.namespace.command(words).output().expect("util-linux");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
    }

    /// Another test's child may hold what was open here until it runs its own program.
    #[track_caller]
    fn unmounts(&self, name: &str) {
        let place = self.path(name);
        eventually(format_args!("{} is let go", place.display()), || {
            let output = self.namespace.command(&["umount", &text(&place)]).output();
            output.expect("util-linux").status.success().then_some(())
        });
    }

    fn place(&self) -> Place {
        let inside = self.path("disk");
        Place::mounted(inside.clone(), self.namespace.path(&inside), self.namespace.entry())
    }

    /// What the disk holds now, after a power cut.
    fn cut(&self, check: impl FnOnce(&Path)) {
        let (image, cut) = (self.path("image"), self.path("image-cut"));
        fs::copy(image, &cut).expect("a copy of the disk");
        self.runs(&["mount", "-o", "loop", &text(&cut), &text(&self.path("cut"))]);
        check(&self.namespace.path(&self.path("cut")));
        self.unmounts("cut");
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// Stops at each of the calls, and looks at what the disk would hold every so many of them.
fn at_each_step(layout: Layout, options: &str, every: usize) -> usize {
    let disk = Disk::new(options);
    let mut scene = Scene::with_an_old_generation(layout, disk.place());
    scene.becomes("new");
    let log = scene.app.folder().join("trace");
    let mut words = watch(STEPS, &log);
    words.extend(["-e".to_owned(), format!("inject={STEPS}:signal=STOP:when=1+")]);
    scene.start(&words);
    let (mut seen, mut steps, mut images) = (0, 0, 0);
    let begin = fastrand::usize(..every);
    loop {
        let since = Instant::now();
        let stopped = eventually("another step, or all is done", || {
            let trace = fs::read_to_string(&log).unwrap_or_default();
            let found = trace.matches("--- SIGSTOP {").count();
            if found > seen {
                seen = found;
                return Some(true);
            }
            // A stopped process answers nobody: it is done when it was told and stops no more.
            let calm = since.elapsed() > Duration::from_secs(1);
            (calm && scene.is_shown() && scene.was_called()).then_some(false)
        });
        if !stopped {
            break;
        }
        steps += 1;
        if steps % every == begin {
            images += 1;
            disk.cut(|root| is_whole(root, layout, &format!("cut at step {steps} ({options})")));
        }
        scene.app.process().signal(Signal::SIGCONT);
    }
    assert!(steps > 30, "{steps} steps are no publication");
    images
}

/// The same at moments that nobody chose, while one change follows another.
fn at_random(layout: Layout, options: &str, moments: usize) -> usize {
    let disk = Disk::new(options);
    let mut scene = Scene::with_an_old_generation(layout, disk.place());
    scene.start(&[]);
    scene.app.ready();
    for moment in 0..moments {
        scene.becomes(if moment % 2 == 0 { "new" } else { "old" });
        std::thread::sleep(Duration::from_micros(fastrand::u64(..30_000)));
        scene.app.process().signal(Signal::SIGSTOP);
        let stat = format!("/proc/{}/stat", scene.app.process().pid());
        eventually("it is stopped", || {
            fs::read_to_string(&stat).ok()?.rsplit_once(") T").map(|_| ())
        });
        disk.cut(|root| is_whole(root, layout, &format!("cut at moment {moment} ({options})")));
        scene.app.process().signal(Signal::SIGCONT);
    }
    moments
}

/// A Rehup that starts on what a cut left needs no help.
fn starts_after(layout: Layout, options: &str, cuts: usize) {
    for _ in 0..cuts {
        let disk = Disk::new(options);
        let mut scene = Scene::with_an_old_generation(layout, disk.place());
        scene.start(&[]);
        scene.app.ready();
        scene.becomes("new");
        std::thread::sleep(Duration::from_micros(fastrand::u64(..20_000)));
        scene.app.process().signal(Signal::SIGSTOP);
        let (image, cut) = (disk.path("image"), disk.path("image-cut"));
        fs::copy(image, &cut).expect("a copy of the disk");
        scene.app.kill();
        disk.unmounts("disk");
        disk.runs(&["mount", "-o", options, &text(&cut), &text(&disk.path("disk"))]);
        scene.restarts_after_a_cut();
    }
}

#[test]
fn p02_a_power_cut_leaves_the_old_or_the_new_generation() {
    for (layout, options) in [(Layout::Set, "loop"), (Layout::Files, "loop,data=writeback")] {
        let images = at_each_step(layout, options, 4) + at_random(layout, options, 8);
        eprintln!("{images} images in layout {layout:?}");
        starts_after(layout, options, 2);
    }
}

mod soak {
    use super::*;

    #[test]
    fn p02_a_power_cut_at_each_step_and_at_fifty_moments() {
        for layout in [Layout::Set, Layout::Files] {
            for options in ["loop", "loop,data=writeback"] {
                let images = at_each_step(layout, options, 1) + at_random(layout, options, 50);
                eprintln!("{images} images in layout {layout:?}, {options}");
                starts_after(layout, options, 10);
            }
        }
    }
}

/// Kept beside the test that needs it: where volumes in memory lie.
#[test]
fn images_lie_in_memory() {
    assert!(scratch().path().starts_with(tmpfs()), "copies of disks are no load for a disk");
}

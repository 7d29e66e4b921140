//! P16, H11: the order of work, as strace saw it.

use std::fs;

use super::scene::{Layout, Place, Scene, tmpfs};
use crate::support::{canary, patience::eventually};

/// What durability and visibility are made of, and the call of the target.
const CALLS: &str = "fsync,fdatasync,renameat,renameat2,connect";

/// The lines of the thread that publishes, and the target's call, as they followed each other.
struct Trace(Vec<String>);

impl Trace {
    fn of(layout: Layout) -> Self {
        let mut scene = Scene::with_an_old_generation(layout, Place::within(&tmpfs()));
        let log = scene.traced(CALLS);
        // A call that was interrupted by another thread's line ends where it is resumed.
        Self(log.lines().filter(|line| !line.contains("<unfinished")).map(str::to_owned).collect())
    }

    /// The only line from `after` on that has all these parts.
    #[track_caller]
    fn first(&self, after: usize, parts: &[&str]) -> usize {
        let has = |line: &String| parts.iter().all(|part| line.contains(part));
        let found = self.0.iter().skip(after).position(has);
        let at = found.unwrap_or_else(|| panic!("no {parts:?} from line {after} of\n{self}"));
        after + at
    }

    /// The last line before `end` with all these parts.
    #[track_caller]
    fn last(&self, end: usize, parts: &[&str]) -> usize {
        let has = |line: &String| parts.iter().all(|part| line.contains(part));
        let found = self.0.iter().take(end).rposition(has);
        found.unwrap_or_else(|| panic!("no {parts:?} before line {end} of\n{self}"))
    }
}

impl std::fmt::Display for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, line)| writeln!(f, "{at}: {line}"))
    }
}

#[track_caller]
fn rise(steps: &[(&str, usize)], trace: &Trace) {
    for pair in steps.windows(2) {
        let [(before, first), (after, second)] = pair else { continue };
        assert!(first < second, "{before} ({first}) comes before {after} ({second}) in\n{trace}");
    }
}

#[test]
fn p16_what_readers_see_is_on_the_disk_and_what_is_told_is_seen() {
    let trace = Trace::of(Layout::Set);
    let flip = trace.first(0, &["renameat", "\"..data\""]);
    let folder = |path: &str| ["fsync(".to_owned(), "/..gen-2-".to_owned(), format!("{path}>")];
    let synced = |path: &str| {
        let [call, generation, end] = folder(path);
        let has = |line: &&String| {
            line.contains(&call) && line.contains(&generation) && line.contains(&end)
        };
        let count = trace.0.iter().filter(has).count();
        assert_eq!(count, 1, "{path} is synced once in\n{trace}");
        trace.first(0, &[&call, &generation, &end])
    };
    let manifest = synced("/..manifest");
    for file in ["/conf/a", "/conf/b", "/conf/deep/c", "/d", "/e/f"] {
        rise(&[(file, synced(file)), ("the manifest", manifest)], &trace);
    }
    for folder in ["/conf", "/conf/deep", "/e"] {
        rise(&[(folder, synced(folder)), ("the flip", flip)], &trace);
    }
    // The folder of the generation itself: its name ends the path.
    let top = trace.last(flip, &["fsync(", "/..gen-2-"]);
    let root = trace.first(flip, &["fsync("]);
    let synced = trace.0[root].split(['<', '>']).nth(1).and_then(|path| path.rsplit('/').next());
    let is_root = synced.is_some_and(|name| name.starts_with("rehup-crash-"));
    assert!(is_root, "the root is synced right after the flip:\n{trace}");
    let journal = trace.first(root, &["renameat", "\"journal\""]);
    let durable = trace.first(journal, &["fsync(", "/..rehup>"]);
    let told = trace.first(flip, &["connect("]);
    rise(
        &[
            ("the manifest", manifest),
            ("the generation's folder", top),
            ("the flip", flip),
            ("the root", root),
            ("the journal", journal),
            ("its folder", durable),
            ("the target's call", told),
        ],
        &trace,
    );
}

#[test]
fn p16_single_files_are_on_the_disk_before_their_names() {
    let trace = Trace::of(Layout::Files);
    let manifest = trace.first(0, &["renameat", "\"manifest\""]);
    let told = trace.first(manifest, &["connect("]);
    for name in ["a", "b", "c", "d", "f"] {
        let end = format!("/{name}>");
        let synced = trace.first(0, &["fsync(", "/..gen-2-", &end]);
        let named = format!("\"{name}\")");
        let renamed = trace.first(manifest, &["renameat", &named]);
        rise(
            &[
                (name, synced),
                ("the manifest", manifest),
                ("its new name", renamed),
                ("the target's call", told),
            ],
            &trace,
        );
    }
    let journal = trace.last(told, &["renameat", "\"journal\""]);
    rise(&[("the manifest", manifest), ("the journal", journal), ("told", told)], &trace);
}

#[test]
fn h11_a_target_that_looks_when_it_is_told_finds_the_new_generation() {
    for layout in [Layout::Set, Layout::Files] {
        let place = Place::within(&tmpfs());
        let volume = place.outside.display().to_string();
        let mut scene = Scene::new(layout, place, 0);
        let told = scene.app.folder().join("told");
        let script = format!("cat {volume}/conf/deep/c >> {}; echo >> {0}", told.display());
        scene.configure(&format!("exec: [/bin/sh, -c, \"{script}\"]"));
        scene.start(&[]);
        for value in ["old", "new", "newer", "newest"] {
            scene.becomes(value);
            eventually(format_args!("{value} is told"), || {
                let told = canary::unhide(&fs::read_to_string(&told).unwrap_or_default());
                told.ends_with(&format!("conf/deep/c {value}\n")).then_some(())
            });
        }
        let told = fs::read_to_string(&told).expect("what was told");
        assert_eq!(told.lines().count(), 4, "each once, with its content: {told}");
    }
}

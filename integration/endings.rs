//! L03, L04, L10: told to end at any moment, started on a spoilt volume, kept short of everything.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::support::{
    app::App,
    endpoint::{Endpoint, Manner},
    limits::Limited,
    patience::eventually,
};

/// Three files of one value, and a target.
fn serving(endpoint: &Endpoint, layout: &str) -> App {
    let app = App::new();
    app.put("n", "0");
    let file = |to: &str| format!("  - {{ to: {to}, inline: \"{{{{ base.n }}}}\" }}\n");
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\ntemplates:\n{}settle: off\n\
         output: {{ layout: {layout} }}\n\
         targets: [{{ name: main, http: {{ url: \"{}\" }}, min_interval: 0s }}]\n",
        app.folder().display(),
        ["a", "deep/b", "c"].map(file).concat(),
        endpoint.url("/reload"),
    ));
    app
}

/// From this moment on an end is ours to choose: before, the program has hardly begun.
fn hears_signals(pid: u32) {
    eventually("SIGTERM is heard", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught & (1 << (Signal::SIGTERM as u32 - 1)) != 0).then_some(())
    });
}

#[track_caller]
fn is_whole(app: &App, when: usize) {
    let found = ["a", "deep/b", "c"].map(|path| app.read(path));
    assert!(found.iter().all(|it| *it == found[0]), "end {when}: {found:?}");
}

/// So many ends, each at a moment that nobody chose, every third one asked for twice.
fn ends(count: usize) {
    let endpoint = Endpoint::start(Manner::Status(200));
    let mut app = serving(&endpoint, "set");
    for end in 0..count {
        app.quiet().start();
        hears_signals(app.process().pid());
        app.put("n", &end.to_string());
        endpoint.turn(if fastrand::bool() { Manner::Hang } else { Manner::Status(200) });
        std::thread::sleep(Duration::from_micros(fastrand::u64(..40_000)));
        if end % 3 == 0 {
            app.process().signal(Signal::SIGTERM);
        }
        let status = app.stop();
        assert_eq!(status.code(), Some(0), "end {end}");
        is_whole(&app, end);
    }
    endpoint.turn(Manner::Status(200));
    app.put("n", "last");
    app.start().shows("c", "last");
    app.settles("main", "confirmed");
    eprintln!("{count} ends");
}

#[test]
fn l04_told_to_end_at_any_moment_it_ends_well_and_leaves_a_whole_set() {
    ends(40);
}

/// What is done to a volume between two lives.
type Harm = (&'static str, fn(&Path));

fn generation(volume: &Path) -> PathBuf {
    volume.join(fs::read_link(volume.join("..data")).expect("..data"))
}

fn overwrite(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    change(&mut bytes);
    fs::write(path, bytes).expect("a file");
}

const HARMS: [Harm; 8] = [
    ("a flipped bit", |volume| overwrite(&generation(volume).join("a"), |it| it[0] ^= 1)),
    ("a cut file", |volume| overwrite(&generation(volume).join("deep/b"), Vec::clear)),
    ("a missing file", |volume| fs::remove_file(generation(volume).join("c")).expect("a file")),
    ("a cut manifest", |volume| {
        overwrite(&generation(volume).join("..manifest"), |it| it.truncate(it.len() / 2));
    }),
    ("an empty manifest", |volume| {
        overwrite(&generation(volume).join("..manifest"), Vec::clear);
    }),
    ("a garbled journal", |volume| {
        overwrite(&volume.join("..rehup/journal"), |it| {
            it.reverse();
        });
    }),
    ("no generation behind the link", |volume| {
        fs::remove_dir_all(generation(volume)).expect("a generation");
    }),
    ("no link", |volume| fs::remove_file(volume.join("..data")).expect("a link")),
];

#[test]
fn l03_a_spoilt_volume_is_not_trusted_but_mended_and_told() {
    for (harm, spoil) in HARMS {
        let endpoint = Endpoint::start(Manner::Status(200));
        let mut app = serving(&endpoint, "set");
        app.start().settles("main", "confirmed");
        assert!(app.stop().success());
        spoil(&app.volume());
        app.start();
        for path in ["a", "deep/b", "c"] {
            app.shows(path, "0");
        }
        app.settles("main", "confirmed");
        app.answers("/freshz", 200);
        assert!(app.log().contains("WARN"), "{harm} is told; {}", app.tail());
        app.put("n", "1");
        app.shows("c", "1");
        app.settles("main", "confirmed");
    }
}

#[test]
fn l10_with_a_twentieth_of_a_processor_and_little_memory_nothing_is_lost() {
    let limited = Limited::new(&[
        ("cpu", "cpu.cfs_period_us", "100000"),
        ("cpu", "cpu.cfs_quota_us", "5000"),
        ("memory", "memory.limit_in_bytes", "33554432"),
    ]);
    let endpoint = Endpoint::start(Manner::Status(200));
    let mut app = serving(&endpoint, "set");
    let mut words = limited.entry().to_vec();
    words.extend(["prlimit", "--nofile=64", "--"].map(str::to_owned));
    app.quiet().start_through(&words).shows("c", "0");
    for change in 1..=60 {
        app.put("n", &change.to_string());
        std::thread::sleep(Duration::from_millis(fastrand::u64(..40)));
    }
    for path in ["a", "deep/b", "c"] {
        app.shows(path, "60");
    }
    app.settles("main", "confirmed");
    app.answers("/freshz", 200);
    assert!(app.process().exited().is_none(), "it lives");
    app.kill();
}

mod soak {
    #[test]
    fn l04_a_thousand_ends() {
        super::ends(1_000);
    }
}

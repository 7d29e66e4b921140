//! The main job from end to end: each change of each store becomes one generation and one signal,
//! and no reader ever sees half of it.

use std::{
    mem::MaybeUninit,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustix::fs::inotify;

use crate::{
    consul::ConsulBench,
    etcd::EtcdBench,
    files::folder::Mounted,
    support::{app::App, etcd::Version, patience::eventually, store::Store, target::Counter},
};

/// How many changes are made one by one.
const CHANGES: usize = 100;

/// Makes the tests of one store.
macro_rules! delivers {
    ($name:ident, $store:expr) => {
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn each_change_is_one_generation_and_one_signal() {
                super::each_change_is_one_generation_and_one_signal($store).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn transactions_are_never_torn() {
                super::transactions_are_never_torn($store).await;
            }
        }
    };
}

delivers!(etcd, EtcdBench::start(Version::Current).await);
delivers!(etcd_old, EtcdBench::start(Version::Old).await);
delivers!(consul, ConsulBench::start().await);
delivers!(files, Mounted::new());

async fn each_change_is_one_generation_and_one_signal(mut store: impl Store) {
    let (mut app, counter) = (App::new(), Counter::start());
    store.write("n", "0").await;
    app.configure(format!(
        "sources: {{ app: {} }}\n\
         templates:\n  - {{ inline: \"{{{{ app.n }}}}\", to: n }}\n\
         settle: off\n\
         targets:\n  - {{ name: main, signal: SIGHUP, {}, min_interval: 0s, min_uptime: 0s }}\n",
        store.source(),
        counter.process_yaml()
    ));
    app.quiet().start().ready();
    app.shows("n", "0");
    eventually("the first generation is told", || (counter.count() == 1).then_some(()));
    let plain = PlainReader::start(&app.volume());
    for change in 1..=CHANGES {
        store.write("n", &change.to_string()).await;
        app.shows("n", &change.to_string());
        eventually(format_args!("change {change} is told; {}", app.tail()), || {
            (counter.count() > change).then_some(())
        });
        assert_eq!(counter.count(), change + 1, "one signal for each generation");
    }
    assert_eq!(app.generation(), CHANGES as u64 + 1, "one generation for each change");
    assert_eq!(plain.missed(), 0, "no reader found the file missing");
    assert!(app.stop().success());
}

async fn transactions_are_never_torn(mut store: impl Store) {
    let mut app = App::new();
    store.transaction(&[("a", b"0"), ("b", b"0")]).await;
    app.configure(format!(
        "sources: {{ app: {} }}\n\
         templates:\n  - {{ inline: \"{{{{ app.a }}}}\", to: pair/a }}\n  \
         - {{ inline: \"{{{{ app.b }}}}\", to: pair/b }}\n\
         settle: off\n",
        store.source()
    ));
    app.start().ready();
    let reader = PairReader::start(&app.volume());
    for change in 1..=CHANGES {
        let value = change.to_string();
        store.transaction(&[("a", value.as_bytes()), ("b", value.as_bytes())]).await;
    }
    app.shows("pair/a", &CHANGES.to_string());
    app.shows("pair/b", &CHANGES.to_string());
    let (reads, torn) = reader.end();
    assert!(reads > 0 && torn.is_empty(), "{reads} reads, torn: {torn:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_template_waits_for_all_three_stores() {
    let (mut etcd, mut consul, mut files) =
        (EtcdBench::start(Version::Current).await, ConsulBench::start().await, Mounted::new());
    let mut app = App::new();
    let (one, two, three) = ("{{ flags.n }}", "{{ app.n }}", "{{ base.n }}");
    app.configure(format!(
        "sources: {{ flags: {}, app: {}, base: {} }}\n\
         templates: [{{ inline: \"{one}{two}{three}\", to: n }}]\n\
         settle: off\n",
        etcd.source(),
        consul.source(),
        files.source()
    ));
    etcd.write("n", "1").await;
    consul.write("n", "2").await;
    app.start();
    for answered in ["flags", "app"] {
        eventually(format_args!("{answered} has answered; {}", app.tail()), || {
            (app.try_status()?["sources"][answered]["keys"] == 1).then_some(())
        });
    }
    app.answers("/readyz", 503);
    assert!(app.read("n").is_none(), "nothing is published before all have answered");
    files.write("n", "3").await;
    app.ready().shows("n", "123");
    assert_eq!(app.generation(), 1);
    consul.write("n", "4").await;
    app.shows("n", "143");
    etcd.write("n", "5").await;
    app.shows("n", "543");
    assert_eq!(app.generation(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_made_for_mounted_volumes_sees_every_generation() {
    let (mut app, mut store) = (App::new(), Mounted::new());
    store.write("n", "0").await;
    app.configure(format!(
        "sources: {{ app: {} }}\ntemplates: [{{ inline: \"{{{{ app.n }}}}\", to: n }}]\nsettle: off\n",
        store.source()
    ));
    app.start().ready();
    let flips = FlipWatcher::start(&app.volume());
    for change in 1..=CHANGES {
        store.write("n", &change.to_string()).await;
        app.shows("n", &change.to_string());
        eventually(format_args!("flip {change} is seen"), || {
            (flips.count() >= change).then_some(())
        });
    }
    assert_eq!(flips.count(), CHANGES, "one flip for each generation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_files_change_one_by_one_for_programs_that_refuse_links() {
    let (mut app, mut store, counter) = (App::new(), Mounted::new(), Counter::start());
    store.write("n", "0").await;
    let configuration = |templates: &str| {
        format!(
            "sources: {{ app: {} }}\ntemplates: [{templates}]\n\
             settle: off\noutput: {{ layout: files }}\n\
             targets: [{{ name: main, signal: SIGHUP, {}, min_interval: 0s, min_uptime: 0s }}]\n",
            store.source(),
            counter.process_yaml()
        )
    };
    let one = "{ inline: \"{{ app.n }}\", to: deep/n }";
    let two = format!("{one}, {{ inline: two, to: second }}");
    app.configure(configuration(&two));
    app.start().ready().shows("deep/n", "0");
    eventually("the first generation is told", || (counter.count() == 1).then_some(()));
    app.configure(configuration(one));
    eventually("what is gone is deleted", || app.read("second").is_none().then_some(()));
    eventually("that is told", || (counter.count() == 2).then_some(()));
    for change in 1..=20 {
        store.write("n", &change.to_string()).await;
        app.shows("deep/n", &change.to_string());
        eventually("the change is told", || (counter.count() > change + 1).then_some(()));
    }
    let file = std::fs::symlink_metadata(app.volume().join("deep/n")).expect("a file");
    assert!(file.is_file(), "it is no link");
    assert!(app.stop().success());
    app.start().answers("/freshz", 200);
    assert_eq!(counter.count(), 22, "a restart tells nothing again");
}

/// Reads one published file over and over and counts how often it was not there.
struct PlainReader {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<usize>,
}

impl PlainReader {
    fn start(volume: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (path, stopped) = (volume.join("n"), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut missed = 0;
            while !stopped.load(Ordering::Relaxed) {
                missed += usize::from(std::fs::read(&path).is_err());
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            missed
        });
        Self { stop, thread }
    }

    fn missed(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the reader")
    }
}

/// Reads two files of one generation over and over and compares them, as an application does that
/// opens its configuration folder once.
struct PairReader {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(usize, Vec<String>)>,
}

impl PairReader {
    fn start(volume: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (volume, stopped) = (volume.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let (mut reads, mut torn) = (0, Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                let Ok(folder) = std::fs::canonicalize(volume.join("pair")) else {
                    torn.push("the folder is missing".to_owned());
                    continue;
                };
                let read = |name| std::fs::read_to_string(folder.join(name));
                match (read("a"), read("b")) {
                    (Ok(a), Ok(b)) if a == b => reads += 1,
                    (a, b) => torn.push(format!("{a:?} beside {b:?}")),
                }
            }
            (reads, torn)
        });
        Self { stop, thread }
    }

    fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the reader")
    }
}

/// Counts how often `..data` is renamed into place, as watchers of mounted volumes do.
struct FlipWatcher {
    count: Arc<AtomicUsize>,
}

impl FlipWatcher {
    fn start(volume: &Path) -> Self {
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC).expect("an inotify instance");
        inotify::add_watch(&inotify, volume, inotify::WatchFlags::MOVED_TO).expect("a watch");
        let count = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&count);
        // It ends with the test's process: a read that waits cannot be asked to stop.
        std::thread::spawn(move || {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = inotify::Reader::new(inotify, &mut buffer);
            while let Ok(event) = events.next() {
                let is_flip = event.file_name().is_some_and(|name| name.to_bytes() == b"..data");
                seen.fetch_add(usize::from(is_flip), Ordering::Relaxed);
            }
        });
        Self { count }
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

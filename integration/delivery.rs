//! The main job from end to end: each change of each store becomes one generation and one signal,
//! and no reader ever sees half of it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

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
    store.put("n", b"0").await;
    app.configure(format!(
        "sources: {{ app: {} }}\n\
         templates:\n  - {{ inline: \"{{{{ app.n }}}}\", to: n }}\n\
         settle: off\n\
         targets:\n  - {{ name: main, signal: SIGHUP, {}, min_interval: 0s, min_uptime: 0s }}\n",
        store.source(),
        counter.process_yaml()
    ));
    app.start().ready();
    app.shows("n", "0");
    eventually("the first generation is told", || (counter.count() == 1).then_some(()));
    let plain = PlainReader::start(&app.volume());
    for change in 1..=CHANGES {
        store.put("n", change.to_string().as_bytes()).await;
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

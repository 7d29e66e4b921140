//! From a write's acknowledgement to the flip, and from the flip to the signal.

use std::{
    mem::MaybeUninit,
    path::Path,
    sync::mpsc,
    time::{Duration, Instant},
};

use rustix::fs::inotify;
use tokio::signal::unix::{SignalKind, signal};

use crate::support::{app::App, process::scratch, store::Store};

/// How many changes are measured, after as many tenths to warm up.
const CHANGES: usize = 200;

/// A single change is measured: a busy Consul prefix is asked ten times a second at most, so that
/// changes which follow each other faster wait for each other and not for us.
const APART: Duration = Duration::from_millis(120);

pub fn heading() {
    println!("latency in ms over {CHANGES} changes, {APART:?} apart\n");
    println!("{:<10} {:>28} {:>28}", "store", "change → visible", "visible → signal");
    println!(
        "{:<10} {:>9} {:>9} {:>8} {:>9} {:>9} {:>8}",
        "", "p50", "p99", "max", "p50", "p99", "max"
    );
}

/// This process is the target: it sees the flip by inotify and the signal by a handler.
pub async fn measure(name: &str, mut store: impl Store) {
    let (mut app, folder) = (App::new(), scratch());
    let pid_file = folder.path().join("pid");
    std::fs::write(&pid_file, std::process::id().to_string()).expect("a pid file");
    let mut hangups = signal(SignalKind::hangup()).expect("a handler");
    store.put("n", b"start").await;
    app.configure(format!(
        "sources: {{ app: {} }}\n\
         templates: [{{ inline: \"{{{{ app.n }}}}\", to: n }}]\n\
         settle: off\n\
         targets: [{{ name: bench, signal: SIGHUP, process: {{ pid_file: {} }}, min_interval: 0s, min_uptime: 0s }}]\n",
        store.source(),
        pid_file.display()
    ));
    app.quiet().start().ready();
    hangups.recv().await;
    let flips = flips(&app.volume());
    let (mut visible, mut told) = (Vec::new(), Vec::new());
    for change in 0..CHANGES + CHANGES / 10 {
        tokio::time::sleep(APART).await;
        store.put("n", change.to_string().as_bytes()).await;
        let acknowledged = Instant::now();
        hangups.recv().await;
        let signalled = Instant::now();
        let flipped = flips.recv_timeout(Duration::from_secs(10)).expect("a flip");
        if change >= CHANGES / 10 {
            visible.push(signed(acknowledged, flipped));
            told.push(signed(flipped, signalled));
        }
    }
    let (visible, told) = (Spread::of(visible), Spread::of(told));
    println!("{name:<10} {visible} {told}");
}

/// The moments at which `..data` is renamed into place.
fn flips(volume: &Path) -> mpsc::Receiver<Instant> {
    let inotify = inotify::init(inotify::CreateFlags::CLOEXEC).expect("an inotify instance");
    inotify::add_watch(&inotify, volume, inotify::WatchFlags::MOVED_TO).expect("a watch");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(inotify, &mut buffer);
        while let Ok(event) = events.next() {
            let now = Instant::now();
            let is_flip = event.file_name().is_some_and(|name| name.to_bytes() == b"..data");
            if is_flip && sender.send(now).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Milliseconds from one moment to another, which may lie before it.
fn signed(from: Instant, to: Instant) -> f64 {
    let later = to.saturating_duration_since(from).as_secs_f64();
    let earlier = from.saturating_duration_since(to).as_secs_f64();
    (later - earlier) * 1000.0
}

struct Spread(Vec<f64>);

impl Spread {
    fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    fn at(&self, percent: usize) -> f64 {
        self.0[(self.0.len() - 1) * percent / 100]
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>9.3} {:>9.3} {:>8.3}", self.at(50), self.at(99), self.at(100))
    }
}

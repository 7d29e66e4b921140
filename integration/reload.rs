//! Reloads of real processes and endpoints.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::{ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
};

use rehup::{
    config::shape::Target,
    digest::Digest,
    generation::{BootTime, FileRecord, Generation, Visible},
    journal::{Entry, Journal, Outcome},
    publish::PublishError,
    pulse::Pulses,
    reload::{Reloader, Teller, Verdict},
    rendering::{Access, OutputPath},
    status::{Board, TargetStatus},
    world::Recorder,
};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::support::{
    patience::{eventually, eventually_async},
    process::{free_port, scratch},
    target,
};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Journal>>);

impl Recorder for Memory {
    async fn record(&self, entry: Entry) -> Result<Arc<Journal>, PublishError> {
        let mut journal = self.0.lock().expect("the journal");
        journal.apply(entry);
        Ok(Arc::new(journal.clone()))
    }
}

struct Run {
    generations: watch::Sender<Option<Arc<Visible>>>,
    board: Board,
    verdicts: mpsc::Receiver<Verdict>,
    _repeat: watch::Sender<u64>,
    shutdown: CancellationToken,
}

impl Run {
    fn start(settings: serde_json::Value) -> Self {
        let target: Target = serde_json::from_value(settings).expect("a target");
        let (generations, seen) = watch::channel(None);
        let (verdict, verdicts) = mpsc::channel(4);
        let (repeat, wish) = watch::channel(0);
        let board = Board::default();
        board.update(|status| {
            status.targets.insert(target.name.clone(), TargetStatus::default());
        });
        let reloader = Reloader {
            target,
            generations: seen,
            volume: Memory::default(),
            journal: Arc::default(),
            verdicts: verdict,
            repeat: wish,
            board: board.clone(),
            metrics: Arc::default(),
        };
        let shutdown = CancellationToken::new();
        let pulse = Pulses::default().task("target app");
        let teller = Teller::new(reloader.target.clone());
        tokio::spawn(reloader.run(teller, shutdown.clone(), Arc::new(pulse)));
        Self { generations, board, verdicts, _repeat: repeat, shutdown }
    }

    fn publish(&self, number: u64, flipped: BootTime) {
        let access = Access { mode: 0o644, owner: None, group: None };
        let digest = Digest::of(&number.to_le_bytes());
        let path = OutputPath::parse("app.conf").expect("a path");
        let files = BTreeMap::from([(path, FileRecord { size: 8, access, digest })]);
        let generation = Generation { number, rendering: digest, files, sources: BTreeMap::new() };
        self.generations
            .send_replace(Some(Arc::new(Visible { generation, flipped: Some(flipped) })));
    }

    fn status(&self) -> TargetStatus {
        self.board.read().targets["app"].clone()
    }

    async fn outcome(&self, generation: u64, outcome: Outcome) -> TargetStatus {
        eventually_async(&format!("{outcome} of {generation}"), async || {
            let status = self.status();
            let is = status.generation == Some(generation) && status.outcome == Some(outcome);
            is.then_some(status)
        })
        .await
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A counter that is nobody's descendant, because descendants are never told.
struct Counter {
    /// Its input: the counter ends when this is closed, however the test ends.
    _input: ChildStdin,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Counter {
    fn start() -> Self {
        let dir = scratch();
        let log = dir.path().join("signals");
        let mut command = Command::new(target::program());
        command.arg("-a").arg(&log).stdin(Stdio::piped());
        let mut child = command.spawn().expect("the counter starts");
        let input = child.stdin.take().expect("piped");
        let status = child.wait().expect("the first of its two processes ends at once");
        assert!(status.success(), "the counter is set up");
        Self { _input: input, log, _dir: dir }
    }

    fn target(&self) -> serde_json::Value {
        let path = self.log.to_str().expect("UTF-8");
        json!({ "name": "app", "signal": "SIGHUP", "min_uptime": "0s", "min_interval": "0s",
                "process": { "cmdline": format!("counter -a {path}") } })
    }

    fn count(&self) -> u64 {
        fs::metadata(&self.log).expect("the counter's log").len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_generation_signals_a_process_that_catches() {
    let counter = Counter::start();
    let run = Run::start(counter.target());
    for number in 1..=20 {
        run.publish(number, BootTime::now());
        run.outcome(number, Outcome::Unknown).await;
        eventually("the signal is counted", || (counter.count() == number).then_some(()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_starts_after_the_flip_needs_no_reload() {
    let before = BootTime::now();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let counter = Counter::start();
    let run = Run::start(counter.target());
    run.publish(1, before);
    let status = run.outcome(1, Outcome::Confirmed).await;
    assert_eq!((status.detail.as_str(), counter.count()), ("fresh_start", 0));
}

/// Answers every request with one status; the thread ends with the test binary.
fn serve(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
            while !request.ends_with(b"}") {
                match stream.read(&mut chunk) {
                    Ok(read @ 1..) => request.extend_from_slice(&chunk[..read]),
                    _ => break,
                }
            }
            let answer = format!(
                "HTTP/1.1 {status} x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
            );
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    url
}

fn endpoint(url: &str) -> serde_json::Value {
    json!({ "name": "app", "http": { "url": url }, "min_interval": "0s", "tries": 1,
            "on_reject": "rollback" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_decides_the_outcome() {
    let nobody = format!("http://127.0.0.1:{}/", free_port());
    for (url, outcome) in [
        (serve(200), Outcome::Confirmed),
        (serve(302), Outcome::Misconfigured),
        (serve(503), Outcome::NotUp),
        (nobody, Outcome::NotUp),
    ] {
        let run = Run::start(endpoint(&url));
        run.publish(1, BootTime::now());
        run.outcome(1, outcome).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_asks_for_a_rollback() {
    let mut run = Run::start(endpoint(&serve(422)));
    run.publish(7, BootTime::now());
    run.outcome(7, Outcome::Rejected).await;
    let verdict = run.verdicts.recv().await.expect("a verdict");
    assert_eq!((verdict.target.as_str(), verdict.generation), ("app", 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_status_of_a_program_decides_the_outcome() {
    for (program, outcome) in [
        ("true", Outcome::Confirmed),
        ("false", Outcome::Rejected),
        ("/nonexistent/program", Outcome::Misconfigured),
    ] {
        let run = Run::start(json!({ "name": "app", "exec": [program], "tries": 1 }));
        run.publish(1, BootTime::now());
        run.outcome(1, outcome).await;
    }
}

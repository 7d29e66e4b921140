//! E16 and E20: transactions under load, and members that come and go under writes.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcd_client::{Client, Txn, TxnOp};

use super::{FILE, PREFIX, configuration, following, is_live};
use crate::support::{
    app::App,
    etcd::{Etcd, Version},
    growth::Growth,
    patience::eventually,
};

/// Writes the same number to three keys at once.
async fn write(writer: &mut Client, number: u64) -> Result<(), etcd_client::Error> {
    let put = |key| TxnOp::put(format!("{PREFIX}{key}"), number.to_string(), None);
    writer.txn(Txn::new().and_then(["a", "b", "c"].map(put))).await.map(drop)
}

/// The one number that a generation shows; fails at one that mixes two transactions.
fn number(shown: &str) -> u64 {
    let values: BTreeSet<_> =
        shown.lines().filter_map(|line| line.split_once('=')).map(|(_, value)| value).collect();
    assert_eq!(values.len(), 1, "a generation mixes transactions:\n{shown}");
    values.first().and_then(|value| value.parse().ok()).expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e16_every_generation_shows_all_of_a_transaction_or_nothing_of_it() {
    const TRANSACTIONS: u64 = 10_000;
    let etcd = Etcd::start(Version::Current).await;
    let mut writer = etcd.client().await;
    write(&mut writer, 0).await.expect("a transaction");
    let mut app = following(&[etcd.endpoint()], "", "");
    app.quiet().start().ready();
    let (file, done) = (app.volume().join(FILE), Arc::new(AtomicBool::new(false)));
    let reader = {
        let done = Arc::clone(&done);
        tokio::task::spawn_blocking(move || {
            let (mut seen, mut last) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let now = number(&std::fs::read_to_string(&file).expect("a published file"));
                assert!(now >= last, "{now} after {last}");
                seen += u64::from(now != last);
                last = now;
                std::thread::sleep(Duration::from_micros(200));
            }
            seen
        })
    };
    for number in 1..=TRANSACTIONS {
        write(&mut writer, number).await.expect("a transaction");
    }
    let last = format!("a={TRANSACTIONS}\nb={TRANSACTIONS}\nc={TRANSACTIONS}\n");
    app.shows(FILE, &last);
    done.store(true, Ordering::Relaxed);
    let seen = reader.await.expect("no generation was torn");
    assert!(seen > 100, "only {seen} generations were looked at");
    assert!(app.generation() <= TRANSACTIONS + 1, "more generations than states");
    is_live(&app);
}

/// Three members, one of which is killed every few seconds, one after the other, under writes.
async fn churn(lasts: Duration, every: Duration) {
    let mut members = Etcd::start_three(Version::Current).await;
    let endpoints: Vec<_> = members.iter().map(Etcd::endpoint).collect();
    write(&mut *members[0].client().await, 0).await.expect("a transaction");
    let mut app = App::new();
    app.configure(configuration(&endpoints, "", "", super::LINES));
    app.quiet().start().ready();
    is_live(&app);
    let mut growth = Growth::of(app.process().pid());

    let stop = Arc::new(AtomicBool::new(false));
    // Every number that a write was tried with is a state that the store may have had.
    let tried = Arc::new(Mutex::new(0_u64));
    let writes = tokio::spawn(write_all_along(endpoints, Arc::clone(&stop), Arc::clone(&tried)));
    let (begun, mut last, mut turn) = (Instant::now(), 0, 0);
    while begun.elapsed() < lasts {
        members[turn % 3].stop();
        let until = Instant::now() + every;
        while Instant::now() < until {
            let now = number(&app.read(FILE).expect("a published file"));
            assert!(now >= last, "{now} is published after {last}");
            last = now;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        members[turn % 3].restart().await;
        growth.sample();
        turn += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let written = writes.await.expect("the writer");
    let expected = format!("a={written}\nb={written}\nc={written}\n");
    eventually(format_args!("the last acknowledged write {written}; {}", app.tail()), || {
        (app.read(FILE).as_deref() == Some(&expected)).then_some(())
    });
    is_live(&app);
    let tried = *tried.lock().expect("a number");
    assert!(app.generation() <= tried + 1, "more generations than states: {}", app.generation());
    growth.is_flat();
    eprintln!(
        "{turn} members killed, {written} writes, {} generations; {growth}",
        app.generation()
    );
}

/// Writes rising numbers until it is told to stop; then until one more is acknowledged.
async fn write_all_along(
    endpoints: Vec<String>,
    stop: Arc<AtomicBool>,
    tried: Arc<Mutex<u64>>,
) -> u64 {
    let mut number = 0;
    for turn in 0.. {
        let endpoint = endpoints[turn % endpoints.len()].clone();
        let options = etcd_client::ConnectOptions::new()
            .with_connect_timeout(Duration::from_millis(500))
            .with_timeout(Duration::from_secs(3))
            .with_require_leader(true);
        let Ok(mut writer) = Client::connect([endpoint], Some(options)).await else { continue };
        loop {
            number += 1;
            *tried.lock().expect("a number") = number;
            let last = stop.load(Ordering::Relaxed);
            if write(&mut writer, number).await.is_err() {
                break;
            }
            if last {
                return number;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    unreachable!("the turns do not end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e20_members_that_are_killed_one_after_the_other_lose_nothing() {
    churn(Duration::from_secs(20), Duration::from_secs(4)).await;
}

mod soak {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn e20_members_that_are_killed_for_ten_minutes_lose_nothing() {
        churn(Duration::from_secs(600), Duration::from_secs(5)).await;
    }
}

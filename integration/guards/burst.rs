//! Many changes, few generations: bursts and flapping on a real etcd, with the default settle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use etcd_client::Client;

use crate::support::{
    app::App,
    canary::hide,
    etcd::{Etcd, Version},
    patience::eventually,
    target::Counter,
};

/// `settle.max` and `min_interval`, as they are by default.
const MAX: Duration = Duration::from_secs(2);
const INTERVAL: Duration = Duration::from_secs(1);

/// Follows one key of a store, with all defaults.
struct Scene {
    app: App,
    counter: Counter,
    client: Box<Client>,
    _server: Etcd,
}

impl Scene {
    async fn start() -> Self {
        let (server, counter) = (Etcd::start(Version::Current).await, Counter::start());
        let (mut app, mut client) = (App::new(), server.client().await);
        app.configure(format!(
            "sources: {{ app: {{ etcd: {{ endpoints: [\"{}\"], prefix: /app/ }} }} }}\n\
             templates: [{{ inline: \"{{{{ app.n }}}}\", to: n }}]\n\
             targets: [{{ name: main, signal: SIGHUP, {}, min_uptime: 0s }}]\n",
            server.endpoint(),
            counter.process_yaml()
        ));
        client.put("/app/n", hide("start"), None).await.expect("a put");
        app.quiet().start().shows("n", "start");
        app.settles("main", "unknown");
        Self { app, counter, client, _server: server }
    }

    /// What each burst must lead to: the last value, told, in at most so many generations.
    #[track_caller]
    fn ends_with(&mut self, last: &str, begun: Instant, generations: u64) {
        self.app.shows("n", last);
        let made = self.app.generation() - 1;
        assert!(made <= generations, "{made} generations, {generations} at most");
        let number = self.app.generation();
        eventually("the last one is told", || {
            let target = self.app.try_status()?["targets"]["main"].clone();
            (target["generation"] == number && target["owed_seconds"].is_null()).then_some(())
        });
        let told = self.counter.count() - 1;
        let windows = usize::try_from(begun.elapsed().as_secs() / INTERVAL.as_secs()).unwrap_or(0);
        assert!((1..=windows + 1).contains(&told), "{told} signals in {:?}", begun.elapsed());
        self.app.answers("/freshz", 200);
        let metrics = self.app.answers("/metrics", 200);
        assert!(metrics.contains(&format!("rehup_generation {number}\n")), "{metrics}");
    }
}

/// How many generations changes over this time may make: one for each longest wait, one that was
/// under way and one correction.
fn allowed(time: Duration) -> u64 {
    time.as_secs() / MAX.as_secs() + 2
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r11_a_thousand_changes_in_a_second_are_two_generations_at_most() {
    let mut scene = Scene::start().await;
    let (begun, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let writers = (0..20).map(|_| {
        let (client, next) = (scene.client.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let mut client = client.kv_client();
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= 999 {
                    return;
                }
                client.put("/app/n", hide(&number.to_string()), None).await.expect("a put");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("a writer");
    }
    scene.client.put("/app/n", hide("last"), None).await.expect("a put");
    let took = begun.elapsed();
    scene.ends_with("last", begun, allowed(took));
}

/// Changes one key every 300 ms, which is longer than the quiet time.
async fn flap(time: Duration) {
    let mut scene = Scene::start().await;
    let (begun, mut number) = (Instant::now(), 0);
    let mut beat = tokio::time::interval(Duration::from_millis(300));
    while begun.elapsed() < time {
        beat.tick().await;
        number += 1;
        scene.client.put("/app/n", hide(&number.to_string()), None).await.expect("a put");
    }
    let took = begun.elapsed();
    scene.ends_with(&number.to_string(), begun, allowed(took));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r11_flapping_is_one_generation_for_each_longest_wait() {
    flap(Duration::from_secs(20)).await;
}

mod soak {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn r11_five_minutes_of_flapping() {
        flap(Duration::from_secs(300)).await;
    }
}

//! What a long life costs: nothing grows over many reconnects and many generations.

use std::time::Instant;

use etcd_client::Client;

use crate::support::{
    app::App,
    canary::hide,
    etcd::{Etcd, Version},
    http,
    patience::eventually,
    proxy::Proxy,
    target::Counter,
};

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    descriptors: usize,
    threads: usize,
    /// In KiB.
    resident: usize,
}

impl Held {
    fn by(pid: u32) -> Self {
        let entries = |name| std::fs::read_dir(format!("/proc/{pid}/{name}")).expect("a process");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident =
            resident.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        Self {
            descriptors: entries("fd").count(),
            threads: entries("task").count(),
            resident: resident.expect("a resident size"),
        }
    }

    /// Whether this is within 5 % of what was held before.
    fn is_no_more_than(self, before: Self) -> bool {
        let within = |now: usize, before: usize| now * 100 <= before * 105;
        within(self.descriptors, before.descriptors)
            && within(self.threads, before.threads)
            && within(self.resident, before.resident)
    }
}

/// One Rehup behind a proxy, with a target that counts.
struct Scene {
    app: App,
    counter: Counter,
    proxy: Proxy,
    client: Box<Client>,
    number: usize,
    _server: Etcd,
}

impl Scene {
    async fn start() -> Self {
        let (server, counter) = (Etcd::start(Version::Current).await, Counter::start());
        let (mut app, client, proxy) =
            (App::new(), server.client().await, Proxy::to(server.port()));
        app.configure(format!(
            "sources: {{ app: {{ etcd: {{ endpoints: [\"{}\"], prefix: /app/ }} }} }}\n\
             templates: [{{ inline: \"{{{{ app.n }}}}\", to: n }}]\n\
             settle: off\n\
             targets: [{{ name: main, signal: SIGHUP, {}, min_interval: 0s, min_uptime: 0s }}]\n",
            proxy.url(),
            counter.process_yaml()
        ));
        app.quiet().start();
        Self { app, counter, proxy, client, number: 0, _server: server }
    }

    /// One change, until it is visible and told.
    async fn change(&mut self) {
        self.number += 1;
        let (value, told) = (self.number.to_string(), self.counter.count());
        self.client.put("/app/n", hide(&value), None).await.expect("a put");
        self.app.shows("n", &value);
        eventually("it is told", || (self.counter.count() > told).then_some(()));
    }

    /// A connection that is cut; an operator does not wait for the back-off.
    async fn reconnect(&mut self) {
        let before = self.proxy.accepted();
        self.proxy.cut();
        eventually("the source notices or is back", || {
            let gone = self.app.try_status()?["sources"]["app"]["error"].is_string();
            (gone || self.proxy.accepted() > before).then_some(())
        });
        http::post(self.app.listen(), "/-/reload", &[]).expect("an answer");
        eventually("it is connected again", || (self.proxy.accepted() > before).then_some(()));
        self.change().await;
    }

    async fn live(&mut self, generations: usize, reconnects: usize) {
        for _ in 0..generations {
            self.change().await;
        }
        for _ in 0..reconnects {
            self.reconnect().await;
        }
    }
}

/// Lives a tenth to warm up, and the rest to be measured.
async fn wear(generations: usize, reconnects: usize) {
    let (mut scene, begun) = (Scene::start().await, Instant::now());
    scene.live(generations / 10 + 50, reconnects / 10 + 10).await;
    let pid = scene.app.process().pid();
    let before = Held::by(pid);
    scene.live(generations, reconnects).await;
    let after = eventually(
        format_args!("no more than {before:?} is held, but {:?}", Held::by(pid)),
        || Some(Held::by(pid)).filter(|now| now.is_no_more_than(before)),
    );
    eprintln!("{:?}: {before:?}, then {after:?}", begun.elapsed());
    eventually("old generations are collected", || {
        let entries = std::fs::read_dir(scene.app.volume()).expect("a volume").count();
        (entries < 20).then_some(())
    });
    assert!(scene.proxy.most_open() <= 2, "{} connections at once", scene.proxy.most_open());
    scene.app.answers("/freshz", 200);
    scene.app.answers("/livez", 200);
    let told = scene.app.status()["targets"]["main"]["generation"].as_u64();
    assert_eq!(told, Some(scene.app.generation()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l07_nothing_grows_over_500_generations_and_100_reconnects() {
    wear(500, 100).await;
}

mod soak {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn l07_nothing_grows_over_10_000_generations_and_1_000_reconnects() {
        super::wear(10_000, 1_000).await;
    }
}

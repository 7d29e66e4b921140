//! S04, S12, S13 with a real nginx: its master is meant and never a worker, two of them are
//! refused, and what it does with a file decides what is told.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{App, change, checked, ends, owes, signalling};
use crate::support::{
    nginx::Nginx,
    owed::with_targets,
    patience::eventually,
    process::free_port,
    processes::{Inhabitant, Processes},
};

/// By its name alone, which its workers have too: in a namespace of its own, because this machine
/// runs other ones.
struct Scene {
    processes: Processes,
    app: App,
}

/// An nginx that lives in there.
struct Master {
    nginx: Nginx,
    process: Inhabitant,
}

impl Scene {
    fn new(target: &str) -> Self {
        Self { processes: Processes::new(), app: with_targets(&[("main", target.to_owned())]) }
    }

    fn start(&mut self) {
        self.app.start_through(&self.processes.entry()).ready();
    }

    fn master(&self) -> Master {
        let nginx = Nginx::new();
        let folder = self.app.folder().join(nginx.at().port().to_string());
        std::fs::create_dir(&folder).expect("a folder");
        let conf = folder.join("nginx.conf");
        std::fs::write(&conf, nginx.configuration("x")).expect("a configuration");
        let program = crate::support::program::installed("nginx").display().to_string();
        let words = [program.as_str(), "-c", conf.to_str().expect("UTF-8")];
        let process = self.processes.start(&words, &folder.join("output"));
        eventually("nginx serves", || nginx.page());
        Master { nginx, process }
    }
}

/// What is held is looked for among all again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

const BY_NAME: &str = "signal: SIGHUP, min_uptime: 0s, process: { name: nginx }";

#[test]
fn s04_the_master_is_told_and_not_its_workers() {
    let mut scene = Scene::new(&format!("{BY_NAME}, verify: {{ workers: changed }}"));
    let master = scene.master();
    scene.start();
    for _ in 0..3 {
        let before = Nginx::workers_of(master.process.outside());
        let told = ends(&scene.app, "main", "confirmed");
        assert_eq!(told["detail"], "verify", "{told}");
        change(&scene.app);
        eventually("all workers are new", || {
            let now = Nginx::workers_of(master.process.outside());
            (!now.is_empty() && now.is_disjoint(&before)).then_some(())
        });
    }
    // A worker that is told complains, and the reload is lost.
    assert!(!master.nginx.errors().contains("ignoring"), "{}", master.nginx.errors());
}

#[test]
fn s04_two_masters_are_refused_until_one_is_gone() {
    let mut scene = Scene::new(BY_NAME);
    let (one, mut other) = (scene.master(), scene.master());
    scene.start();
    let said = "two independent processes match";
    owes(&scene.app, "main", "misconfigured", said);
    change(&scene.app);
    owes(&scene.app, "main", "misconfigured", said);
    let (good, words) = checked(&scene.app, &scene.processes.entry());
    assert!(!good && words.contains(said) && words.contains("more exact"), "{words}");
    for master in [&one, &other] {
        assert!(!master.nginx.errors().contains("SIGHUP"), "{}", master.nginx.errors());
    }
    scene.app.answers("/freshz", 200);
    // Its workers end with it only if it can tell them.
    other.process.ends(Signal::SIGTERM);
    ends(&scene.app, "main", "unknown");
    eventually("the one that is left is told", || {
        one.nginx.errors().contains("SIGHUP").then_some(())
    });
    // One that comes later is seen, too, before the next signal.
    let third = scene.master();
    let since = Instant::now();
    eventually("it is time to look again", || (since.elapsed() > LOOK_AGAIN).then_some(()));
    change(&scene.app);
    owes(&scene.app, "main", "misconfigured", said);
    assert!(!third.nginx.errors().contains("SIGHUP"), "{}", third.nginx.errors());
}

/// An nginx whose whole configuration is what we publish.
fn following() -> (App, Nginx) {
    let mut nginx = Nginx::new();
    let verify = "verify: { workers: changed, timeout: 3s }, tries: 1";
    let mut app = signalling(&format!("{}, {verify}", nginx.process_yaml()));
    let yaml = std::fs::read_to_string(app.config()).expect("a configuration");
    app.put_plainly("level", &nginx.configuration("first"));
    app.configure(yaml.replace("to: level", "to: nginx.conf"));
    app.start().ready();
    nginx.start(&app.volume().join("nginx.conf"));
    ends(&app, "main", "confirmed");
    (app, nginx)
}

#[test]
fn s13_a_bad_directive_and_an_address_that_cannot_be_had_are_rejected() {
    let (app, nginx) = following();
    let good = |body: &str| nginx.configuration(body);
    let taken = std::net::TcpListener::bind(("127.0.0.1", free_port())).expect("a port");
    let taken = taken.local_addr().expect("bound");
    let bad = [
        format!("{}no_such_directive;\n", good("bad")),
        good("bad").replace("server {", &format!("server {{ listen {taken}; }} server {{")),
        good("bad").replace("server {", "server { listen 192.0.2.1:80; } server {"),
    ];
    for (round, text) in bad.iter().enumerate() {
        let workers = nginx.workers();
        publish(&app, text);
        ends(&app, "main", "rejected");
        assert_eq!(nginx.page().as_deref(), Some(if round == 0 { "first" } else { "again" }));
        assert!(nginx.workers().is_subset(&workers), "they are the old ones");
        publish(&app, &good("again"));
        ends(&app, "main", "confirmed");
        eventually("the good one is served", || (nginx.page()? == "again").then_some(()));
    }
}

#[test]
fn s12_a_master_that_is_stopped_is_unknown_and_the_next_generation_is_tried() {
    let (app, nginx) = following();
    nginx.signal(Signal::SIGSTOP);
    for body in ["second", "third"] {
        publish(&app, &nginx.configuration(body));
        let told = ends(&app, "main", "unknown");
        assert_eq!(told["detail"], "the process is stopped", "{told}");
        assert_eq!(nginx.page().as_deref(), Some("first"), "its workers go on");
    }
    nginx.signal(Signal::SIGCONT);
    eventually("what was sent is taken", || (nginx.page()? == "third").then_some(()));
    publish(&app, &nginx.configuration("fourth"));
    ends(&app, "main", "confirmed");
    eventually("it is served", || (nginx.page()? == "fourth").then_some(()));
}

/// Publishes this as the configuration.
fn publish(app: &App, text: &str) {
    app.put_plainly("level", text);
    app.shows("nginx.conf", text);
}

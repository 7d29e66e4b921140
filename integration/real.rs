//! Real programs as targets: nginx by signal, Prometheus by its reload endpoint.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{app::App, http, nginx::Nginx, patience::eventually, prometheus::Prometheus};

/// In `/proc` a process's start has this grain.
const TICK: Duration = Duration::from_millis(20);

fn source(app: &App) -> String {
    format!("sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n", app.folder().display())
}

#[test]
fn nginx_serves_the_change_and_loses_no_request() {
    let (mut app, mut nginx) = (App::new(), Nginx::new());
    let template = app.folder().join("nginx.conf.j2");
    std::fs::write(&template, nginx.configuration("{{ base.greeting | trim }}"))
        .expect("a template");
    app.configure(format!(
        "{}templates: [{{ file: {}, to: nginx.conf }}]\n\
         settle: off\n\
         targets:\n  - name: nginx\n    signal: SIGHUP\n    {}\n    \
         verify: {{ workers: changed }}\n",
        source(&app),
        template.display(),
        nginx.process_yaml()
    ));
    app.put_plainly("greeting", "hello");
    app.start().ready();
    // In the same tick of the clock a process counts as older than the flip.
    let visible = Instant::now();
    eventually("a tick has passed", || (visible.elapsed() > TICK).then_some(()));
    nginx.start(&app.volume().join("nginx.conf"));
    assert_eq!(nginx.page().as_deref(), Some("hello"));
    let told = app.settles("nginx", "confirmed");
    assert!(told["detail"].as_str().is_some_and(|it| it.contains("fresh_start")), "{told}");

    let client = Client::start(&nginx);
    let workers = nginx.workers();
    app.put_plainly("greeting", "good morning");
    eventually("nginx serves the change", || {
        (nginx.page().as_deref() == Some("good morning")).then_some(())
    });
    eventually("generation 2 is confirmed", || {
        let target = app.status()["targets"]["nginx"].clone();
        (target["outcome"] == "confirmed" && target["generation"] == 2).then_some(())
    });
    eventually("the old workers are gone", || nginx.workers().is_disjoint(&workers).then_some(()));
    let (answered, failed) = client.end();
    assert!(answered > 0 && failed == 0, "{answered} requests answered, {failed} failed");
}

#[test]
fn prometheus_confirms_a_good_configuration_and_a_bad_one_is_rolled_back() {
    let (mut app, mut prometheus) = (App::new(), Prometheus::new());
    app.configure(format!(
        "{}templates:\n  - {{ inline: \"global: {{ scrape_interval: {{{{ base.interval }}}} }}\", \
         to: prometheus.yml }}\n\
         settle: off\n\
         targets:\n  - name: prometheus\n    http: {{ url: \"{}\" }}\n    min_interval: 0s\n    \
         verify:\n      metric:\n        url: \"{}\"\n        \
         name: prometheus_config_last_reload_success_timestamp_seconds\n        increased: true\n    \
         on_reject: rollback\n",
        source(&app),
        prometheus.url("/-/reload"),
        prometheus.url("/metrics"),
    ));
    app.put_plainly("interval", "15s");
    app.start().ready();
    prometheus.start(&app.volume().join("prometheus.yml"));
    app.settles("prometheus", "confirmed");
    app.put_plainly("interval", "31s");
    confirmed(&app, 2);
    assert!(prometheus.configuration().contains("scrape_interval: 31s"));

    app.put_plainly("interval", "not a duration");
    eventually(format_args!("the rollback is confirmed; {}", app.tail()), || {
        let status = app.status();
        let target = &status["targets"]["prometheus"];
        let confirmed = target["outcome"] == "confirmed" && target["generation"] == 4;
        (status["generation"]["rollback"] == true && confirmed).then_some(())
    });
    assert!(app.read("prometheus.yml").is_some_and(|it| it.contains("31s")));
    assert!(prometheus.configuration().contains("scrape_interval: 31s"));
    assert!(app.answers("/freshz", 503).contains("quarantined"));
    app.answers("/readyz", 200);

    app.put_plainly("interval", "47s");
    confirmed(&app, 5);
    assert!(prometheus.configuration().contains("scrape_interval: 47s"));
    app.answers("/freshz", 200);
}

#[test]
fn h02_prometheus_rejects_a_bad_file_of_rules_and_gets_the_one_before_back() {
    let (mut app, mut prometheus) = (App::new(), Prometheus::new());
    app.configure(format!(
        "{}templates:\n  - {{ inline: \"rule_files: [rules.yml]\", to: prometheus.yml }}\n  \
         - {{ inline: \"{{{{ base.rules }}}}\", to: rules.yml }}\n\
         settle: off\n\
         targets:\n  - name: prometheus\n    http: {{ url: \"{}\" }}\n    min_interval: 0s\n    \
         tries: 1\n    on_reject: rollback\n",
        source(&app),
        prometheus.url("/-/reload"),
    ));
    let rules = |expression: &str| {
        format!("groups: [{{ name: g, rules: [{{ record: r, expr: '{expression}' }}] }}]")
    };
    app.put_plainly("rules", &rules("up"));
    app.start().ready();
    prometheus.start(&app.volume().join("prometheus.yml"));
    app.settles("prometheus", "confirmed");
    app.put_plainly("rules", &rules("sum("));
    eventually(format_args!("the rollback is confirmed; {}", app.tail()), || {
        let status = app.status();
        let confirmed = status["targets"]["prometheus"]["outcome"] == "confirmed";
        (status["generation"]["rollback"] == true && confirmed).then_some(())
    });
    app.shows("rules.yml", &rules("up"));
    let rejected = "rehup_reloads_total{target=\"prometheus\",outcome=\"rejected\"}";
    assert_eq!(app.count(rejected), 1);
    assert!(app.answers("/freshz", 503).contains("quarantined"));
    app.put_plainly("rules", &rules("sum(up)"));
    confirmed(&app, 4);
    app.answers("/freshz", 200);
}

fn confirmed(app: &App, generation: u64) {
    eventually(format_args!("generation {generation} is confirmed; {}", app.tail()), || {
        let target = app.status()["targets"]["prometheus"].clone();
        (target["outcome"] == "confirmed" && target["generation"] == generation).then_some(())
    });
}

/// A client that asks without a pause and counts.
struct Client {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(usize, usize)>,
}

impl Client {
    fn start(nginx: &Nginx) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (at, stopped) = (nginx.at(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let (mut answered, mut failed) = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                match http::get(at, "/") {
                    Some(answer) if answer.status == 200 => answered += 1,
                    _ => failed += 1,
                }
            }
            (answered, failed)
        });
        Self { stop, thread }
    }

    fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client")
    }
}

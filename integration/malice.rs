//! X05: servers that answer nonsense. What they say is an error or a value, and costs little.

use std::time::{Duration, Instant};

use crate::support::{
    app::App,
    canary::hide,
    consul::Consul,
    etcd::{Etcd, Version},
    patience::eventually,
    proxy::{Manner, Proxy},
};

/// The most that it may ever have resident: an idle one has some 12 MiB.
const MOST_KIB: u64 = 96 << 10;

fn following(source: &str) -> App {
    let app = App::new();
    app.configure(format!(
        "sources: {{ app: {source} }}\ntemplates:\n  - to: all\n    \
         inline: \"{{% for key, value in app | items %}}{{{{ value }}}}{{% endfor %}}\"\n\
         settle: off\n"
    ));
    app
}

fn peak_kib(app: &mut App) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.process().pid()));
    let status = status.expect("a process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse().expect("KiB")
}

/// Spoils answers for so long, more and less; then the store is believed again, and the last write
/// is visible.
async fn survives(app: &mut App, proxy: &Proxy, time: Duration, mut write: impl AsyncFnMut(&str)) {
    write("0").await;
    app.quiet().start().shows("all", "0");
    let (begun, mut number) = (Instant::now(), 0);
    while begun.elapsed() < time {
        for one_in in [2_000, 200, 20, 3] {
            proxy.turn(Manner::Spoil(one_in));
            // The next answers are to something new, on a connection that begins.
            proxy.cut();
            number += 1;
            write(&number.to_string()).await;
            tokio::time::sleep(Duration::from_millis(150)).await;
            app.answers("/livez", 200);
            app.answers("/readyz", 200);
        }
    }
    proxy.turn(Manner::Forward);
    proxy.cut();
    write("last").await;
    app.shows("all", "last");
    eventually(format_args!("the source is live; {}", app.tail()), || {
        (app.state("app") == "live").then_some(())
    });
    let peak = peak_kib(app);
    assert!(peak < MOST_KIB, "{peak} KiB resident at most");
    assert!(!app.log().contains("a bug"), "{}", app.tail());
    eprintln!("{number} writes behind spoilt answers, {peak} KiB resident at most");
}

async fn etcd_for(time: Duration) {
    let etcd = Etcd::start(Version::Current).await;
    let proxy = Proxy::to(etcd.port());
    let source = format!("{{ etcd: {{ endpoints: [\"{}\"], prefix: /app/ }} }}", proxy.url());
    let mut writer = etcd.client().await;
    let write = async |value: &str| {
        writer.put("/app/n", hide(value), None).await.expect("a put");
    };
    survives(&mut following(&source), &proxy, time, write).await;
}

async fn consul_for(time: Duration) {
    let consul = Consul::start().await;
    let proxy = Proxy::to(consul.port());
    let source = format!("{{ consul: {{ address: \"{}\", prefix: app/ }} }}", proxy.url());
    let write = async |value: &str| consul.put("app/n", value.as_bytes()).await;
    survives(&mut following(&source), &proxy, time, write).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x05_an_etcd_that_answers_nonsense_is_an_error_and_no_harm() {
    etcd_for(Duration::from_secs(6)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x05_a_consul_that_answers_nonsense_is_an_error_and_no_harm() {
    consul_for(Duration::from_secs(6)).await;
}

mod soak {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn x05_ten_minutes_of_nonsense() {
        let time = Duration::from_secs(600);
        tokio::join!(etcd_for(time), consul_for(time));
    }
}

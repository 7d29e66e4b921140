//! Many instances and one store: they do not ask it all at the same moment.

use std::time::{Duration, Instant};

use crate::support::{
    app::App,
    consul::Consul,
    patience::within,
    proxy::{Manner, Proxy},
};

/// How many start together; real processes, so not the 200 of a cluster.
const INSTANCES: usize = 50;

/// Over how long their requests are counted, and in which pieces: fewer would be noise.
const TIME: Duration = Duration::from_secs(30);
const PIECES: usize = 10;

fn following(proxy: &Proxy) -> App {
    let mut app = App::new();
    app.quiet().configure(format!(
        "sources: {{ app: {{ consul: {{ address: \"{}\", prefix: app/ }} }} }}\n\
         templates: [{{ inline: \"{{{{ app.n }}}}\", to: n }}]\n\
         settle: off\n",
        proxy.url()
    ));
    app
}

/// What a restart of the node leaves: a generation of another boot.
fn reboot(app: &App) {
    let journal = app.volume().join("..rehup/journal");
    let text = std::fs::read_to_string(&journal).expect("a journal");
    let now = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot");
    assert!(text.contains(now.trim()), "{text}");
    let before = text.replace(now.trim(), "6f1d3a52-55a5-4d17-9c2e-3f6b8f6f0d11");
    std::fs::write(journal, before).expect("a journal of before");
}

/// How many requests came in each piece of the time.
fn pieces(requests: &[(Instant, String)], begun: Instant) -> [usize; PIECES] {
    let mut pieces = [0; PIECES];
    let length = TIME.as_millis() / PIECES as u128;
    for (at, _) in requests {
        let Some(after) = at.checked_duration_since(begun) else { continue };
        let piece = usize::try_from(after.as_millis() / length).unwrap_or(PIECES);
        if let Some(count) = pieces.get_mut(piece) {
            *count += 1;
        }
    }
    pieces
}

async fn spread(proxy: &Proxy, begun: Instant) {
    within(TIME, "the time is over", async || (begun.elapsed() > TIME).then_some(())).await;
    let pieces = pieces(&proxy.requests(), begun);
    let (most, all) = (pieces.into_iter().max().unwrap_or(0), pieces.iter().sum::<usize>());
    eprintln!("requests in {TIME:?}: {pieces:?}");
    assert!(all >= INSTANCES, "all have asked: {pieces:?}");
    assert!(most * PIECES <= 3 * all, "three times the mean at most: {pieces:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l09_instances_that_start_together_on_old_generations_spread_their_first_reads() {
    let store = Consul::start().await;
    store.put("app/n", b"1").await;
    let proxy = Proxy::to(store.port());
    let mut apps: Vec<_> = (0..INSTANCES).map(|_| following(&proxy)).collect();
    for app in &apps {
        let once = app.run(&["once"]);
        assert!(once.status.success(), "{}", String::from_utf8_lossy(&once.stderr));
        reboot(app);
    }
    let begun = Instant::now();
    for app in &mut apps {
        app.start();
    }
    apps[0].ready();
    assert!(apps.iter().any(|app| app.get("/freshz").is_some_and(|it| it.body.contains("source"))));
    spread(&proxy, begun).await;
    store.put("app/n", b"2").await;
    for app in &apps {
        app.shows("n", "2");
        app.answers("/freshz", 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l09_an_instance_on_an_empty_or_young_volume_reads_at_once() {
    let store = Consul::start().await;
    store.put("app/n", b"1").await;
    let proxy = Proxy::to(store.port());
    let mut app = following(&proxy);
    let mut longest = Duration::ZERO;
    // By chance a spread read comes soon; five times it does not.
    for _ in 0..5 {
        let begun = Instant::now();
        app.start().answers("/freshz", 200);
        longest = longest.max(begun.elapsed());
        assert!(app.stop().success());
    }
    assert!(longest < TIME / 3, "one of five starts took {longest:?}");
}

mod soak {
    use super::*;

    /// After a minute without the store each instance is somewhere in its back-off.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn l09_instances_that_lost_their_store_together_come_back_one_by_one() {
        let mut store = Consul::start().await;
        store.put("app/n", b"1").await;
        let proxy = Proxy::to(store.port());
        let mut apps: Vec<_> = (0..INSTANCES).map(|_| following(&proxy)).collect();
        for app in &mut apps {
            app.start().shows("n", "1");
        }
        proxy.sever();
        store.stop();
        let gone = Instant::now();
        while gone.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        store.restart().await;
        let begun = Instant::now();
        proxy.turn(Manner::Forward);
        spread(&proxy, begun).await;
        store.put("app/n", b"2").await;
        for app in &apps {
            app.shows("n", "2");
            app.answers("/freshz", 200);
        }
    }
}

//! E05, E06 and E07: the member or the network answers no more, each in its own way.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, Txn, TxnOp};
use nix::sys::signal::Signal;

use super::{FILE, PREFIX, degrades, following, is_degraded, is_live, put};
use crate::support::{
    app::App,
    canary::hide,
    etcd::{Etcd, Version},
    patience::{eventually_async, within},
    proxy::{Manner, Proxy},
};

/// Members with a proxy in front of each, which tells whom Rehup is connected to.
struct Scene {
    members: Vec<Etcd>,
    fronts: Vec<Proxy>,
    app: App,
}

impl Scene {
    /// Follows a cluster of three that holds `a=1`.
    async fn start() -> Self {
        let members = Etcd::start_three_apart(Version::Current).await;
        put(&mut *members[0].client().await, "a", "1").await;
        let fronts: Vec<_> = members.iter().map(|member| Proxy::to(member.port())).collect();
        let endpoints: Vec<_> = fronts.iter().map(Proxy::url).collect();
        let mut app = following(&endpoints, "", "");
        app.start().shows(FILE, "a=1\n");
        is_live(&app);
        Self { members, fronts, app }
    }

    /// The member that is followed: there is one connection, and this member has it.
    fn followed(&self) -> usize {
        let open: Vec<_> = self.fronts.iter().map(Proxy::open).collect();
        assert_eq!(open.iter().sum::<usize>(), 1, "one connection for a source: {open:?}");
        open.iter().position(|open| *open == 1).expect("a followed member")
    }

    /// Waits until another member is followed.
    async fn leaves(&self, followed: usize, bound: Duration) {
        let tail = self.app.tail();
        within(bound, format_args!("another member is followed; {tail}"), async || {
            let open: Vec<_> = self.fronts.iter().map(Proxy::open).collect();
            let moved = open.iter().sum::<usize>() == 1 && open[followed] == 0;
            (moved && self.app.state("app") == "live").then_some(())
        })
        .await;
    }

    /// Writes through a member that is well, and waits until it is published.
    async fn is_seen(&self, through: usize, value: &str, bound: Duration) {
        let before = self.app.generation();
        // While a leader is elected a write may fail, and be done all the same when a frozen member
        // wakes: so it depends on what was there before.
        let mut writer = self.members[through].client().await;
        let (key, seen) = (format!("{PREFIX}a"), self.app.read(FILE).expect("a generation"));
        let was = hide(seen.trim().trim_start_matches("a="));
        let once = Txn::new()
            .when([Compare::value(key.as_str(), CompareOp::Equal, was)])
            .and_then([TxnOp::put(key.as_str(), hide(value), None)]);
        eventually_async("a write through a member that is well", async || {
            writer.txn(once.clone()).await.ok()
        })
        .await;
        let expected = format!("a={value}\n");
        let tail = self.app.tail();
        within(bound, format_args!("{value} is published; {tail}"), async || {
            (self.app.read(FILE) == Some(expected.clone())).then_some(())
        })
        .await;
        assert_eq!(self.app.generation(), before + 1, "one change, one generation");
        is_live(&self.app);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e05_a_member_that_lost_its_cluster_is_left_for_one_that_has_it() {
    let scene = Scene::start().await;
    let followed = scene.followed();
    Etcd::isolate(&scene.members, followed).await;
    let other = (followed + 1) % 3;
    // etcd needs about three of its election timeouts to notice, and we five seconds.
    scene.leaves(followed, Duration::from_secs(9)).await;
    assert!(scene.app.log().contains("kind=no_leader"), "it said so; {}", scene.app.tail());
    scene.is_seen(other, "2", Duration::from_secs(5)).await;
    Etcd::rejoin(&scene.members);
    scene.is_seen(followed, "3", Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e05_without_any_leader_the_last_good_generation_stays_and_it_is_told() {
    let scene = Scene::start().await;
    let followed = scene.followed();
    let others = [(followed + 1) % 3, (followed + 2) % 3];
    for other in others {
        scene.members[other].signal(Signal::SIGSTOP);
    }
    within(Duration::from_secs(10), format_args!("degraded; {}", scene.app.tail()), async || {
        scene.app.state("app").starts_with("degraded").then_some(())
    })
    .await;
    degrades(&scene.app, "no_leader");
    assert_eq!((scene.app.read(FILE).as_deref(), scene.app.generation()), (Some("a=1\n"), 1));
    scene.app.answers("/readyz", 200);
    for other in others {
        scene.members[other].signal(Signal::SIGCONT);
    }
    is_live(&scene.app);
    scene.is_seen(followed, "2", Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e06_packets_that_vanish_are_noticed_and_another_member_is_followed() {
    let scene = Scene::start().await;
    let followed = scene.followed();
    scene.fronts[followed].turn(Manner::Hold);
    scene.is_seen((followed + 1) % 3, "2", Duration::from_secs(15)).await;
    let asked = scene.app.log().contains("the count ");
    assert!(!asked, "a ping found it, no request had to wait; {}", scene.app.tail());
    scene.fronts[followed].turn(Manner::Forward);
    scene.is_seen(followed, "3", Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e07_a_frozen_member_is_left_for_another() {
    let scene = Scene::start().await;
    let followed = scene.followed();
    scene.members[followed].signal(Signal::SIGSTOP);
    scene.is_seen((followed + 1) % 3, "2", Duration::from_secs(15)).await;
    scene.members[followed].signal(Signal::SIGCONT);
    scene.is_seen((followed + 1) % 3, "3", Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e07_a_frozen_server_is_told_and_followed_again_when_it_wakes() {
    let etcd = Etcd::start(Version::Current).await;
    let mut writer = etcd.client().await;
    put(&mut writer, "a", "1").await;
    let mut app = following(&[etcd.endpoint()], "", "");
    app.start().shows(FILE, "a=1\n");
    is_live(&app);
    etcd.signal(Signal::SIGSTOP);
    within(Duration::from_secs(15), format_args!("degraded; {}", app.tail()), async || {
        is_degraded(&app, "unavailable").then_some(())
    })
    .await;
    assert_eq!((app.read(FILE).as_deref(), app.generation()), (Some("a=1\n"), 1));
    etcd.signal(Signal::SIGCONT);
    let mut writer = etcd.client().await;
    put(&mut writer, "a", "2").await;
    app.shows(FILE, "a=2\n");
    is_live(&app);
}

//! Lives with one kind of trouble each, where the bound in time can be said exactly.

use std::{collections::BTreeSet, time::Duration};

use providers::ErrorKind;

use super::{
    life::{Life, Outcome, live},
    setup::{STORES, Setup, TARGETS},
    store::Mood,
    vigil::Vigil,
};

/// How many seeds each scene is played with.
const SEEDS: u64 = 4;

/// Everything on, nothing random but the jitter.
fn plain(life: &Life) -> Setup {
    let all = |names: [&str; 3]| names.iter().map(|name| (*name).to_owned()).collect();
    Setup {
        version: life.setup.version + 1,
        sources: all(STORES),
        strict: BTreeSet::new(),
        required: BTreeSet::new(),
        resync: Duration::from_secs(300),
        settle: Some((Duration::from_millis(400), Duration::from_secs(2))),
        max_removed: 50,
        allow_empty: false,
        checks: false,
        self_heal: false,
        targets: all(TARGETS),
        min_interval: Duration::from_secs(5),
        splay: Duration::ZERO,
        tries: 3,
    }
}

/// Everything is well and at rest.
async fn at_rest(life: &mut Life) {
    let setup = plain(life);
    life.take_over(setup).await;
    life.heal();
    life.pass(Duration::from_secs(60)).await;
}

fn count(life: &Life, what: &str) -> u64 {
    life.ledger.pages().counts.get(what).copied().unwrap_or_default()
}

fn play(scene: &impl AsyncFn(&mut Life)) {
    for seed in 0..SEEDS {
        let Outcome { broken, told, .. } = live(seed, scene);
        assert!(broken.is_empty(), "{told}\n\nseed {seed}: {broken:?}");
    }
}

#[test]
fn r11_a_store_that_flaps_for_five_minutes_is_followed_at_the_pace_of_settle() {
    play(&async |life: &mut Life| {
        at_rest(life).await;
        let (published, told) = (count(life, "published"), count(life, "told"));
        let etcd = life.outside.stores["etcd"].clone();
        for _ in 0..1000 {
            etcd.write();
            life.pass(Duration::from_millis(300)).await;
        }
        let published = count(life, "published") - published;
        // A burst lasts 2 s, and another begins with the next change.
        life.ledger.promise("R11", (100..=150).contains(&published), || {
            format!("{published} generations in 300 s")
        });
        life.pass(Vigil::way(life)).await;
        life.ledger.promise("R11", Vigil::is_converged(life), || "the last value lost".to_owned());
        let told = count(life, "told") - told;
        let most = 3 * (300 / 5 + 2);
        life.ledger.promise("R11", told <= most, || format!("{told} reloads in 300 s"));
    });
}

#[test]
fn r13_sources_go_on_while_another_is_down() {
    play(&async |life: &mut Life| {
        at_rest(life).await;
        let consul = life.outside.stores["consul"].clone();
        consul.feel("store down", |_| Mood::Down(ErrorKind::Unavailable, None));
        life.pass(Duration::from_secs(65)).await;
        life.outside.stores["etcd"].mend();
        life.pass(Vigil::way(life)).await;
        life.ledger.promise("R13", Vigil::is_rendered(life), || "etcd waits for consul".to_owned());
        let fresh = Vigil::is_converged(life);
        life.ledger.promise("R13", !fresh, || "consul's silence is not told".to_owned());
        consul.feel("store well", |_| Mood::Well);
        life.pass(Duration::from_secs(35)).await;
        life.ledger.promise("R13", Vigil::is_converged(life), || "it is not fresh".to_owned());
    });
}

#[test]
fn r13_nothing_is_published_before_every_source_has_answered() {
    play(&async |life: &mut Life| {
        let setup = plain(life);
        life.process = None;
        *life.site() = life.new_site();
        let consul = life.outside.stores["consul"].clone();
        consul.feel("store down", |_| Mood::Down(ErrorKind::NoLeader, None));
        life.adopt(setup);
        life.start().await;
        life.pass(Duration::from_secs(300)).await;
        let visible = life.site().disk.visible.is_some();
        life.ledger.promise("R13", !visible, || "half a view was published".to_owned());
        life.heal();
        life.pass(Duration::from_secs(40)).await;
        life.ledger.promise("R13", Vigil::is_converged(life), || "it is not fresh".to_owned());
    });
}

#[test]
fn l08_an_hour_asleep_makes_no_storm_and_leaves_nothing_stuck() {
    play(&async |life: &mut Life| {
        at_rest(life).await;
        let done = |life: &Life| ["published", "told"].map(|what| count(life, what));
        let (before, opened) = (done(life), count(life, "stream opened"));
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(3600)).await;
            life.woke = tokio::time::Instant::now();
            life.pass(Duration::from_secs(60)).await;
        }
        let after = done(life);
        life.ledger.promise("L08", before == after, || format!("{before:?} became {after:?}"));
        let opened = count(life, "stream opened") - opened;
        life.ledger.promise("L08", opened <= 2 * 10 * 3, || format!("{opened} streams"));
        life.outside.stores["files"].mend();
        life.pass(Vigil::way(life)).await;
        life.ledger.promise("L08", Vigil::is_converged(life), || "a timer is stuck".to_owned());
    });
}

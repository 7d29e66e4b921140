//! One random step of a life: something happens to a store, the volume, a target or the process.

use std::time::Duration;

use providers::{Doubt, ErrorKind};

use super::{
    disk::Failure,
    life::Life,
    process::Checker,
    setup::{STORES, TARGETS, files_of},
    store, target,
};
use target::Mood::{Away, Hangs, Refuses, Takes, WrongSetup};

const ERRORS: [ErrorKind; 13] = [
    ErrorKind::Unavailable,
    ErrorKind::NoLeader,
    ErrorKind::Auth,
    ErrorKind::Permission,
    ErrorKind::Tls,
    ErrorKind::TooLarge,
    ErrorKind::Throttled,
    ErrorKind::Malformed,
    ErrorKind::Compacted,
    ErrorKind::Regressed,
    ErrorKind::Drift,
    ErrorKind::NotFound,
    ErrorKind::Credentials,
];

impl Life {
    /// Something happens.
    pub async fn happen(&mut self) {
        match self.chance.below(20) {
            0..=4 => self.content_changes().await,
            5..=9 => self.store_turns(),
            10..=11 => self.volume_turns(),
            12 => self.process_ends().await,
            13..=14 => self.target_turns(),
            15 => {
                let all = [Checker::Yes, Checker::No, Checker::Mute, Checker::NotThere];
                let checker = *self.chance.pick(&all);
                *self.outside.checker.lock().expect("nobody panics with it") = checker;
                self.ledger.note("checker", format_args!("{checker:?}"));
            }
            16 => self.edit().await,
            17..=18 => self.operator_acts().await,
            _ => {
                let time = self.chance.millis(1000, 3 * 3600 * 1000);
                self.ledger.note("suspend", format_args!("{time:?}"));
                tokio::time::advance(time).await;
                self.woke = tokio::time::Instant::now();
            }
        }
    }

    fn store(&mut self) -> store::Store {
        let name = *self.chance.pick(&STORES);
        self.outside.stores[name].clone()
    }

    async fn content_changes(&mut self) {
        let store = self.store();
        match self.chance.below(10) {
            0 => store.shrink(),
            1 => store.empty(),
            2 => store.restore(),
            3 => {
                self.ledger.note("flapping", &store.name);
                for _ in 0..20 + self.chance.below(150) {
                    store.write();
                    self.pass(Duration::from_millis(300)).await;
                }
            }
            4 => {
                self.ledger.note("burst", &store.name);
                for _ in 0..20 + self.chance.below(150) {
                    store.write();
                    let pause = self.chance.millis(1, 20);
                    self.pass(pause).await;
                }
            }
            _ => store.write(),
        }
    }

    fn store_turns(&mut self) {
        let store = self.store();
        match self.chance.below(12) {
            0..=2 => store.feel("store well", |_| store::Mood::Well),
            3..=4 => {
                let kind = *self.chance.pick(&ERRORS);
                let asked = self.chance.one_in(4).then(|| self.chance.millis(100, 100_000));
                store.feel("store down", |_| store::Mood::Down(kind, asked));
            }
            5 => store.feel("store silent", |_| store::Mood::Silent),
            6 => store.feel("rights lost", |state| state.hide(Doubt::Filtered)),
            7 => store.feel("token lost", |state| state.hide(Doubt::DefaultDeny)),
            8 => store.feel("keys gone in place", |state| state.hide(Doubt::GoneInPlace)),
            9 => store.feel("store behind", store::State::behind),
            10 => store.feel("store lying", |_| store::Mood::Lying),
            _ if self.chance.one_in(2) => store.cut(),
            _ => store.compact(),
        }
    }

    fn volume_turns(&mut self) {
        let failing = match self.chance.below(4) {
            0 => Some((Failure::Full, self.chance.count(3))),
            1 => Some((Failure::Broken, self.chance.count(3))),
            _ => None,
        };
        self.ledger.note("volume", format_args!("{failing:?}"));
        let drifts = self.chance.one_in(6);
        let mut site = self.site();
        site.failing = failing;
        if drifts && site.disk.visible.is_some() {
            site.disk.drift = Some("somebody changed it".to_owned());
            drop(site);
            self.ledger.note("drift", "");
        }
    }

    async fn process_ends(&mut self) {
        match self.chance.below(5) {
            0 => self.crash(false).await,
            1 => self.crash(true).await,
            2 => self.stop().await,
            _ => {
                let requests = self.chance.count(12);
                self.site().ends_in = Some(requests);
            }
        }
    }

    fn target_turns(&mut self) {
        let name = *self.chance.pick(&TARGETS);
        let target = self.outside.targets[name].clone();
        if self.chance.one_in(4) {
            return target.restart(files_of(name));
        }
        let mood = *self.chance.pick(&[Takes, Takes, Refuses, Hangs, Away, WrongSetup]);
        target.state().mood = mood;
        self.ledger.note("target", format_args!("{name} {mood:?}"));
    }

    async fn operator_acts(&mut self) {
        let Some(process) = &self.process else { return };
        match self.chance.below(4) {
            0 | 1 => {
                let name = *self.chance.pick(&STORES);
                // Whatever was answered lately may be what is held.
                let texts = self.outside.stores[name].answered();
                let texts = texts.into_iter().map(|text| (name.to_owned(), text));
                if process.status().sources.get(name).is_some_and(|it| it.held.is_some()) {
                    self.promises.accepted.lock().expect("nobody panics").extend(texts);
                }
                let accepted = process.accept(name).await;
                self.ledger.note("operator accepts", format_args!("{name}: {accepted}"));
            }
            2 => {
                process.unquarantine().await;
                self.ledger.note("operator lifts quarantines", "");
            }
            _ => {
                process.shared.resyncs.ask_all();
                process.shared.repeats.ask_all();
                self.ledger.note("operator rereads and repeats", "");
            }
        }
    }
}

//! Every metric: names, types, help texts, in `OpenMetrics` text.
//!
//! Gauges are set from the status when somebody scrapes; only durations are kept here. Labels are
//! configured names and fixed words, never keys.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use providers::WatchMode;
use tokio::time::Instant;

use crate::status::{Cause, SourceState, Status};

type FloatGauge = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    source: String,
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModeLabel {
    source: String,
    mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    source: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabel {
    target: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    target: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: String,
}

/// The metrics that outlive a scrape.
pub struct Metrics {
    visible: Histogram,
    settled: Family<TargetLabel, Histogram, fn() -> Histogram>,
    checks_skipped: Counter,
    renders: Counter,
    noops: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            visible: durations(),
            settled: Family::new_with_constructor(durations),
            checks_skipped: Counter::default(),
            renders: Counter::default(),
            noops: Counter::default(),
        }
    }
}

/// From half a millisecond to about two minutes.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 18))
}

impl Metrics {
    /// A change became visible this long after it arrived.
    pub fn change_to_visible(&self, took: Duration) {
        self.visible.observe(took.as_secs_f64());
    }

    /// A change was settled with a target this long after it arrived.
    pub fn change_to_settled(&self, target: &str, took: Duration) {
        let label = TargetLabel { target: target.to_owned() };
        self.settled.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// A check was passed over because its server was not there.
    pub fn check_skipped(&self) {
        self.checks_skipped.inc();
    }

    /// This many templates were run.
    pub fn rendered(&self, templates: usize) {
        self.renders.inc_by(templates as u64);
    }

    /// A rendering was what readers see already.
    pub fn noop_render(&self) {
        self.noops.inc();
    }

    /// The page.
    pub fn page(&self, status: &Status, now: Instant) -> String {
        let mut registry = Registry::with_prefix("rehup");
        registry.register(
            "change_to_visible_seconds",
            "From a change's arrival to its generation being visible",
            self.visible.clone(),
        );
        registry.register(
            "change_to_settled_seconds",
            "From a change's arrival to its reload being settled",
            self.settled.clone(),
        );
        registry.register(
            "checks_skipped",
            "Checks passed over because their server was not there",
            self.checks_skipped.clone(),
        );
        registry.register("templates_rendered", "Templates that were run", self.renders.clone());
        registry.register(
            "noop_renders",
            "Renderings that were what readers see already: no generation, no reload",
            self.noops.clone(),
        );
        volume(&mut registry, status);
        freshness(&mut registry, status, now);
        sources(&mut registry, status, now);
        targets(&mut registry, status, now);
        let mut page = String::new();
        encode(&mut page, &registry).expect("writing to a string");
        page
    }
}

fn volume(registry: &mut Registry, status: &Status) {
    let (number, timestamp, flags) =
        (Gauge::<i64>::default(), FloatGauge::default(), Family::<CauseLabel, Gauge>::default());
    if let Some(generation) = &status.generation {
        number.set(i64::try_from(generation.number).unwrap_or(i64::MAX));
        timestamp.set(generation.unix_seconds);
        for (flag, on) in [
            ("drift", generation.drift.is_some()),
            ("not_durable", generation.not_durable),
            ("rollback", generation.rollback),
        ] {
            flags.get_or_create(&CauseLabel { cause: flag.to_owned() }).set(i64::from(on));
        }
    }
    registry.register("generation", "The generation that readers see; 0: none", number);
    registry.register("generation_timestamp_seconds", "When it became visible", timestamp);
    registry.register("generation_flawed", "What is wrong with the visible generation", flags);
    let refused = Gauge::<i64>::default();
    refused.set(i64::from(status.config_refused.is_some()));
    registry.register("config_refused", "The configuration on disk is not in use", refused);
}

fn freshness(registry: &mut Registry, status: &Status, now: Instant) {
    let causes = Family::<CauseLabel, Gauge>::default();
    let stale = status.stale(now);
    for cause in Cause::ALL {
        let fresh = stale.iter().all(|(present, _)| *present != cause);
        let label = CauseLabel { cause: cause.as_str().to_owned() };
        causes.get_or_create(&label).set(i64::from(fresh));
    }
    registry.register("fresh", "1 unless this cause stands between stores and volume", causes);
}

fn sources(registry: &mut Registry, status: &Status, now: Instant) {
    let age = Family::<SourceLabel, FloatGauge>::default();
    let held = Family::<SourceLabel, Gauge>::default();
    let keys = Family::<SourceLabel, Gauge>::default();
    let revision = Family::<SourceLabel, Gauge>::default();
    let resyncs = Family::<ReasonLabel, Counter>::default();
    let by_state = Family::<StateLabel, Gauge>::default();
    let degraded = Family::<ReasonLabel, Gauge>::default();
    let watch = Family::<ModeLabel, Gauge>::default();
    let frozen = Family::<SourceLabel, Gauge>::default();
    for (name, source) in &status.sources {
        let label = SourceLabel { source: name.clone() };
        frozen.get_or_create(&label).set(i64::from(source.frozen.is_some()));
        for mode in source.watch.iter().flat_map(|_| WatchMode::ALL) {
            let label = ModeLabel { source: name.clone(), mode: mode.to_string() };
            watch.get_or_create(&label).set(i64::from(source.watch == Some(mode)));
        }
        let proven = source
            .proven
            .map_or(f64::INFINITY, |at| now.saturating_duration_since(at).as_secs_f64());
        age.get_or_create(&label).set(proven);
        held.get_or_create(&label).set(i64::from(source.held.is_some()));
        keys.get_or_create(&label).set(i64::try_from(source.keys).unwrap_or(i64::MAX));
        let number = source.revision.unwrap_or_default();
        revision.get_or_create(&label).set(i64::try_from(number).unwrap_or(i64::MAX));
        let state = source.state(now);
        for word in SourceState::WORDS {
            let label = StateLabel { source: name.clone(), state: word.to_owned() };
            by_state.get_or_create(&label).set(i64::from(word == state.word()));
        }
        if let SourceState::Degraded(reason) = state {
            let label = ReasonLabel { source: name.clone(), reason: reason.to_owned() };
            degraded.get_or_create(&label).set(1);
        }
        for (reason, count) in &source.resyncs {
            let label = ReasonLabel { source: name.clone(), reason: (*reason).to_owned() };
            resyncs.get_or_create(&label).inc_by(*count);
        }
    }
    registry.register("source_age_seconds", "Since the last proof that a source is current", age);
    registry.register("held", "1 while the guard holds a snapshot", held);
    registry.register("source_keys", "Keys in the newest snapshot", keys);
    registry.register("source_revision", "The store's own counter", revision);
    registry.register("source_state", "1 for the state that a source is in", by_state);
    registry.register("source_degraded", "1 for the reason why a source is degraded", degraded);
    registry.register("source_resyncs", "Full reads by reason", resyncs);
    registry.register("source_watch", "1 for the way in which changes are noticed", watch);
    registry.register("source_frozen", "1 while a part of it will never update", frozen);
}

fn targets(registry: &mut Registry, status: &Status, now: Instant) {
    let owed = Family::<TargetLabel, Gauge>::default();
    let owed_seconds = Family::<TargetLabel, FloatGauge>::default();
    let reloads = Family::<OutcomeLabel, Counter>::default();
    for (name, target) in &status.targets {
        let label = TargetLabel { target: name.clone() };
        owed.get_or_create(&label).set(i64::from(target.owed_since.is_some()));
        let since =
            target.owed_since.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        owed_seconds.get_or_create(&label).set(since);
        for (outcome, count) in &target.counts {
            let label = OutcomeLabel { target: name.clone(), outcome: outcome.as_str().to_owned() };
            reloads.get_or_create(&label).inc_by(*count);
        }
    }
    registry.register("reload_owed", "1 while a reload is owed", owed);
    registry.register("reload_owed_seconds", "How long it has been owed", owed_seconds);
    registry.register("reloads", "Reloads and attempts by outcome", reloads);
}

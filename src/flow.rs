//! The decisions between a snapshot and a generation: what enters the view, when it is rendered,
//! whether a rendering is published.
//!
//! Pure: no I/O, no clock of its own, so that a simulated world can drive it. The pipeline does
//! what is decided here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    config::shape,
    digest::Digest,
    guard::{Guard, Judgement},
    inbox::Seen,
    settle::Settle,
    view::{Complete, View},
};

/// How long a requested second read may take before it is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// What the configuration says of one source, as far as decisions go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRules {
    /// The digest of the provider's settings.
    pub origin: Digest,
    /// Keys without which nothing is published.
    pub required: Vec<String>,
}

/// A view that is to be rendered now.
#[derive(Debug)]
pub struct Due {
    /// What the templates may see.
    pub view: Complete,
    /// When its first change arrived.
    pub since: Instant,
}

/// What becomes of a rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Readers see it already.
    Same,
    /// It is staged, checked and made visible.
    Publish,
    /// A check said no to exactly this.
    Refused,
    /// A target rejected exactly this.
    Quarantined,
}

/// The state of all decisions.
pub struct Flow {
    view: View,
    guard: Guard,
    settle: Settle,
    rules: BTreeMap<String, SourceRules>,
    asked: BTreeMap<String, Instant>,
    visible: Option<Digest>,
    quarantined: BTreeSet<Digest>,
    refused: Option<Digest>,
    again: Option<Instant>,
    /// Nothing was rendered by this process yet: the first rendering waits for nothing.
    fresh: bool,
}

impl Flow {
    /// The state after a start: what is visible, and what must not become so.
    pub fn new(guard: Guard, visible: Option<Digest>, quarantined: BTreeSet<Digest>) -> Self {
        Self {
            view: View::default(),
            guard,
            settle: Settle::new(shape::Settle::Off),
            rules: BTreeMap::new(),
            asked: BTreeMap::new(),
            visible,
            quarantined,
            refused: None,
            again: None,
            fresh: true,
        }
    }

    /// Takes a new configuration over; whatever it changes is rendered at once.
    pub fn configure(
        &mut self,
        rules: BTreeMap<String, SourceRules>,
        guard: shape::Guard,
        settle: shape::Settle,
        now: Instant,
    ) {
        self.view.configure(&rules.keys().cloned().collect());
        for (name, rule) in &rules {
            if self.rules.get(name).is_some_and(|old| old.origin != rule.origin) {
                self.view.forget(name);
            }
        }
        let origins = rules.iter().map(|(name, rule)| (name.clone(), rule.origin)).collect();
        self.guard.configure(guard, &origins);
        self.settle.configure(settle);
        self.rules = rules;
        self.refused = None;
        if self.view.is_complete() {
            self.settle.hurry(now);
        }
        for (source, snapshot, reads) in self.guard.held() {
            self.take(&source, Seen { snapshot, reads, at: now }, now);
        }
    }

    /// Takes a snapshot: into the view, unless the guard holds it.
    pub fn take(&mut self, source: &str, seen: Seen, now: Instant) -> Judgement {
        if !self.rules.contains_key(source) {
            return Judgement::Pass;
        }
        let judgement = self.guard.judge(source, &seen.snapshot, seen.reads, now);
        if judgement == Judgement::Pass {
            self.asked.remove(source);
            self.enter(source, seen.snapshot, seen.at);
        }
        judgement
    }

    /// An operator lets a held snapshot through; `false` if nothing of that digest is held.
    pub fn accept(&mut self, source: &str, shown: &str, now: Instant) -> bool {
        let Some(snapshot) = self.guard.accept(source, shown) else { return false };
        self.enter(source, snapshot, now);
        true
    }

    fn enter(&mut self, source: &str, snapshot: providers::Snapshot, at: Instant) {
        let first = self.view.snapshot(source).is_none();
        if self.view.accept(source, snapshot) {
            self.settle.poke(at);
        }
        if first && self.fresh {
            self.settle.hurry(at);
        }
    }

    /// The memory of the guard, if it must be written.
    pub fn memory(&mut self) -> Option<Vec<u8>> {
        self.guard.memory()
    }

    /// The memory could not be written: it is due again.
    pub fn memory_was_not_written(&mut self) {
        self.guard.memory_was_not_written();
    }

    /// Sources whose held snapshot needs its second read now.
    pub fn rechecks(&mut self, now: Instant) -> Option<String> {
        let (at, source) = self.recheck()?;
        (at <= now).then(|| {
            self.asked.insert(source.clone(), now);
            source
        })
    }

    fn recheck(&self) -> Option<(Instant, String)> {
        let (at, source) = self.guard.recheck()?;
        let asked = self.asked.get(source).map(|asked| *asked + ASK_AGAIN);
        Some((asked.map_or(at, |asked| asked.max(at)), source.to_owned()))
    }

    /// When something is due next.
    pub fn due(&self) -> Option<Instant> {
        let whole = self.view.is_complete();
        let render = if whole { self.settle.due() } else { None };
        let again = if whole { self.again } else { None };
        [render, again, self.recheck().map(|(at, _)| at)].into_iter().flatten().min()
    }

    /// The view to render now, if one is due.
    pub fn next(&mut self, now: Instant) -> Option<Due> {
        if !self.view.is_complete() {
            return None;
        }
        let again = self.again.take_if(|at| *at <= now);
        let since = self.settle.take(now).or(again)?;
        self.again = None;
        Some(Due { view: self.view.complete()?, since })
    }

    /// Required keys that a view lacks, as `source: key`.
    pub fn lacking(&self, view: &Complete) -> Vec<String> {
        let lacks = |source: &String, key: &String| {
            view.snapshots().get(source).is_none_or(|has| !has.entries.contains_key(key.as_str()))
        };
        let wanted = self
            .rules
            .iter()
            .flat_map(|(source, rule)| rule.required.iter().map(move |key| (source, key)));
        wanted
            .filter(|(source, key)| lacks(source, key))
            .map(|(source, key)| format!("{source}: {key}"))
            .collect()
    }

    /// What becomes of a rendering of the newest view.
    pub fn decide(&mut self, rendering: &Digest) -> Decision {
        self.fresh = false;
        if self.quarantined.contains(rendering) {
            return Decision::Quarantined;
        }
        if self.visible == Some(*rendering) {
            return Decision::Same;
        }
        if self.refused == Some(*rendering) {
            return Decision::Refused;
        }
        Decision::Publish
    }

    /// Readers see this now; `None`: what they see is not what was rendered.
    pub fn published(&mut self, rendering: Option<Digest>) {
        self.visible = rendering;
        self.refused = None;
    }

    /// A check said no to this; it stands until the inputs change.
    pub fn refused(&mut self, rendering: Digest) {
        self.refused = Some(rendering);
    }

    /// The newest view is tried again at this moment, changed or not.
    pub fn retry(&mut self, at: Instant) {
        self.again = Some(at);
    }

    /// Whether the newest view waits for another try.
    pub fn has_retry(&self) -> bool {
        self.again.is_some()
    }

    /// What must not be published, as the journal has it now.
    pub fn quarantined(&mut self, quarantined: BTreeSet<Digest>) {
        self.quarantined = quarantined;
    }

    /// Whether anything is quarantined.
    pub fn has_quarantine(&self) -> bool {
        !self.quarantined.is_empty()
    }

    /// Sources that have not entered the view.
    pub fn missing(&self) -> Vec<String> {
        self.view.missing().map(str::to_owned).collect()
    }
}

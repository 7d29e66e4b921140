//! What the pipeline says: its part of the status, and one log line for each thing that happened to
//! the user's configuration. Decides nothing.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::{COLLECT_AFTER, Pipeline};
use crate::{
    chain::chain,
    guard::Judgement,
    publish::{PublishError, Published},
    rendering::OutputPath,
    status::{Cause, GenerationStatus, Held},
    telemetry::took,
    template::TemplateError,
    world::World,
};

/// How many paths a log line names.
const NAMED: usize = 8;

impl<W: World> Pipeline<W> {
    pub(super) fn became_visible(
        &mut self,
        published: Published,
        rollback: bool,
        arrived: Instant,
    ) {
        let generation = &published.visible.generation;
        tracing::info!(
            generation = generation.number,
            changed = names(&published.changed),
            took = ?took(arrived),
            rollback = rollback.then_some(true),
            "published"
        );
        let status = GenerationStatus {
            number: generation.number,
            digest: self.wires.key.show(&generation.rendering),
            files: generation.files.len(),
            unix_seconds: unix_seconds(),
            arrived: Some(arrived),
            drift: None,
            not_durable: published.not_durable,
            rollback,
        };
        if published.not_durable {
            tracing::warn!(
                generation = generation.number,
                "the flip could not be synced: a power cut may undo it"
            );
        }
        self.wires.board.update(|board| {
            board.generation = Some(status);
            board.causes.remove(&Cause::Publish);
        });
        let visible = Arc::new(published.visible);
        if let Some(before) = self.visible.replace(Arc::clone(&visible)) {
            self.kept.push(before.generation.clone());
        }
        self.is_rollback = rollback;
        self.rollback_failed = None;
        self.collect_at.get_or_insert(Instant::now() + COLLECT_AFTER);
        self.backoff.reset();
        self.wires.generations.send_replace(Some(visible));
    }

    /// The volume shows the newest view.
    pub(super) fn show_fresh(&self) {
        self.wires.board.update(|board| {
            board.behind_since = None;
            for cause in [Cause::Render, Cause::Check, Cause::Publish, Cause::Quarantined] {
                board.causes.remove(&cause);
            }
        });
        self.wires.rendered.send_modify(|count| *count += 1);
    }

    pub(super) fn show_behind(&self, now: Instant) {
        if self.flow.due().is_some() {
            self.wires.board.update(|board| {
                board.behind_since.get_or_insert(now);
            });
        }
    }

    /// Sets or ends a cause; a new or different one is logged once.
    pub(super) fn show_cause(&self, cause: Cause, why: Option<String>) {
        self.wires.board.update(|board| match why {
            Some(why) => {
                if board.causes.get(&cause) != Some(&why) {
                    tracing::warn!(cause = cause.as_str(), "last good generation stays: {why}");
                }
                board.causes.insert(cause, why);
            }
            None => {
                board.causes.remove(&cause);
            }
        });
    }

    pub(super) fn show_render_errors(&self, errors: &[TemplateError]) {
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        self.show_cause(Cause::Render, Some(lines.join("; ")));
    }

    pub(super) fn show_publish_error(&mut self, error: &PublishError) {
        self.volume_gone |= matches!(error, PublishError::Gone);
        self.show_cause(Cause::Publish, Some(chain(error)));
    }

    pub(super) fn show_judgement(&self, source: &str, judgement: &Judgement) {
        let held = match judgement {
            Judgement::Pass => None,
            Judgement::Hold(hold) => Some(Held {
                digest: self.wires.key.show(&hold.digest),
                keys: hold.keys,
                removed: hold.removed,
                reason: hold.reason.clone(),
                since: hold.since,
            }),
        };
        self.wires.board.source(source, |status| {
            let before = status.held.as_ref().map(|held| (&held.digest, &held.reason));
            match &held {
                Some(held) if before != Some((&held.digest, &held.reason)) => tracing::warn!(
                    source,
                    digest = held.digest,
                    keys = held.keys,
                    removed = held.removed,
                    "snapshot held: {}",
                    held.reason
                ),
                None if before.is_some() => tracing::info!(source, "held snapshot released"),
                _ => {}
            }
            status.held = held;
        });
    }

    pub(super) fn show_drift(&self, drift: Option<String>) {
        self.wires.board.update(|board| {
            let Some(generation) = &mut board.generation else { return };
            if let Some(what) =
                drift.as_ref().filter(|what| generation.drift.as_ref() != Some(what))
            {
                tracing::warn!(
                    generation = generation.number,
                    "somebody changed the volume: {what}"
                );
            }
            generation.drift = drift;
        });
    }
}

/// Paths in a log line.
fn names(paths: &[OutputPath]) -> String {
    let named: Vec<_> =
        paths.iter().take(NAMED).map(super::super::rendering::OutputPath::as_str).collect();
    let more = paths.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(",+{more}") } else { String::new() };
    format!("{}{more}", named.join(","))
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

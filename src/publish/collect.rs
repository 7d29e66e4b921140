//! Earlier generations: how long they stay.
//!
//! Must not touch the visible one or a rollback candidate.

use std::collections::BTreeSet;

use rustix::fs::FileType;

use super::{
    adopt, set, stage, state,
    thread::{Keeper, Kept},
};
use crate::{failpoint, generation::Generation};

/// However many are asked for, and however short the grace: never more than these.
const MOST: usize = 10;

/// What yields when space runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressure {
    /// Nothing does.
    None,
    /// Slow readers.
    NoGrace,
    /// All but rollback candidates.
    NoKeep,
}

impl Keeper {
    pub(super) fn collect(&mut self, protect: BTreeSet<u64>) -> Vec<Generation> {
        failpoint::pass_thread("collect");
        self.protect = Some(protect);
        self.sweep_kept(Pressure::None);
        self.sweep_strays();
        self.kept.iter().map(|kept| kept.generation.clone()).collect()
    }

    /// Collects under pressure; whether anything was removed.
    pub(super) fn make_room(&mut self, pressure: Pressure) -> bool {
        self.sweep_kept(pressure)
    }

    /// Removes what could not be removed when its time had come, or was cut short. While we have the
    /// lock, nobody else makes generations here.
    fn sweep_strays(&self) {
        let visible = self.visible.as_ref().map(|shown| &shown.folder);
        let kept = self.kept.iter().map(|kept| &kept.folder);
        let serving: BTreeSet<&String> =
            kept.chain(visible).chain(&self.staged).chain(&self.broken).collect();
        for (name, kind) in self.root.names().unwrap_or_default() {
            let ours = || adopt::is_ours(&self.root, &name);
            match kind {
                FileType::Directory if serving.contains(&name) => {}
                FileType::Directory if stage::number(&name).is_some() && ours() => {
                    stage::remove(&self.root, &name);
                }
                FileType::Symlink if name.starts_with(set::TEMPORARY) && ours() => {
                    self.root.tidy(&name);
                }
                _ => {}
            }
        }
        if let Err(error) = state::sweep(&self.private) {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot tidy up");
        }
    }

    fn sweep_kept(&mut self, pressure: Pressure) -> bool {
        let count = self.kept.len();
        let kept = std::mem::take(&mut self.kept);
        let (stay, go): (Vec<_>, Vec<_>) = kept
            .into_iter()
            .enumerate()
            .partition(|(index, kept)| self.stays(kept, count - index, pressure));
        self.kept = stay.into_iter().map(|(_, kept)| kept).collect();
        for (_, kept) in &go {
            stage::remove(&self.root, &kept.folder);
        }
        !go.is_empty()
    }

    /// `age` counts from the newest earlier generation, which is 1.
    fn stays(&self, kept: &Kept, age: usize, pressure: Pressure) -> bool {
        let candidate = match &self.protect {
            Some(protect) => protect.contains(&kept.generation.number),
            // Nobody has said yet which could be rolled back to: the newest, most likely.
            None => age == 1,
        };
        if candidate {
            return true;
        }
        match pressure {
            Pressure::NoKeep => false,
            Pressure::NoGrace => age <= self.options.keep.min(MOST),
            Pressure::None => {
                age <= self.options.keep.min(MOST) || (age <= MOST && self.in_grace(kept))
            }
        }
    }

    fn in_grace(&self, kept: &Kept) -> bool {
        let since = kept.replaced.as_ref().and_then(crate::generation::BootTime::elapsed);
        let since = since.or_else(|| self.opened.elapsed()).unwrap_or_default();
        since < self.options.grace
    }
}

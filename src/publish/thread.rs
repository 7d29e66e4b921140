//! The volume's one thread: does what is asked, in order, and holds what is known of the volume.
//!
//! Must not decide what is published: it is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, mpsc},
};

use rustix::io::Errno;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    Inputs, Opened, PublishError, Published, Staged, VolumeOptions, adopt,
    collect::Pressure,
    files,
    lock::{self, Lock},
    root::Dir,
    set, stage, state, truth,
};
use crate::{
    config::shape::Layout,
    digest::Digest,
    failpoint,
    generation::{BootTime, Generation, Visible},
    journal::{self, Entry, Journal},
    pulse::Pulse,
    rendering::{OutputFile, OutputPath, Rendering},
};

/// One request.
pub(super) type Work = Box<dyn FnOnce(&mut Keeper) + Send>;

/// Opens the volume on a new thread, which then serves until every sender is dropped. However it
/// ends, `ended` tells.
pub(super) fn start(
    options: VolumeOptions,
    pulse: Pulse,
    reply: oneshot::Sender<Result<Opened, PublishError>>,
    ended: CancellationToken,
) -> std::io::Result<mpsc::Sender<Work>> {
    let (requests, asked) = mpsc::channel::<Work>();
    std::thread::Builder::new().name("volume".to_owned()).spawn(move || {
        let _ended = ended.drop_guard();
        let (mut keeper, opened) = match adopt::open(options, pulse) {
            Ok(open) => open,
            Err(error) => return drop(reply.send(Err(error))),
        };
        drop(reply.send(Ok(opened)));
        keeper.pulse.rest();
        for work in asked {
            keeper.pulse.beat();
            failpoint::pass_thread("volume");
            work(&mut keeper);
            keeper.pulse.rest();
        }
        keeper.throw_away();
    })?;
    Ok(requests)
}

/// The generation that readers see.
pub(super) struct Shown {
    pub(super) visible: Visible,
    /// Its folder; empty in the `files` layout.
    pub(super) folder: String,
    /// What each file looked like when its content was last compared; empty until then.
    pub(super) stamps: BTreeMap<OutputPath, truth::Stamp>,
}

/// An earlier generation, for slow readers and for a rollback.
pub(super) struct Kept {
    pub(super) generation: Generation,
    pub(super) folder: String,
    /// Since when nobody finds it any more; unknown counts from when we opened the volume.
    pub(super) replaced: Option<BootTime>,
}

/// All that is known of an open volume.
pub(super) struct Keeper {
    pub(super) pulse: Pulse,
    pub(super) options: VolumeOptions,
    pub(super) root: Dir,
    pub(super) private: Dir,
    pub(super) lock: Lock,
    /// Mode of our folders: 0755, and the root's set-group-id bit, so that files below get its group.
    pub(super) folder_mode: u32,
    /// The next generation's number.
    pub(super) next: u64,
    pub(super) journal: Arc<Journal>,
    pub(super) visible: Option<Shown>,
    /// The folder of a visible generation that is not good; it goes after the next flip.
    pub(super) broken: Option<String>,
    /// Oldest first.
    pub(super) kept: Vec<Kept>,
    pub(super) staged: Option<String>,
    /// Rollback candidates, once the caller has said which.
    pub(super) protect: Option<BTreeSet<u64>>,
    pub(super) opened: BootTime,
    pub(super) inputs: Option<Inputs>,
    /// What lies in the root in the `files` layout.
    pub(super) held: files::Held,
}

impl Keeper {
    pub(super) fn stage(
        &mut self,
        rendering: &Rendering,
        sources: BTreeMap<String, u64>,
    ) -> Result<Staged, PublishError> {
        failpoint::pass_thread("stage");
        self.throw_away();
        self.keep_private()?;
        let generation = stage::describe(self.next, rendering, sources);
        self.next = self.next.saturating_add(1);
        let folder = self.with_room(|keeper| {
            stage::write(&keeper.root, &generation, rendering, keeper.folder_mode, &keeper.pulse)
        })?;
        let dir = self.root.path().join(&folder);
        self.staged = Some(folder);
        Ok(Staged { dir, generation })
    }

    /// Does something that needs space; on a full volume again, after collecting what yields.
    fn with_room<T>(
        &mut self,
        work: impl Fn(&Self) -> Result<T, PublishError>,
    ) -> Result<T, PublishError> {
        let mut done = work(self);
        for pressure in [Pressure::NoGrace, Pressure::NoKeep] {
            let full = done.as_ref().is_err_and(PublishError::is_full);
            if full && self.make_room(pressure) {
                done = work(self);
            }
        }
        done
    }

    pub(super) fn restage(&mut self, number: u64) -> Result<Staged, PublishError> {
        let path = self.root.path().to_owned();
        let not_kept = |what| PublishError::NotKept { path: path.clone(), number, what };
        let changed = "its files are not what was published";
        let failed = |dir: &Dir, action, name: &str, error: std::io::Error| {
            let error = dir.error(action, name, error);
            if error.is_passing() { error } else { not_kept(changed) }
        };
        let Some(kept) = self.kept.iter().find(|kept| kept.generation.number == number) else {
            return Err(not_kept("it is not kept any more"));
        };
        let folder = self
            .root
            .folder(&kept.folder)
            .map_err(|error| failed(&self.root, "cannot open", &kept.folder, error.into()))?;
        let mut outputs = Vec::new();
        for (path, record) in &kept.generation.files {
            let bytes = folder
                .read_below(path.as_str(), record.size.saturating_add(1))
                .map_err(|error| failed(&folder, "cannot read", path.as_str(), error))?;
            let file = OutputFile::new(bytes.into(), record.access);
            outputs.push((path.clone(), file, String::new()));
        }
        let sources = kept.generation.sources.clone();
        let wanted = kept.generation.rendering;
        match Rendering::collect(outputs) {
            Ok(rendering) if *rendering.digest() == wanted => self.stage(&rendering, sources),
            _ => Err(not_kept(changed)),
        }
    }

    pub(super) fn publish(
        &mut self,
        staged: Staged,
        rollback: bool,
    ) -> Result<Published, PublishError> {
        let current = self.staged.take_if(|folder| staged.dir.ends_with(folder));
        let Some(folder) = current else {
            let gone = std::io::ErrorKind::NotFound.into();
            return Err(PublishError::Io {
                action: "something else was staged after",
                path: staged.dir,
                source: gone,
            });
        };
        failpoint::pass_thread("flip");
        let flipped = match self.options.layout {
            Layout::Set => self.with_room(|keeper| set::flip(keeper, &folder, &staged.generation)),
            Layout::Files => files::replace(self, &folder, &staged.generation),
        };
        if flipped.is_err() || self.options.layout == Layout::Files {
            stage::remove(&self.root, &folder);
        }
        let synced = flipped?;
        Ok(self.shown(staged.generation, folder, rollback, synced))
    }

    /// Notes what readers see now; nothing from here on can undo it, so nothing fails it.
    fn shown(
        &mut self,
        generation: Generation,
        folder: String,
        rollback: bool,
        synced: Result<(), PublishError>,
    ) -> Published {
        failpoint::pass_thread("flipped");
        let flipped = BootTime::now();
        let before = self.visible.as_ref().map(|shown| &shown.visible.generation);
        let changed = generation.changed_from(before);
        let folder = if self.options.layout == Layout::Set { folder } else { String::new() };
        let visible = Visible { generation, flipped: Some(flipped.clone()) };
        let shown = Shown { visible: visible.clone(), folder, stamps: BTreeMap::new() };
        Arc::make_mut(&mut self.journal).published.push(journal::Published {
            number: visible.generation.number,
            rendering: visible.generation.rendering,
            folder: shown.folder.clone(),
            flipped: flipped.clone(),
            rollback,
        });
        if let Some(old) = self.visible.replace(shown)
            && self.options.layout == Layout::Set
        {
            self.kept.push(Kept {
                generation: old.visible.generation,
                folder: old.folder,
                replaced: Some(flipped),
            });
        }
        if let Some(broken) = self.broken.take() {
            stage::remove(&self.root, &broken);
        }
        let mut durable = synced;
        if let Err(error) = self.write_journal() {
            durable = durable.and(Err(error));
        }
        if let Err(error) = &durable {
            tracing::warn!(error = error as &dyn std::error::Error, "a flip may not be durable");
        }
        Published { visible, changed, not_durable: durable.is_err() }
    }

    pub(super) fn discard(&mut self, staged: &Staged) {
        if self.staged.as_ref().is_some_and(|folder| staged.dir.ends_with(folder)) {
            self.throw_away();
        }
    }

    fn throw_away(&mut self) {
        if let Some(folder) = self.staged.take() {
            stage::remove(&self.root, &folder);
        }
    }

    /// Somebody may have removed `..rehup` under our hands: then it is made anew, with the lock.
    fn keep_private(&mut self) -> Result<(), PublishError> {
        if !matches!(self.root.stat_name(adopt::PRIVATE), Err(Errno::NOENT)) {
            return Ok(());
        }
        let private = adopt::private(&self.root)?;
        self.lock = lock::take(&private, &self.root)?;
        self.private = private;
        let path = self.private.path().display();
        tracing::warn!(%path, "somebody removed this folder of ours, so it was made anew");
        self.write_journal()
    }

    pub(super) fn repair(&mut self) -> Result<Option<String>, PublishError> {
        self.keep_private()?;
        match self.options.layout {
            Layout::Set => set::repair(self),
            Layout::Files => Ok(files::drift(self)),
        }
    }

    pub(super) fn record(&mut self, entry: Entry) -> Result<Arc<Journal>, PublishError> {
        failpoint::pass_thread("journal");
        Arc::make_mut(&mut self.journal).apply(entry);
        self.write_journal()?;
        Ok(Arc::clone(&self.journal))
    }

    /// Writes the journal, without publications that left nothing on the volume.
    pub(super) fn write_journal(&mut self) -> Result<(), PublishError> {
        let visible = self.visible.as_ref().map(|shown| shown.visible.generation.number);
        let kept = &self.kept;
        let there = |number| {
            Some(number) == visible || kept.iter().any(|kept| kept.generation.number == number)
        };
        Arc::make_mut(&mut self.journal).published.retain(|published| there(published.number));
        self.with_room(|keeper| {
            let private = &keeper.private;
            let bytes = serde_json::to_vec(&*keeper.journal)
                .map_err(|error| private.error("cannot write", state::JOURNAL, error))?;
            state::write(private, state::JOURNAL, &bytes, true)
        })
    }

    pub(super) fn remember(&self, memory: &[u8]) -> Result<(), PublishError> {
        state::write(&self.private, state::SOURCES, memory, true)
    }

    pub(super) fn mark_inputs(&mut self, digest: Option<Digest>) -> Result<(), PublishError> {
        // The same inputs again: what they did to earlier processes still counts.
        let same = self.inputs.filter(|inputs| Some(inputs.digest) == digest);
        self.inputs = digest.map(|digest| same.unwrap_or(Inputs { digest, ended: 0 }));
        state::mark(&self.private, self.inputs)
    }
}

//! Waiting until something may have changed below some paths.
//!
//! Owns when to look again: at an event, after lost events, after the poll interval. Must not read
//! content: whoever waits reads, and finds out whether anything did change.

mod arms;
mod hint;
mod lane;
mod wanted;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until, timeout, timeout_at},
};

use crate::WatchMode;
use arms::Arms;
pub use hint::Activity;
use hint::Hints;
pub use lane::Lane;

/// The link that the kubelet swaps: all content of a mounted folder is behind it.
pub(crate) const DATA: &str = "..data";

/// How often to look where inotify cannot tell: no instances or watches left, or a file system that
/// does not say what happens in it.
const BLIND: Duration = Duration::from_secs(5);
/// How soon to look after inotify lost events. Not at once, and ever later while more are lost: our
/// own reads fill its queue too.
const OVERFLOWN: Duration = Duration::from_millis(500);
/// How long an event may be on its way when the content is found to have changed without one.
const LATE: Duration = Duration::from_millis(100);
/// How long setting up watches may take: a network file system may hang.
const ARMING: Duration = Duration::from_secs(5);

/// Why a [`Watch`] woke up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Something happened below the paths, or may have before the watch was set up.
    Hint,
    /// Nothing was heard of for the poll interval, or events were lost a moment ago; some file
    /// systems never tell.
    Poll,
    /// Events were lost. The next wake, soon, is the time to look.
    Lost,
}

/// Waits until something may have changed below some paths: files, folders, mounted volumes and
/// paths that do not exist yet.
///
/// It watches folders, never files: the kubelet and many editors replace files. Where inotify
/// cannot be used it polls more often.
#[derive(Debug)]
pub struct Watch {
    paths: Vec<PathBuf>,
    poll: Duration,
    hints: Arc<Hints>,
    lane: Lane,
    /// None while they are being set up.
    arms: Option<Arms>,
    /// Setting up that is not done; there is never a second beside it.
    arming: Option<JoinHandle<Arms>>,
    /// Everything is watched.
    complete: bool,
    /// A change was found that no event told of, and none was heard since.
    deaf: bool,
    /// Something may have happened before it was watched.
    missed: bool,
    next_poll: Instant,
    /// Events were lost then and nobody has looked since.
    lost: Option<Instant>,
    /// How many looks in a row were for lost events.
    losses: u32,
}

impl Watch {
    /// Watches these paths from now on: read them after this call. It blocks as their file systems
    /// do; [`Self::new_unarmed`] does not.
    ///
    /// Without any event [`Self::changed`] completes after `poll`.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>, poll: Duration) -> Self {
        let mut watch = Self::new_unarmed(paths, poll, Lane::default());
        let mut arms = Arms::new(Arc::clone(&watch.hints));
        arms.arm(&watch.paths);
        watch.complete = arms.complete;
        watch.arms = Some(arms);
        watch
    }

    /// The same before anything is watched; [`Self::arm`] it before reading.
    pub fn new_unarmed(
        paths: impl IntoIterator<Item = PathBuf>,
        poll: Duration,
        lane: Lane,
    ) -> Self {
        let mut watch = Self {
            paths: Vec::new(),
            poll,
            hints: Arc::default(),
            lane,
            arms: None,
            arming: None,
            complete: false,
            deaf: false,
            missed: false,
            next_poll: Instant::now() + poll,
            lost: None,
            losses: 0,
        };
        watch.set_paths(paths);
        // Whoever made this has read nothing yet.
        watch.missed = false;
        watch
    }

    /// Watches other paths. If they differ, the next [`Self::changed`] completes at once, so that
    /// nothing that happened below new ones is missed.
    pub fn set_paths(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let paths: Vec<_> = paths.into_iter().map(absolute).collect();
        self.missed |= paths != self.paths;
        self.paths = paths;
    }

    /// Whether events tell of every change; otherwise there are only polls.
    pub fn mode(&self) -> WatchMode {
        if self.complete && !self.deaf { WatchMode::Events } else { WatchMode::Poll }
    }

    /// How long it takes at most until [`Self::changed`] completes.
    pub fn interval(&self) -> Duration {
        match self.mode() {
            WatchMode::Events => self.poll,
            WatchMode::Poll => self.poll.min(BLIND),
        }
    }

    /// Notified with each event, for those who wait for one without calling [`Self::changed`].
    pub fn heard(&self) -> Arc<Notify> {
        Arc::clone(&self.hints.happened)
    }

    /// Completes when something may have changed below the paths since it completed last, or since
    /// [`Self::new`].
    ///
    /// Cancel safe: what happened while nobody waited is told to the next call.
    pub async fn changed(&mut self) -> Wake {
        self.arm().await;
        if std::mem::take(&mut self.missed) {
            return self.look(Wake::Hint);
        }
        loop {
            tokio::select! {
                () = self.hints.happened.notified() => {
                    if !self.hints.take_overflow() {
                        self.deaf = false;
                        return self.look(Wake::Hint);
                    }
                    if self.lost.replace(Instant::now()).is_none() {
                        let pause = OVERFLOWN.saturating_mul(1 << self.losses.min(10));
                        self.losses += 1;
                        self.next_poll = self.next_poll.min(Instant::now() + pause);
                        return Wake::Lost;
                    }
                }
                () = sleep_until(self.next_poll) => return self.look(Wake::Poll),
            }
        }
    }

    /// Watches every folder that matters now. For those who read before they call
    /// [`Self::changed`].
    ///
    /// Cancel safe. It ends after some seconds also where a file system hangs; then there are only
    /// polls until that is over.
    pub async fn arm(&mut self) {
        let end = Instant::now() + ARMING;
        if self.arming.is_none() {
            let Ok(place) = timeout_at(end, self.lane.enter()).await else {
                self.complete = false;
                return;
            };
            let paths = self.paths.clone();
            let mut arms = self.arms.take().unwrap_or_else(|| Arms::new(Arc::clone(&self.hints)));
            self.arming = Some(spawn_blocking(move || {
                arms.arm(&paths);
                drop(place);
                arms
            }));
        }
        let arming = self.arming.as_mut().expect("it was set above");
        let Ok(done) = timeout_at(end, arming).await else {
            self.complete = false;
            return;
        };
        self.arming = None;
        // A panic took the watches with it; the next call makes new ones.
        self.complete = done.as_ref().is_ok_and(|arms| arms.complete);
        self.missed |= done.as_ref().is_ok_and(|arms| arms.added);
        self.arms = done.ok();
    }

    /// For those who found a change after [`Wake::Poll`]: unless an event comes late, the watches
    /// are of no use as they are. They are set up anew, and until one tells something there are
    /// polls.
    pub async fn doubt(&mut self) {
        if !self.complete {
            return;
        }
        if timeout(LATE, self.hints.happened.notified()).await.is_ok() {
            self.hints.happened.notify_one();
            return;
        }
        self.deaf = true;
        // An inotify instance ends with its last descriptor, at once.
        self.arms = None;
        self.next_poll = self.next_poll.min(Instant::now() + self.interval());
    }

    /// The last thing that was heard of a file since [`Self::forget_activity`].
    pub fn activity(&self, path: &Path) -> Option<Activity> {
        self.hints.activity(path)
    }

    /// Forgets what happened to files that nobody has open for writing.
    pub fn forget_activity(&self) {
        self.hints.forget();
    }

    fn look(&mut self, wake: Wake) -> Wake {
        if self.lost.take().is_none() {
            self.losses = 0;
        }
        self.next_poll = Instant::now() + self.interval();
        wake
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lost_events_lead_to_a_look_soon_and_not_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new([dir.path().to_owned()], Duration::from_secs(3600));
        let begun = Instant::now();
        watch.hints.overflow();
        assert_eq!(watch.changed().await, Wake::Lost);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        watch.hints.overflow();
        assert_eq!(watch.changed().await, Wake::Poll, "once for all until somebody looks");
        assert!((OVERFLOWN..2 * OVERFLOWN).contains(&begun.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn events_that_are_lost_again_and_again_are_looked_after_ever_later() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new([dir.path().to_owned()], Duration::from_secs(30));
        let mut waits = Vec::new();
        for _ in 0..8 {
            let begun = Instant::now();
            watch.hints.overflow();
            assert_eq!(watch.changed().await, Wake::Lost);
            assert_eq!(watch.changed().await, Wake::Poll);
            waits.push(begun.elapsed().as_millis() / 500);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_without_an_event_leads_to_polls_until_one_is_heard() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new([dir.path().to_owned()], Duration::from_secs(30));
        assert_eq!(watch.changed().await, Wake::Poll);
        watch.hints.happened.notify_one();
        watch.doubt().await;
        assert_eq!(watch.mode(), WatchMode::Events, "it was only late");
        assert_eq!(watch.changed().await, Wake::Hint, "and is not lost");
        watch.doubt().await;
        assert_eq!(watch.mode(), WatchMode::Poll);
        assert_eq!(watch.changed().await, Wake::Hint, "what is watched anew may be news");
        let begun = Instant::now();
        assert_eq!(watch.changed().await, Wake::Poll);
        assert!(begun.elapsed() <= BLIND + LATE);
        watch.hints.happened.notify_one();
        assert_eq!((watch.changed().await, watch.mode()), (Wake::Hint, WatchMode::Events));
    }

    #[tokio::test(start_paused = true)]
    async fn other_paths_are_a_reason_to_look() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new([dir.path().join("a")], Duration::from_secs(3600));
        watch.set_paths([dir.path().join("a")]);
        watch.set_paths([dir.path().join("b")]);
        assert_eq!(watch.changed().await, Wake::Hint);
        assert_eq!(watch.changed().await, Wake::Poll, "and only once");
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new([dir.path().to_owned()], Duration::from_secs(3600));
        let moment = Duration::from_millis(1);
        while tokio::time::timeout(moment, watch.changed()).await.is_ok() {}
        fs::write(dir.path().join("key"), "1").unwrap();
        // Whatever was heard of is kept until somebody waits again.
        let heard = async { while tokio::time::timeout(moment, watch.changed()).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(20), heard).await.expect("it is told");
    }
}

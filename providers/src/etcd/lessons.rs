//! What one source has learned of its store: it outlives streams and connections.
//!
//! Owns which revision was the highest and which password was refused. Must not do I/O.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::Secret;

/// A refused password is not sent again for so long: some stores lock a user out, all log it.
const REFUSED_FOR: Duration = Duration::from_secs(20);

/// Shared by the streams of one source.
#[derive(Clone, Default)]
pub(super) struct Lessons(Arc<Mutex<Learned>>);

#[derive(Default)]
struct Learned {
    highest: u64,
    refused: Option<(blake3::Hash, Instant)>,
}

impl fmt::Debug for Lessons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lessons").finish_non_exhaustive()
    }
}

impl Lessons {
    /// Notes a revision that was seen.
    pub(super) fn saw(&self, revision: u64) {
        let mut learned = self.lock();
        learned.highest = learned.highest.max(revision);
    }

    /// A full read is of this revision: the higher one that was seen before, if the store went
    /// back. It is told once.
    pub(super) fn went_back_to(&self, revision: u64) -> Option<u64> {
        let mut learned = self.lock();
        let before = learned.highest;
        learned.highest = revision;
        (revision < before).then_some(before)
    }

    /// The store refused this password, and will again.
    pub(super) fn refused(&self, password: &Secret) {
        self.lock().refused = Some((digest(password), Instant::now()));
    }

    /// How long this password is not to be sent, if it was refused a short time ago.
    pub(super) fn is_barred(&self, password: &Secret) -> Option<Duration> {
        let refused = self.lock().refused;
        let (_, at) = refused.filter(|(refused, _)| *refused == digest(password))?;
        REFUSED_FOR.checked_sub(at.elapsed()).filter(|left| !left.is_zero())
    }

    fn lock(&self) -> MutexGuard<'_, Learned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(password: &Secret) -> blake3::Hash {
    blake3::hash(password.expose().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("a file");
        Secret::read(file.path()).expect("a secret")
    }

    #[test]
    fn a_store_that_went_back_is_told_once() {
        let lessons = Lessons::default();
        assert_eq!(lessons.went_back_to(7), None);
        lessons.saw(9);
        lessons.saw(8);
        assert_eq!(lessons.went_back_to(4), Some(9));
        assert_eq!(lessons.went_back_to(4), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_password_waits_and_another_does_not() {
        let lessons = Lessons::default();
        assert_eq!(lessons.is_barred(&secret("first")), None);
        lessons.refused(&secret("first"));
        assert_eq!(lessons.is_barred(&secret("first")), Some(REFUSED_FOR));
        assert_eq!(lessons.is_barred(&secret("second")), None);
        tokio::time::advance(REFUSED_FOR).await;
        assert_eq!(lessons.is_barred(&secret("first")), None);
    }
}

//! Rollback: which kept generation may be published again after a rejection.
//!
//! Pure: decides from the journal and the kept generations, and leaves publishing to the pipeline.

use std::collections::BTreeSet;

use crate::{
    config::shape::{OnReject, Target},
    generation::Generation,
    journal::Journal,
    reload::matcher::Matcher,
};

/// The targets of a configuration, as far as a rollback is about them.
pub struct Rollback {
    targets: Vec<(String, Matcher)>,
    asking: Vec<String>,
}

impl Rollback {
    /// The targets of an accepted configuration.
    pub fn new(targets: &[Target]) -> Self {
        let matcher = |target: &Target| {
            let files = Matcher::new(target.only.as_deref()).expect("an accepted glob");
            (target.name.clone(), files)
        };
        let asks = |target: &&Target| target.on_reject == OnReject::Rollback;
        Self {
            targets: targets.iter().map(matcher).collect(),
            asking: targets.iter().filter(asks).map(|target| target.name.clone()).collect(),
        }
    }

    /// The generation to publish again after `rejecting` said no to generation `rejected`.
    pub fn candidate(
        &self,
        journal: &Journal,
        kept: &[Generation],
        rejected: u64,
        rejecting: &str,
    ) -> Option<u64> {
        candidate(journal, kept, rejected, rejecting, &self.targets)
    }

    /// Kept generations that a rollback may need: they are not collected.
    pub fn protected(&self, journal: &Journal, kept: &[Generation]) -> BTreeSet<u64> {
        let needed = |name: &String| self.candidate(journal, kept, u64::MAX, name);
        self.asking.iter().filter_map(needed).collect()
    }
}

/// The newest kept generation whose digest over the rejecting target's files is one it confirmed,
/// and that no target rejected, each by the digest over its own files. `None`: as `keep`.
///
/// `rejected` is the number of the generation that was rejected: only earlier ones are considered.
fn candidate(
    journal: &Journal,
    kept: &[Generation],
    rejected: u64,
    rejecting: &str,
    targets: &[(String, Matcher)],
) -> Option<u64> {
    let (_, files) = targets.iter().find(|(name, _)| name == rejecting)?;
    let confirmed = &journal.targets.get(rejecting)?.confirmed;
    let accepted = |generation: &Generation| {
        let digest = generation.digest_of(|path| files.matches(path));
        digest.is_some_and(|digest| confirmed.contains(&digest))
    };
    let refused = |generation: &Generation| {
        targets.iter().any(|(name, files)| {
            let digest = generation.digest_of(|path| files.matches(path));
            let record = journal.targets.get(name);
            digest.zip(record).is_some_and(|(digest, record)| record.rejected.contains(&digest))
        })
    };
    kept.iter()
        .filter(|generation| generation.number < rejected)
        .filter(|generation| !journal.quarantined.contains(&generation.rendering))
        .filter(|generation| accepted(generation) && !refused(generation))
        .map(|generation| generation.number)
        .max()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        digest::Digest,
        generation::FileRecord,
        journal::{Entry, Outcome, Settled},
        rendering::{Access, OutputPath},
    };

    fn generation(number: u64, files: &[(&str, &str)]) -> Generation {
        let access = Access { mode: 0o644, owner: None, group: None };
        let record =
            |text: &str| FileRecord { size: 1, access, digest: Digest::of(text.as_bytes()) };
        let files =
            files.iter().map(|(path, text)| (OutputPath::parse(path).unwrap(), record(text)));
        let rendering = Digest::of(&number.to_le_bytes());
        Generation { number, rendering, files: files.collect(), sources: BTreeMap::new() }
    }

    fn settle(journal: &mut Journal, name: &str, generation: &Generation, outcome: Outcome) {
        let files = Matcher::new(Some(&[name.to_owned()])).unwrap();
        let digest = generation.digest_of(|path| files.matches(path)).unwrap();
        let settled = Settled { digest, generation: generation.number, outcome };
        journal.apply(Entry::Settled(name.to_owned(), settled));
    }

    fn targets() -> Vec<(String, Matcher)> {
        ["a", "b"].map(|n| (n.to_owned(), Matcher::new(Some(&[n.to_owned()])).unwrap())).to_vec()
    }

    #[test]
    fn the_newest_confirmed_generation_is_chosen() {
        let kept = [generation(1, &[("a", "1")]), generation(2, &[("a", "2")])];
        let mut journal = Journal::default();
        settle(&mut journal, "a", &kept[0], Outcome::Confirmed);
        settle(&mut journal, "a", &kept[1], Outcome::Confirmed);
        assert_eq!(candidate(&journal, &kept, 3, "a", &targets()), Some(2));
    }

    #[test]
    fn what_another_target_rejected_is_passed_over() {
        let kept =
            [generation(1, &[("a", "1"), ("b", "1")]), generation(2, &[("a", "2"), ("b", "2")])];
        let mut journal = Journal::default();
        settle(&mut journal, "a", &kept[0], Outcome::Confirmed);
        settle(&mut journal, "a", &kept[1], Outcome::Confirmed);
        settle(&mut journal, "b", &kept[1], Outcome::Rejected);
        assert_eq!(candidate(&journal, &kept, 3, "a", &targets()), Some(1));
    }

    #[test]
    fn without_a_confirmed_generation_there_is_no_candidate() {
        let kept = [generation(1, &[("a", "1")])];
        let mut journal = Journal::default();
        settle(&mut journal, "a", &kept[0], Outcome::Unknown);
        assert_eq!(candidate(&journal, &kept, 2, "a", &targets()), None);
    }
}

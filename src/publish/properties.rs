//! What holds for every file that lies on the volume: others may write there, so each is read or
//! refused, never a panic, and what was written is what is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::{collection, option, prelude::*};

use super::manifest;
use crate::{
    digest::Digest,
    generation::{BootTime, FileRecord, Generation},
    journal::{Entry, Journal, Published},
    rendering::{Access, OutputPath},
};

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 8]>().prop_map(|bytes| Digest::of(&bytes))
}

fn path() -> impl Strategy<Value = OutputPath> {
    ".{1,20}(/.{1,20})?".prop_filter_map("a path", |text| OutputPath::parse(&text).ok())
}

fn generation() -> impl Strategy<Value = Generation> {
    let access = (0_u32..0o10000, option::of(any::<u32>()), option::of(any::<u32>()));
    let access = access.prop_map(|(mode, owner, group)| Access { mode, owner, group });
    let record = (any::<u64>(), access, digest()).prop_map(|(size, access, digest)| FileRecord {
        size,
        access,
        digest,
    });
    let files = collection::btree_map(path(), record, 0..6);
    let sources = collection::btree_map("[a-z_]{1,8}", any::<u64>(), 0..4);
    (any::<u64>(), digest(), files, sources).prop_map(|(number, rendering, files, sources)| {
        Generation { number, rendering, files, sources }
    })
}

fn published() -> impl Strategy<Value = Published> {
    let flipped = (".{0,8}", any::<u64>()).prop_map(|(boot_id, millis)| BootTime {
        boot_id,
        since_boot: Duration::from_millis(millis),
    });
    (any::<u64>(), digest(), ".{0,12}", flipped, any::<bool>()).prop_map(
        |(number, rendering, folder, flipped, rollback)| Published {
            number,
            rendering,
            folder,
            flipped,
            rollback,
        },
    )
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_bytes_are_a_manifest_or_none(bytes in collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(manifest::decode::<Generation>(&bytes).is_none());
        drop(serde_json::from_slice::<Journal>(&bytes));
    }

    #[test]
    fn a_manifest_says_what_was_written(generation in generation()) {
        let bytes = manifest::encode(&generation).expect("it can be written");
        prop_assert_eq!(manifest::decode::<Generation>(&bytes), Some(generation));
    }

    #[test]
    fn a_torn_or_altered_manifest_is_none(
        generation in generation(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = manifest::encode(&generation).expect("it can be written");
        let torn = &whole[..cut.index(whole.len())];
        prop_assert!(manifest::decode::<Generation>(torn).is_none());
        let mut altered = whole.clone();
        let at = at.index(whole.len());
        altered[at] = byte;
        let same = altered == whole;
        // The digest may be written in capitals.
        let read = manifest::decode::<Generation>(&altered);
        prop_assert!(read.is_none() || same || read == Some(generation));
    }

    #[test]
    fn a_journal_says_what_was_written(
        published in collection::vec(published(), 0..5),
        quarantined in collection::btree_set(digest(), 0..4),
        targets in collection::btree_set(".{0,8}", 0..4),
    ) {
        let mut journal = Journal { published, quarantined, targets: BTreeMap::new() };
        journal.apply(Entry::Targets(targets.into_iter().collect::<BTreeSet<_>>()));
        let bytes = serde_json::to_vec(&journal).expect("it can be written");
        let read: Journal = serde_json::from_slice(&bytes).expect("it can be read");
        prop_assert_eq!(read, journal);
    }

    #[test]
    fn a_damaged_journal_is_read_or_refused(
        published in collection::vec(published(), 0..5),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let journal = Journal { published, ..Journal::default() };
        let mut bytes = serde_json::to_vec(&journal).expect("it can be written");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        drop(serde_json::from_slice::<Journal>(&bytes));
    }

    #[test]
    fn a_path_leads_nowhere_else(text in ".{0,40}|(\\.{0,3}/){0,4}[a-z]{0,3}") {
        if let Ok(path) = OutputPath::parse(&text) {
            let safe = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
            prop_assert!(path.as_str().split('/').all(safe), "{path}");
            prop_assert!(!path.top().starts_with(".."), "{path}");
        }
    }
}

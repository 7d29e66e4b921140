//! What holds for everything that may lie on the volume under our names.

use proptest::{collection, option, prelude::*};

use super::manifest::{FilesManifest, decode, encode};
use crate::{
    digest::Digest,
    generation::{BootTime, FileRecord, Generation},
    journal::{Attempt, Entry, Journal, Outcome, Published, Settled},
    mutation::{harmed, trials},
    rendering::{Access, OutputPath},
};

fn digests() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from)
}

fn paths() -> impl Strategy<Value = OutputPath> {
    let text = prop_oneof!["[a-z]{1,4}(/[a-z.]{1,4}){0,2}", "[^/\\pC]{1,8}"];
    text.prop_filter_map("a path", |text| OutputPath::parse(&text).ok())
}

fn records() -> impl Strategy<Value = FileRecord> {
    let ids = (option::of(any::<u32>()), option::of(any::<u32>()));
    (any::<u64>(), 0..0o10000_u32, ids, digests()).prop_map(
        |(size, mode, (owner, group), digest)| FileRecord {
            size,
            access: Access { mode, owner, group },
            digest,
        },
    )
}

fn generations() -> impl Strategy<Value = Generation> {
    let files = collection::btree_map(paths(), records(), 0..5);
    let sources = collection::btree_map(any::<String>(), any::<u64>(), 0..3);
    (any::<u64>(), digests(), files, sources).prop_map(|(number, rendering, files, sources)| {
        Generation { number, rendering, files, sources }
    })
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![
        Outcome::Confirmed,
        Outcome::Rejected,
        Outcome::Unknown,
        Outcome::NotUp,
        Outcome::Misconfigured,
    ])
}

fn entries() -> impl Strategy<Value = Entry> {
    let attempt =
        (any::<String>(), digests(), any::<u64>()).prop_map(|(name, digest, generation)| {
            Entry::Attempt(name, Attempt { digest, generation })
        });
    let settled = ("[ab]", digests(), any::<u64>(), outcomes()).prop_map(
        |(name, digest, generation, outcome)| {
            Entry::Settled(name, Settled { digest, generation, outcome })
        },
    );
    prop_oneof![attempt, settled, digests().prop_map(Entry::Quarantine)]
}

fn journals() -> impl Strategy<Value = Journal> {
    let flipped = (any::<String>(), any::<u64>(), 0..1_000_000_000_u32).prop_map(
        |(boot_id, seconds, nanos)| BootTime {
            boot_id,
            since_boot: std::time::Duration::new(seconds, nanos),
        },
    );
    let published = (any::<u64>(), digests(), any::<String>(), flipped, any::<bool>()).prop_map(
        |(number, rendering, folder, flipped, rollback)| Published {
            number,
            rendering,
            folder,
            flipped,
            rollback,
        },
    );
    (collection::vec(published, 0..4), collection::vec(entries(), 0..40)).prop_map(
        |(published, entries)| {
            let mut journal = Journal { published, ..Journal::default() };
            for entry in entries {
                journal.apply(entry);
            }
            journal
        },
    )
}

proptest! {
    #![proptest_config(trials())]

    #[test]
    fn a_manifest_is_read_as_it_was_written(generation in generations()) {
        let bytes = encode(&generation).expect("JSON");
        prop_assert_eq!(decode::<Generation>(&bytes), Some(generation));
    }

    #[test]
    fn the_manifest_of_files_is_read_as_it_was_written(
        generation in generations(),
        before in collection::btree_map(paths(), digests(), 0..4),
        folders in collection::btree_set(any::<String>(), 0..4),
    ) {
        let bytes = encode(&FilesManifest { generation, before, folders }).expect("JSON");
        let read: FilesManifest = decode(&bytes).expect("a manifest");
        prop_assert_eq!(encode(&read).expect("JSON"), bytes);
    }

    #[test]
    fn a_manifest_that_was_harmed_in_any_way_is_none(
        (good, harmed) in generations().prop_flat_map(|generation| {
            let good = encode(&generation).expect("JSON");
            (Just(good.clone()), harmed(Just(good)))
        }),
    ) {
        if harmed != good {
            prop_assert_eq!(decode::<Generation>(&harmed), None);
        }
    }

    #[test]
    fn a_forged_manifest_is_refused_or_names_only_files_below_the_root(
        json in harmed(generations().prop_map(|it| serde_json::to_vec(&it).expect("JSON"))),
    ) {
        // Its digest is no secret: whoever writes the volume can make one.
        let head = format!("rehup-manifest 1 {}\n", Digest::of(&json).to_hex());
        let bytes = [head.as_bytes(), &json].concat();
        if let Some(read) = decode::<Generation>(&bytes) {
            prop_assert!(read.files.keys().all(|path| OutputPath::parse(path.as_str()).is_ok()));
        }
        decode::<FilesManifest>(&bytes);
    }

    #[test]
    fn any_bytes_are_no_manifest_or_one(bytes in collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode::<Generation>(&bytes), None);
    }

    #[test]
    fn a_journal_is_read_as_it_was_written(journal in journals()) {
        let bytes = serde_json::to_vec(&journal).expect("JSON");
        prop_assert_eq!(serde_json::from_slice::<Journal>(&bytes).expect("a journal"), journal);
    }

    #[test]
    fn a_harmed_journal_is_refused_or_one_that_works(
        bytes in harmed(journals().prop_map(|it| serde_json::to_vec(&it).expect("JSON"))),
        entries in collection::vec(entries(), 0..4),
    ) {
        let Ok(mut journal) = serde_json::from_slice::<Journal>(&bytes) else { return Ok(()) };
        for entry in entries {
            journal.apply(entry);
        }
        for published in &journal.published {
            published.flipped.elapsed();
        }
        prop_assert!(serde_json::to_vec(&journal).is_ok());
    }

    #[test]
    fn a_journal_keeps_sixteen_digests_of_each_kind(entries in collection::vec(entries(), 0..80)) {
        let mut journal = Journal::default();
        for entry in entries {
            journal.apply(entry);
        }
        let most = |lists: fn(&crate::journal::TargetRecord) -> &Vec<Digest>| {
            journal.targets.values().map(|target| lists(target).len()).max().unwrap_or_default()
        };
        prop_assert!(most(|target| &target.confirmed) <= 16 && most(|target| &target.rejected) <= 16);
    }
}

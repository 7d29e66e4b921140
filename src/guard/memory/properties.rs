//! What holds for everything that `..rehup/sources` may hold.

use proptest::{collection, option, prelude::*};

use super::*;
use crate::mutation::{harmed, trials};

fn digests() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from)
}

fn memories() -> impl Strategy<Value = BTreeMap<String, Remembered>> {
    let names = option::of(collection::btree_set(any::<u64>(), 0..6));
    let one = (digests(), any::<u64>(), names, option::of(digests())).prop_map(
        |(origin, revision, names, accepted)| Remembered {
            origin,
            revision,
            names,
            accepted,
            entries: Entries::new(),
        },
    );
    collection::btree_map(any::<String>(), one, 0..4)
}

fn written(memory: &BTreeMap<String, Remembered>) -> Vec<u8> {
    write(memory.iter().map(|(name, remembered)| (name.as_str(), remembered)))
}

proptest! {
    #![proptest_config(trials())]

    #[test]
    fn the_memory_is_read_as_it_was_written(memory in memories()) {
        let bytes = written(&memory);
        prop_assert_eq!(read(&bytes).len(), memory.len());
        prop_assert_eq!(written(&read(&bytes)), bytes);
    }

    #[test]
    fn a_harmed_memory_is_forgotten_or_one_that_works(
        bytes in harmed(memories().prop_map(|memory| written(&memory))),
    ) {
        let memory = read(&bytes);
        prop_assert_eq!(read(&written(&memory)).len(), memory.len());
    }
}

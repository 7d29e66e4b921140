//! What holds for every memory that lies on the volume: others may write there.

use proptest::{collection, prelude::*};

use super::memory;

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_bytes_are_a_memory_or_forgotten(bytes in collection::vec(any::<u8>(), 0..300)) {
        drop(memory::read(&bytes));
    }

    #[test]
    fn what_can_be_read_is_written_back_the_same(
        names in collection::btree_map("[a-z_]{1,8}", collection::btree_set(any::<u64>(), 0..6), 0..5),
        revision in any::<u64>(),
    ) {
        let zero = "0".repeat(64);
        let source = |(name, names): (String, std::collections::BTreeSet<u64>)| {
            (name, serde_json::json!({
                "origin": zero, "revision": revision, "names": names, "accepted": null,
            }))
        };
        let json: serde_json::Map<_, _> = names.clone().into_iter().map(source).collect();
        let bytes = serde_json::to_vec(&json).expect("JSON");
        let read = memory::read(&bytes);
        prop_assert_eq!(read.len(), names.len(), "{}", String::from_utf8_lossy(&bytes));
        let written = memory::write(read.iter().map(|(name, it)| (name.as_str(), it)));
        let again: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
        prop_assert_eq!(again, serde_json::Value::Object(json));
    }
}

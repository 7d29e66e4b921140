//! What holds for every answer of a Consul: hostile bytes are refused or read, never a panic, and
//! what was written is what is read.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::json;

use super::body::entries;
use crate::Entries;

const PREFIX: &str = "app/";
const CAP: u64 = 1 << 20;

fn config() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

/// Keys below the prefix, folders and the prefix itself among them, with any bytes.
fn pairs() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    // Consul writes the replacement character for what is not UTF-8, so it is refused.
    let key = "[^\u{fffd}]{0,12}/?";
    proptest::collection::btree_map(key, proptest::collection::vec(any::<u8>(), 0..40), 0..12)
}

fn body(pairs: &BTreeMap<String, Vec<u8>>) -> String {
    let pair = |(key, value): (&String, &Vec<u8>)| {
        let value = (!value.is_empty()).then(|| STANDARD.encode(value));
        json!({ "LockIndex": 0, "Key": format!("{PREFIX}{key}"), "Flags": 7, "Value": value })
    };
    serde_json::Value::Array(pairs.iter().map(pair).collect()).to_string()
}

fn content(entries: &Entries) -> BTreeMap<String, Vec<u8>> {
    entries.iter().map(|(key, value)| (key.to_string(), value.bytes().to_vec())).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(entries(&bytes, PREFIX, CAP, &Entries::new()));
    }

    #[test]
    fn what_was_written_is_what_is_read(written in pairs(), before in pairs()) {
        let before = entries(body(&before).as_bytes(), PREFIX, CAP, &Entries::new())
            .expect("an answer of a Consul");
        let read = entries(body(&written).as_bytes(), PREFIX, CAP, &before)
            .expect("an answer of a Consul");
        let mut keys = written;
        keys.retain(|key, _| !key.is_empty() && !key.ends_with('/'));
        prop_assert_eq!(content(&read), keys);
    }

    #[test]
    fn a_damaged_answer_is_refused_or_shows_nothing_that_was_not_written(
        written in pairs(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = body(&written).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = entries(&bytes, PREFIX, CAP, &Entries::new()) {
            prop_assert!(read.len() <= written.len());
        }
    }

    #[test]
    fn no_more_than_the_bound_is_held(written in pairs(), cap in 0_u64..200) {
        let size: usize = written
            .iter()
            .filter(|(key, _)| !key.is_empty() && !key.ends_with('/'))
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let read = entries(body(&written).as_bytes(), PREFIX, cap, &Entries::new());
        prop_assert_eq!(read.is_ok(), size as u64 <= cap);
    }
}

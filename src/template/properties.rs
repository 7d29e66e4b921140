//! What holds for every set of keys: each can be reached, none leads out of the volume, and the
//! same snapshots give the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection, prelude::*};
use providers::{Entries, Key, Revision, Snapshot, Value};
use serde_json::json;
use tokio::time::Instant;

use super::{Complete, TemplateSet, TemplateText, shape};

type Keys = BTreeMap<String, Vec<u8>>;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn keys() -> impl Strategy<Value = Keys> {
    let key = "[a-c./]{1,6}|.{1,8}|\\.\\./[a-z]|[a-b]/[a-b]";
    collection::btree_map(key, collection::vec(any::<u8>(), 0..20), 0..8)
}

/// A view that holds these keys, put there in this order.
fn view<'a>(keys: impl Iterator<Item = (&'a String, &'a Vec<u8>)>) -> Complete {
    let mut entries = Entries::new();
    for (key, value) in keys {
        entries.insert(Key::from(key.as_str()), Value::new(value.clone()));
    }
    let snapshot =
        Snapshot { revision: Revision(1), entries, doubts: Vec::new(), as_of: Instant::now() };
    Complete::from_snapshots([("app".to_owned(), snapshot)].into())
}

fn set(json: serde_json::Value) -> TemplateSet {
    let settings: shape::Template = serde_json::from_value(json).expect("a template");
    let text = settings.inline.clone().map(Into::into);
    let sources: BTreeSet<_> = ["app".to_owned()].into();
    let templates = vec![TemplateText { settings, text }];
    TemplateSet::compile(templates, &sources, &shape::Limits::default()).expect("a good template")
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn every_key_is_reached_by_its_whole_name(keys in keys()) {
        let view = view(keys.iter());
        for (key, value) in &keys {
            let quoted = serde_json::to_string(key).expect("a string");
            let inline = format!("{{{{ app[{quoted}] }}}}");
            let mut set = set(json!({ "to": "out", "inline": inline }));
            match (set.render(&view), std::str::from_utf8(value)) {
                (Ok(rendering), Ok(text)) => {
                    let file = rendering.files().values().next().expect("one file");
                    prop_assert_eq!(&*file.bytes, text.as_bytes());
                }
                (Err(_), Err(_)) => {}
                (rendered, _) => prop_assert!(false, "{key:?}: {:?}", rendered.err()),
            }
        }
    }

    #[test]
    fn a_listing_shows_any_keys_without_a_panic(keys in keys()) {
        let inline = "{% for key, value in app | items %}{{ key | length }}{% endfor %}";
        drop(set(json!({ "to": "out", "inline": inline })).render(&view(keys.iter())));
    }

    #[test]
    fn copies_stay_below_their_folder_and_keep_every_byte(keys in keys()) {
        let mut set = set(json!({ "copy": { "source": "app", "keys": "**" }, "to": "raw/" }));
        if let Ok(rendering) = set.render(&view(keys.iter())) {
            for (path, file) in rendering.files() {
                let key = path.as_str().strip_prefix("raw/").expect("below the folder");
                prop_assert!(key.split('/').all(|part| !matches!(part, "" | "." | "..")));
                prop_assert_eq!(Some(&file.bytes.to_vec()), keys.get(key));
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(8))]

    /// A thousand renders in all, of keys that came in another order each time.
    #[test]
    fn r09_the_same_snapshots_give_the_same_bytes(keys in keys(), seed in any::<u64>()) {
        let inline = "{% for key in app %}{{ key | length }} {% endfor %}{{ app | length }}";
        let template = || json!({ "to": "out", "inline": inline });
        let Ok(first) = set(template()).render(&view(keys.iter())) else { return Ok(()) };
        let mut order: Vec<_> = keys.iter().collect();
        let mut chance = fastrand::Rng::with_seed(seed);
        for _ in 0..125 {
            chance.shuffle(&mut order);
            let again = set(template()).render(&view(order.iter().copied())).expect("as before");
            prop_assert_eq!(again.digest(), first.digest());
        }
    }
}

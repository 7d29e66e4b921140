//! What holds for every answer of a server, also one that is none of Consul's.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::{collection::vec, prelude::*, sample::Index};
use reqwest::{
    StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value as Json, json};

use super::{
    answer::{Meta, refusal},
    body::entries,
};
use crate::{Entries, Key, Value};

const MOST: u64 = 4096;

/// `PROPTEST_CASES` trials, 256 if it is not set; a failing input becomes a named test.
fn trials() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

type Content = BTreeMap<String, Vec<u8>>;

/// Names that Consul may hold: any text but the character that Go writes for other bytes.
fn names() -> impl Strategy<Value = String> {
    let name =
        prop_oneof!["[a-z]{1,3}(/[a-z.]{1,3}){0,3}", ".{1,6}", "[ \\\\\"\u{0}-\u{1f}/é]{1,4}"];
    name.prop_filter("a key of ours", |name| !name.ends_with('/') && !name.contains('\u{fffd}'))
}

fn contents() -> impl Strategy<Value = Content> {
    prop::collection::btree_map(names(), vec(any::<u8>(), 0..40), 0..8)
}

fn pair(key: &str, value: &[u8]) -> Json {
    let text = (!value.is_empty()).then(|| STANDARD.encode(value));
    json!({ "LockIndex": 0, "Key": format!("app/{key}"), "Flags": u64::MAX, "Value": text,
        "CreateIndex": 7, "ModifyIndex": 8, "Session": "none" })
}

fn body(content: &Content) -> Vec<u8> {
    let pairs: Vec<_> = content.iter().map(|(key, value)| pair(key, value)).collect();
    serde_json::to_vec(&pairs).expect("JSON")
}

/// A good answer that met an accident: cut, flipped, doubled, or with something hostile in it.
fn harmed() -> impl Strategy<Value = Vec<u8>> {
    let stone = prop_oneof![
        vec(any::<u8>(), 0..6),
        (1_usize..3000, prop::sample::select(vec!["[", "{\"Key\":", "9", "QUJD", "\\", " "]))
            .prop_map(|(times, text)| text.repeat(times).into_bytes()),
        prop::sample::select(vec!["1e400", "null", "\"", ",", "]", "}", "\\ud800", "\0", "NaN"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let harm = (any::<Index>(), any::<Index>(), any::<u8>(), stone, 0..5_u8);
    (contents(), vec(harm, 0..4)).prop_map(|(content, harms)| {
        let mut bytes = body(&content);
        for (from, to, mask, stone, kind) in harms {
            let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            match kind {
                0 => bytes.truncate(from),
                1 => bytes.iter_mut().skip(from).take(1).for_each(|byte| *byte ^= mask),
                2 => drop(bytes.drain(from..to)),
                3 => drop(bytes.splice(from..from, bytes[from..to].to_vec()).collect::<Vec<_>>()),
                _ => drop(bytes.splice(from..from, stone).collect::<Vec<_>>()),
            }
        }
        bytes
    })
}

fn seen(entries: &Entries) -> Content {
    entries.iter().map(|(key, value)| (key.as_str().to_owned(), value.bytes().to_vec())).collect()
}

/// A number or a character that the other reader cannot hold, in a field that does not concern us;
/// in ours it is refused.
fn concerns_nobody(error: &serde_json::Error) -> bool {
    let error = error.to_string();
    ["number out of range", "surrogate", "hex escape"].iter().any(|what| error.contains(what))
}

/// What another reader of JSON finds in an answer, however it is spelt; `unread` where that one
/// cannot hold what does not concern us.
fn by_another_reader(body: &[u8], unread: &Content) -> Option<Content> {
    // Bytes that are no text may stand where nothing of ours is.
    let pairs = match serde_json::from_str(&String::from_utf8_lossy(body)) {
        Ok(Json::Array(pairs)) => pairs,
        Err(error) if concerns_nobody(&error) => {
            return Some(unread.clone());
        }
        _ => return None,
    };
    let mut content = Content::new();
    for pair in pairs {
        let key = pair.get("Key")?.as_str()?.strip_prefix("app/")?.to_owned();
        let value = match pair.get("Value") {
            None | Some(Json::Null) => Vec::new(),
            Some(Json::String(text)) => STANDARD.decode(text).ok()?,
            Some(_) => return None,
        };
        if !key.is_empty() && !key.ends_with('/') && content.insert(key, value).is_some() {
            return None;
        }
    }
    Some(content)
}

fn of(content: &Content) -> Entries {
    content
        .iter()
        .map(|(key, value)| (Key::from(key.as_str()), Value::new(value.clone())))
        .collect()
}

proptest! {
    #![proptest_config(trials())]

    #[test]
    fn what_was_written_is_read(content in contents(), before in contents()) {
        let read = entries(&body(&content), "app/", MOST, &of(&before)).expect("a good answer");
        prop_assert_eq!(seen(&read), content, "whatever was there before");
    }

    #[test]
    fn a_harmed_answer_is_refused_or_means_what_another_reader_finds(body in harmed()) {
        if let Ok(entries) = entries(&body, "app/", MOST, &Entries::new()) {
            let (seen, text) = (seen(&entries), String::from_utf8_lossy(&body));
            prop_assert_eq!(by_another_reader(&body, &seen), Some(seen), "{}", text);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(body in vec(any::<u8>(), 0..300)) {
        if let Ok(entries) = entries(&body, "app/", MOST, &Entries::new()) {
            let seen = seen(&entries);
            prop_assert_eq!(by_another_reader(&body, &seen), Some(seen));
        }
    }

    #[test]
    fn no_more_is_kept_than_may_be(body in harmed(), most in 0..200_u64) {
        if let Ok(entries) = entries(&body, "app/", most, &Entries::new()) {
            let size = |(key, value): (&Key, &Value)| key.as_str().len() + value.bytes().len();
            prop_assert!(entries.iter().map(size).sum::<usize>() as u64 <= most);
        }
    }

    #[test]
    fn a_refusal_tells_no_value(content in contents(), cut in any::<Index>()) {
        let secret = "c4n4ry-s3cr3t";
        let mut content = content;
        content.insert("zz".to_owned(), secret.as_bytes().to_vec());
        let mut body = body(&content);
        body.truncate(cut.index(body.len()));
        let error = format!("{:?}", entries(&body, "app/", MOST, &Entries::new()));
        prop_assert!(!error.contains(secret) && !error.contains(&STANDARD.encode(secret)));
    }

    #[test]
    fn any_headers_are_read(
        status in 100..1000_u16,
        headers in vec((0..6_usize, vec(any::<u8>(), 0..24)), 0..6),
        body in vec(any::<u8>(), 0..300),
    ) {
        let known = ["x-consul-index", "x-consul-lastcontact", "x-consul-knownleader",
            "x-consul-results-filtered-by-acls", "retry-after", "location"];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.append(HeaderName::from_static(known[name]), value);
            }
        }
        if let Some(index) = Meta::of(&map).index {
            prop_assert!(index > 0 && i64::try_from(index).is_ok());
        }
        let status = StatusCode::from_u16(status).expect("three digits");
        let error = refusal(status, &map, &body, "http://c").to_string();
        prop_assert!(!error.contains('\n') && error.len() < 2000, "{error}");
    }
}

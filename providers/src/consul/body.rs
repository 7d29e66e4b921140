//! The body of a recursive read: JSON to entries that share what did not change.
//!
//! Must not print a value; JSON errors quote what they found, so only their place is told.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use crate::{Entries, ErrorKind, Key, ProviderError, Value};

#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(rename = "Key", borrow)]
    key: Cow<'a, str>,
    #[serde(rename = "Value", borrow)]
    value: Option<Text<'a>>,
}

/// serde borrows a `Cow` only outside an `Option`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// From this size on a body is read beside the runtime: it takes about a millisecond for each MiB,
/// and probes and signals wait meanwhile.
const LARGE: usize = 1 << 20;

/// The same as [`entries`]. Cancel safe: a large body is then read to its end for nothing.
pub(super) async fn read(
    body: Vec<u8>,
    prefix: String,
    max_bytes: u64,
    before: Entries,
) -> Result<Entries, ProviderError> {
    if body.len() < LARGE {
        return entries(&body, &prefix, max_bytes, &before);
    }
    let reading = move || entries(&body, &prefix, max_bytes, &before);
    let stopped = |_| malformed("reading the answer was given up");
    tokio::task::spawn_blocking(reading).await.unwrap_or_else(|error| Err(stopped(error)))
}

/// The entries of `body` below `prefix`, made from `before` by difference.
///
/// Left out are folder keys, which end in `/`, and the prefix itself.
pub(super) fn entries(
    body: &[u8],
    prefix: &str,
    max_bytes: u64,
    before: &Entries,
) -> Result<Entries, ProviderError> {
    let all: Vec<Pair<'_>> = serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        malformed(format!("the answer for `{prefix}` is no list of keys (at {place})"))
    })?;
    let pairs = sorted(&all, prefix)?;
    let mut entries = before.clone();
    let mut scratch = Vec::new();
    let mut size = 0;
    let mut known = 0;
    for (key, pair) in &pairs {
        decode(pair, &mut scratch)?;
        size += (key.len() + scratch.len()) as u64;
        if size > max_bytes {
            return Err(too_large(prefix, max_bytes));
        }
        if let Some(value) = before.get(*key) {
            known += 1;
            if **value.bytes() == *scratch {
                continue;
            }
        }
        entries.insert(Key::from(*key), Value::new(scratch.clone()));
    }
    if known < before.len() {
        for key in before.keys() {
            if pairs.binary_search_by(|(name, _)| (*name).cmp(key.as_str())).is_err() {
                entries.remove(key);
            }
        }
    }
    Ok(entries)
}

/// More than the source may hold.
pub(super) fn too_large(prefix: &str, max_bytes: u64) -> ProviderError {
    let message = format!("`{prefix}` holds more than max_bytes ({max_bytes})");
    ProviderError::new(ErrorKind::TooLarge, message)
}

/// The pairs of the body that are keys of ours, sorted by name; each name once.
fn sorted<'a, 'b>(
    all: &'b [Pair<'a>],
    prefix: &str,
) -> Result<Vec<(&'b str, &'b Pair<'a>)>, ProviderError> {
    let mut pairs = Vec::with_capacity(all.len());
    for pair in all {
        // Go writes this character for each byte that is not UTF-8.
        if pair.key.contains('\u{fffd}') {
            return Err(malformed(format!("key {:?} is not UTF-8", pair.key)));
        }
        let Some(name) = pair.key.strip_prefix(prefix) else {
            return Err(malformed(format!("key {:?} is not below `{prefix}`", pair.key)));
        };
        if !name.is_empty() && !name.ends_with('/') {
            pairs.push((name, pair));
        }
    }
    pairs.sort_unstable_by_key(|(name, _)| *name);
    if let Some(two) = pairs.windows(2).find(|two| two[0].0 == two[1].0) {
        return Err(malformed(format!("key {:?} comes twice", two[0].1.key)));
    }
    Ok(pairs)
}

fn decode(pair: &Pair<'_>, into: &mut Vec<u8>) -> Result<(), ProviderError> {
    into.clear();
    // An empty value is null.
    let Some(Text(text)) = &pair.value else { return Ok(()) };
    STANDARD
        .decode_vec(text.as_bytes(), into)
        .map_err(|_| malformed(format!("the value of key {:?} is no base64", pair.key)))
}

fn malformed(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::Malformed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Entries, ProviderError> {
        entries(body.as_bytes(), "app/", 100, &Entries::new())
    }

    #[test]
    fn values_are_bytes_and_folders_are_no_keys() {
        let body = r#"[{"Key":"app/","Value":"eA=="},{"Key":"app/dir/","Value":null},
            {"Key":"app/b","Value":null},{"Key":"app/a\"","Value":"\u002f/8=","Flags":7}]"#;
        let entries = parse(body).expect("a good answer");
        let seen: Vec<_> =
            entries.iter().map(|(key, value)| (key.as_str(), &**value.bytes())).collect();
        assert_eq!(seen, [("a\"", &[0xff, 0xff][..]), ("b", &[])]);
    }

    #[test]
    fn hostile_bodies_are_refused_whole_and_no_value_is_told() {
        for (body, kind) in [
            ("", ErrorKind::Malformed),
            ("[", ErrorKind::Malformed),
            ("{}", ErrorKind::Malformed),
            ("null", ErrorKind::Malformed),
            (r#"["app/a"]"#, ErrorKind::Malformed),
            (r#"[{"Value":"c2VjcmV0"}]"#, ErrorKind::Malformed),
            (r#"[{"Key":7,"Value":"c2VjcmV0"}]"#, ErrorKind::Malformed),
            (r#"[{"Key":"app/a","Value":"c2VjcmV0!"}]"#, ErrorKind::Malformed),
            (r#"[{"Key":"app/a","Value":["c2VjcmV0"]}]"#, ErrorKind::Malformed),
            (r#"[{"Key":"app/a","Value":"c2VjcmV0"}] x"#, ErrorKind::Malformed),
            (r#"[{"Key":"other/a","Value":"c2VjcmV0"}]"#, ErrorKind::Malformed),
            (r#"[{"Key":"app/\ufffd","Value":"c2VjcmV0"}]"#, ErrorKind::Malformed),
            (
                r#"[{"Key":"app/a","Value":null},{"Key":"app/a","Value":null}]"#,
                ErrorKind::Malformed,
            ),
            (
                &format!(r#"[{{"Key":"app/a","Value":"{}"}}]"#, "QUJD".repeat(40)),
                ErrorKind::TooLarge,
            ),
        ] {
            let error = parse(body).expect_err(body);
            assert_eq!(error.kind, kind, "{body}: {error}");
            assert!(!format!("{error:?}").contains("c2Vj"), "{error:?}");
        }
    }

    #[test]
    fn any_cut_of_an_answer_is_refused() {
        let body = r#"[{"Key":"app/a","Value":"eA=="},{"Key":"app/b","Value":"eQ=="}]"#;
        assert!((0..body.len()).all(|end| parse(&body[..end]).is_err()));
    }

    #[tokio::test]
    async fn a_large_body_is_read_like_a_small_one() {
        let body = |value: &str| format!(r#"[{{"Key":"app/a","Value":"{value}"}}]"#).into_bytes();
        for size in [4, 2 * LARGE] {
            let prefix = || "app/".to_owned();
            let large = read(body(&"QUJD".repeat(size / 4)), prefix(), 4 << 20, Entries::new());
            assert_eq!(large.await.expect("a good answer")["a"].bytes().len(), size / 4 * 3);
            let broken = read(body(&"!".repeat(size)), prefix(), 4 << 20, Entries::new());
            assert_eq!(broken.await.expect_err("no base64").kind, ErrorKind::Malformed);
        }
    }

    #[test]
    fn what_did_not_change_is_shared() {
        let before = parse(r#"[{"Key":"app/a","Value":"eA=="},{"Key":"app/b","Value":"eQ=="}]"#);
        let before = before.expect("a good answer");
        let body = r#"[{"Key":"app/b","Value":"eQ=="},{"Key":"app/c","Value":"eg=="}]"#;
        let after = entries(body.as_bytes(), "app/", 100, &before).expect("a good answer");
        assert_eq!(after.keys().map(Key::as_str).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(after["b"].bytes().as_ptr(), before["b"].bytes().as_ptr());
        let same = br#"[{"Key":"app/a","Value":"eA=="},{"Key":"app/b","Value":"eQ=="}]"#;
        assert!(entries(same, "app/", 100, &before).expect("a good answer").ptr_eq(&before));
    }
}

//! The range of keys below a prefix, without the key that is equal to it.

use crate::{ErrorKind, Key, ProviderError};

/// Which keys are followed.
#[derive(Clone, Debug)]
pub(super) struct Range {
    prefix: Vec<u8>,
    start: Vec<u8>,
    end: Vec<u8>,
}

impl Range {
    /// Every key that begins with `prefix` and is longer. Asking the server for just these keeps
    /// its counts comparable with ours.
    pub(super) fn below(prefix: &str) -> Self {
        let prefix = prefix.as_bytes().to_vec();
        let start = successor(&prefix);
        let end = end_of(&prefix);
        Self { prefix, start, end }
    }

    /// The first possible key.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// The first key that is no more below the prefix; a single NUL stands for no end.
    pub(super) fn end(&self) -> &[u8] {
        &self.end
    }

    /// The key without the prefix.
    pub(super) fn key(&self, raw: &[u8]) -> Result<Key, ProviderError> {
        let name = raw.strip_prefix(self.prefix.as_slice()).map(str::from_utf8);
        let Some(Ok(name)) = name else {
            let message = format!("key `{}` is not UTF-8; rename it", raw.escape_ascii());
            return Err(ProviderError::new(ErrorKind::Malformed, message));
        };
        Ok(Key::from(name))
    }
}

/// The key right behind `key`.
pub(super) fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

fn end_of(prefix: &[u8]) -> Vec<u8> {
    let Some(last) = prefix.iter().rposition(|byte| *byte < 0xff) else {
        return vec![0];
    };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_begins_behind_the_prefix_and_ends_before_the_next_one() {
        let range = Range::below("/app/");
        assert_eq!(range.start(), b"/app/\0");
        assert_eq!(range.end(), b"/app0");
    }

    #[test]
    fn an_empty_prefix_means_every_key() {
        let range = Range::below("");
        assert_eq!((range.start(), range.end()), (&[0][..], &[0][..]));
    }

    #[test]
    fn keys_lose_the_prefix() {
        assert_eq!(Range::below("/app/").key(b"/app/a/b").expect("a key").as_str(), "a/b");
    }

    #[test]
    fn a_key_that_is_not_utf8_is_named_escaped() {
        let error = Range::below("/app/").key(b"/app/\xff").expect_err("not UTF-8");
        assert_eq!(error.kind, ErrorKind::Malformed);
        assert_eq!(error.to_string(), r"key `/app/\xff` is not UTF-8; rename it");
    }
}

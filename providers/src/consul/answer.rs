//! Statuses and headers of an answer: what they say about index, rights and leader.

use std::time::Duration;

use reqwest::{
    StatusCode,
    header::{HeaderMap, LOCATION, RETRY_AFTER},
};

use crate::{ErrorKind, ProviderError};

/// A server that had no contact with a leader for longer may be behind.
const STALE_AFTER: u64 = 10_000;

/// The longest wait that a server can ask of us.
const RETRY_CAP: u64 = 60;

/// What an answer's headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// `X-Consul-Index`; none when it is missing, zero or no number.
    pub(super) index: Option<u64>,
    /// Rules of access left something out.
    pub(super) filtered: bool,
    /// What no rule allows is denied.
    pub(super) default_deny: bool,
    /// The server knows no leader, or has not heard of it for long.
    pub(super) stale: bool,
}

impl Meta {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let behind = text("x-consul-lastcontact").and_then(|text| text.parse::<u64>().ok());
        let index = text("x-consul-index").and_then(|text| text.parse::<u64>().ok());
        Self {
            // The server refuses indexes beyond a signed number.
            index: index.filter(|index| (1..=i64::MAX as u64).contains(index)),
            filtered: text("x-consul-results-filtered-by-acls") == Some("true"),
            default_deny: text("x-consul-default-acl-policy") == Some("deny"),
            stale: text("x-consul-knownleader") == Some("false")
                || behind.is_some_and(|millis| millis > STALE_AFTER),
        }
    }
}

/// What a status other than 200 and 404 means; `body` is the beginning of the answer and `at` the
/// address.
pub(super) fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    at: &str,
) -> ProviderError {
    let text = String::from_utf8_lossy(body);
    let kind = match status.as_u16() {
        300..=399 => return redirect(status, headers, at),
        401 => ErrorKind::Auth,
        403 if text.contains("ACL not found") => ErrorKind::Auth,
        403 => ErrorKind::Permission,
        429 | 503 => ErrorKind::Throttled,
        500 if text.contains("No cluster leader") => ErrorKind::NoLeader,
        404 => {
            let message = format!("{at} answers 404 and is no Consul; is the address right?");
            return ProviderError::new(ErrorKind::Malformed, message);
        }
        _ => ErrorKind::Unavailable,
    };
    let said: String = text.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    ProviderError::new(kind, format!("{at} answers {status}: {said}"))
        .with_retry_after(retry_after(headers))
}

fn redirect(status: StatusCode, headers: &HeaderMap, at: &str) -> ProviderError {
    let to = headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let to = to.as_deref().unwrap_or("nowhere");
    let message = format!("{at} redirects ({status}) to {to:?}, which is never followed");
    ProviderError::new(ErrorKind::Malformed, message)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(RETRY_CAP)))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn odd_indexes_are_none() {
        for odd in ["", "0", "-1", "x", "1.5", "9223372036854775808", "99999999999999999999"] {
            let mut headers = HeaderMap::new();
            headers.insert("x-consul-index", HeaderValue::from_static(odd));
            assert_eq!(Meta::of(&headers).index, None, "{odd}");
        }
        assert_eq!(Meta::of(&HeaderMap::new()).index, None);
    }

    #[test]
    fn each_refusal_has_its_kind() {
        for (status, body, kind) in [
            (403, "ACL not found", ErrorKind::Auth),
            (403, "rpc error making call: ACL not found", ErrorKind::Auth),
            (403, "Permission denied: lacks 'key:list'", ErrorKind::Permission),
            (429, "", ErrorKind::Throttled),
            (503, "", ErrorKind::Throttled),
            (500, "No cluster leader", ErrorKind::NoLeader),
            (500, "rpc error making call: EOF", ErrorKind::Unavailable),
            (502, "<html>", ErrorKind::Unavailable),
            (307, "", ErrorKind::Malformed),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let error = refusal(status, &HeaderMap::new(), body.as_bytes(), "http://c");
            assert_eq!(error.kind, kind, "{status} {body}");
        }
    }

    #[test]
    fn retry_after_is_capped() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("3600"));
        let error = refusal(StatusCode::TOO_MANY_REQUESTS, &headers, b"", "http://c");
        assert_eq!(error.retry_after, Some(Duration::from_mins(1)));
    }
}

//! What went wrong and what mends it.
//!
//! Owns the reading of gRPC statuses and of the texts that etcd puts into cancelled watches.

use std::{error::Error as StdError, io, iter};

use etcd_client::Error;

use crate::{ErrorKind, ProviderError};

/// What the next poll does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    /// Reads everything anew on the same connection.
    Relist,
    /// Logs in again, then reads everything anew.
    Login,
    /// Goes to the next endpoint.
    Reconnect,
}

/// A failed step.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ProviderError,
    pub(super) recovery: Recovery,
}

impl Failure {
    /// The connection is of no use any more.
    pub(super) fn reconnect(error: ProviderError) -> Self {
        Self { error, recovery: Recovery::Reconnect }
    }

    /// What we hold is of no use any more, the connection is.
    pub(super) fn relist(error: ProviderError) -> Self {
        Self { error, recovery: Recovery::Relist }
    }

    /// The store shows an older revision than the applied one.
    pub(super) fn went_back(endpoint: &str, applied: u64, revision: u64) -> Self {
        let message = format!(
            "etcd at {endpoint}: the store went back from revision {applied} to {revision}; it was \
             restored"
        );
        Self::relist(ProviderError::new(ErrorKind::Regressed, message))
    }

    /// A call that the client or the server ended with an error.
    pub(super) fn of_call(endpoint: &str, what: &str, error: Error) -> Self {
        let (kind, recovery) = match &error {
            Error::GRpcStatus(status) if broken_tls(status) => {
                (ErrorKind::Tls, Recovery::Reconnect)
            }
            Error::TransportError(inner) if broken_tls(inner) => {
                (ErrorKind::Tls, Recovery::Reconnect)
            }
            Error::GRpcStatus(status) => classify(status.code() as i32, status.message()),
            Error::InvalidUri(_) | Error::InvalidArgs(_) => {
                (ErrorKind::Malformed, Recovery::Reconnect)
            }
            _ => (ErrorKind::Unavailable, Recovery::Reconnect),
        };
        let error = ProviderError::new(kind, message(endpoint, what, kind)).with_source(error);
        Self { error, recovery }
    }

    /// The first call on a connection with TLS: servers end it without a word when they do not
    /// accept the client's certificate, because the handshake is over for us by then.
    pub(super) fn of_first_call(endpoint: &str, what: &str, error: Error) -> Self {
        let failure = Self::of_call(endpoint, what, error);
        if failure.error.kind != ErrorKind::Unavailable || !broke_off(&failure.error) {
            return failure;
        }
        let message = format!(
            "etcd at {endpoint}: the server ended the connection right after the handshake; check \
             that it accepts cert_file"
        );
        let error = ProviderError::new(ErrorKind::Tls, message).with_source(failure.error);
        Self::reconnect(error)
    }

    /// A watch that the server cancelled; its reason may embed a whole gRPC error as text.
    pub(super) fn of_cancel(endpoint: &str, compacted: bool, reason: &str) -> Self {
        let (kind, recovery) = match reason {
            _ if compacted => (ErrorKind::Compacted, Recovery::Relist),
            "" => (ErrorKind::Compacted, Recovery::Relist),
            text => classify(code_in(text), text),
        };
        let mut text = message(endpoint, "the watch", kind);
        if !reason.is_empty() {
            text = format!("{text}: {reason}");
        }
        Self { error: ProviderError::new(kind, text), recovery }
    }

    /// No answer within the bound.
    pub(super) fn timed_out(endpoint: &str, what: &str) -> Self {
        let message = format!("etcd at {endpoint}: no answer to {what} in time");
        Self::reconnect(ProviderError::new(ErrorKind::Unavailable, message))
    }
}

/// gRPC's status codes, as far as etcd's meanings differ.
mod code {
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const OUT_OF_RANGE: i32 = 11;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// Texts go first: etcd gives one meaning under several codes.
fn classify(code: i32, text: &str) -> (ErrorKind, Recovery) {
    let says = |part: &str| text.contains(part);
    if says("no leader") {
        (ErrorKind::NoLeader, Recovery::Reconnect)
    } else if says("authentication failed") {
        (ErrorKind::Auth, Recovery::Reconnect)
    } else if code == code::UNAUTHENTICATED
        || says("invalid auth token")
        || says("revision of auth store is old")
        || says("user name is empty")
    {
        (ErrorKind::Auth, Recovery::Login)
    } else if code == code::PERMISSION_DENIED || says("permission denied") {
        (ErrorKind::Permission, Recovery::Relist)
    } else if says("has been compacted") || says("future revision") {
        (ErrorKind::Compacted, Recovery::Relist)
    } else if code == code::OUT_OF_RANGE {
        (ErrorKind::TooLarge, Recovery::Relist)
    } else if code == code::RESOURCE_EXHAUSTED {
        (ErrorKind::Throttled, Recovery::Relist)
    } else {
        (ErrorKind::Unavailable, Recovery::Reconnect)
    }
}

/// The code that a text such as `rpc error: code = PermissionDenied desc = …` names.
fn code_in(text: &str) -> i32 {
    let name = text.split("code = ").nth(1).and_then(|rest| rest.split(' ').next());
    match name {
        Some("PermissionDenied") => code::PERMISSION_DENIED,
        Some("Unauthenticated") => code::UNAUTHENTICATED,
        Some("ResourceExhausted") => code::RESOURCE_EXHAUSTED,
        _ => code::UNAVAILABLE,
    }
}

/// Whether an authentication is refused only because the server has none.
pub(super) fn without_authentication(error: &Error) -> bool {
    matches!(error, Error::GRpcStatus(status)
        if status.message().contains("authentication is not enabled"))
}

fn message(endpoint: &str, what: &str, kind: ErrorKind) -> String {
    let problem = match kind {
        ErrorKind::Auth => "refused; check username and password_file",
        ErrorKind::Permission => "refused; grant the user's role read on the whole prefix",
        ErrorKind::Tls => "failed in TLS; check tls and the server's certificate",
        ErrorKind::NoLeader => "refused, the cluster has no leader",
        ErrorKind::TooLarge => "answered with more than max_bytes",
        ErrorKind::Compacted => "needs history that is gone",
        ErrorKind::Throttled => "refused, the server is overloaded",
        ErrorKind::Malformed => "cannot be made; check endpoints and tls",
        _ => "failed",
    };
    format!("etcd at {endpoint}: {what} {problem}")
}

/// Whether a connection that stood was ended by the other side.
fn broke_off(error: &(dyn StdError + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    iter::successors(Some(error), |&error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof))
}

/// Whether a TLS error is anywhere below.
fn broken_tls(error: &(dyn StdError + 'static)) -> bool {
    iter::successors(Some(error), |&error| error.source()).any(|error| {
        // An `io::Error` hides what it wraps from `source`. HTTP/2 keeps only the text of an alert
        // that comes after our side of the handshake, as for a missing client certificate.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let wrapped = inner.is_some_and(|inner| {
            inner.is::<rustls::Error>() || inner.to_string().contains("fatal alert")
        });
        wrapped || error.is::<rustls::Error>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cancelled(compacted: bool, reason: &str) -> (ErrorKind, Recovery) {
        let failure = Failure::of_cancel("http://e", compacted, reason);
        (failure.error.kind, failure.recovery)
    }

    #[test]
    fn every_reason_of_a_cancelled_watch_leads_to_its_recovery() {
        use ErrorKind::{Auth, Compacted, NoLeader, Permission, Unavailable};
        use Recovery::{Login, Reconnect, Relist};
        let expired = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";
        let denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
        let cases = [
            (true, "", Compacted, Relist),
            (false, "", Compacted, Relist),
            (false, "etcdserver: mvcc: required revision has been compacted", Compacted, Relist),
            (false, expired, Auth, Login),
            (false, "etcdserver: revision of auth store is old", Auth, Login),
            (false, "etcdserver: user name is empty", Auth, Login),
            (false, denied, Permission, Relist),
            (false, "etcdserver: no leader", NoLeader, Reconnect),
            (false, "something new", Unavailable, Reconnect),
        ];
        for (compacted, reason, kind, recovery) in cases {
            assert_eq!(cancelled(compacted, reason), (kind, recovery), "{reason}");
        }
    }

    #[test]
    fn a_wrong_password_is_no_reason_to_log_in_at_once() {
        let text = "etcdserver: authentication failed, invalid user ID or password";
        assert_eq!(classify(3, text), (ErrorKind::Auth, Recovery::Reconnect));
    }

    #[test]
    fn a_message_over_the_decode_limit_is_too_large() {
        let text = "Error, decoded message length too large: found 9 bytes, the limit is: 8 bytes";
        assert_eq!(classify(code::OUT_OF_RANGE, text), (ErrorKind::TooLarge, Recovery::Relist));
    }
}

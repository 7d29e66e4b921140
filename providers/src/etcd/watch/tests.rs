use etcd_client::proto::{PbKeyValue, PbResponseHeader};

use super::*;
use crate::etcd::failure::Recovery;

fn message(revision: i64) -> PbWatchResponse {
    let header = PbResponseHeader { revision, ..PbResponseHeader::default() };
    PbWatchResponse { header: Some(header), ..PbWatchResponse::default() }
}

fn event(key: &str) -> PbEvent {
    let pair = PbKeyValue { key: key.into(), value: vec![0; 10], ..PbKeyValue::default() };
    PbEvent { r#type: 0, kv: Some(pair), prev_kv: None }
}

#[track_caller]
fn failed(message: PbWatchResponse) -> (ErrorKind, Recovery) {
    match meaning("http://e", 5, Some(message)) {
        Ok(_) => panic!("a failure was expected"),
        Err(failure) => (failure.error.kind, failure.recovery),
    }
}

#[test]
fn a_created_watch_that_is_cancelled_at_once_is_refused() {
    let reason = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
    let refused = PbWatchResponse {
        created: true,
        canceled: true,
        watch_id: -1,
        cancel_reason: reason.to_owned(),
        ..message(5)
    };
    assert_eq!(failed(refused), (ErrorKind::Permission, Recovery::Relist));
}

#[test]
fn a_created_watch_without_an_id_is_refused() {
    let refused = PbWatchResponse { created: true, watch_id: -1, ..message(5) };
    assert_eq!(failed(refused), (ErrorKind::Compacted, Recovery::Relist));
}

#[test]
fn compaction_is_lost_history_also_without_a_header() {
    let compacted =
        PbWatchResponse { canceled: true, compact_revision: 9, ..PbWatchResponse::default() };
    assert_eq!(failed(compacted), (ErrorKind::Compacted, Recovery::Relist));
}

#[test]
fn a_missing_header_is_malformed() {
    assert_eq!(failed(PbWatchResponse::default()), (ErrorKind::Malformed, Recovery::Reconnect));
}

#[test]
fn a_header_that_goes_back_is_lost_history() {
    let created = PbWatchResponse { created: true, ..message(4) };
    let events = PbWatchResponse { events: vec![event("a")], ..message(4) };
    for back in [created, events] {
        assert_eq!(failed(back), (ErrorKind::Regressed, Recovery::Relist));
    }
}

#[test]
fn progress_may_be_a_little_behind_an_event() {
    assert!(matches!(meaning("http://e", 5, Some(message(4))), Ok(Meaning::Progress(4))));
}

#[test]
fn the_end_of_the_stream_is_an_error() {
    let failure = meaning("http://e", 5, None).err().expect("a failure");
    assert_eq!(failure.recovery, Recovery::Reconnect);
}

#[test]
fn a_message_without_events_is_progress() {
    let progress = PbWatchResponse { watch_id: -1, ..message(7) };
    assert!(matches!(meaning("http://e", 5, Some(progress)), Ok(Meaning::Progress(7))));
}

#[test]
fn parts_are_held_back_until_the_last_one() {
    let mut parts = Parts::new(1000);
    assert!(parts.join(vec![event("a")], true).is_ok_and(|events| events.is_none()));
    assert!(parts.join(vec![event("b")], true).is_ok_and(|events| events.is_none()));
    let events = parts.join(vec![event("c")], false).ok().flatten().expect("all parts");
    assert_eq!(events.len(), 3);
    let events = parts.join(vec![event("d")], false).ok().flatten().expect("a single part");
    assert_eq!(events.len(), 1);
}

#[test]
fn parts_without_end_are_given_up() {
    let mut parts = Parts::new(100);
    let mut joined = (0..100).map(|_| parts.join(vec![event("a")], true));
    assert!(joined.any(|part| part.is_err()));
}

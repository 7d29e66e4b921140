//! What the server holds and whom it tells; no connections here.

use std::collections::BTreeMap;

use etcd_client::proto::{
    PbEvent, PbKeyValue, PbRangeRequest, PbRangeResponse, PbResponseHeader, PbWatchResponse,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Line;

/// Keys, watches and what is to go wrong.
pub(super) struct Store {
    pub(super) revision: i64,
    keys: BTreeMap<Vec<u8>, PbKeyValue>,
    pub(super) watches: Vec<UnboundedSender<Line>>,
    pub(super) refusal: Option<Vec<Line>>,
    pub(super) swallows: bool,
    pub(super) watched_from: Vec<i64>,
    pub(super) reads: usize,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            // As a server's first.
            revision: 1,
            keys: BTreeMap::new(),
            watches: Vec::new(),
            refusal: None,
            swallows: false,
            watched_from: Vec::new(),
            reads: 0,
        }
    }
}

impl Store {
    pub(super) fn put(&mut self, key: &str, value: &str) -> PbEvent {
        self.put_all(&[key], value).pop().expect("one key, one event")
    }

    pub(super) fn put_all(&mut self, keys: &[&str], value: &str) -> Vec<PbEvent> {
        self.revision += 1;
        let pairs = keys.iter().map(|key| PbKeyValue {
            key: key.as_bytes().into(),
            value: value.as_bytes().into(),
            mod_revision: self.revision,
            ..PbKeyValue::default()
        });
        let pairs: Vec<_> = pairs.collect();
        self.keys.extend(pairs.iter().map(|pair| (pair.key.clone(), pair.clone())));
        pairs.into_iter().map(|pair| PbEvent { kv: Some(pair), ..PbEvent::default() }).collect()
    }

    pub(super) fn range(&mut self, request: &PbRangeRequest) -> PbRangeResponse {
        self.reads += usize::from(!request.count_only);
        let (start, end) = (request.key.clone(), request.range_end.clone());
        let kvs: Vec<_> = self.keys.range(start..end).map(|(_, pair)| pair.clone()).collect();
        let count = i64::try_from(kvs.len()).expect("few keys");
        let kvs = if request.count_only { Vec::new() } else { kvs };
        PbRangeResponse { header: Some(self.header()), kvs, count, more: false }
    }

    /// A new watch: created, or refused as it was ordered.
    pub(super) fn watch(&mut self, from: i64) -> UnboundedReceiver<Line> {
        self.watched_from.push(from);
        let (watch, lines) = unbounded_channel();
        let created = Ok(PbWatchResponse { created: true, ..self.message() });
        let answers = self.refusal.clone().unwrap_or_else(|| vec![created]);
        for answer in answers {
            drop(watch.send(answer));
        }
        self.watches.push(watch);
        lines
    }

    /// The answer to a request for progress, to every watch: there is but one.
    pub(super) fn progress(&mut self) {
        if !self.swallows {
            let progress = PbWatchResponse { watch_id: -1, ..self.message() };
            self.say(&Ok(progress));
        }
    }

    pub(super) fn tell(&mut self, events: Vec<PbEvent>) {
        if !self.swallows {
            let message = PbWatchResponse { events, ..self.message() };
            self.say(&Ok(message));
        }
    }

    pub(super) fn say(&mut self, line: &Line) {
        self.watches.retain(|watch| watch.send(line.clone()).is_ok());
    }

    pub(super) fn message(&self) -> PbWatchResponse {
        PbWatchResponse { header: Some(self.header()), ..PbWatchResponse::default() }
    }

    fn header(&self) -> PbResponseHeader {
        PbResponseHeader { revision: self.revision, ..PbResponseHeader::default() }
    }
}

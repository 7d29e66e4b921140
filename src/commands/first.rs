//! One complete view, read once from the stores: for commands that do not follow.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use providers::{Snapshot, Update};

use crate::{chain::chain, config::source::Source};

/// The pause between two attempts at a store.
const PAUSE: Duration = Duration::from_millis(500);

/// The first snapshot of a source, or why there was none within `patience`.
pub(super) async fn snapshot(source: &Source, patience: Duration) -> Result<Snapshot, String> {
    let provider = source.provider.open().map_err(|error| error.to_string())?;
    let mut updates = provider.follow();
    let mut last = format!("no answer within {}s", patience.as_secs());
    let read = async {
        while let Some(update) = updates.next().await {
            match update {
                Ok(Update::Snapshot(snapshot)) => return Some(snapshot),
                Ok(Update::Current { .. } | Update::Note(_)) => {}
                Err(error) => {
                    last = format!("{}: {}", error.kind, chain(&error));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        None
    };
    match tokio::time::timeout(patience, read).await {
        Ok(Some(snapshot)) => Ok(snapshot),
        _ => Err(last),
    }
}

/// The first snapshot of every source, all asked at once; every failure by source.
pub(super) async fn snapshots(
    sources: &BTreeMap<String, Source>,
    patience: Duration,
) -> Result<BTreeMap<String, Snapshot>, Vec<String>> {
    let read = sources.iter().map(async |(name, source)| (name, snapshot(source, patience).await));
    let answers = futures_util::future::join_all(read).await;
    let mut found = BTreeMap::new();
    let mut failures = Vec::new();
    for (name, answer) in answers {
        match answer {
            Ok(snapshot) => drop(found.insert(name.clone(), snapshot)),
            Err(why) => failures.push(format!("source {name}: {why}")),
        }
    }
    if failures.is_empty() { Ok(found) } else { Err(failures) }
}

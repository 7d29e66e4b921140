//! stub
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use crate::{inbox::Inbox, status::Board};
#[allow(missing_docs)]
pub struct Follower { pub name: String, pub source: crate::config::source::Source, pub inbox: Arc<Inbox>, pub resync: watch::Receiver<u64>, pub board: Board }
impl Follower { /// x
 pub async fn run(self, _s: CancellationToken) { } }

//! The full read: pages of one revision.

use etcd_client::{GetOptions, GetResponse};

use super::{
    content::Content,
    failure::Failure,
    range::{Range, successor},
    session::Session,
};
use crate::{ErrorKind, ProviderError};

/// Keys in one page: a list has no limit of its own and would come as one message.
const PAGE: i64 = 500;

/// Reads every key at the revision of the first page, linearizably.
pub(super) async fn list(
    session: &mut Session,
    range: &Range,
    max_bytes: u64,
) -> Result<Content, Failure> {
    let mut page = page_from(session, range, range.start().to_vec(), 0).await?;
    session.answered();
    let mut content = Content::at(revision_of(session.endpoint(), &page)?, max_bytes);
    loop {
        let more = page.more();
        let next = page.0.kvs.last().filter(|_| more).map(|pair| successor(&pair.key));
        for pair in page.0.kvs {
            content.put(range, pair)?;
        }
        let Some(start) = next else { return Ok(content) };
        page = page_from(session, range, start, content.applied()).await?;
    }
}

/// One page; revision 0 asks for the newest.
async fn page_from(
    session: &Session,
    range: &Range,
    start: Vec<u8>,
    revision: i64,
) -> Result<GetResponse, Failure> {
    let options =
        GetOptions::new().with_range(range.end()).with_limit(PAGE).with_revision(revision);
    session.bounded("the read", session.kv().get(start, Some(options))).await
}

/// The store's revision when it answered.
pub(super) fn revision_of(endpoint: &str, answer: &GetResponse) -> Result<i64, Failure> {
    answer.header().map(etcd_client::ResponseHeader::revision).ok_or_else(|| {
        let message = format!("etcd at {endpoint}: an answer without a header");
        Failure::reconnect(ProviderError::new(ErrorKind::Malformed, message))
    })
}

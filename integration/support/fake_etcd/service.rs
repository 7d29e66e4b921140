//! The two services that a watcher uses, on the wire.

use std::sync::{Arc, Mutex};

use etcd_client::proto::{
    PbCompactionRequest, PbCompactionResponse, PbDeleteRequest, PbDeleteResponse, PbKvService,
    PbPutRequest, PbPutResponse, PbRangeRequest, PbRangeResponse, PbRangeStreamResponse,
    PbTxnRequest, PbTxnResponse, PbWatchRequest, PbWatchRequestUnion, PbWatchService,
};
use futures_util::stream::{self, BoxStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tonic::{Request, Response, Status, Streaming};

use super::{Line, lock, store::Store};

/// Answers from the store.
pub(super) struct Service(pub(super) Arc<Mutex<Store>>);

#[tonic::async_trait]
impl PbKvService for Service {
    async fn range(
        &self,
        request: Request<PbRangeRequest>,
    ) -> Result<Response<PbRangeResponse>, Status> {
        Ok(Response::new(lock(&self.0).range(request.get_ref())))
    }

    type RangeStreamStream = BoxStream<'static, Result<PbRangeStreamResponse, Status>>;

    async fn range_stream(
        &self,
        _: Request<PbRangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(reads_only())
    }

    async fn put(&self, _: Request<PbPutRequest>) -> Result<Response<PbPutResponse>, Status> {
        Err(reads_only())
    }

    async fn delete_range(
        &self,
        _: Request<PbDeleteRequest>,
    ) -> Result<Response<PbDeleteResponse>, Status> {
        Err(reads_only())
    }

    async fn txn(&self, _: Request<PbTxnRequest>) -> Result<Response<PbTxnResponse>, Status> {
        Err(reads_only())
    }

    async fn compact(
        &self,
        _: Request<PbCompactionRequest>,
    ) -> Result<Response<PbCompactionResponse>, Status> {
        Err(reads_only())
    }
}

/// Its owner writes, nobody else.
fn reads_only() -> Status {
    Status::unimplemented("this server is read only")
}

#[tonic::async_trait]
impl PbWatchService for Service {
    type WatchStream = BoxStream<'static, Line>;

    async fn watch(
        &self,
        request: Request<Streaming<PbWatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let state = (Arc::clone(&self.0), request.into_inner(), None);
        let lines = stream::unfold(state, async |(store, mut requests, mut lines)| {
            let line = next(&store, &mut requests, &mut lines).await?;
            Some((line, (store, requests, lines)))
        });
        Ok(Response::new(Box::pin(lines)))
    }
}

/// What one watch says next, while it hears what it is asked.
async fn next(
    store: &Mutex<Store>,
    requests: &mut Streaming<PbWatchRequest>,
    lines: &mut Option<UnboundedReceiver<Line>>,
) -> Option<Line> {
    loop {
        let line = async {
            match lines {
                Some(lines) => lines.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            line = line => return line,
            request = requests.message() => match request.ok()??.request_union? {
                PbWatchRequestUnion::CreateRequest(wish) => {
                    *lines = Some(lock(store).watch(wish.start_revision));
                }
                PbWatchRequestUnion::ProgressRequest(_) => lock(store).progress(),
                PbWatchRequestUnion::CancelRequest(_) => return None,
            },
        }
    }
}

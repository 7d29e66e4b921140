//! An etcd that fails on cue: it cancels watches in every shape that servers were seen to use, says
//! nothing, repeats itself, or splits a revision into parts. A real one does most of this only in
//! rare races, or not at all since its bugs were mended.
//!
//! It speaks the real protocol over real connections: the messages are the client's own.

mod service;
mod store;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use etcd_client::proto::{PbEvent, PbKvServer, PbWatchResponse, PbWatchServer};
use tokio::{net::TcpListener, sync::Notify};
use tonic::{
    Status,
    transport::{Server, server::TcpIncoming},
};

use store::Store;

/// What a watch says instead of what it should: messages, or the error that ends it.
pub type Line = Result<PbWatchResponse, Status>;

/// A running server; dropping it closes everything.
pub struct FakeEtcd {
    at: SocketAddr,
    store: Arc<Mutex<Store>>,
    end: Arc<Notify>,
}

impl FakeEtcd {
    /// Listens on a port that the system picks; it holds nothing.
    pub fn start() -> Self {
        let store = Arc::new(Mutex::new(Store::default()));
        let end = Arc::new(Notify::new());
        let (ready, listening) = std::sync::mpsc::channel();
        let (held, ended) = (Arc::clone(&store), Arc::clone(&end));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                ready.send(listener.local_addr().expect("a bound socket")).expect("an owner");
                let server = Server::builder()
                    .add_service(PbKvServer::new(service::Service(Arc::clone(&held))))
                    .add_service(PbWatchServer::new(service::Service(held)))
                    .serve_with_incoming(TcpIncoming::from(listener));
                tokio::select! {
                    () = ended.notified() => {}
                    outcome = server => outcome.expect("a server that serves"),
                }
            });
        });
        let at = listening.recv().expect("a listening server");
        Self { at, store, end }
    }

    /// The URL for clients.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.at)
    }

    /// Writes a key, as one revision, and tells the watches.
    pub fn put(&self, key: &str, value: &str) {
        let event = self.store().put(key, &super::canary::hide(value));
        self.store().tell(vec![event]);
    }

    /// Writes keys in one revision and tells nobody.
    pub fn put_silently(&self, keys: &[&str], value: &str) -> Vec<PbEvent> {
        self.store().put_all(keys, &super::canary::hide(value))
    }

    /// Says this on every open watch.
    pub fn say(&self, line: &Line) {
        self.store().say(line);
    }

    /// A message of an ordinary watch at the store's revision, to be changed at will.
    pub fn message(&self) -> PbWatchResponse {
        self.store().message()
    }

    /// Ends every open watch as a server does that has nothing more to say.
    pub fn end_watches(&self) {
        self.store().watches.clear();
    }

    /// Each new watch is answered so, instead of being created, until told otherwise.
    pub fn refuse_watches(&self, lines: Option<Vec<Line>>) {
        self.store().refusal = lines;
    }

    /// Answers pings and reads, but tells watches neither events nor progress.
    pub fn swallow(&self, swallow: bool) {
        self.store().swallows = swallow;
    }

    /// From where each watch so far was to begin.
    pub fn watched_from(&self) -> Vec<i64> {
        self.store().watched_from.clone()
    }

    /// How many full reads were answered.
    pub fn reads(&self) -> usize {
        self.store().reads
    }

    /// The revision now.
    pub fn revision(&self) -> i64 {
        self.store().revision
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }
}

impl Drop for FakeEtcd {
    fn drop(&mut self) {
        self.end.notify_one();
    }
}

fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

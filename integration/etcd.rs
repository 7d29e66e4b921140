//! The etcd provider against real servers of two versions.

mod endpoints;
mod faults;
mod history;
mod login;
mod size;
mod tls;

use std::time::Duration;

use etcd_client::{Client, Txn, TxnOp};
use providers::{
    Provider, Settings,
    conformance::{Bench, Follower},
    etcd::Etcd,
    settings::EtcdSettings,
};

use crate::support::{
    connections::established,
    etcd::{Etcd as Server, Version},
    store::Store,
};

const PREFIX: &str = "/flags/app/";
const RARELY: Duration = Duration::from_secs(30);
const OFTEN: Duration = Duration::from_millis(300);

mod current {
    use super::{EtcdBench, Version};

    providers::conformance!(EtcdBench::start(Version::Current));
}

mod old {
    use super::{EtcdBench, Version};

    providers::conformance!(EtcdBench::start(Version::Old));
}

/// One server and a writer of keys below one prefix.
pub struct EtcdBench {
    server: Server,
    writer: Box<Client>,
}

impl EtcdBench {
    pub async fn start(version: Version) -> Self {
        let server = Server::start(version).await;
        let mut writer = server.client().await;
        // Neighbours of the prefix, which must never be seen.
        for key in ["/flags/app", "/flags/app0", "/flags/a"] {
            writer.put(key, "foreign", None).await.expect("a put");
        }
        Self { server, writer }
    }
}

impl Bench for EtcdBench {
    fn provider(&self, proof_every: Duration) -> Box<dyn Provider> {
        Box::new(Etcd::new(settings(&self.server)).with_proof_every(proof_every))
    }

    async fn put(&mut self, key: &str, value: &[u8]) {
        self.writer.put(path(key), value, None).await.expect("a put");
    }

    async fn delete(&mut self, key: &str) {
        self.writer.delete(path(key), None).await.expect("a delete");
    }

    async fn transaction(&mut self, entries: &[(&str, &[u8])]) {
        let put = |&(key, value): &(&str, &[u8])| TxnOp::put(path(key), value, None);
        let operations: Vec<_> = entries.iter().map(put).collect();
        self.writer.txn(Txn::new().and_then(operations)).await.expect("a transaction");
    }

    async fn put_prefix(&mut self, value: &[u8]) -> bool {
        self.writer.put(PREFIX, value, None).await.expect("a put");
        true
    }

    async fn stop(&mut self) -> bool {
        self.server.stop();
        true
    }

    async fn start(&mut self) {
        self.server.restart().await;
        self.writer = self.server.client().await;
    }

    async fn held(&mut self) -> Option<usize> {
        Some(established(self.server.port()))
    }
}

impl Store for EtcdBench {
    fn settings(&self) -> Settings {
        Settings::Etcd(settings(&self.server))
    }
}

fn path(key: &str) -> String {
    format!("{PREFIX}{key}")
}

fn settings(server: &Server) -> EtcdSettings {
    EtcdSettings {
        endpoints: vec![server.endpoint()],
        prefix: PREFIX.to_owned(),
        username: None,
        password_file: None,
        tls: None,
        max_bytes: 16 << 20,
    }
}

fn follow(settings: EtcdSettings, proof_every: Duration) -> Follower {
    Follower::new(&Etcd::new(settings).with_proof_every(proof_every))
}

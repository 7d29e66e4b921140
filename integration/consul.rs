//! The Consul provider against a real server.

mod faults;
mod rights;
mod store;

use std::time::Duration;

use providers::{Provider, Settings, conformance::Bench, consul::Consul, settings::ConsulSettings};
use reqwest::Method;

use crate::support::{connections::established, consul::Consul as Server, store::Store};

const PREFIX: &str = "payment/app/";

mod conformance {
    use super::ConsulBench;

    providers::conformance!(ConsulBench::start());
}

/// One server and a writer of keys below one prefix.
pub struct ConsulBench {
    server: Server,
}

impl ConsulBench {
    pub async fn start() -> Self {
        let server = Server::start().await;
        // Neighbours of the prefix, which must never be seen.
        for key in ["payment/app", "payment/app0", "payment/a"] {
            server.put_plainly(key, b"foreign").await;
        }
        Self { server }
    }
}

impl Bench for ConsulBench {
    fn provider(&self, proof_every: Duration) -> Box<dyn Provider> {
        Box::new(Consul::new(settings(&self.server.url())).with_proof_every(proof_every))
    }

    async fn put(&mut self, key: &str, value: &[u8]) {
        self.server.put_plainly(&path(key), value).await;
    }

    async fn delete(&mut self, key: &str) {
        self.server.call(Method::DELETE, &format!("/v1/kv/{}", path(key)), "").await;
    }

    async fn transaction(&mut self, entries: &[(&str, &[u8])]) {
        let entries: Vec<_> = entries.iter().map(|(key, value)| (path(key), *value)).collect();
        self.server.transaction(&entries).await;
    }

    async fn put_prefix(&mut self, value: &[u8]) -> bool {
        self.server.put_plainly(PREFIX, value).await;
        true
    }

    async fn stop(&mut self) -> bool {
        self.server.stop();
        true
    }

    async fn start(&mut self) {
        self.server.restart().await;
    }

    async fn held(&mut self) -> Option<usize> {
        Some(established(self.server.port()))
    }
}

impl Store for ConsulBench {
    fn settings(&self) -> Settings {
        Settings::Consul(settings(&self.server.url()))
    }
}

fn path(key: &str) -> String {
    format!("{PREFIX}{key}")
}

fn settings(address: &str) -> ConsulSettings {
    let settings = serde_json::json!({ "address": address, "prefix": PREFIX });
    serde_json::from_value(settings).expect("settings")
}

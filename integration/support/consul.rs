//! A real Consul agent: ports that the system picks, data on tmpfs, killed with its test.

pub mod cluster;
pub mod fake;
pub mod rights;

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nix::sys::signal::Signal;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{
    canary,
    certificates::Authority,
    patience::eventually_async,
    process::{Process, free_port, scratch},
};

/// The token that may do everything, where ACLs are on.
pub const MANAGEMENT: &str = "6f1d3a52-55a5-4d17-9c2e-3f6b8f6f0d11";

/// How often a start is tried again with other ports.
const STARTS: u32 = 5;

/// A running or stopped server; its ports and data stay the same over restarts.
pub struct Consul {
    // Ends before its folder does.
    process: Option<Process>,
    folder: tempfile::TempDir,
    port: u16,
    https: Option<u16>,
    acl: bool,
    client: Client,
}

impl Consul {
    /// Starts a server that allows everything.
    pub async fn start() -> Self {
        Self::start_adjusted(|_| {}).await
    }

    /// Starts a server that speaks TLS on a second port, with clients of the same authority only.
    pub async fn start_with_tls(authority: &Authority) -> Self {
        Self::start_adjusted(|config| speak_tls(config, authority)).await
    }

    /// Starts a server whose configuration file is changed before.
    pub async fn start_adjusted(adjust: impl Fn(&mut Value)) -> Self {
        for _ in 0..STARTS {
            let mut consul = Self::prepared(&adjust);
            if consul.launch().await {
                return consul;
            }
        }
        panic!("no Consul came up in {STARTS} starts");
    }

    fn prepared(adjust: impl Fn(&mut Value)) -> Self {
        let folder = scratch();
        let port = free_port();
        let mut config = json!({
            "node_name": "one", "datacenter": "dc1", "server": true, "bootstrap_expect": 1,
            "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1", "data_dir": folder.path().join("data"),
            "disable_update_check": true, "log_level": "warn", "connect": { "enabled": false },
            "performance": { "raft_multiplier": 1 },
            "ports": {
                "http": port, "https": -1, "dns": -1, "grpc": -1, "grpc_tls": -1, "serf_wan": -1,
                "serf_lan": free_port(), "server": free_port(),
            },
        });
        adjust(&mut config);
        std::fs::write(folder.path().join("consul.json"), config.to_string()).expect("a config");
        let client = providers::http::client(None).expect("certificates").no_proxy();
        let client = client.build().expect("a client");
        let https = config["ports"]["https"].as_u64().and_then(|port| u16::try_from(port).ok());
        let acl = config["acl"]["enabled"] == true;
        Self { process: None, folder, port, https, acl, client }
    }

    fn spawn(&mut self) {
        let config = self.folder.path().join("consul.json");
        let arguments = ["agent".into(), "-config-file".into(), config.into_os_string()];
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(program(), arguments, &log, |_| {}));
    }

    /// Starts it and waits until it takes writes; false if it ended, as with a port that was taken.
    async fn launch(&mut self) -> bool {
        self.spawn();
        self.leads().await
    }

    /// Waits until it takes writes; false if it ended.
    async fn leads(&mut self) -> bool {
        eventually_async("a Consul with a leader", async || self.takes_writes().await).await
    }

    /// Whether it takes writes; nothing while that is open, false if it ended.
    async fn takes_writes(&mut self) -> Option<bool> {
        if self.process.as_mut().expect("started").exited().is_some() {
            return Some(false);
        }
        // The token is refused until the leader has made it.
        let body = b"1".to_vec();
        let wrote = self.request(Method::PUT, "/v1/kv/rehup-ready", body).await;
        wrote.filter(|(status, _)| *status == 200).map(|_| true)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its URL with TLS.
    pub fn tls_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.https.expect("started with TLS"))
    }

    /// Its port without TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Ends it as an operator would, and waits for its end.
    pub fn terminate(&mut self) {
        let mut process = self.process.take().expect("a running Consul");
        process.signal(Signal::SIGTERM);
        process.wait();
    }

    /// Stops it in its tracks: its connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.process.as_ref().expect("a running Consul").signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.as_ref().expect("a running Consul").signal(Signal::SIGCONT);
    }

    /// Starts it again on the same ports with the same data.
    pub async fn restart(&mut self) {
        self.stop();
        assert!(self.launch().await, "Consul ended when it was started again");
    }

    /// Gives it another certificate, of this authority, and starts it again.
    pub async fn certify(&mut self, authority: &Authority) {
        self.stop();
        let path = self.folder.path().join("consul.json");
        let config = std::fs::read(&path).expect("a config");
        let mut config = serde_json::from_slice(&config).expect("JSON");
        show_certificate(&mut config, authority);
        std::fs::write(path, config.to_string()).expect("a config");
        self.restart().await;
    }

    /// A call with the management token that must succeed.
    pub async fn call(&self, method: Method, path: &str, body: impl Into<Vec<u8>>) -> Vec<u8> {
        let answer = self.request(method, path, body.into()).await.expect("Consul answers");
        assert_eq!(answer.0, 200, "{path}: {}", String::from_utf8_lossy(&answer.1));
        answer.1
    }

    /// The same with JSON both ways.
    pub async fn json(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.call(method, path, body.to_string()).await;
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// Writes one key, its value with the mark of a secret.
    pub async fn put(&self, key: &str, value: &[u8]) {
        self.put_plainly(key, &[value, canary::MARK.as_bytes()].concat()).await;
    }

    /// Writes one key as it is.
    pub async fn put_plainly(&self, key: &str, value: &[u8]) {
        self.call(Method::PUT, &format!("/v1/kv/{key}"), value).await;
    }

    /// Deletes one key.
    pub async fn delete(&self, key: &str) {
        self.call(Method::DELETE, &format!("/v1/kv/{key}"), "").await;
    }

    /// Deletes every key below a prefix.
    pub async fn delete_tree(&self, prefix: &str) {
        self.call(Method::DELETE, &format!("/v1/kv/{prefix}?recurse"), "").await;
    }

    /// A snapshot of everything it holds.
    pub async fn save(&self) -> Vec<u8> {
        self.call(Method::GET, "/v1/snapshot", "").await
    }

    /// Goes back to a snapshot.
    pub async fn restore(&self, saved: &[u8]) {
        // A leader that just lost its office refuses; then nothing was restored.
        eventually_async("a leader restores the snapshot", async || {
            let answer = self.request(Method::PUT, "/v1/snapshot", saved.to_vec()).await?;
            (answer.0 == 200).then_some(())
        })
        .await;
    }

    /// Writes several keys in one step.
    pub async fn transaction(&self, entries: &[(String, &[u8])]) {
        let set = |(key, value): &(String, &[u8])| json!({ "KV": { "Verb": "set", "Key": key, "Value": STANDARD.encode(value) } });
        let operations: Vec<_> = entries.iter().map(set).collect();
        self.json(Method::PUT, "/v1/txn", Value::Array(operations)).await;
    }

    async fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Option<(u16, Vec<u8>)> {
        let mut request = self.client.request(method, format!("{}{path}", self.url())).body(body);
        if self.acl {
            request = request.header("X-Consul-Token", MANAGEMENT);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.bytes().await.ok()?.to_vec()))
    }
}

/// Turns ACLs on: what no rule allows is denied.
pub fn deny_by_default(config: &mut Value) {
    config["acl"] = json!({
        "enabled": true, "default_policy": "deny",
        "tokens": { "initial_management": MANAGEMENT },
    });
}

fn speak_tls(config: &mut Value, authority: &Authority) {
    config["ports"]["https"] = free_port().into();
    show_certificate(config, authority);
}

fn show_certificate(config: &mut Value, authority: &Authority) {
    let pair = authority.issue("consul.test", "DNS:consul.test");
    config["tls"] = json!({ "https": {
        "ca_file": authority.ca(), "cert_file": pair.cert, "key_file": pair.key,
        "verify_incoming": true,
    }});
}

fn program() -> PathBuf {
    let fallback = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers/consul");
    let program = std::env::var_os("CONSUL").map_or(fallback, PathBuf::from);
    let at = program.display();
    assert!(program.is_file(), "no Consul at {at}: run `make test`, which gets it, or set CONSUL");
    program
}

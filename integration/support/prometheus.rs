//! A real Prometheus whose configuration is what Rehup publishes.

use std::{net::SocketAddr, path::Path};

use super::{
    http,
    patience::eventually,
    process::{Process, free_port, scratch},
    program::installed,
};

/// A place for one Prometheus; nothing runs before [`Prometheus::start`].
pub struct Prometheus {
    folder: tempfile::TempDir,
    at: SocketAddr,
    process: Option<Process>,
}

impl Prometheus {
    /// Picks a port.
    pub fn new() -> Self {
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self { folder: scratch(), at, process: None }
    }

    /// Starts it on a configuration file and waits until it is ready.
    pub fn start(&mut self, configuration: &Path) {
        let arguments = [
            format!("--config.file={}", configuration.display()),
            format!("--storage.tsdb.path={}/data", self.folder.path().display()),
            format!("--web.listen-address={}", self.at),
            "--web.enable-lifecycle".to_owned(),
        ];
        let log = self.folder.path().join("output");
        self.process = Some(Process::start(installed("prometheus"), arguments, &log, |_| ()));
        eventually("Prometheus is ready", || {
            http::get(self.at, "/-/ready").filter(|answer| answer.status == 200)
        });
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// The configuration that it uses, as it prints it itself.
    pub fn configuration(&self) -> String {
        let answer = http::get(self.at, "/api/v1/status/config").expect("a running Prometheus");
        answer.body
    }
}

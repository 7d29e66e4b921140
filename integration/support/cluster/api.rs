//! Kubernetes' API behind a socket of `kubectl proxy`: one request, one answer, no program for each.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use serde_json::Value;

use super::Cluster;
use crate::support::{
    http::Answer,
    patience::eventually,
    process::{Process, scratch},
};

/// A connection to the cluster; the proxy ends with it.
pub struct Api {
    _proxy: Process,
    folder: tempfile::TempDir,
}

/// A body and what it is: a whole object, or a change of one.
pub enum Body<'a> {
    None,
    Object(&'a Value),
    Merge(&'a Value),
}

impl Api {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let folder = scratch();
        let socket = format!("--unix-socket={}", folder.path().join("api").display());
        let kubectl = cluster.kubectl();
        let words = kubectl.get_args().chain(["proxy".as_ref(), socket.as_ref()]);
        let environment: Vec<_> =
            kubectl.get_envs().filter_map(|(name, value)| Some((name, value?))).collect();
        let log = folder.path().join("log");
        let proxy = Process::start(kubectl.get_program(), words, &log, |command| {
            command.envs(environment);
        });
        let api = Self { _proxy: proxy, folder };
        eventually("the cluster answers", || {
            api.ask("GET", "/readyz", &Body::None).filter(|answer| answer.status == 200)
        });
        api
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("api")
    }

    /// An object, or nothing while it is not there.
    pub fn get(&self, path: &str) -> Option<Value> {
        let answer = self.ask("GET", path, &Body::None)?;
        if answer.status != 200 {
            return None;
        }
        Some(serde_json::from_str(&answer.body).expect("an object is JSON"))
    }

    /// Makes, changes or removes something; fails with what the cluster says.
    #[track_caller]
    pub fn must(&self, method: &str, path: &str, body: &Body<'_>) -> Value {
        let answer = self.ask(method, path, body).expect("the cluster answers");
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).expect("an object is JSON")
    }

    /// Any request; none if nobody answers.
    pub fn ask(&self, method: &str, path: &str, body: &Body<'_>) -> Option<Answer> {
        let (kind, body) = match body {
            Body::None => ("application/json", String::new()),
            Body::Object(object) => ("application/json", object.to_string()),
            Body::Merge(change) => ("application/merge-patch+json", change.to_string()),
        };
        let mut stream = UnixStream::connect(self.socket()).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        // The older version, so that the answer ends with the connection and comes in one piece.
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-type: {kind}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let answer = String::from_utf8_lossy(&bytes);
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some(Answer { status, body: body.to_owned() })
    }
}

//! A store's snapshot and its return, as an operator does both.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Etcd, peer_url};

impl Etcd {
    /// Saves a snapshot of everything; it stays as long as the server.
    pub async fn backup(&self) -> PathBuf {
        let mut snapshot = self.client().await.snapshot().await.expect("a snapshot");
        let mut content = Vec::new();
        while let Some(part) = snapshot.message().await.expect("a part of the snapshot") {
            content.extend_from_slice(part.blob());
        }
        let path = self.folder.path().join("snapshot.db");
        fs::write(&path, content).expect("a file for the snapshot");
        path
    }

    /// Stops the server and puts a snapshot in the place of its data: the same cluster and member,
    /// with revisions that begin anew behind the snapshot's. Nothing is started.
    pub fn restore(&mut self, snapshot: &Path) {
        self.wipe();
        let (name, peer) = (self.advertised.to_string(), peer_url(self.advertised));
        let mut command = Command::new(etcdutl());
        command.args(["snapshot", "restore"]).arg(snapshot);
        command.arg("--data-dir").arg(self.folder.path().join("data"));
        command.args(["--name", &name, "--initial-cluster", &format!("{name}={peer}")]);
        command.args(["--initial-advertise-peer-urls", &peer]);
        let output = command.output().expect("etcdutl starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdutl cannot restore:\n{said}");
    }
}

fn etcdutl() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers/etcdutl");
    let program = std::env::var_os("ETCDUTL").map_or(built, PathBuf::from);
    let at = program.display();
    assert!(
        program.is_file(),
        "no etcdutl at {at}: run `make test`, which builds it, or set ETCDUTL"
    );
    program
}

//! A Kubernetes for the pod tests: the box that `e2e/cluster/box.sh` starts, or the cluster whose
//! kubeconfig `REHUP_E2E_KUBECONFIG` names. Never `KUBECONFIG`: that may be somebody's production.
//!
//! Each test has a [`Space`] of its own, so that all run at once. What ships is applied as it is but
//! for its images, which [`manifest`] replaces where there is no registry. [`Pod`]s are asked
//! through the API server, as `kubectl proxy` does, so that no test enters the cluster's network.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub mod api;
pub mod manifest;
pub mod pod;
pub mod space;

pub use manifest::Manifest;
pub use pod::Pod;
pub use space::Space;

/// Where the tests' cluster is.
enum Cluster {
    /// The box, below this folder.
    Box(PathBuf),
    /// Another one, as this kubeconfig says.
    Named(PathBuf),
}

impl Cluster {
    fn of_the_tests() -> Self {
        if let Some(config) = std::env::var_os("REHUP_E2E_KUBECONFIG") {
            return Self::Named(config.into());
        }
        let home = || PathBuf::from(std::env::var_os("HOME").expect("a home"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = || cache.unwrap_or_else(|| home().join(".cache")).join("rehup-cluster");
        let folder = std::env::var_os("REHUP_E2E_BOX").map_or_else(cache, PathBuf::from);
        assert!(
            folder.join("state/init.pid").is_file(),
            "no cluster runs: `make e2e` starts one, or integration/e2e/cluster/box.sh up"
        );
        Self::Box(folder)
    }

    /// A program with the cluster's network and as its admin.
    fn command(&self, program: &str) -> Command {
        match self {
            Self::Named(config) => {
                let mut command = Command::new(program);
                command.env("KUBECONFIG", config);
                command
            }
            Self::Box(folder) => {
                let first = std::fs::read_to_string(folder.join("state/init.pid")).expect("a box");
                let ours = folder.join("bin").join(program);
                let mut command = Command::new("nsenter");
                command.args(["--target", first.trim(), "--net", "--"]);
                command.arg(if ours.exists() { ours.as_path() } else { Path::new(program) });
                command.env("KUBECONFIG", folder.join("state/kubeconfig"));
                command
            }
        }
    }

    fn kubectl(&self) -> Command {
        let mut command = self.command("kubectl");
        command.stdin(Stdio::null());
        command
    }
}

//! A server with users: an operator who may do everything, and a reader who may read one prefix.

use std::path::PathBuf;

use etcd_client::{Client, ConnectOptions, Permission};

use super::{Etcd, Options, Version};
use crate::support::{canary::hide, http, process::scratch};

/// The reader's name; its role is `reading`.
pub const READER: &str = "reader";

/// A server with users, and the file with the reader's password.
pub struct Guarded {
    pub server: Etcd,
    pub root: Box<Client>,
    prefix: &'static str,
    folder: tempfile::TempDir,
}

impl Guarded {
    /// Starts a server with these further flags that holds `a=1` below the prefix.
    pub async fn start(version: Version, flags: &[&str], prefix: &'static str) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let server = Etcd::start_with(version, Options { flags, ..Options::default() }).await;
        let mut open = server.client().await;
        open.put(format!("{prefix}a"), "1", None).await.expect("a put");
        for (user, role) in [("root", "root"), (READER, "reading")] {
            open.user_add(user, hide("first"), None).await.expect("a user");
            open.role_add(role).await.expect("a role");
            open.user_grant_role(user, role).await.expect("a grant");
        }
        grant(&mut open, prefix).await;
        open.auth_enable().await.expect("users are on");
        let login =
            ConnectOptions::new().with_user("root", hide("first")).with_auto_token_refresh(true);
        let root = server.client_with(login).await;
        let guarded = Self { server, root, prefix, folder: scratch() };
        guarded.set_password("first");
        guarded
    }

    /// The file with the reader's password.
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// Writes the file with the reader's password, with the mark of a secret; the server's is another
    /// matter.
    pub fn set_password(&self, password: &str) {
        std::fs::write(self.password_file(), format!("{}\n", hide(password)))
            .expect("a password file");
    }

    /// Changes the reader's password on the server.
    pub async fn change_password(&mut self, password: &str) {
        let changed = self.root.user_change_password(READER, hide(password)).await;
        changed.expect("a new password");
    }

    /// Gives the reader its right again.
    pub async fn grant(&mut self) {
        grant(&mut self.root, self.prefix).await;
    }

    /// How many logins the server has seen since its start, the operator's included.
    pub fn logins(&self) -> u64 {
        let page = http::get(([127, 0, 0, 1], self.server.port()).into(), "/metrics");
        let page = page.expect("etcd tells its metrics").body;
        let of_logins = |line: &&str| {
            line.starts_with("grpc_server_handled_total") && line.contains("\"Authenticate\"")
        };
        let count = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
        page.lines().filter(of_logins).filter_map(count).sum()
    }
}

async fn grant(client: &mut Client, prefix: &str) {
    let read = Permission::read(prefix).with_prefix();
    client.role_grant_permission("reading", read).await.expect("a grant");
}

//! Users, passwords, rights and expired logins.

use std::{path::PathBuf, time::Duration};

use etcd_client::{Client, ConnectOptions, Permission, RoleRevokePermissionOptions};
use providers::{ErrorKind, settings::EtcdSettings};

use super::{OFTEN, PREFIX, RARELY, Server, Version, follow, path, settings};
use crate::support::{etcd::Options, process::scratch};

/// A server with users, and the file with the reader's password.
struct Guarded {
    server: Server,
    root: Box<Client>,
    folder: tempfile::TempDir,
}

impl Guarded {
    async fn start(version: Version, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let server = Server::start_with(version, Options { flags, ..Options::default() }).await;
        let mut open = server.client().await;
        open.put(path("a"), "1", None).await.expect("a put");
        for (user, role) in [("root", "root"), ("reader", "reading")] {
            open.user_add(user, "first", None).await.expect("a user");
            open.role_add(role).await.expect("a role");
            open.user_grant_role(user, role).await.expect("a grant");
        }
        grant(&mut open).await;
        open.auth_enable().await.expect("users are on");
        let login = ConnectOptions::new().with_user("root", "first").with_auto_token_refresh(true);
        let root = server.client_with(login).await;
        let guarded = Self { server, root, folder: scratch() };
        guarded.set_password("first");
        guarded
    }

    fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    fn set_password(&self, password: &str) {
        std::fs::write(self.password_file(), format!("{password}\n")).expect("a password file");
    }

    fn settings(&self) -> EtcdSettings {
        EtcdSettings {
            username: Some("reader".to_owned()),
            password_file: Some(self.password_file()),
            ..settings(&self.server)
        }
    }
}

async fn grant(client: &mut Client) {
    let read = Permission::read(PREFIX).with_prefix();
    client.role_grant_permission("reading", read).await.expect("a grant");
}

async fn logs_in(version: Version) {
    let mut guarded = Guarded::start(version, &[]).await;
    let mut follower = follow(guarded.settings(), OFTEN);
    follower.until(&[("a", b"1")]).await;
    guarded.root.put(path("a"), "2", None).await.expect("a put");
    follower.until(&[("a", b"2")]).await;
    follower.proof().await;
}

#[tokio::test]
async fn a_user_with_the_right_reads_and_watches() {
    logs_in(Version::Current).await;
}

#[tokio::test]
async fn a_user_with_the_right_reads_and_watches_the_old_version_too() {
    logs_in(Version::Old).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_the_file_is_read_for_each_login() {
    let guarded = Guarded::start(Version::Current, &[]).await;
    guarded.set_password("wrong");
    let mut follower = follow(guarded.settings(), RARELY);
    assert_eq!(follower.error().await, ErrorKind::Auth);
    assert_eq!(follower.error().await, ErrorKind::Auth);
    std::fs::remove_file(guarded.password_file()).expect("a password file");
    assert_eq!(follower.error().await, ErrorKind::Credentials);
    guarded.set_password("first");
    follower.until(&[("a", b"1")]).await;
}

#[tokio::test]
async fn no_login_where_one_is_needed_is_told() {
    let guarded = Guarded::start(Version::Current, &[]).await;
    let mut follower = follow(settings(&guarded.server), RARELY);
    assert_eq!(follower.error().await, ErrorKind::Auth);
}

#[tokio::test]
async fn a_login_where_none_is_needed_is_left_out() {
    let mut guarded = Guarded::start(Version::Current, &[]).await;
    guarded.root.auth_disable().await.expect("users are off");
    let mut follower = follow(guarded.settings(), OFTEN);
    follower.until(&[("a", b"1")]).await;
    follower.proof().await;
}

#[tokio::test]
async fn an_expired_login_is_renewed_without_an_error() {
    let mut guarded = Guarded::start(Version::Current, &["--auth-token-ttl=1"]).await;
    // Rarer than the login lives, so that each proof finds it expired.
    let mut follower = follow(guarded.settings(), Duration::from_secs(4));
    for _ in 0..3 {
        let item = follower.item().await;
        assert!(item.is_ok(), "{item:?}");
    }
    guarded.root.put(path("a"), "2", None).await.expect("a put");
    follower.until(&[("a", b"2")]).await;
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_told_until_it_is_back() {
    let mut guarded = Guarded::start(Version::Current, &[]).await;
    let mut follower = follow(guarded.settings(), OFTEN);
    follower.until(&[("a", b"1")]).await;
    let all = RoleRevokePermissionOptions::new().with_prefix();
    let revoked = guarded.root.role_revoke_permission("reading", PREFIX, Some(all)).await;
    revoked.expect("a revocation");
    assert_eq!(follower.error().await, ErrorKind::Permission);
    assert_eq!(follower.error().await, ErrorKind::Permission);
    grant(&mut guarded.root).await;
    follower.until(&[("a", b"1")]).await;
}

#[tokio::test]
async fn a_changed_password_is_taken_up_from_the_file() {
    let mut guarded = Guarded::start(Version::Current, &[]).await;
    let mut follower = follow(guarded.settings(), OFTEN);
    follower.until(&[("a", b"1")]).await;
    guarded.set_password("second");
    guarded.root.user_change_password("reader", "second").await.expect("a new password");
    guarded.root.put(path("a"), "2", None).await.expect("a put");
    follower.until(&[("a", b"2")]).await;
    follower.proof().await;
}

//! Users, passwords, rights and expired logins.

use std::time::Duration;

use etcd_client::RoleRevokePermissionOptions;
use providers::{ErrorKind, settings::EtcdSettings};

use super::{OFTEN, PREFIX, RARELY, Version, follow, path, settings};
use crate::support::etcd::users::{Guarded, READER};

async fn guarded(version: Version, flags: &[&str]) -> Guarded {
    Guarded::start(version, flags, PREFIX).await
}

/// How its reader follows it.
fn reader(guarded: &Guarded) -> EtcdSettings {
    EtcdSettings {
        username: Some(READER.to_owned()),
        password_file: Some(guarded.password_file()),
        ..settings(&guarded.server)
    }
}

async fn logs_in(version: Version) {
    let mut guarded = guarded(version, &[]).await;
    let mut follower = follow(reader(&guarded), OFTEN);
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
    let guarded = guarded(Version::Current, &[]).await;
    guarded.set_password("wrong");
    let mut follower = follow(reader(&guarded), RARELY);
    assert_eq!(follower.error().await, ErrorKind::Auth);
    assert_eq!(follower.error().await, ErrorKind::Auth);
    std::fs::remove_file(guarded.password_file()).expect("a password file");
    assert_eq!(follower.error().await, ErrorKind::Credentials);
    guarded.set_password("first");
    follower.until(&[("a", b"1")]).await;
}

#[tokio::test]
async fn no_login_where_one_is_needed_is_told() {
    let guarded = guarded(Version::Current, &[]).await;
    let mut follower = follow(settings(&guarded.server), RARELY);
    assert_eq!(follower.error().await, ErrorKind::Auth);
}

#[tokio::test]
async fn a_login_where_none_is_needed_is_left_out() {
    let mut guarded = guarded(Version::Current, &[]).await;
    guarded.root.auth_disable().await.expect("users are off");
    let mut follower = follow(reader(&guarded), OFTEN);
    follower.until(&[("a", b"1")]).await;
    follower.proof().await;
}

#[tokio::test]
async fn an_expired_login_is_renewed_without_an_error() {
    let mut guarded = guarded(Version::Current, &["--auth-token-ttl=1"]).await;
    // Rarer than the login lives, so that each proof finds it expired.
    let mut follower = follow(reader(&guarded), Duration::from_secs(4));
    for _ in 0..3 {
        let item = follower.item().await;
        assert!(item.is_ok(), "{item:?}");
    }
    guarded.root.put(path("a"), "2", None).await.expect("a put");
    follower.until(&[("a", b"2")]).await;
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_told_until_it_is_back() {
    let mut guarded = guarded(Version::Current, &[]).await;
    let mut follower = follow(reader(&guarded), OFTEN);
    follower.until(&[("a", b"1")]).await;
    let all = RoleRevokePermissionOptions::new().with_prefix();
    let revoked = guarded.root.role_revoke_permission("reading", PREFIX, Some(all)).await;
    revoked.expect("a revocation");
    assert_eq!(follower.error().await, ErrorKind::Permission);
    assert_eq!(follower.error().await, ErrorKind::Permission);
    guarded.grant().await;
    follower.until(&[("a", b"1")]).await;
}

#[tokio::test]
async fn a_changed_password_is_taken_up_from_the_file() {
    let mut guarded = guarded(Version::Current, &[]).await;
    let mut follower = follow(reader(&guarded), OFTEN);
    follower.until(&[("a", b"1")]).await;
    guarded.set_password("second");
    guarded.change_password("second").await;
    guarded.root.put(path("a"), "2", None).await.expect("a put");
    follower.until(&[("a", b"2")]).await;
    follower.proof().await;
}

//! Tokens and policies: what is lost with rights is never taken for deleted.

use providers::{
    Doubt, ErrorKind, Provider, Update, conformance::Follower, consul::Consul,
    settings::ConsulSettings,
};

use super::{path, settings};
use crate::support::consul::rights::Rights;

const ALL: &str = r#"key_prefix "payment/app/" { policy = "read" }"#;
const ONE: &str = r#"key "payment/app/a" { policy = "read" }"#;

async fn two_keys() -> Rights {
    let rights = Rights::start(ALL).await;
    rights.server.put_plainly(&path("a"), b"1").await;
    rights.server.put_plainly(&path("b"), b"2").await;
    rights
}

fn with_token(rights: &Rights) -> ConsulSettings {
    let token_file = Some(rights.token_file());
    ConsulSettings { token_file, ..settings(&rights.server.url()) }
}

fn follow(rights: &Rights) -> Follower {
    let often = std::time::Duration::from_millis(300);
    Follower::new(&Consul::new(with_token(rights)).with_proof_every(often))
}

#[tokio::test]
async fn a_deleted_token_is_an_error_until_the_file_holds_another() {
    let rights = two_keys().await;
    let accessor = rights.issue().await;
    let mut follower = follow(&rights);
    follower.until(&[("a", b"1"), ("b", b"2")]).await;
    rights.revoke(&accessor).await;
    assert_eq!(follower.error().await, ErrorKind::Auth);
    rights.issue().await;
    rights.server.put_plainly(&path("a"), b"3").await;
    follower.until(&[("a", b"3"), ("b", b"2")]).await;
}

#[tokio::test]
async fn a_smaller_policy_is_a_doubt_until_the_rights_are_back() {
    let rights = two_keys().await;
    rights.issue().await;
    let mut follower = follow(&rights);
    follower.until(&[("a", b"1"), ("b", b"2")]).await;
    rights.allow(ONE).await;
    let snapshot = follower.until(&[("a", b"1")]).await;
    assert_eq!(snapshot.doubts, [Doubt::Filtered, Doubt::GoneInPlace]);
    rights.allow(ALL).await;
    let snapshot = follower.until(&[("a", b"1"), ("b", b"2")]).await;
    assert!(snapshot.doubts.is_empty(), "{:?}", snapshot.doubts);
}

#[tokio::test]
async fn without_a_token_nothing_is_believed_to_be_empty() {
    let rights = two_keys().await;
    let mut follower = Follower::new(&Consul::new(settings(&rights.server.url())));
    let first = follower.snapshot().await;
    assert!(first.entries.is_empty());
    assert_eq!(first.doubts, [Doubt::DefaultDeny]);
}

#[tokio::test]
async fn an_empty_token_file_sends_nothing() {
    let rights = two_keys().await;
    for content in ["", "\n"] {
        rights.hand_out(content);
        let provider: Box<dyn Provider> = Box::new(Consul::new(with_token(&rights)));
        let item = Follower::new(&*provider).item().await;
        assert!(matches!(item, Err(ErrorKind::Credentials)), "{item:?}");
    }
    rights.issue().await;
    let item = follow(&rights).item().await;
    assert!(matches!(item, Ok(Update::Snapshot(_))), "{item:?}");
}

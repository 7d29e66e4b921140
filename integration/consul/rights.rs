//! Tokens and policies: what is lost with rights is never taken for deleted.

use providers::{
    Doubt, ErrorKind, Provider, Update, conformance::Follower, consul::Consul,
    settings::ConsulSettings,
};
use reqwest::Method;
use serde_json::json;

use super::{path, settings};
use crate::support::{consul::Consul as Server, process::scratch};

const ALL: &str = r#"key_prefix "payment/app/" { policy = "read" }"#;
const ONE: &str = r#"key "payment/app/a" { policy = "read" }"#;

/// A server with two keys, a policy and a token file.
struct Rights {
    server: Server,
    folder: tempfile::TempDir,
    policy: String,
}

impl Rights {
    async fn start() -> Self {
        let server = Server::start_with_acl().await;
        server.put(&path("a"), b"1").await;
        server.put(&path("b"), b"2").await;
        let policy = json!({ "Name": "app", "Rules": ALL });
        let policy = server.json(Method::PUT, "/v1/acl/policy", policy).await;
        let policy = policy["ID"].as_str().expect("an id").to_owned();
        Self { server, folder: scratch(), policy }
    }

    fn settings(&self) -> ConsulSettings {
        let token_file = Some(self.folder.path().join("token"));
        ConsulSettings { token_file, ..settings(&self.server.url()) }
    }

    /// Writes a new token into the file; its accessor, for deleting it.
    async fn issue(&self) -> String {
        let token = json!({ "Policies": [{ "ID": self.policy }] });
        let token = self.server.json(Method::PUT, "/v1/acl/token", token).await;
        let secret = token["SecretID"].as_str().expect("a secret");
        std::fs::write(self.folder.path().join("token"), format!("{secret}\n")).expect("a file");
        token["AccessorID"].as_str().expect("an accessor").to_owned()
    }

    async fn allow(&self, rules: &str) {
        let at = format!("/v1/acl/policy/{}", self.policy);
        self.server.json(Method::PUT, &at, json!({ "Name": "app", "Rules": rules })).await;
    }

    fn follow(&self) -> Follower {
        let often = std::time::Duration::from_millis(300);
        Follower::new(&Consul::new(self.settings()).with_proof_every(often))
    }
}

#[tokio::test]
async fn a_deleted_token_is_an_error_until_the_file_holds_another() {
    let rights = Rights::start().await;
    let accessor = rights.issue().await;
    let mut follower = rights.follow();
    follower.until(&[("a", b"1"), ("b", b"2")]).await;
    rights.server.call(Method::DELETE, &format!("/v1/acl/token/{accessor}"), "").await;
    assert_eq!(follower.error().await, ErrorKind::Auth);
    rights.issue().await;
    rights.server.put(&path("a"), b"3").await;
    follower.until(&[("a", b"3"), ("b", b"2")]).await;
}

#[tokio::test]
async fn a_smaller_policy_is_a_doubt_until_the_rights_are_back() {
    let rights = Rights::start().await;
    rights.issue().await;
    let mut follower = rights.follow();
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
    let rights = Rights::start().await;
    let mut follower = Follower::new(&Consul::new(settings(&rights.server.url())));
    let first = follower.snapshot().await;
    assert!(first.entries.is_empty());
    assert_eq!(first.doubts, [Doubt::DefaultDeny]);
}

#[tokio::test]
async fn an_empty_token_file_sends_nothing() {
    let rights = Rights::start().await;
    for content in ["", "\n"] {
        std::fs::write(rights.folder.path().join("token"), content).expect("a file");
        let provider: Box<dyn Provider> = Box::new(Consul::new(rights.settings()));
        let item = Follower::new(&*provider).item().await;
        assert!(matches!(item, Err(ErrorKind::Credentials)), "{item:?}");
    }
    rights.issue().await;
    let item = rights.follow().item().await;
    assert!(matches!(item, Ok(Update::Snapshot(_))), "{item:?}");
}

//! A real Consul with ACLs: one policy, and tokens for it in a file.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Consul, deny_by_default};
use crate::support::{canary, process::scratch};

/// The accessor of the token that Consul takes where none is shown.
const ANONYMOUS: &str = "00000000-0000-0000-0000-000000000002";

/// A server that denies by default, a policy that can be changed, and a token file.
pub struct Rights {
    pub server: Consul,
    folder: tempfile::TempDir,
    policy: String,
}

impl Rights {
    /// A server with a policy of these rules; there is no token yet.
    pub async fn start(rules: &str) -> Self {
        Self::start_adjusted(rules, |_| {}).await
    }

    /// The same with the server's configuration changed before.
    pub async fn start_adjusted(rules: &str, adjust: impl Fn(&mut Value)) -> Self {
        let server = Consul::start_adjusted(|config| {
            deny_by_default(config);
            adjust(config);
        })
        .await;
        let policy = json!({ "Name": "app", "Rules": rules });
        let policy = server.json(Method::PUT, "/v1/acl/policy", policy).await;
        let policy = policy["ID"].as_str().expect("an id").to_owned();
        Self { server, folder: scratch(), policy }
    }

    /// Where the token is.
    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Writes a new token into the file; its accessor, for deleting it.
    pub async fn issue(&self) -> String {
        let token = json!({ "Policies": [{ "ID": self.policy }] });
        let token = self.server.json(Method::PUT, "/v1/acl/token", token).await;
        let secret = token["SecretID"].as_str().expect("a secret");
        self.hand_out(&format!("{secret}\n"));
        token["AccessorID"].as_str().expect("an accessor").to_owned()
    }

    /// Gives the policy to everybody who shows no token.
    pub async fn grant_anonymous(&self) {
        let token = json!({ "Policies": [{ "ID": self.policy }] });
        self.server.json(Method::PUT, &format!("/v1/acl/token/{ANONYMOUS}"), token).await;
    }

    /// Writes the token file as it stands, by rename as a mounted Secret changes.
    pub fn hand_out(&self, content: &str) {
        canary::keep(content.trim());
        let staged = self.folder.path().join(".token");
        std::fs::write(&staged, content).expect("a file");
        std::fs::rename(staged, self.token_file()).expect("a token file");
    }

    /// Deletes the token with this accessor.
    pub async fn revoke(&self, accessor: &str) {
        self.server.call(Method::DELETE, &format!("/v1/acl/token/{accessor}"), "").await;
    }

    /// Deletes every token of the policy.
    pub async fn revoke_all(&self) {
        let at = format!("/v1/acl/tokens?policy={}", self.policy);
        let tokens = self.server.call(Method::GET, &at, "").await;
        let tokens: Vec<Value> = serde_json::from_slice(&tokens).expect("JSON");
        for token in &tokens {
            self.revoke(token["AccessorID"].as_str().expect("an accessor")).await;
        }
    }

    /// Gives the policy other rules.
    pub async fn allow(&self, rules: &str) {
        let at = format!("/v1/acl/policy/{}", self.policy);
        self.server.json(Method::PUT, &at, json!({ "Name": "app", "Rules": rules })).await;
    }
}

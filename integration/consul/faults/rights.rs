//! Rights that are lost: what cannot be seen is not taken for deleted.

use std::time::Duration;

use serde_json::json;

use super::{SOON, follow, fresh, path, shows, source, stale};
use crate::support::{app::App, consul::rights::Rights};

const ALL: &str = r#"key_prefix "payment/app/" { policy = "read" }"#;
const ONE: &str = r#"key "payment/app/a" { policy = "read" }"#;
const NONE: &str = r#"key_prefix "elsewhere/" { policy = "read" }"#;

/// A running query keeps its rights, so a proof has to find their loss; so long is one away.
const A_PROOF: Duration = Duration::from_secs(30);

/// While in doubt the store is asked each 2 s.
const A_DOUBT: Duration = Duration::from_secs(3);

async fn two_keys(rights: &Rights) -> App {
    rights.server.put(&path("a"), b"1").await;
    rights.server.put(&path("b"), b"2").await;
    rights.issue().await;
    let mut app = follow(&rights.server.url(), json!({ "token_file": rights.token_file() }));
    app.start().ready();
    shows(&app, SOON, "a=1;b=2;");
    app
}

fn nothing_was_published(app: &App) {
    assert_eq!((app.read("all").as_deref(), app.generation()), (Some("a=1;b=2;"), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c05_a_smaller_policy_publishes_nothing_and_its_return_is_seen_soon() {
    let rights = Rights::start(ALL).await;
    let mut app = two_keys(&rights).await;
    for fewer in [ONE, NONE] {
        rights.allow(fewer).await;
        stale(&app, A_PROOF, &["held: app", "doubt", "filtered"]);
        assert!(app.answers("/metrics", 200).contains("rehup_held{source=\"app\"} 1"));
        nothing_was_published(&app);
        rights.allow(ALL).await;
        fresh(&app, A_DOUBT);
        nothing_was_published(&app);
        assert_eq!(source(&app)["held"], json!(null));
    }
    rights.server.put(&path("b"), b"3").await;
    shows(&app, SOON, "a=1;b=3;");
    assert!(app.stop().success());
}

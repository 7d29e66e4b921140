//! Rights that are lost: what cannot be seen is not taken for deleted.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{SOON, degraded, follow, fresh, live, path, shows, source, stale, within};
use crate::support::{app::App, consul::rights::Rights, proxy::Proxy};

const ALL: &str = r#"key_prefix "payment/app/" { policy = "read" }"#;
const ONE: &str = r#"key "payment/app/a" { policy = "read" }"#;
const LISTED: &str = r#"key_prefix "payment/app/" { policy = "list" }"#;
const HIDDEN: &str = r#"key "payment/app/hidden" { policy = "deny" }"#;
const NONE: &str = r#"key_prefix "elsewhere/" { policy = "read" }"#;

/// A running query keeps its rights, so a proof has to find their loss; so long is one away.
const A_PROOF: Duration = Duration::from_secs(30);

/// While in doubt the store is asked each 2 s; four times this is about the 30 s of the row.
const A_DOUBT: Duration = Duration::from_secs(8);

async fn two_keys(rights: &Rights, more: Value) -> App {
    rights.server.put(&path("a"), b"1").await;
    rights.server.put(&path("b"), b"2").await;
    rights.issue().await;
    let mut settings = json!({ "token_file": rights.token_file() });
    merge(&mut settings, more);
    let mut app = follow(&rights.server.url(), settings);
    app.start().ready();
    shows(&app, SOON, "a=1;b=2;");
    app
}

fn nothing_was_published(app: &App) {
    assert_eq!((app.read("all").as_deref(), app.generation()), (Some("a=1;b=2;"), 1));
}

/// Everything that was taken is back, and a change arrives.
async fn heals(rights: &Rights, mut app: App) {
    live(&app, A_DOUBT);
    fresh(&app, SOON);
    rights.server.put(&path("b"), b"9").await;
    shows(&app, SOON, "a=1;b=9;");
    assert!(app.stop().success());
}

async fn fewer_rights_publish_nothing(fewer: &str) {
    let rights = Rights::start(ALL).await;
    let app = two_keys(&rights, json!({})).await;
    rights.allow(fewer).await;
    stale(&app, A_PROOF, &["held: app", "doubt", "filtered"]);
    assert!(app.answers("/metrics", 200).contains("rehup_held{source=\"app\"} 1"));
    assert_eq!(source(&app)["state"], "degraded(filtered)");
    nothing_was_published(&app);
    rights.allow(ALL).await;
    fresh(&app, A_DOUBT);
    nothing_was_published(&app);
    heals(&rights, app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c05_a_policy_that_shrinks_to_one_key_publishes_nothing() {
    fewer_rights_publish_nothing(ONE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c05_a_policy_that_grants_nothing_publishes_nothing() {
    fewer_rights_publish_nothing(NONE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c05_a_key_that_was_never_shown_is_no_loss_but_a_doubt() {
    let rights = Rights::start(ALL).await;
    let app = two_keys(&rights, json!({})).await;
    rights.allow(&format!("{ALL} {HIDDEN}")).await;
    // The query after this one has the new rights.
    rights.server.put(&path("b"), b"3").await;
    shows(&app, SOON, "a=1;b=3;");
    rights.server.put(&path("hidden"), b"1").await;
    within(SOON, format_args!("the doubt is told; {}", app.tail()), || {
        (source(&app)["state"] == "degraded(filtered)").then_some(())
    });
    rights.server.put(&path("b"), b"4").await;
    shows(&app, A_DOUBT, "a=1;b=4;");
    rights.server.delete(&path("hidden")).await;
    rights.allow(ALL).await;
    heals(&rights, app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c07_a_deleted_token_keeps_what_was_published_until_the_file_has_another() {
    let rights = Rights::start(ALL).await;
    let app = two_keys(&rights, json!({})).await;
    // The query that runs goes on; the next request is refused.
    rights.revoke_all().await;
    degraded(&app, A_PROOF, "auth");
    nothing_was_published(&app);
    app.answers("/readyz", 200);
    rights.issue().await;
    heals(&rights, app).await;
}

// Consul never says of the anonymous token that something was left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c05_what_nobody_may_read_any_more_stays_held_over_a_full_re_read() {
    let rights = Rights::start(ALL).await;
    rights.grant_anonymous().await;
    rights.server.put(&path("a"), b"1").await;
    rights.server.put(&path("b"), b"2").await;
    let proxy = Proxy::to(rights.server.port());
    let mut app = follow(&proxy.url(), json!({}));
    app.start().ready();
    shows(&app, SOON, "a=1;b=2;");
    rights.allow(ONE).await;
    stale(&app, A_PROOF, &["held: app", "default_deny", "gone_in_place"]);
    app.process().signal(Signal::SIGHUP);
    within(SOON, "everything is read anew", || {
        app.answers("/metrics", 200).contains("reason=\"asked\"} 1").then_some(())
    });
    let asked = proxy.requests().len();
    within(SOON, "and once more", || (proxy.requests().len() >= asked + 2).then_some(()));
    stale(&app, A_DOUBT, &["held: app", "default_deny", "gone_in_place"]);
    nothing_was_published(&app);
    rights.allow(ALL).await;
    heals(&rights, app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c05_an_empty_token_file_publishes_nothing_and_asks_nothing() {
    let rights = Rights::start(ALL).await;
    let app = two_keys(&rights, json!({})).await;
    let token = std::fs::read_to_string(rights.token_file()).expect("a token");
    rights.hand_out("");
    degraded(&app, A_PROOF, "credentials");
    nothing_was_published(&app);
    rights.hand_out(&token);
    heals(&rights, app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c05_rights_lost_inside_a_running_query_are_noticed_and_their_return_too() {
    let rights = Rights::start(ALL).await;
    let app = two_keys(&rights, json!({ "wait": "10m" })).await;
    rights.allow(ONE).await;
    // The query that runs has the rights that it started with.
    rights.server.put(&path("b"), b"3").await;
    shows(&app, SOON, "a=1;b=3;");
    stale(&app, A_PROOF, &["held: app", "doubt", "filtered"]);
    assert_eq!(app.read("all").as_deref(), Some("a=1;b=3;"));
    rights.allow(ALL).await;
    heals(&rights, app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c05_with_the_key_list_policy_a_lost_prefix_is_an_error() {
    let rights = Rights::start_adjusted(LISTED, require_list).await;
    let app = two_keys(&rights, json!({})).await;
    rights.allow(ONE).await;
    degraded(&app, A_PROOF, "permission");
    nothing_was_published(&app);
    rights.allow(LISTED).await;
    heals(&rights, app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c05_the_documented_policy_is_enough_and_without_it_nothing_is_read() {
    let rules = documented("hcl").replace("payment/", "payment/app/");
    let rights = Rights::start_adjusted(ONE, |config| {
        let json = serde_json::from_str(&documented("json")).expect("the documented settings");
        merge(config, json);
    })
    .await;
    rights.server.put(&path("a"), b"1").await;
    rights.issue().await;
    let mut app = follow(&rights.server.url(), json!({ "token_file": rights.token_file() }));
    app.start();
    degraded(&app, SOON, "permission");
    assert_eq!(app.generation(), 0);
    rights.allow(&rules).await;
    shows(&app, A_PROOF, "a=1;");
    fresh(&app, SOON);
}

fn require_list(config: &mut Value) {
    config["acl"]["enable_key_list_policy"] = true.into();
}

/// The example in the documentation that is in this language and about the key list policy.
fn documented(language: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let text = std::fs::read_to_string(path).expect("the documentation");
    let (_, after) = text.split_once("enable_key_list_policy").expect("it is recommended");
    let (_, block) = after.split_once(&format!("```{language}\n")).expect("an example");
    block.split_once("```").expect("its end").0.to_owned()
}

fn merge(into: &mut Value, from: Value) {
    match from {
        Value::Object(from) => {
            from.into_iter().for_each(|(key, value)| merge(&mut into[key], value));
        }
        from => *into = from,
    }
}

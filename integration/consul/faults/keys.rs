//! Keys that are deleted, and keys that are no file names.

use serde_json::json;

use super::{SOON, configure, follow, fresh, live, path, shows, stale};
use crate::support::{
    app::App,
    consul::{Consul, rights::Rights},
    http,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c06_a_deleted_key_is_a_new_generation_unless_it_is_required() {
    let server = Consul::start().await;
    for key in ["a", "b", "c"] {
        server.put(&path(key), b"1").await;
    }
    let mut app = follow(&server.url(), json!({ "required": ["a"] }));
    app.start().ready();
    shows(&app, SOON, "a=1;b=1;c=1;");
    server.delete(&path("b")).await;
    shows(&app, SOON, "a=1;c=1;");
    fresh(&app, SOON);
    let before = app.generation();
    server.delete(&path("a")).await;
    stale(&app, SOON, &["app: a"]);
    assert_eq!((app.read("all").as_deref(), app.generation()), (Some("a=1;c=1;"), before));
    server.put(&path("a"), b"2").await;
    shows(&app, SOON, "a=2;c=1;");
    fresh(&app, SOON);
    assert!(app.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c06_a_deleted_prefix_is_held_until_an_operator_accepts_it() {
    let server = Consul::start().await;
    for key in ["a", "b"] {
        server.put(&path(key), b"1").await;
    }
    let mut app = operated(&server.url());
    app.start().ready();
    shows(&app, SOON, "a=1;b=1;");
    server.delete_tree(&path("")).await;
    stale(&app, SOON, &["held: app", "no keys"]);
    assert!(app.answers("/metrics", 200).contains("rehup_held{source=\"app\"} 1"));
    assert_eq!((app.read("all").as_deref(), app.generation()), (Some("a=1;b=1;"), 1));
    accept(&app);
    shows(&app, SOON, "");
    live(&app, SOON);
    server.put(&path("c"), b"2").await;
    shows(&app, SOON, "c=2;");
    assert!(app.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c06_without_a_token_a_deletion_is_held_and_once_accepted_it_is_proven() {
    let rights = Rights::start(r#"key_prefix "payment/" { policy = "read" }"#).await;
    rights.grant_anonymous().await;
    for key in ["a", "b"] {
        rights.server.put(&path(key), b"1").await;
    }
    let mut app = operated(&rights.server.url());
    app.start().ready();
    shows(&app, SOON, "a=1;b=1;");
    rights.server.delete(&path("b")).await;
    stale(&app, SOON, &["held: app", "default_deny"]);
    assert_eq!((app.read("all").as_deref(), app.generation()), (Some("a=1;b=1;"), 1));
    accept(&app);
    shows(&app, SOON, "a=1;");
    live(&app, SOON);
    fresh(&app, SOON);
    rights.server.put(&path("a"), b"2").await;
    shows(&app, SOON, "a=2;");
    assert!(app.stop().success());
}

/// A Rehup with an operator's token.
fn operated(address: &str) -> App {
    let app = App::new();
    std::fs::write(app.folder().join("admin"), "operators-own").expect("a token");
    let admin = format!("admin: {{ token_file: {}/admin }}\n", app.folder().display());
    configure(&app, address, json!({}), &admin);
    app
}

/// The operator lets through what is held now.
fn accept(app: &App) {
    let held = super::source(app)["held"]["digest"].as_str().expect("a digest").to_owned();
    let accept = format!("/-/reload?accept=app:{held}");
    let answer = http::post(app.listen(), &accept, &["authorization: Bearer operators-own"]);
    assert_eq!(answer.expect("an answer").status, 200);
}

/// What the transaction endpoint stores though it is no name of a file.
const HOSTILE: &[&str] =
    &["../../../etc/cron.d/x", "/abs", "d//e", "nul\0x", "line\nbreak", "f/.."];

async fn store(server: &Consul, keys: &[&str]) {
    let entries: Vec<_> = keys.iter().map(|key| (path(key), &b"hostile"[..])).collect();
    server.transaction(&entries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c14_hostile_keys_are_data_for_a_template() {
    let server = Consul::start().await;
    store(&server, HOSTILE).await;
    store(&server, &["folder/", "a", "a/b"]).await;
    let mut app = App::new();
    let exact = |key: &&str| {
        let key = serde_json::to_string(key).expect("text").replace("\\u0000", "\0");
        format!("{{{{ app[{key}] }}}}")
    };
    let mut all: String = HOSTILE.iter().filter(|key| !key.contains('\0')).map(exact).collect();
    all.push_str(r#"{{ app["a"] }}{{ app["a/b"] }}{{ app["folder/"] is defined }}"#);
    std::fs::write(app.folder().join("all.j2"), all).expect("a template");
    app.configure(format!(
        "sources: {{ app: {{ consul: {{ address: \"{}\", prefix: payment/app/ }} }} }}\n\
         templates: [{{ file: {}/all.j2, to: all }}]\nsettle: off\n",
        server.url(),
        app.folder().display()
    ));
    app.start().ready();
    shows(&app, SOON, &format!("{}False", "hostile".repeat(HOSTILE.len() + 1)));
    assert_eq!(super::source(&app)["keys"], HOSTILE.len() + 2);
    fresh(&app, SOON);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c14_a_copy_refuses_each_hostile_key_by_name_and_leaves_the_volume() {
    let server = Consul::start().await;
    server.put(&path("good"), b"1").await;
    let mut app = App::new();
    app.configure(format!(
        "sources: {{ app: {{ consul: {{ address: \"{}\", prefix: payment/app/ }} }} }}\n\
         templates: [{{ copy: {{ source: app, keys: \"**\" }}, to: out/ }}]\nsettle: off\n",
        server.url()
    ));
    app.start().ready();
    app.shows("out/good", "1");
    // A folder key is no key.
    store(&server, &["folder/"]).await;
    for key in HOSTILE {
        store(&server, &[key]).await;
        let shown = format!("{key:?}");
        let shown = shown.trim_matches('"');
        stale(&app, SOON, &["render: ", shown]);
        delete(&server, key).await;
        live(&app, SOON);
        fresh(&app, SOON);
    }
    store(&server, &["a", "a/b"]).await;
    let both = stale(&app, SOON, &["render: ", "a/b"]);
    assert!(both.contains("out/a ") || both.contains("`a`") || both.contains("out/a`"), "{both}");
    server.delete(&path("a")).await;
    app.shows("out/a/b", "hostile");
    fresh(&app, SOON);
    assert_eq!(app.read("out/good").as_deref(), Some("1"));
    let names: Vec<_> = std::fs::read_dir(app.volume())
        .expect("a volume")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| !name.starts_with(".."))
        .collect();
    assert_eq!(names, ["out"]);
    assert!(!std::path::Path::new("/etc/cron.d/x").exists());
    assert!(app.stop().success());
}

async fn delete(server: &Consul, key: &str) {
    let operation = json!([{ "KV": { "Verb": "delete", "Key": path(key) } }]);
    server.json(reqwest::Method::PUT, "/v1/txn", operation).await;
}

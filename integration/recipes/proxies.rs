//! Servers that pass requests on, and Prometheus.

use std::path::{Path, PathBuf};

use crate::support::{
    http,
    patience::eventually,
    recipe::{Ends, Recipe},
};

/// A value that means something in most languages of configuration.
const HOSTILE: &str = "it's \"new\" #1; {x}";

/// Two users with their passwords' hashes, and what their clients send.
const ADA: &str = "ada:{SHA}dE0S9hyG7anUuVuQD6nd56rpIhQ=";
const AS_ADA: &str = "authorization: Basic YWRhOnBhc3N3b3JkLW9mLWFkYQ==";
const BOB: &str = "bob:{SHA}bCghNTXVVSIll+eLwqXox5y4JoE=";
const AS_BOB: &str = "authorization: Basic Ym9iOnBhc3N3b3JkLW9mLWJvYg==";

/// A server that `integration/servers/build.sh` built, or the one that a variable names.
fn built(variable: &str, name: &str) -> PathBuf {
    let fallback = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers").join(name);
    std::env::var_os(variable).map_or(fallback, PathBuf::from)
}

#[test]
fn nginx_gets_a_change_and_no_broken_file() {
    let mut recipe = Recipe::new("nginx");
    let at = recipe.port("8080");
    recipe.folder("/tmp");
    recipe.put("greeting", "hello");
    recipe.lay_out("nginx", "rehup.yaml");
    recipe.start(Ends::Once);
    recipe.serves(at, "/", "hello");

    recipe.put("greeting", HOSTILE);
    recipe.serves(at, "/", HOSTILE);
    recipe.ends("confirmed");

    recipe.put("workers", "many");
    recipe.is_refused();
    recipe.serves(at, "/", HOSTILE);
    recipe.put("workers", "1");
    recipe.ends("confirmed");
}

#[test]
fn haproxy_gets_a_change_and_no_broken_file() {
    let mut recipe = Recipe::new("haproxy");
    let at = recipe.port("8080");
    recipe.put("greeting", "hello");
    recipe.lay_out("haproxy", "rehup.yaml");
    recipe.start(Ends::Once);
    recipe.serves(at, "/", "hello");

    recipe.put("greeting", HOSTILE);
    recipe.serves(at, "/", HOSTILE);
    recipe.ends("confirmed");

    recipe.put("timeout", "long");
    recipe.is_refused();
    recipe.serves(at, "/", HOSTILE);
    recipe.put("timeout", "10s");
    recipe.ends("confirmed");
}

#[test]
fn prometheus_gets_a_change_and_no_broken_file() {
    let mut recipe = Recipe::new("prometheus");
    let at = recipe.port("9090");
    recipe.folder("/prometheus");
    recipe.put("interval", "15s");
    std::fs::create_dir(recipe.app.folder().join("base/rules")).expect("a folder");
    let rule = |expression: &str| {
        format!("groups: [{{ name: g, rules: [{{ record: r, expr: '{expression}' }}] }}]\n")
    };
    recipe.put("rules/up.yml", &rule("up"));
    recipe.lay_out("prometheus", "rehup.yaml");
    recipe.start(Ends::Once);

    let uses = |path: &str, what: &str| {
        eventually(format_args!("{path} shows {what}; {}", recipe.app.tail()), || {
            http::get(at, path).filter(|answer| answer.body.contains(what)).map(|_| ())
        });
    };
    recipe.put("interval", "31s");
    uses("/api/v1/status/config", "scrape_interval: 31s");
    recipe.ends("confirmed");
    recipe.put("rules/up.yml", &rule("sum(up)"));
    uses("/api/v1/rules", "sum(up)");
    recipe.ends("confirmed");

    recipe.put("rules/up.yml", &rule("sum("));
    recipe.is_refused();
    uses("/api/v1/rules", "sum(up)");
}

#[test]
fn caddy_gets_a_change_and_no_broken_file() {
    let mut recipe = Recipe::new("caddy");
    recipe.brings("caddy", &built("CADDY", "caddy"));
    let at = recipe.port("8080");
    recipe.port("2019");
    recipe.put("greeting", "hello");
    recipe.lay_out("caddy", "rehup.yaml");
    recipe.start(Ends::Once);
    recipe.serves(at, "/", "hello");

    let hostile = HOSTILE.replace('{', "");
    recipe.put("greeting", &hostile);
    recipe.serves(at, "/", &hostile);
    recipe.ends("confirmed");

    recipe.put("grace", "long");
    recipe.is_refused();
    recipe.serves(at, "/", &hostile);
    recipe.put("grace", "5s");
    recipe.ends("confirmed");
}

#[test]
fn oauth2_proxy_is_started_again_and_reads_its_users_by_itself() {
    let mut recipe = Recipe::new("oauth2-proxy");
    recipe.brings("oauth2-proxy", &built("OAUTH2_PROXY", "oauth2-proxy"));
    let at = recipe.port("4180");
    recipe.port("44180");
    recipe.put("client_id", "rehup");
    recipe.put("banner", "hello");
    recipe.put("emails.txt", "somebody@example.org\n");
    recipe.put("htpasswd", &format!("{ADA}\n"));
    let secrets = recipe.app.folder().join("secrets");
    std::fs::create_dir(&secrets).expect("a folder");
    std::fs::write(secrets.join("client_secret"), "a-secret-of-a-client").expect("a file");
    std::fs::write(secrets.join("cookie_secret"), "0123456789abcdef").expect("a file");
    recipe.lay_out("oauth2-proxy", "rehup.yaml");
    recipe.start(Ends::Again);
    let greets = |text: &str| {
        eventually(format_args!("the page greets with {text}; {}", recipe.said()), || {
            http::get(at, "/oauth2/sign_in").filter(|page| page.body.contains(text)).map(|_| ())
        });
    };
    let lets_in = |user: &str, status: u16| {
        eventually(format_args!("{user} is answered {status}; {}", recipe.said()), || {
            let answer = http::get_with(at, "/", &[user])?;
            (answer.status == status).then_some(())
        });
    };
    let starts = || recipe.said().matches("OAuthProxy configured").count();
    greets("hello");
    lets_in(AS_ADA, 202);
    lets_in(AS_BOB, 403);

    // Its own watch: the target is not told of this file.
    recipe.put("htpasswd", &format!("{ADA}\n{BOB}\n"));
    lets_in(AS_BOB, 202);
    assert_eq!(starts(), 1, "{}", recipe.said());

    recipe.put("banner", "good morning");
    greets("good morning");
    recipe.ends("confirmed");
    assert_eq!(starts(), 2, "{}", recipe.said());

    recipe.put("client_id", "");
    recipe.is_refused();
    greets("good morning");
}

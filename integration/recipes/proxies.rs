//! nginx, HAProxy, Caddy, Prometheus, oauth2-proxy.

use std::path::Path;

use crate::support::{
    http,
    patience::eventually,
    recipe::{Ends, Recipe},
};

/// A value that means something in most languages of configuration.
const HOSTILE: &str = "it's \"new\" #1; {x}";

/// A server that `integration/servers/build.sh` built, or the one that a variable names.
fn built(variable: &str, name: &str) -> std::path::PathBuf {
    let fallback = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers").join(name);
    std::env::var_os(variable).map_or(fallback, Into::into)
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
    assert_eq!(recipe.ends(2, "confirmed")["detail"], "verify");

    recipe.put("workers", "many");
    recipe.is_refused(2);
    recipe.serves(at, "/", HOSTILE);
    recipe.put("workers", "1");
    recipe.ends(3, "confirmed");
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
    assert_eq!(recipe.ends(2, "confirmed")["detail"], "verify");

    recipe.put("maxconn", "many");
    recipe.is_refused(2);
    recipe.serves(at, "/", HOSTILE);
    recipe.put("maxconn", "100");
    recipe.ends(3, "confirmed");
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
    assert_eq!(recipe.ends(2, "confirmed")["detail"], "verify");
    recipe.put("rules/up.yml", &rule("sum(up)"));
    uses("/api/v1/rules", "sum(up)");
    recipe.ends(3, "confirmed");

    recipe.put("rules/up.yml", &rule("sum("));
    recipe.is_refused(3);
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
    recipe.ends(2, "confirmed");

    recipe.put("grace", "long");
    recipe.is_refused(2);
    recipe.serves(at, "/", &hostile);
    recipe.put("grace", "5s");
    recipe.ends(3, "confirmed");
}

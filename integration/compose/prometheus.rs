//! `deploy/compose.prometheus.yaml`: etcd, Prometheus and Rehup.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::support::{patience::patiently, stack::Stack};

/// Writes a key by etcd's JSON gateway: the official image has `etcdctl`, ours has the server alone.
fn put(stack: &Stack, key: &str, value: &str) {
    let key = STANDARD.encode(format!("/prometheus/{key}"));
    let body = json!({ "key": key, "value": STANDARD.encode(value) }).to_string();
    patiently("etcd takes a key", || stack.post(2379, "/v3/kv/put", &body));
}

#[track_caller]
fn uses(stack: &Stack, setting: &str) {
    patiently(format_args!("Prometheus uses {setting}"), || {
        stack.get(9090, "/api/v1/status/config").filter(|it| it.contains(setting))
    });
}

/// When Prometheus read its configuration last, as it says itself.
fn last_reload(stack: &Stack) -> f64 {
    let name = "prometheus_config_last_reload_success_timestamp_seconds ";
    patiently("the metric of the last reload", || {
        let metrics = stack.get(9090, "/metrics")?;
        metrics.lines().find_map(|line| line.strip_prefix(name)?.parse().ok())
    })
}

#[test]
fn a_key_reaches_prometheus_over_http_and_what_is_broken_is_taken_back() {
    let stack = Stack::new("compose.prometheus.yaml", &["rehup", "etcd", "prometheus"]);
    stack.compose(&["up", "--detach"]);
    uses(&stack, "scrape_interval: 15s");
    stack.settles("prometheus", 1, "confirmed");
    patiently("Rehup answers", || stack.healthy("rehup").then_some(()));
    let (started, before) =
        (stack.inspect("prometheus", "{{.State.StartedAt}}"), last_reload(&stack));

    put(&stack, "interval", "31s");
    uses(&stack, "scrape_interval: 31s");
    stack.settles("prometheus", 2, "confirmed");
    assert!(last_reload(&stack) > before, "the metric that confirms the reload has increased");

    put(&stack, "interval", "often");
    stack.settles("prometheus", 4, "confirmed");
    uses(&stack, "scrape_interval: 31s");
    put(&stack, "interval", "47s");
    uses(&stack, "scrape_interval: 47s");
    assert_eq!(stack.inspect("prometheus", "{{.State.StartedAt}}"), started, "never restarted");

    stack.compose(&["stop"]);
    for service in ["rehup", "prometheus", "etcd", "rehup-once"] {
        let code = stack.inspect(service, "{{.State.ExitCode}}");
        assert_eq!(code, "0", "{service} ends well within its grace period");
    }
    stack.compose(&["down", "--volumes"]);
    assert_eq!(stack.podman(&["ps", "--all", "--quiet"]), "", "no container is left");
}

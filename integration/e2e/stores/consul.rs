//! `consul-agent.yaml` with a real Consul on the node's address that denies by default.

use serde_json::json;

use super::{asked, is_in_state, keep, node_of, note, store, waits_for_its_secret};
use crate::support::{
    canary,
    cluster::{Manifest, Space},
};

/// The port that the manifest names.
const PORT: u16 = 8500;

const MANAGEMENT: &str = "0e3b4a4c-5c0e-4b5e-9f57-1d3a4e0a6b11";
const READER: &str = "6c1f4f0e-1b7d-4a39-8f57-7a2f5c0d9e22";
const UNKNOWN: &str = "d4c0a8f6-93a1-4a7f-8a43-5b8e2f7c1a33";

/// A server with rules of access, which is its own client's agent.
fn start(space: &Space, node: &str, address: &str) {
    let ports = json!({
        "http": PORT, "https": -1, "dns": -1, "grpc": -1, "grpc_tls": -1, "serf_wan": -1,
        "serf_lan": fastrand::u16(20_000..25_000), "server": fastrand::u16(25_000..30_000),
    });
    let config = json!({
        "node_name": "one", "server": true, "bootstrap_expect": 1, "data_dir": "/data/consul",
        "bind_addr": address, "client_addr": address, "disable_update_check": true,
        "connect": { "enabled": false }, "performance": { "raft_multiplier": 1 }, "ports": ports,
        "acl": {
            "enabled": true, "default_policy": "deny", "enable_key_list_policy": true,
            "tokens": { "initial_management": MANAGEMENT },
        },
    });
    note(space, "server", &[("consul.json", config.to_string())]);
    let command = ["consul", "agent", "-config-file=/config/consul.json"].map(str::to_owned);
    let image = "docker.io/hashicorp/consul:1.19.2";
    space.apply(&store(node, image, &command, &json!({ "configMap": { "name": "server" } })));
}

/// A `PUT` as the operator, as soon as Consul takes it.
fn put(space: &Space, path: &str, body: &str) {
    let path = format!("{path}?token={MANAGEMENT}");
    space
        .pod_named("store")
        .eventually(&format!("Consul takes {path}"), || asked(space, "replace", PORT, &path, body));
}

#[test]
fn keys_of_consul_come_from_the_agent_of_the_node_with_a_token_of_a_secret() {
    for token in [MANAGEMENT, READER, UNKNOWN] {
        canary::keep(token);
    }
    let (space, stores) = (Space::new(), Space::of_profile("privileged"));
    space.apply(&Manifest::shipped("consul-agent.yaml"));
    let pod = space.pod("app=web-consul");
    waits_for_its_secret(&space, &pod, "web-consul");
    let (node, address) = node_of(&pod);
    // At once: the kubelet looks ever less often for a Secret that is not there.
    keep(&space, "web-consul", &[("token", format!("{UNKNOWN}\n"))]);
    start(&stores, &node, &address);
    put(&stores, "/v1/kv/web/greeting", "Hello");
    let rules = json!({ "Name": "web", "Rules": "key_prefix \"web/\" { policy = \"list\" }" });
    put(&stores, "/v1/acl/policy", &rules.to_string());
    let reader = json!({ "SecretID": READER, "Policies": [{ "Name": "web" }] });
    put(&stores, "/v1/acl/token", &reader.to_string());
    is_in_state(&pod, "degraded(auth)");
    assert!(pod.container("nginx")["state"]["waiting"].is_object(), "nginx waits");

    keep(&space, "web-consul", &[("token", format!("{READER}\n"))]);
    note(&space, "any", &[("edit", "no".to_owned())]);
    // Whatever is edited, the pod looks at its mounts.
    space.edit("any", "edit", "yes");
    pod.ready().serves("Hello");
    is_in_state(&pod, "live");

    put(&stores, "/v1/kv/web/greeting", "Good morning");
    pod.serves("Good morning").settles("nginx", 2, "confirmed");
    assert_eq!((pod.restarts("nginx"), pod.restarts("rehup")), (0, 0));
    canary::listen("the log of Rehup", pod.log("rehup").as_bytes());
}

//! What Helm and Kustomize make of what ships, in pods.

use serde_json::{Value, json};

use crate::{
    charts::{
        helm::{Charts, SETS},
        kustomize,
    },
    support::cluster::{Manifest, Space},
};

/// A ConfigMap that somebody else keeps.
fn kept(name: &str, data: &Value) -> Manifest {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data,
    });
    Manifest { objects: vec![map] }
}

/// A key arrives in the program without a restart of anything.
fn follows(space: &Space, label: &str) {
    let pod = space.pod(label);
    pod.ready().serves("Hello");
    pod.settles("nginx", 1, "confirmed");
    space.edit("web-settings", "greeting", "Good morning");
    pod.serves("Good morning").settles("nginx", 2, "confirmed");
    assert_eq!((pod.restarts("nginx"), pod.restarts("rehup")), (0, 0));
}

#[test]
fn the_overlay_follows_its_config_map() {
    let space = Space::new();
    space.apply(&Manifest::parse(&kustomize::overlay()));
    follows(&space, "app=web");
}

#[test]
fn the_chart_follows_a_config_map() {
    let space = Space::new();
    space.apply(&kept("web-settings", &json!({ "greeting": "Hello" })));
    space.apply(&Manifest::parse(&Charts::new().template("configmap", &[]).good()));
    follows(&space, "app.kubernetes.io/instance=web");
}

#[test]
fn the_chart_reloads_prometheus_by_its_endpoint() {
    let space = Space::new();
    let keys = json!({ "scrape_interval": "30s", "targets": "localhost:9090" });
    space.apply(&kept("prometheus-keys", &keys));
    space.apply(&Manifest::parse(&Charts::new().template("http", &[]).good()));
    let pod = space.pod("app.kubernetes.io/instance=web");
    pod.ready().settles("prometheus", 1, "confirmed");
    space.edit("prometheus-keys", "scrape_interval", "15s");
    pod.settles("prometheus", 2, "confirmed");
    assert_eq!((pod.restarts("prometheus"), pod.restarts("rehup")), (0, 0));
}

#[test]
fn the_server_takes_the_chart_with_each_set_of_values() {
    let (space, charts) = (Space::new(), Charts::new());
    for set in SETS {
        let said = space.dry_run(&Manifest::parse(&charts.template(set, &[]).good()));
        assert_eq!(said, "", "{set}");
    }
}

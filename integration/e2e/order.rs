//! The order in which the containers of a pod start.

use serde_json::json;

use crate::support::cluster::{Manifest, Space};

#[test]
fn the_app_starts_only_after_the_first_whole_generation() {
    let mut manifest = Manifest::shipped("native-sidecar.yaml");
    let settings = manifest.object("ConfigMap", "web-settings");
    settings["data"] = json!({ "another": "key" });
    let space = Space::new();
    space.apply(&manifest);
    let pod = space.pod("app=web");
    pod.eventually("Rehup says what it waits for", || {
        pod.rehup("/status").filter(|answer| answer.body.contains("greeting"))
    });
    assert_eq!(pod.rehup("/startupz").map(|answer| answer.status), Some(503));
    pod.eventually("the startup probe has failed several times", || {
        (pod.events("Unhealthy") > 3).then_some(())
    });
    assert_eq!(pod.container("rehup")["started"], false);
    assert_eq!(pod.container("nginx")["state"]["waiting"]["reason"], "PodInitializing");

    space.edit("web-settings", "greeting", "Hello");
    pod.serves("Hello").ready();
    let generation = pod.status()["generation"]["unix_seconds"].as_f64().expect("a time");
    let started = pod.run("nginx", &["stat", "-c", "%Y", "/tmp/nginx.pid"]);
    let started: f64 = started.parse().expect("a time");
    assert!(started >= generation.floor(), "{started} after {generation}");
    assert_eq!((pod.restarts("nginx"), pod.restarts("rehup")), (0, 0));
}

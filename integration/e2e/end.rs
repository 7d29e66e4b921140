//! The end of a pod: the app first, then Rehup, all within the grace period.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::cluster::{Manifest, Pod, Space};

#[test]
fn a_deleted_pod_ends_in_order_and_rehup_with_0() {
    let space = Space::new();
    space.apply(&Manifest::shipped("native-sidecar.yaml"));
    let pod = space.pod("app=web");
    pod.ready().serves("Hello");
    let (took, ended) = end(&space, &pod);
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(ended("nginx")["exitCode"], 0, "{}", ended("nginx"));
    assert_eq!(ended("rehup")["exitCode"], 0, "{}", ended("rehup"));
    let at = |name: &str| ended(name)["finishedAt"].as_str().expect("a time").to_owned();
    assert!(at("nginx") <= at("rehup"), "{} then {}", at("nginx"), at("rehup"));
}

/// The kubelet gives sidecars about two seconds then.
#[test]
fn rehup_ends_with_0_also_when_the_app_uses_up_the_grace_period() {
    let mut manifest = Manifest::shipped("native-sidecar.yaml");
    let spec = &mut manifest.object("Deployment", "web")["spec"]["template"]["spec"];
    spec["terminationGracePeriodSeconds"] = json!(5);
    let nginx = &mut spec["containers"][0];
    nginx["command"] = json!(["sh", "-c", "trap '' TERM QUIT; while :; do sleep 1; done"]);
    for key in ["lifecycle", "readinessProbe"] {
        nginx.as_object_mut().expect("a container").remove(key);
    }
    let space = Space::new();
    space.apply(&manifest);
    let pod = space.pod("app=web");
    pod.ready();
    let (took, ended) = end(&space, &pod);
    assert_eq!(ended("nginx")["exitCode"], 137, "it was killed: {}", ended("nginx"));
    assert_eq!(ended("rehup")["exitCode"], 0, "{}", ended("rehup"));
    assert!(took >= Duration::from_secs(5), "it used up its time: {took:?}");
}

/// Deletes a pod and keeps its object, so that how each container ended can be read.
fn end(space: &Space, pod: &Pod<'_>) -> (Duration, impl Fn(&str) -> Value) {
    pod.hold(true);
    let begun = Instant::now();
    pod.delete();
    let over = |name: &str| pod.container(name)["state"]["terminated"].clone();
    pod.eventually("every container has ended", || {
        (over("nginx").is_object() && over("rehup").is_object()).then_some(())
    });
    let took = begun.elapsed();
    let (nginx, rehup) = (over("nginx"), over("rehup"));
    pod.hold(false);
    pod.eventually("the pod is gone", || pod.object().is_none().then_some(()));
    assert!(!space.pods("app=web").contains(&pod.name), "another takes its place");
    (took, move |name| if name == "nginx" { nginx.clone() } else { rehup.clone() })
}

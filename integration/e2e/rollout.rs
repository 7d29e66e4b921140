//! A rolling update under load.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::cluster::{Manifest, Space};

#[test]
fn a_rolling_update_fails_no_request() {
    let space = Space::new();
    space.apply(&Manifest::shipped("native-sidecar.yaml"));
    let old = space.pod("app=web");
    old.ready().serves("Hello");
    let stop = AtomicBool::new(false);
    let (answered, failed) = std::thread::scope(|scope| {
        let client = scope.spawn(|| follow(&space, &stop));
        let end = End(&stop);
        let change = json!({ "spec": { "template": { "metadata": {
            "annotations": { "update": "1" } } } } });
        space.patch("apps/v1", "deployments/web", &change);
        old.eventually("the old pod is gone", || old.object().is_none().then_some(()));
        let new = space.pod("app=web");
        new.ready().serves("Hello");
        assert_ne!(new.name, old.name, "another pod took its place");
        drop(end);
        client.join().expect("the client")
    });
    assert!(answered > 50, "only {answered} requests were answered");
    assert!(failed.is_empty(), "{answered} answered, {} failed: {failed:?}", failed.len());
}

/// Asks whoever is a ready endpoint of the Service, one request after the other: how many were
/// answered, and what the others got.
fn follow(space: &Space, stop: &AtomicBool) -> (usize, Vec<String>) {
    let (mut answered, mut failed) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let endpoints = space.endpoints("web");
        if endpoints.is_empty() {
            failed.push("no endpoint is ready".to_owned());
        }
        for name in endpoints {
            match space.pod_named(&name).get(8080, "/") {
                Some(answer) if answer.status == 200 => answered += 1,
                answer => failed.push(format!("{name}: {answer:?}")),
            }
        }
    }
    (answered, failed)
}

/// Ends the client, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

//! An HTTP reload across containers: no shared process namespace, another user.

use crate::support::cluster::{Manifest, Pod, Space};

/// The configuration that Prometheus has loaded.
fn loaded(pod: &Pod<'_>) -> String {
    let answer = pod.get(9090, "/api/v1/status/config").filter(|it| it.status == 200);
    answer.map(|it| it.body).unwrap_or_default()
}

fn loads(pod: &Pod<'_>, interval: &str) {
    let line = format!("scrape_interval: {interval}\\n");
    pod.eventually(&format!("Prometheus has loaded {line}"), || {
        loaded(pod).contains(&line).then_some(())
    });
}

#[test]
fn an_endpoint_is_told_across_containers_of_different_users() {
    let space = Space::new();
    space.apply(&Manifest::shipped("http-reload.yaml"));
    let pod = space.pod("app=prometheus");
    pod.ready().settles("prometheus", 1, "confirmed");
    loads(&pod, "30s");
    assert_eq!(pod.run("prometheus", &["id", "-u"]), "65534");
    let found = pod.exec("prometheus", &["pidof", "rehup"]);
    assert!(!found.status.success(), "Rehup's process is not to be seen from there");

    space.edit("prometheus-settings", "interval", "15s");
    loads(&pod, "15s");
    pod.settles("prometheus", 2, "confirmed");
    assert_eq!((pod.restarts("prometheus"), pod.restarts("rehup")), (0, 0));
}

#[test]
fn what_prometheus_refuses_is_taken_back() {
    let space = Space::new();
    space.apply(&Manifest::shipped("http-reload.yaml"));
    let pod = space.pod("app=prometheus");
    pod.ready().settles("prometheus", 1, "confirmed");

    space.edit("prometheus-settings", "interval", "often");
    pod.eventually("the generation before is published again and confirmed", || {
        let status = pod.status();
        let confirmed = status["targets"]["prometheus"]["outcome"] == "confirmed";
        let back = status["generation"]["rollback"] == true;
        (back && confirmed && status["generation"]["number"] == 3).then_some(())
    });
    loads(&pod, "30s");
    assert!(pod.is_ready(), "what is visible is good");
    let fresh = pod.rehup("/freshz").expect("an answer");
    assert!(fresh.status == 503 && fresh.body.contains("quarantined"), "{fresh:?}");

    space.edit("prometheus-settings", "interval", "45s");
    loads(&pod, "45s");
    pod.settles("prometheus", 4, "confirmed");
    assert_eq!(pod.restarts("prometheus"), 0);
}

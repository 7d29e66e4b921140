//! Several containers that read one volume, each told of its own files only.

use crate::support::cluster::{Manifest, Pod, Space};

/// A number that a page of metrics shows.
fn sample(pod: &Pod<'_>, port: u16, name: &str) -> Option<f64> {
    let page = pod.get(port, "/metrics").filter(|it| it.status == 200)?.body;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.parse().ok()
}

/// How often a target was told and confirmed it.
fn told(pod: &Pod<'_>, target: &str) -> f64 {
    let name = format!("rehup_reloads_total{{target=\"{target}\",outcome=\"confirmed\"}}");
    sample(pod, 9533, &name).unwrap_or_default()
}

fn about(pod: &Pod<'_>) -> Option<String> {
    pod.get(8080, "/about").filter(|it| it.status == 200).map(|it| it.body)
}

fn started(space: &Space) -> Pod<'_> {
    space.apply(&Manifest::shipped("several-containers.yaml"));
    let pod = space.pod("app=monitor");
    pod.ready().settles("nginx", 1, "confirmed");
    pod.settles("prometheus", 1, "confirmed");
    pod
}

#[test]
fn each_program_is_told_of_its_own_files() {
    let space = Space::new();
    let pod = started(&space);
    assert_eq!(about(&pod).as_deref(), Some("Metrics"));
    let before = (told(&pod, "nginx"), told(&pod, "prometheus"));

    space.edit("monitor-settings", "about", "Our metrics");
    pod.settles("nginx", 2, "confirmed");
    assert_eq!(about(&pod).as_deref(), Some("Our metrics"));
    let prometheus = &pod.status()["targets"]["prometheus"];
    assert!(prometheus["owed_seconds"].is_null(), "nothing is owed to Prometheus: {prometheus}");

    space.edit("monitor-settings", "interval", "15s");
    pod.settles("prometheus", 3, "confirmed");
    let config = pod.get(8080, "/api/v1/status/config").expect("an answer").body;
    assert!(config.contains("scrape_interval: 15s"), "{config}");
    let nginx = &pod.status()["targets"]["nginx"];
    assert!(nginx["owed_seconds"].is_null(), "nothing is owed to nginx: {nginx}");
    // What nobody owes any more was told once to each of them.
    let after = (told(&pod, "nginx"), told(&pod, "prometheus"));
    let more = (after.0 - before.0, after.1 - before.1);
    assert!((0.9..1.1).contains(&more.0) && (0.9..1.1).contains(&more.1), "{more:?}");
    assert_eq!(pod.log("nginx").matches("signal 1 (SIGHUP) received").count(), 1);
}

#[test]
fn a_change_of_both_files_is_one_generation() {
    let space = Space::new();
    let pod = started(&space);
    let change = r#"{"data": {"about": "Our metrics", "interval": "15s"}}"#;
    let patched = space.kubectl(&["patch", "configmap", "monitor-settings", "--patch", change], "");
    assert!(patched.status.success(), "{patched:?}");
    // The same once more, and every pod looks at once.
    space.edit("monitor-settings", "about", "Our metrics");
    pod.settles("nginx", 2, "confirmed");
    pod.settles("prometheus", 2, "confirmed");
    assert_eq!(about(&pod).as_deref(), Some("Our metrics"));
    assert_eq!(pod.status()["generation"]["number"], 2);
}

#[test]
fn nobody_outside_the_pod_may_tell_prometheus_to_reload_or_to_end() {
    let space = Space::new();
    let pod = started(&space);
    for path in ["/-/reload", "/-/quit"] {
        assert_eq!(pod.get(8080, path).map(|it| it.status), Some(403), "{path}");
        // 502: the pod refuses the connection.
        let straight = pod.get(9090, path).map(|it| it.status);
        assert!(straight.is_none_or(|status| status >= 500), "{path}: {straight:?}");
    }
    assert_eq!(pod.get(8080, "/-/ready").map(|it| it.status), Some(200));
}

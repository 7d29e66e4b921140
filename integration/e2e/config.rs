//! Edits of the ConfigMap with configuration and templates.

use crate::support::cluster::{Manifest, Space};

#[test]
fn an_edited_template_is_rendered_and_told() {
    let space = Space::new();
    space.apply(&Manifest::shipped("native-sidecar.yaml"));
    let pod = space.pod("app=web");
    pod.ready().serves("Hello").settles("nginx", 1, "confirmed");
    let template = space.key("web-rehup", "nginx.conf.j2");
    let edited = template.replace("| trim |", "| trim | upper |");
    space.edit("web-rehup", "nginx.conf.j2", &edited);
    pod.serves("HELLO").settles("nginx", 2, "confirmed");

    space.edit("web-rehup", "nginx.conf.j2", &template.replace("| trim |", "| trim | nonsense |"));
    pod.eventually("the mistake is told", || {
        pod.rehup("/freshz")
            .filter(|answer| answer.status == 503 && answer.body.contains("nonsense"))
    });
    assert_eq!(pod.page().as_deref(), Some("HELLO"));
    assert!(pod.is_ready(), "what is visible is good");
    space.edit("web-rehup", "nginx.conf.j2", &template);
    pod.serves("Hello").settles("nginx", 3, "confirmed");
}

/// A broken edit is found out only when the sidecar starts again, perhaps days later.
#[test]
fn a_restart_on_a_broken_configuration_leaves_the_pod_ready() {
    let space = Space::new();
    space.apply(&Manifest::shipped("native-sidecar.yaml"));
    let pod = space.pod("app=web");
    pod.ready().serves("Hello").settles("nginx", 1, "confirmed");
    let configuration = space.key("web-rehup", "rehup.yaml");
    space.edit("web-rehup", "rehup.yaml", "sources: [");
    pod.eventually("the edit is refused", || {
        pod.rehup("/freshz").filter(|answer| answer.body.contains("config_refused"))
    });
    for restart in 1..=2 {
        pod.kill_rehup("nginx");
        pod.eventually("Rehup is started again", || {
            (pod.restarts("rehup") == restart && pod.rehup("/readyz")?.status == 200).then_some(())
        });
        pod.ready().serves("Hello");
    }
    let fresh = pod.rehup("/freshz").expect("an answer");
    assert!(fresh.status == 503 && fresh.body.contains("config_refused"), "{fresh:?}");

    space.edit("web-rehup", "rehup.yaml", &configuration);
    space.edit("web-settings", "greeting", "Good morning");
    pod.serves("Good morning");
    assert_eq!((pod.restarts("rehup"), pod.restarts("nginx")), (2, 0));
}

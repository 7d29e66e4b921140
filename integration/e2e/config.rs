//! Edits of the ConfigMap with configuration and templates.

use crate::support::{
    cluster::{Manifest, Space, client},
    http::Answer,
};

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

/// A broken edit may be found out only when the sidecar starts again, perhaps days later.
#[test]
fn a_restart_on_a_broken_configuration_keeps_the_pod_in_its_service() {
    let space = Space::new();
    space.apply(&Manifest::shipped("native-sidecar.yaml"));
    let pod = space.pod("app=web");
    pod.ready().serves("Hello").settles("nginx", 1, "confirmed");
    let configuration = space.key("web-rehup", "rehup.yaml");
    pod.in_service("web");
    let refused = |answer: &Answer| answer.status == 503 && answer.body.contains("config_refused");
    let edited = client::follow(&space, "web", || {
        space.edit("web-rehup", "rehup.yaml", "sources: [");
        pod.eventually("the edit is refused", || pod.rehup("/freshz").filter(refused));
    });
    // The kubelet takes a pod out of its Services until a container's probes have answered anew.
    pod.kill_rehup("nginx");
    pod.eventually("Rehup is started again", || (pod.restarts("rehup") == 1).then_some(()));
    pod.in_service("web");
    let running = client::follow(&space, "web", || {
        pod.eventually("it is still refused", || pod.rehup("/freshz").filter(refused));
        space.edit("web-settings", "greeting", "Good morning");
        space.edit("web-rehup", "rehup.yaml", &configuration);
        pod.serves("Good morning").settles("nginx", 2, "confirmed");
    });
    for served in [edited, running] {
        assert!(served.answered > 0 && served.failed.is_empty(), "{served:?}");
    }
    assert_eq!((pod.restarts("rehup"), pod.restarts("nginx")), (1, 0));
}

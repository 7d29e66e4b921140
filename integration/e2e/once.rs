//! Rehup as an init container only: one generation, then the app, then nothing more.

use crate::support::cluster::{Manifest, Space};

#[test]
fn an_app_starts_after_one_generation_and_an_edit_is_in_the_next_pod() {
    let space = Space::new();
    space.apply(&Manifest::shipped("init-once.yaml"));
    let pod = space.pod("app=web-once");
    pod.ready().serves("Hello");
    let rehup = pod.container("rehup");
    assert_eq!(rehup["state"]["terminated"]["exitCode"], 0, "{rehup}");

    space.edit("web-once-settings", "greeting", "Good morning");
    assert_eq!(pod.page().as_deref(), Some("Hello"), "nobody follows the source here");
    pod.delete();
    let next = space.pod("app=web-once");
    assert_ne!(next.name, pod.name);
    next.ready().serves("Good morning");
}

#[test]
fn an_app_does_not_start_before_a_broken_configuration_is_mended() {
    let space = Space::new();
    let mut manifest = Manifest::shipped("init-once.yaml");
    let file = &mut manifest.object("ConfigMap", "web-once-rehup")["data"]["rehup.yaml"];
    let good = file.as_str().expect("a configuration").to_owned();
    *file = good.replace("templates:", "template:").into();
    space.apply(&manifest);
    let pod = space.pod("app=web-once");
    let code = pod.eventually("once has failed", || {
        let rehup = pod.container("rehup");
        let states = [&rehup["state"], &rehup["lastState"]];
        states.into_iter().find_map(|it| it["terminated"]["exitCode"].as_u64())
    });
    assert_eq!(code, 78);
    assert!(pod.container("nginx")["state"]["waiting"].is_object(), "nginx waits");

    space.edit("web-once-rehup", "rehup.yaml", &good);
    pod.ready().serves("Hello");
}

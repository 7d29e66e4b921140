//! Rehup as an ordinary container, for clusters that know no native sidecars.

use crate::support::cluster::{Manifest, Space};

#[test]
fn a_classic_sidecar_goes_on_from_the_generation_that_an_init_container_published() {
    let space = Space::new();
    space.apply(&Manifest::shipped("classic-sidecar.yaml"));
    let pod = space.pod("app=web-classic");
    pod.ready().serves("Hello");
    let first = pod.container("rehup-once");
    assert_eq!(first["state"]["terminated"]["exitCode"], 0, "{first}");
    assert_eq!(pod.status()["generation"]["number"], 1, "nothing was published twice");
    let nginx = pod.container("nginx");
    let (ended, began) =
        (&first["state"]["terminated"]["finishedAt"], &nginx["state"]["running"]["startedAt"]);
    // Both are RFC 3339 in UTC to the second.
    assert!(ended.as_str() <= began.as_str(), "nginx began at {began}, once ended at {ended}");

    space.edit("web-classic-settings", "greeting", "Good morning");
    pod.serves("Good morning").settles("nginx", 2, "confirmed");
    assert_eq!((pod.restarts("nginx"), pod.restarts("rehup")), (0, 0));
}

#[test]
fn a_classic_sidecar_that_is_killed_comes_back_without_the_app_noticing() {
    let space = Space::new();
    space.apply(&Manifest::shipped("classic-sidecar.yaml"));
    let pod = space.pod("app=web-classic");
    pod.ready().serves("Hello").settles("nginx", 1, "confirmed");
    pod.kill_rehup("nginx");
    pod.eventually("Rehup is started again", || (pod.restarts("rehup") == 1).then_some(()));
    pod.ready();
    space.edit("web-classic-settings", "greeting", "Good morning");
    pod.serves("Good morning").settles("nginx", 2, "confirmed");
    assert_eq!(pod.restarts("nginx"), 0);
}

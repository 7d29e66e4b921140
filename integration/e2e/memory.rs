//! The shared volume in memory: sticky, owned by root, and small.

use crate::support::cluster::{Manifest, Pod, Space};

#[test]
fn a_volume_in_memory_is_published_to_and_signalled_from() {
    let space = Space::new();
    let pod = started(&space);
    let mount = pod.run("nginx", &["grep", " /shared ", "/proc/mounts"]);
    assert!(mount.starts_with("tmpfs ") && mount.contains("size=16384k"), "{mount}");
    assert_eq!(pod.run("nginx", &["stat", "-c", "%a %u", "/shared"]), "1777 0");

    space.edit("web-settings", "greeting", "Good morning");
    pod.serves("Good morning").settles("nginx", 2, "confirmed");
}

#[test]
fn a_generation_that_the_volume_cannot_hold_is_refused_and_the_last_one_stays() {
    let space = Space::new();
    let pod = started(&space);
    let template = pod.run("nginx", &["cat", "/shared/nginx.conf"]);
    // 24 files of 1 MiB.
    let configuration = space.key("web-rehup", "rehup.yaml");
    let more = "\n  - { inline: '{{ \"x\" * 1048576 }}', to: \"NAME\" }";
    let many: String = (0..24).map(|n| more.replace("NAME", &format!("big-{n}"))).collect();
    let greater = configuration.replacen("templates:", &format!("templates:{many}"), 1);
    space.edit("web-rehup", "rehup.yaml", &greater);
    pod.eventually("the volume is said to be too small", || {
        let answer = pod.rehup("/freshz")?;
        (answer.status == 503 && answer.body.contains("publish")).then_some(())
    });
    assert_eq!(pod.run("nginx", &["cat", "/shared/nginx.conf"]), template);
    assert!(pod.is_ready(), "what is visible is good");
    assert_eq!(pod.restarts("rehup"), 0, "{}", space.story());

    space.edit("web-rehup", "rehup.yaml", &configuration);
    space.edit("web-settings", "greeting", "Good morning");
    pod.serves("Good morning");
}

fn started(space: &Space) -> Pod<'_> {
    space.apply(&Manifest::shipped("native-sidecar-memory.yaml"));
    let pod = space.pod("app=web");
    pod.ready().serves("Hello").settles("nginx", 1, "confirmed");
    pod
}

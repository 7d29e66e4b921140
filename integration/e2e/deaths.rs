//! Containers that die: the app, the sidecar by a signal, the sidecar for its memory.

use serde_json::json;

use crate::support::cluster::{Manifest, Space};

#[test]
fn an_app_that_starts_again_reads_the_volume_and_is_told_of_the_next_change() {
    let space = Space::new();
    space.apply(&Manifest::shipped("native-sidecar.yaml"));
    let pod = space.pod("app=web");
    pod.ready().serves("Hello").settles("nginx", 1, "confirmed");
    pod.run("nginx", &["sh", "-c", "kill -9 $(cat /tmp/nginx.pid)"]);
    pod.eventually("nginx is started again", || (pod.restarts("nginx") == 1).then_some(()));
    pod.ready().serves("Hello");
    space.edit("web-settings", "greeting", "Good morning");
    pod.serves("Good morning").settles("nginx", 2, "confirmed");
    assert_eq!(pod.restarts("rehup"), 0);
}

#[test]
fn a_killed_sidecar_comes_back_and_repeats_nothing() {
    let space = Space::new();
    space.apply(&Manifest::shipped("native-sidecar.yaml"));
    let pod = space.pod("app=web");
    pod.ready().serves("Hello");
    space.edit("web-settings", "greeting", "Good morning");
    pod.serves("Good morning").settles("nginx", 2, "confirmed");
    pod.kill_rehup("nginx");
    pod.eventually("Rehup is started again", || {
        let again = pod.restarts("rehup") == 1 && pod.status()["fresh"] == true;
        again.then_some(())
    });
    assert_eq!(pod.container("rehup")["lastState"]["terminated"]["exitCode"], 137);
    let hangups = || pod.log("nginx").matches("signal 1 (SIGHUP) received").count();
    assert_eq!(hangups(), 1, "what was settled is not told again");

    space.edit("web-settings", "greeting", "Good evening");
    pod.serves("Good evening").settles("nginx", 3, "confirmed");
    assert_eq!((hangups(), pod.restarts("nginx")), (2, 0));
}

/// An edit whose rendering needs more memory than the container may have ends the process twice;
/// then it is held, and the app has seen nothing of it.
#[test]
fn a_sidecar_that_is_killed_for_its_memory_keeps_the_last_generation() {
    let space = Space::new();
    space.apply(&Manifest::shipped("native-sidecar.yaml"));
    let pod = space.pod("app=web");
    pod.ready().serves("Hello").settles("nginx", 1, "confirmed");
    let configuration = space.key("web-rehup", "rehup.yaml");
    let greedy = "limits: { fuel: 100000000, file: 2GiB, generation: 2GiB }\n";
    let big = r#"{% for _ in range(250) %}{{ "x" * 1000000 }}{% endfor %}"#;
    let template = format!("templates:\n  - {{ inline: '{big}', to: big }}");
    let edited = format!("{greedy}{}", configuration.replacen("templates:", &template, 1));
    space.edit("web-rehup", "rehup.yaml", &edited);
    let last = || pod.container("rehup")["lastState"]["terminated"].clone();
    pod.eventually("it is killed for its memory", || {
        (last()["reason"] == "OOMKilled").then_some(())
    });
    pod.eventually("it holds what ended it twice", || {
        let status = pod.status();
        (pod.restarts("rehup") == 2 && status["ready"] == true && status["fresh"] == false)
            .then_some(())
    });
    pod.ready().serves("Hello");
    assert_eq!(pod.restarts("nginx"), 0);

    space.edit("web-rehup", "rehup.yaml", &configuration);
    space.edit("web-settings", "greeting", "Good morning");
    pod.serves("Good morning").settles("nginx", 2, "confirmed");
    assert_eq!(pod.restarts("rehup"), 2);
}

/// What the manifest asks for holds what it is asked to do.
#[test]
fn the_request_of_memory_covers_an_idle_sidecar() {
    let space = Space::new();
    space.apply(&Manifest::shipped("native-sidecar.yaml"));
    let pod = space.pod("app=web");
    pod.ready().serves("Hello").settles("nginx", 1, "confirmed");
    let spec = pod.object().expect("a pod")["spec"]["initContainers"][0].clone();
    assert_eq!(spec["resources"]["requests"]["memory"], json!("32Mi"));
    let resident = pod.run("nginx", &["sh", "-c", "grep VmHWM /proc/$(pidof rehup)/status"]);
    let kibibytes: u64 = resident.split_whitespace().nth(1).expect("a size").parse().expect("KiB");
    assert!(kibibytes < 32 * 1024, "{resident}");
}

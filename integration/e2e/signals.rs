//! From a key to the signal across containers, as the same user and as another.

use serde_json::json;

use crate::support::cluster::{Manifest, Space};

#[test]
fn a_key_becomes_a_file_and_a_signal_to_the_other_container() {
    let space = Space::new();
    space.apply(&Manifest::shipped("native-sidecar.yaml"));
    let pod = space.pod("app=web");
    pod.ready().serves("Hello");
    let told = pod.settles("nginx", 1, "confirmed");
    assert!(told["detail"].as_str().is_some_and(|it| it.contains("fresh_start")), "{told}");
    let user = pod.run("nginx", &["sh", "-c", "grep Uid /proc/$(pidof rehup)/status"]);
    assert_eq!(user.split_whitespace().nth(1), Some("65532"));
    assert_eq!(pod.run("nginx", &["id", "-u"]), "65532");

    let master = pod.run("nginx", &["cat", "/tmp/nginx.pid"]);
    space.edit("web-settings", "greeting", "Good morning");
    pod.serves("Good morning").settles("nginx", 2, "confirmed");
    assert_eq!(pod.run("nginx", &["cat", "/tmp/nginx.pid"]), master, "it was told, not replaced");
    assert_eq!(pod.log("nginx").matches("signal 1 (SIGHUP) received").count(), 1);
    assert_eq!((pod.restarts("nginx"), pod.restarts("rehup")), (0, 0));
}

#[test]
fn another_user_is_not_signalled_and_the_status_says_what_to_do() {
    let mut manifest = Manifest::shipped("native-sidecar.yaml");
    let web = manifest.object("Deployment", "web");
    let nginx = &mut web["spec"]["template"]["spec"]["containers"][0];
    nginx["securityContext"]["runAsUser"] = json!(65533);
    let space = Space::new();
    space.apply(&manifest);
    let pod = space.pod("app=web");
    pod.ready().serves("Hello");

    space.edit("web-settings", "greeting", "Good morning");
    let detail = pod.eventually("the target is misconfigured", || {
        let target = pod.status()["targets"]["nginx"].clone();
        (target["outcome"] == "misconfigured").then(|| target["detail"].to_string())
    });
    assert!(detail.contains("runAsUser"), "{detail}");
    assert!(pod.log("rehup").contains("runAsUser"), "the log says it too");
    assert_eq!(pod.page().as_deref(), Some("Hello"), "nobody told nginx");
    assert!(pod.status()["targets"]["nginx"]["owed_seconds"].is_number(), "it stays owed");
    assert!(pod.is_ready(), "the volume is good");
}

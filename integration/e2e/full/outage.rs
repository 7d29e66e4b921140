//! A store that answers nobody for minutes.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::support::cluster::{Manifest, Pod, Space};

/// As long as an update of a store's node takes.
const OUTAGE: Duration = Duration::from_secs(180);

const STORE: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: etcd, labels: { app: etcd } }
spec:
  securityContext: { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: { type: RuntimeDefault } }
  containers:
    - name: etcd
      image: localhost/e2e-etcd:1
      # Not the first process, which could not be stopped from inside.
      command: [sh, -c, "etcd --data-dir /data --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls http://0.0.0.0:2379 & wait"]
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
      volumeMounts: [{ name: data, mountPath: /data }]
  volumes: [{ name: data, emptyDir: {} }]
"#;

#[test]
fn a_store_that_is_gone_for_minutes_takes_nothing_with_it() {
    let space = Space::new();
    space.apply(&Manifest::parse(STORE));
    let etcd = space.pod("app=etcd");
    etcd.ready();
    put(&etcd, "Hello");
    let object = etcd.object().expect("a pod");
    let address = object["status"]["podIP"].as_str().expect("an address");
    let mut manifest = Manifest::shipped("native-sidecar.yaml");
    let data = &mut manifest.object("ConfigMap", "web-rehup")["data"];
    let configuration = data["rehup.yaml"].as_str().expect("a configuration");
    let etcd_source = format!("etcd: {{ endpoints: [\"http://{address}:2379\"], prefix: /web/ }}");
    data["rehup.yaml"] =
        configuration.replace("files: { path: /etc/settings }", &etcd_source).into();
    space.apply(&manifest);
    let pod = space.pod("app=web");
    pod.ready().serves("Hello").settles("nginx", 1, "confirmed");

    etcd.run("etcd", &["sh", "-c", "kill -STOP $(pidof etcd)"]);
    let begun = Instant::now();
    pod.eventually("the source is known to be stale", || {
        (pod.rehup("/freshz")?.status == 503).then_some(())
    });
    while begun.elapsed() < OUTAGE {
        assert!(pod.is_ready(), "{}", space.story());
        assert_eq!(space.endpoints("web"), [pod.name.clone()]);
        assert_eq!(pod.page().as_deref(), Some("Hello"));
        std::thread::sleep(Duration::from_secs(1));
    }
    // A restart during the outage: the last generation is adopted.
    pod.kill_rehup("nginx");
    pod.eventually("Rehup is started again", || (pod.restarts("rehup") == 1).then_some(()));
    pod.ready().serves("Hello");

    etcd.run("etcd", &["sh", "-c", "kill -CONT $(pidof etcd)"]);
    put(&etcd, "Good morning");
    pod.serves("Good morning").settles("nginx", 2, "confirmed");
    pod.eventually("everything is current", || (pod.rehup("/freshz")?.status == 200).then_some(()));
    assert_eq!((pod.restarts("rehup"), pod.restarts("nginx")), (1, 0));
}

fn put(etcd: &Pod<'_>, greeting: &str) {
    let (key, value) = (STANDARD.encode("/web/greeting"), STANDARD.encode(greeting));
    let body = json!({ "key": key, "value": value });
    etcd.eventually("etcd takes a key", || {
        etcd.post(2379, "/v3/kv/put", &body).filter(|answer| answer.status == 200)
    });
}

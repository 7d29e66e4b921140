//! Stores as a company has them: etcd behind mutual TLS, a Consul agent on the node that denies by
//! default. Each runs on the pod's own node, in a namespace that may use the node's network; what
//! ships is applied first, and waits for its Secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::cluster::{Manifest, Pod, Space};

mod consul;
mod etcd;

/// Where a pod that waits was put: the node's name and address.
fn node_of(pod: &Pod<'_>) -> (String, String) {
    pod.eventually("the pod was put on a node", || {
        let object = pod.object()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some((text(&object["spec"]["nodeName"])?, text(&object["status"]["hostIP"])?))
    })
}

/// Waits until the kubelet says that it waits for a Secret, and nothing of the pod runs.
fn waits_for_its_secret(space: &Space, pod: &Pod<'_>, secret: &str) {
    pod.eventually("the kubelet says which Secret is missing", || {
        let events = space.kubectl(&["get", "events", "--output=json"], "").stdout;
        let said = format!("secret \\\"{secret}\\\" not found");
        String::from_utf8_lossy(&events).contains(&said).then_some(())
    });
    assert!(pod.container("rehup")["state"]["running"].is_null(), "Rehup waits");
}

/// Makes or changes a Secret.
fn keep(space: &Space, name: &str, files: &[(&str, String)]) {
    let encoded = |text: &String| json!(STANDARD.encode(text));
    let data: Value = files.iter().map(|(key, text)| ((*key).to_owned(), encoded(text))).collect();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "data": data,
    });
    space.apply(&Manifest { objects: vec![secret] });
}

/// Makes or changes a ConfigMap.
fn note(space: &Space, name: &str, files: &[(&str, String)]) {
    let data: Value = files.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data,
    });
    space.apply(&Manifest { objects: vec![map] });
}

/// A store in the node's network, with its files mounted at `/config` and data that goes with it.
fn store(node: &str, image: &str, command: &[String], files: &Value) -> Manifest {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "store" },
        "spec": {
            "nodeName": node, "hostNetwork": true, "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "store", "image": image, "command": command,
                "volumeMounts": [
                    { "name": "files", "mountPath": "/config" },
                    { "name": "data", "mountPath": "/data" },
                ],
            }],
            "volumes": [
                { "name": "files", "projected": { "sources": [files] } },
                { "name": "data", "emptyDir": {} },
            ],
        },
    });
    Manifest { objects: vec![pod] }
}

/// A request to the store through the API server, whose answer is a success.
fn asked(space: &Space, verb: &str, port: u16, path: &str, body: &str) -> Option<String> {
    let at = space.path(&format!("pods/store:{port}/proxy{path}"));
    let output = space.kubectl(&[verb, "--raw", &at, "--filename", "-"], body);
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits until the one source of a pod is in this state.
fn is_in_state(pod: &Pod<'_>, state: &str) {
    pod.eventually(&format!("the source is {state}"), || {
        (pod.status()["sources"]["app"]["state"] == state).then_some(())
    });
}

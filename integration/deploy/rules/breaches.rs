//! A shipped pod, broken in one place at a time: each rule finds its breach, and nothing else does.

use serde_json::{Value, json};

use super::{grants, rights, sidecar};
use crate::deploy::{
    files,
    pods::{self, Pod},
};

/// Where a pod is broken, what is put there (nothing: it is removed), what is said of it.
type Breach = (&'static str, Option<Value>, &'static str);

const REHUP: &str = "/initContainers/0";
const APP: &str = "/containers/0";

/// A pod of a native sidecar and one app.
fn shipped() -> Value {
    let documents = files::documents_of("kubernetes/consul-agent.yaml");
    let deployment = documents.iter().find(|it| it["kind"] == "Deployment");
    deployment.expect("a Deployment")["spec"]["template"]["spec"].clone()
}

/// The one pod of this specification.
fn pod(spec: &Value) -> Pod {
    let mut pods = pods::of(&json!({ "metadata": { "name": "x" }, "spec": spec }));
    assert_eq!(pods.len(), 1, "one pod");
    pods.remove(0)
}

fn broken(at: &str, with: Option<Value>) -> Pod {
    let mut spec = shipped();
    let (parent, key) = at.rsplit_once('/').expect("a pointer");
    let parent = spec.pointer_mut(parent).unwrap_or_else(|| panic!("{at} is in the shipped pod"));
    if let Some(value) = with {
        parent[key] = value;
    } else {
        let removed = parent.as_object_mut().expect("an object").remove(key);
        assert!(removed.is_some(), "{at} is in the shipped pod");
    }
    pod(&spec)
}

/// Each breach is the only one that is found.
#[track_caller]
fn are_found(rules: fn(&Pod) -> Vec<String>, of: &str, breaches: Vec<Breach>) {
    for (at, with, said) in breaches {
        let at = format!("{of}{at}");
        let found = rules(&broken(&at, with.clone()));
        let about_it = found.iter().filter(|breach| breach.contains(said)).count();
        assert_eq!((found.len(), about_it), (1, 1), "{at} = {with:?}: {found:?}");
    }
}

#[test]
fn the_shipped_pod_breaks_no_rule() {
    let pod = pod(&shipped());
    assert_eq!(rights(&pod), Vec::<String>::new());
    assert_eq!(sidecar(&pod), Vec::<String>::new());
}

#[test]
fn a_right_of_the_pod_is_found() {
    let volume = json!([{ "name": "x", "hostPath": { "path": "/" } }]);
    let breaches = vec![
        ("/hostNetwork", Some(json!(true)), "hostNetwork"),
        ("/hostPID", Some(json!(true)), "hostPID"),
        ("/hostIPC", Some(json!(true)), "hostIPC"),
        ("/volumes", Some(volume), "folder of the node"),
        ("/securityContext/fsGroup", Some(json!(0)), "root's group"),
        ("/securityContext/supplementalGroups", Some(json!([5, 0])), "root's group"),
        ("/automountServiceAccountToken", None, "token of the API server"),
        ("/automountServiceAccountToken", Some(json!(true)), "token of the API server"),
    ];
    are_found(rights, "", breaches);
}

#[test]
fn a_right_of_a_container_is_found() {
    for container in [REHUP, APP] {
        let breaches = vec![
            ("/securityContext/runAsUser", Some(json!("0")), "its user"),
            ("/securityContext/runAsGroup", Some(json!(0)), "its group"),
            ("/securityContext/seccompProfile", Some(json!({ "type": "Unconfined" })), "filtered"),
            ("/securityContext/allowPrivilegeEscalation", None, "gain privileges"),
            ("/securityContext/readOnlyRootFilesystem", None, "writable"),
            ("/securityContext/readOnlyRootFilesystem", Some(json!(false)), "writable"),
            ("/securityContext/capabilities", None, "keeps capabilities"),
            ("/securityContext/capabilities/add", Some(json!(["KILL"])), "adds a capability"),
            ("/securityContext/privileged", Some(json!(true)), "is privileged"),
            ("/securityContext/procMount", Some(json!("Unmasked")), "`/proc`"),
            ("/resources", None, "resources"),
            ("/resources/limits/memory", None, "resources"),
            ("/resources/requests/cpu", None, "resources"),
        ];
        are_found(rights, container, breaches);
    }
    for tag in ["a/b", "a/b:latest", "host:5000/b", "b:"] {
        let breach = ("/image", Some(json!(tag)), "pinned");
        are_found(rights, APP, vec![breach]);
    }
}

#[test]
fn root_is_found_wherever_it_is_said() {
    let root = |at: &str, with| rights(&broken(at, with));
    let pods = root("/securityContext/runAsUser", Some(json!(0)));
    assert_eq!(pods.len(), 2, "both containers take the pod's user: {pods:?}");
    let said = root("/containers/0/securityContext/runAsUser", Some(json!(0)));
    assert!(said.iter().any(|it| it.contains("runs as root")), "{said:?}");
    let allowed = root("/containers/0/securityContext/runAsNonRoot", Some(json!(false)));
    assert!(allowed.iter().any(|it| it.contains("may run as root")), "{allowed:?}");
    let silent = root("/securityContext", None);
    assert_eq!(silent.len(), 8, "user, group, filter and root of both: {silent:?}");
}

#[test]
fn a_right_that_a_part_grants_is_found() {
    let part =
        json!({ "containers": [{ "name": "a", "securityContext": { "privileged": true } }] });
    assert_eq!(grants(&pod(&part)), ["x/a: is privileged"]);
    let harmless = json!({ "containers": [{ "name": "a", "volumeMounts": [] }] });
    assert_eq!(grants(&pod(&harmless)), Vec::<String>::new());
}

#[test]
fn what_a_sidecar_lacks_is_found() {
    let breaches = vec![
        ("/args", Some(json!(["once"])), "runs `run`"),
        ("/startupProbe/httpGet/path", Some(json!("/readyz")), "/startupz"),
        ("/startupProbe/failureThreshold", Some(json!(3599)), "an hour"),
        ("/readinessProbe", None, "/readyz"),
        ("/readinessProbe/httpGet/path", Some(json!("/freshz")), "/readyz"),
        ("/livenessProbe", None, "/livez"),
        ("/livenessProbe/httpGet/port", Some(json!(8080)), "/livez"),
        ("/ports", Some(json!([{ "name": "admin", "containerPort": 9533 }])), "PodMonitor"),
    ];
    are_found(sidecar, REHUP, breaches);
    // The default period is longer.
    let slower = broken("/initContainers/0/startupProbe/periodSeconds", None);
    assert_eq!(sidecar(&slower), Vec::<String>::new());
    are_found(sidecar, "", vec![("/terminationGracePeriodSeconds", None, "grace period")]);
    let writable = json!([{ "name": "shared", "mountPath": "/shared" }]);
    are_found(sidecar, APP, vec![("/volumeMounts", Some(writable), "may write")]);
}

#[test]
fn a_sidecar_that_is_no_native_one_any_more_is_found() {
    let pod = broken("/initContainers/0/restartPolicy", None);
    assert_eq!(sidecar(&pod), ["x/rehup: an init container runs `once`"]);
}

#[test]
fn a_container_is_found_in_whatever_kind_of_object() {
    let container = json!({ "name": "a", "image": "b:1" });
    let inside = [
        json!({ "spec": { "jobTemplate": { "spec": { "template": { "spec": { "containers": [container] } } } } } }),
        json!([{ "op": "add", "path": "/spec/template/spec/containers/-", "value": container }]),
        json!({ "items": [{ "spec": { "initContainers": [container] } }] }),
        json!({ "spec": { "ephemeralContainers": [container] } }),
    ];
    for document in inside {
        let pods = pods::of(&document);
        assert_eq!(pods.len(), 1, "{document}");
        let said = rights(&pods[0]);
        assert!(said.iter().any(|it| it.contains("writable")), "{document}: {said:?}");
    }
}

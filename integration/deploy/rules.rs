//! What every container must renounce, and what every container of Rehup must have.
//!
//! Each rule is a sentence that names a breach. The tests below take a shipped pod, break one thing
//! at a time, and expect that sentence: a rule that finds nothing is found.

use serde_json::{Value, json};

use super::pods::{Container, Pod};

/// How long a start must be waited for, in seconds.
const PATIENCE: u64 = 3600;

/// The rights that a pod's containers have and should not have.
pub fn rights(pod: &Pod) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut say = |what: &str| breaches.push(format!("{}: {what}", pod.name));
    for namespace in ["hostNetwork", "hostPID", "hostIPC"] {
        if !is_null_or_false(&pod.spec[namespace]) {
            say(&format!("`{namespace}`"));
        }
    }
    let volumes = pod.spec["volumes"].as_array().cloned().unwrap_or_default();
    if volumes.iter().any(|volume| !volume["hostPath"].is_null()) {
        say("a folder of the node");
    }
    let groups = pod.spec["securityContext"]["supplementalGroups"].as_array().cloned();
    let groups = groups.unwrap_or_default();
    if groups.contains(&json!(0)) || pod.spec["securityContext"]["fsGroup"] == 0 {
        say("root's group");
    }
    if !pod.is_patch && pod.spec["automountServiceAccountToken"] != false {
        say("a token of the API server, which nobody asks anything");
    }
    for container in &pod.containers {
        let found = container_rights(pod, container);
        breaches.extend(found.into_iter().map(|it| of(pod, container, it)));
    }
    breaches
}

/// The rights that a part of a pod grants; what it lacks, another part may bring.
pub fn grants(pod: &Pod) -> Vec<String> {
    let each = pod
        .containers
        .iter()
        .flat_map(|container| granted(&container.spec).map(move |what| of(pod, container, what)));
    each.collect()
}

fn of(pod: &Pod, container: &Container, what: &str) -> String {
    format!("{}/{}: {what}", pod.name, container.name)
}

fn is_null_or_false(value: &Value) -> bool {
    value.is_null() || value == &json!(false)
}

/// What a security context grants though nothing should.
fn granted(container: &Value) -> impl Iterator<Item = &'static str> {
    let context = &container["securityContext"];
    let added = context["capabilities"]["add"].as_array().is_some_and(|all| !all.is_empty());
    let privileged = !is_null_or_false(&context["privileged"]);
    let all = [
        (added, "adds a capability"),
        (privileged, "is privileged"),
        (!context["procMount"].is_null(), "has a `/proc` of its own kind"),
        (context["runAsUser"] == 0, "runs as root"),
        (context["runAsNonRoot"] == false, "may run as root"),
        (context["allowPrivilegeEscalation"] == true, "may gain privileges"),
    ];
    all.into_iter().filter(|(is, _)| *is).map(|(_, what)| what)
}

fn container_rights(pod: &Pod, container: &Container) -> Vec<&'static str> {
    let context = &container.spec["securityContext"];
    let above_zero = |key| pod.effective(container, key).as_u64().is_some_and(|id| id > 0);
    let dropped = context["capabilities"]["drop"].as_array().cloned().unwrap_or_default();
    let missing = [
        (pod.effective(container, "runAsNonRoot") == true, "nothing forbids root"),
        (above_zero("runAsUser"), "its user is not said, or is root"),
        // Without it the group is root's, whatever the image says.
        (above_zero("runAsGroup"), "its group is not said, or is root's"),
        (
            pod.effective(container, "seccompProfile")["type"] == "RuntimeDefault",
            "its system calls are not filtered",
        ),
        (context["allowPrivilegeEscalation"] == false, "may gain privileges"),
        (context["readOnlyRootFilesystem"] == true, "its root filesystem is writable"),
        (dropped.contains(&json!("ALL")), "keeps capabilities"),
        (is_pinned(container), "its image has no pinned version"),
        (
            ["/requests/cpu", "/requests/memory", "/limits/memory"]
                .iter()
                .all(|at| container.spec["resources"].pointer(at).is_some_and(Value::is_string)),
            "its resources are not said",
        ),
    ];
    let missing = missing.into_iter().filter(|(is, _)| !is).map(|(_, what)| what);
    missing.chain(granted(&container.spec)).collect()
}

fn is_pinned(container: &Container) -> bool {
    let image = container.spec["image"].as_str().unwrap_or_default();
    let (_, name) = image.rsplit_once('/').unwrap_or(("", image));
    name.split_once(':').is_some_and(|(_, tag)| tag != "latest" && !tag.is_empty())
}

/// What the containers of Rehup in a pod lack.
pub fn sidecar(pod: &Pod) -> Vec<String> {
    let mut breaches = Vec::new();
    for container in pod.containers.iter().filter(|it| it.is_rehup()) {
        let found = if container.is_init { once(container) } else { run(container) };
        breaches.extend(found.into_iter().map(|what| of(pod, container, what)));
        let volume = volume(container);
        let readers = pod.containers.iter().filter(|it| !it.is_rehup());
        for reader in readers {
            let mounts = reader.spec["volumeMounts"].as_array().cloned().unwrap_or_default();
            let writes = |it: &&Value| it["name"] == volume && it["readOnly"] != true;
            if mounts.iter().any(|it| writes(&it)) {
                breaches.push(of(pod, reader, "may write what Rehup publishes"));
            }
        }
    }
    if !pod.is_patch && !pod.spec["terminationGracePeriodSeconds"].is_u64() {
        breaches.push(format!("{}: the grace period is not said", pod.name));
    }
    breaches
}

/// The name of the volume that it writes.
fn volume(container: &Container) -> Value {
    let path = container.variable("REHUP_OUTPUT").map(|it| it["value"].clone());
    let mounts = container.spec["volumeMounts"].as_array().cloned().unwrap_or_default();
    let mount = mounts.into_iter().find(|it| Some(&it["mountPath"]) == path.as_ref());
    mount.map_or(Value::Null, |it| it["name"].clone())
}

fn once(container: &Container) -> Vec<&'static str> {
    let rules = [
        (container.spec["args"][0] == "once", "an init container runs `once`"),
        (!volume(container).is_null(), "REHUP_OUTPUT is no mounted volume"),
    ];
    rules.into_iter().filter(|(is, _)| !is).map(|(_, what)| what).collect()
}

fn run(container: &Container) -> Vec<&'static str> {
    let spec = &container.spec;
    let asks = |probe: &str, path: &str| {
        let at = &spec[probe]["httpGet"];
        at["path"] == path && (at["port"] == "rehup" || at["port"] == 9533)
    };
    let number = |key: &str, default| spec["startupProbe"][key].as_u64().unwrap_or(default);
    let patience = number("periodSeconds", 10) * number("failureThreshold", 3);
    let named = |it: &Value| it["name"] == "rehup" && it["containerPort"] == 9533;
    let ports = spec["ports"].as_array().cloned().unwrap_or_default();
    let listen = container.variable("REHUP_LISTEN").is_some_and(|it| it["value"].is_string());
    let rules = [
        (spec["args"][0] == "run", "a sidecar runs `run`"),
        (asks("startupProbe", "/startupz"), "no start-up probe of /startupz"),
        (asks("readinessProbe", "/readyz"), "no readiness probe of /readyz"),
        (asks("livenessProbe", "/livez"), "no liveness probe of /livez"),
        (patience >= PATIENCE, "its start-up is given up before an hour is over"),
        (ports.iter().any(named), "no port 9533 of the name `rehup`, which a PodMonitor looks for"),
        (listen, "REHUP_LISTEN is not set: a broken file would cost the probes"),
        (!volume(container).is_null(), "REHUP_OUTPUT is no mounted volume"),
    ];
    rules.into_iter().filter(|(is, _)| !is).map(|(_, what)| what).collect()
}

mod breaches;

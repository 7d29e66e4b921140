//! What ships for Kubernetes, read without a cluster: what it asks for, and what the pod tests
//! change about it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::cluster::{
    Manifest,
    manifest::{pod_specs, shipped},
};

/// Every manifest with its name; each describes at least one pod, or says here why not.
fn manifests() -> impl Iterator<Item = (String, Manifest)> {
    shipped().into_iter().map(|name| (name.clone(), Manifest::shipped(&name)))
}

/// The pods that a manifest describes.
fn pods(manifest: &mut Manifest) -> Vec<Value> {
    manifest.objects.iter_mut().filter_map(|object| pod_specs(object).cloned()).collect()
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["initContainers", "containers"].into_iter();
    lists.filter_map(|list| pod[list].as_array()).flatten()
}

/// Every scalar with the path that leads to it.
fn leaves(value: &Value, path: &str, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, it)| leaves(it, &format!("{path}/{name}"), into));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(n, it)| leaves(it, &format!("{path}/{n}"), into));
        }
        leaf => drop(into.insert(path.to_owned(), leaf.clone())),
    }
}

fn leaves_of(manifest: &Manifest) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    leaves(&manifest.list(), "", &mut found);
    found
}

#[test]
fn the_pod_tests_change_images_and_whether_they_are_pulled_and_nothing_else() {
    for (name, manifest) in manifests() {
        let (before, after) = (leaves_of(&manifest), leaves_of(&manifest.with_stand_ins()));
        let paths = before.keys().chain(after.keys());
        for path in paths.filter(|path| before.get(*path) != after.get(*path)) {
            let field = path.rsplit('/').next().expect("a field");
            let of_a_container = path.to_lowercase().contains("containers/");
            let may = of_a_container && ["image", "imagePullPolicy"].contains(&field);
            assert!(may, "{name}: {path}: {:?} became {:?}", before.get(path), after.get(path));
        }
    }
}

#[test]
fn no_container_needs_a_right() {
    let mut wrong = Vec::new();
    for (name, mut manifest) in manifests() {
        for pod in pods(&mut manifest) {
            for field in ["hostNetwork", "hostPID", "hostIPC"] {
                if pod[field] == true {
                    wrong.push(format!("{name}: {field}"));
                }
            }
            for container in containers(&pod) {
                let (own, shared) = (&container["securityContext"], &pod["securityContext"]);
                let context = |field: &str| {
                    if own[field].is_null() { &shared[field] } else { &own[field] }
                };
                let kept = [
                    ("runAsNonRoot", context("runAsNonRoot") == true),
                    ("runAsUser", context("runAsUser").as_u64().is_some_and(|it| it > 0)),
                    ("runAsGroup", context("runAsGroup").as_u64().is_some_and(|it| it > 0)),
                    ("seccomp", context("seccompProfile")["type"] == "RuntimeDefault"),
                    ("escalation", own["allowPrivilegeEscalation"] == false),
                    ("read-only root", own["readOnlyRootFilesystem"] == true),
                    ("drop ALL", own["capabilities"] == serde_json::json!({ "drop": ["ALL"] })),
                    ("privileged", own["privileged"].is_null()),
                ];
                let broken = kept.iter().filter(|(_, holds)| !holds);
                wrong.extend(
                    broken.map(|(rule, _)| format!("{name}: {}: {rule}", container["name"])),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn every_container_says_what_it_uses_and_every_image_which_version_it_is() {
    let ours = format!("localhost/rehup:{}", env!("CARGO_PKG_VERSION"));
    let mut wrong = Vec::new();
    for (name, mut manifest) in manifests() {
        for container in pods(&mut manifest).iter().flat_map(containers) {
            let resources = &container["resources"];
            let (requests, limits) = (&resources["requests"], &resources["limits"]);
            if [&requests["cpu"], &requests["memory"], &limits["memory"]]
                .iter()
                .any(|it| it.is_null())
            {
                wrong.push(format!("{name}: {}: resources", container["name"]));
            }
            let image = container["image"].as_str().unwrap_or_default();
            let pinned = image.rsplit_once(':').is_some_and(|(_, tag)| tag.contains('.'));
            if !pinned || image.starts_with("localhost/rehup") && image != ours {
                wrong.push(format!("{name}: {}: {image}", container["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

/// So that a broken file leaves Rehup its volume and its probes.
#[test]
fn every_rehup_has_its_volume_and_its_port_from_the_environment() {
    let mut wrong = Vec::new();
    for (name, mut manifest) in manifests() {
        for container in pods(&mut manifest).iter().flat_map(containers) {
            if !container["image"].as_str().is_some_and(|image| image.contains("/rehup:")) {
                continue;
            }
            let variables = container["env"].as_array().cloned().unwrap_or_default();
            let value = |name: &str| {
                variables.iter().find(|it| it["name"] == name).map(|it| it["value"].clone())
            };
            let mounts = container["volumeMounts"].as_array().cloned().unwrap_or_default();
            let mounted = value("REHUP_OUTPUT")
                .is_some_and(|path| mounts.iter().any(|mount| mount["mountPath"] == path));
            let once = container["args"][0] == "once";
            if !mounted
                || value("REHUP_CONFIG").is_none()
                || !once && value("REHUP_LISTEN").is_none()
            {
                wrong.push(format!("{name}: {}: {variables:?}", container["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn the_variant_in_memory_has_another_volume_and_nothing_else() {
    let disk = leaves_of(&Manifest::shipped("native-sidecar.yaml"));
    let memory = leaves_of(&Manifest::shipped("native-sidecar-memory.yaml"));
    let paths = disk.keys().chain(memory.keys());
    let others = paths.filter(|path| disk.get(*path) != memory.get(*path));
    let others: Vec<_> = others.filter(|path| !path.contains("/volumes/2/emptyDir")).collect();
    assert!(others.is_empty(), "{others:?}");
}

//! The `PodMonitor`, against the operator's own schema: no operator runs here. The schema comes with
//! the operator's Go module, as `servers/prometheus-operator/go.mod` pins it.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::{files, none};

const MODULE: &str = "github.com/prometheus-operator/prometheus-operator";
const SCHEMA: &str = "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml";

/// The structural schema of `monitoring.coreos.com/v1`.
fn schema() -> Value {
    let pins =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/servers/prometheus-operator");
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", MODULE]).current_dir(pins);
    let output = go.output().expect("go");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{MODULE}: {said}");
    let module: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let file = Path::new(module["Dir"].as_str().expect("a folder")).join(SCHEMA);
    let text = fs::read_to_string(&file).unwrap_or_else(|it| panic!("{}: {it}", file.display()));
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    documents.retain(|it| it["kind"] == "CustomResourceDefinition");
    assert_eq!(documents.len(), 1, "one definition");
    let versions = documents[0]["spec"]["versions"].as_array().expect("versions").clone();
    let version = versions.into_iter().find(|it| it["name"] == "v1").expect("version v1");
    version["schema"]["openAPIV3Schema"].clone()
}

/// Where a value is not as a structural schema says. Unknown fields are refused, as `kubectl`
/// does with `--validate=strict`.
fn misfits(value: &Value, schema: &Value, at: &str) -> Vec<String> {
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        _ => schema["x-kubernetes-int-or-string"] == true && (value.is_i64() || value.is_string()),
    };
    if !fits {
        return vec![format!("{at} is no {}", schema["type"])];
    }
    let mut found = Vec::new();
    if let (Some(text), Some(pattern)) = (value.as_str(), schema["pattern"].as_str()) {
        let pattern = regex_lite::Regex::new(pattern).expect("a pattern");
        if !pattern.is_match(text) {
            found.push(format!("{at}: {text:?} does not match {pattern}"));
        }
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        found.push(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if value[required.as_str().expect("a name")].is_null() {
            found.push(format!("{at} has no {required}"));
        }
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let below = format!("{at}/{name}");
        let known = [&schema["properties"][name], &schema["additionalProperties"]];
        match known.into_iter().find(|it| it.is_object()) {
            Some(schema) => found.extend(misfits(field, schema, &below)),
            // What every object has is no part of a definition's schema.
            None if at == "/metadata" => {}
            None => found.push(format!("{below} is unknown")),
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(misfits(item, &schema["items"], &format!("{at}/{number}")));
    }
    found
}

fn shipped() -> Value {
    let mut documents = files::documents_of("kubernetes/podmonitor.yaml");
    assert_eq!(documents.len(), 1, "one object");
    documents.remove(0)
}

#[test]
fn the_podmonitor_is_as_the_operators_schema_says() {
    let (monitor, schema) = (shipped(), schema());
    let kind = json!([monitor["apiVersion"], monitor["kind"]]);
    assert_eq!(kind, json!(["monitoring.coreos.com/v1", "PodMonitor"]));
    none(misfits(&monitor, &schema, ""));
    let mut broken = [
        ("/spec/podMetricsEndpoints/0/prot", json!("rehup"), "is unknown"),
        ("/spec/podMetricsEndpoints/0/interval", json!("soon"), "does not match"),
        ("/spec/podMetricsEndpoints/0/scheme", json!("gopher"), "is none of"),
        ("/spec/podMetricsEndpoints", json!("rehup"), "is no \"array\""),
        ("/spec/selector", Value::Null, "has no \"selector\""),
    ];
    for (at, with, expected) in &mut broken {
        let mut monitor = monitor.clone();
        let (parent, key) = at.rsplit_once('/').expect("a pointer");
        let parent = monitor.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
        let with = with.take();
        if with.is_null() {
            drop(parent.remove(key));
        } else {
            drop(parent.insert(key.into(), with));
        }
        let found = misfits(&monitor, &schema, "");
        assert!(found.iter().any(|it| it.contains(*expected)), "{at}: {found:?}");
    }
}

#[test]
fn the_podmonitor_finds_every_sidecar_by_its_port() {
    let monitor = shipped();
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    assert_eq!((&endpoint["port"], &endpoint["path"]), (&json!("rehup"), &json!("/metrics")));
    let sidecars = super::all().into_iter().flat_map(|(_, pod)| pod.containers);
    let mut sidecars = sidecars.filter(|it| it.is_rehup() && !it.is_init).peekable();
    assert!(sidecars.peek().is_some(), "no container of Rehup");
    for sidecar in sidecars {
        let ports = sidecar.spec["ports"].as_array().cloned().unwrap_or_default();
        let named = ports.iter().any(|it| it["name"] == endpoint["port"]);
        assert!(named, "{}: no port {}", sidecar.name, endpoint["port"]);
    }
}

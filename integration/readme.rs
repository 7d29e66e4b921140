//! What a stranger copies from the README works as it stands there.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::app::App;

/// The documents of the README's manifest.
fn manifest() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(path).expect("README.md");
    let block = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let documents = block.expect("a block of YAML").split("\n---\n");
    documents.map(|one| serde_saphyr::from_str(one).expect("YAML")).collect()
}

fn of_kind<'a>(manifest: &'a [Value], kind: &str) -> &'a Value {
    manifest.iter().find(|it| it["kind"] == kind).unwrap_or_else(|| panic!("a {kind}"))
}

#[test]
fn the_configuration_and_its_template_are_accepted() {
    let app = App::new();
    let manifest = manifest();
    let files = of_kind(&manifest, "ConfigMap")["data"].as_object().expect("files");
    for (name, text) in files {
        let text = text.as_str().expect("text");
        // The ConfigMap is mounted elsewhere here.
        let text = text.replace("/etc/rehup", &app.folder().display().to_string());
        fs::write(app.folder().join(name), text).expect("a file");
    }
    let check = app.run(&["check"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

#[test]
fn the_pod_gives_the_sidecar_what_it_needs() {
    let manifest = manifest();
    let pod = &of_kind(&manifest, "Pod")["spec"];
    assert_eq!(pod["shareProcessNamespace"], true, "a signal needs it");
    let rehup = &pod["initContainers"][0];
    assert_eq!(rehup["restartPolicy"], "Always", "a native sidecar");
    assert_eq!(rehup["startupProbe"]["httpGet"]["path"], "/startupz");
    let environment = rehup["env"].as_array().expect("environment");
    let value =
        |name: &str| environment.iter().find(|it| it["name"] == name).map(|it| &it["value"]);
    let mounts = rehup["volumeMounts"].as_array().expect("mounts");
    let mounted = |path: &Value| mounts.iter().any(|it| it["mountPath"] == *path);
    assert!(value("REHUP_OUTPUT").is_some_and(mounted), "the volume is mounted where it writes");
    assert!(value("REHUP_LISTEN").is_some(), "probes survive a broken configuration");
}

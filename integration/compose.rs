//! Compose files that ship: what they ask for, and what they do when they are brought up.

mod nginx;
mod prometheus;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

/// The services of every file, by `file: service`, with all that they merge in.
fn services() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let mut found = BTreeMap::new();
    for file in ["compose.yaml", "compose.prometheus.yaml"] {
        let text = fs::read_to_string(folder.join(file)).expect("a Compose file");
        let whole: Value = serde_saphyr::from_str(&text).expect("YAML");
        for (name, service) in whole["services"].as_object().expect("services") {
            found.insert(format!("{file}: {name}"), merged(service));
        }
    }
    assert!(found.len() > 6, "only {} services", found.len());
    found
}

/// A map with what it merges in (`<<`), where the reader has left that to us.
fn merged(map: &Value) -> Value {
    let mut whole = serde_json::Map::new();
    let merges = match &map["<<"] {
        Value::Array(several) => several.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    for part in merges.iter().chain([map]) {
        for (key, value) in part.as_object().expect("a map").iter().filter(|(key, _)| *key != "<<")
        {
            whole.insert(key.clone(), value.clone());
        }
    }
    Value::Object(whole)
}

#[test]
fn every_container_is_locked() {
    for (name, service) in services() {
        assert_eq!(service["read_only"], true, "{name}: a root that cannot be written");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}: no capability");
        assert_eq!(
            service["security_opt"],
            serde_json::json!(["no-new-privileges:true"]),
            "{name}"
        );
        for key in ["cap_add", "privileged", "devices"] {
            assert!(service[key].is_null(), "{name}: {key}");
        }
        let user = service["user"].as_str().unwrap_or_default();
        let numbers: Vec<u32> = user.split(':').filter_map(|it| it.parse().ok()).collect();
        assert!(
            numbers.len() == 2 && !numbers.contains(&0),
            "{name}: a user that is not root: {user}"
        );
        assert!(service["restart"].is_string(), "{name}: it says what happens when it ends");
    }
}

#[test]
fn every_image_is_pinned_and_ours_is_this_version() {
    let ours = format!("localhost/rehup:{}", env!("CARGO_PKG_VERSION"));
    for (name, service) in services() {
        let image = service["image"].as_str().expect("an image");
        let tag = image.rsplit(':').next().filter(|tag| !tag.contains('/') && *tag != "latest");
        assert!(tag.is_some(), "{name}: {image} has a tag");
        assert_eq!(image.contains("rehup"), name.contains(": rehup"), "{name}: {image}");
        assert!(!name.contains(": rehup") || image == ours, "{name}: {image}, not {ours}");
    }
}

#[test]
fn who_signals_has_the_user_of_who_is_signalled() {
    let services = services();
    let (rehup, nginx) = (&services["compose.yaml: rehup"], &services["compose.yaml: nginx"]);
    assert_eq!(rehup["pid"], "service:nginx");
    assert_eq!(rehup["user"], nginx["user"]);
}

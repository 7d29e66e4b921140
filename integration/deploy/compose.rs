//! What every service of a Compose file must renounce.

use serde_json::{Value, json};

/// The rights that a document's services have and should not have; none if it is no Compose file.
pub fn rights(document: &Value) -> Vec<String> {
    let Some(services) = document["services"].as_object() else { return Vec::new() };
    let each = services.iter().flat_map(|(name, service)| {
        of(service).into_iter().map(move |what| format!("{name}: {what}"))
    });
    each.collect()
}

fn of(service: &Value) -> Vec<&'static str> {
    let user = match &service["user"] {
        Value::String(user) => user.split(':').next().unwrap_or_default().to_owned(),
        other => other.to_string(),
    };
    let list = |key: &str| service[key].as_array().cloned().unwrap_or_default();
    let no_new = list("security_opt").iter().filter_map(Value::as_str).any(|it| {
        it.split_once([':', '=']).map_or(it, |(name, _)| name) == "no-new-privileges"
            && !it.ends_with("false")
    });
    let rules = [
        (user.parse::<u32>().is_ok_and(|id| id > 0), "its user is not a number, or is root"),
        (service["read_only"] == true, "its root filesystem is writable"),
        (list("cap_drop").contains(&json!("ALL")), "keeps capabilities"),
        (list("cap_add").is_empty(), "adds a capability"),
        (service["privileged"] != true, "is privileged"),
        (no_new, "may gain privileges"),
        (service["network_mode"] != "host", "is in the machine's network"),
        (service["pid"] != "host", "sees the machine's processes"),
    ];
    rules.into_iter().filter(|(is, _)| !is).map(|(_, what)| what).collect()
}

#[test]
fn each_right_of_a_service_is_found() {
    let good = json!({
        "user": "65532:65532", "read_only": true, "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    });
    let said = |service: &Value| rights(&json!({ "services": { "a": service } }));
    assert_eq!(said(&good), Vec::<String>::new());
    let breaches = [
        ("user", json!(null), "its user"),
        ("user", json!("0:65532"), "its user"),
        ("user", json!("root"), "its user"),
        ("read_only", json!(false), "writable"),
        ("cap_drop", json!(["NET_RAW"]), "keeps capabilities"),
        ("cap_add", json!(["KILL"]), "adds a capability"),
        ("privileged", json!(true), "privileged"),
        ("security_opt", json!(["no-new-privileges:false"]), "gain privileges"),
        ("security_opt", json!(null), "gain privileges"),
        ("network_mode", json!("host"), "network"),
        ("pid", json!("host"), "processes"),
    ];
    for (key, value, expected) in breaches {
        let mut service = good.clone();
        service[key] = value;
        let found = said(&service);
        assert!(found.len() == 1 && found[0].contains(expected), "{key}: {found:?}");
    }
}

//! The objects that a chart or an overlay is rendered to, and what they must have in common with the
//! plain manifest.

use serde_json::{Map, Value, json};

use crate::{deploy::judged, support::cluster::Manifest};

/// What must be the same wherever Rehup is: all that concerns neither the program beside it nor the
/// load. Of the lists only the items that every sidecar has.
const SAME: [&str; 8] = [
    "image",
    "imagePullPolicy",
    "restartPolicy",
    "args",
    "ports",
    "startupProbe",
    "readinessProbe",
    "livenessProbe",
];

pub struct Rendering(Vec<Value>);

impl Rendering {
    #[track_caller]
    pub fn parse(yaml: &str) -> Self {
        Self(Manifest::parse(yaml).objects)
    }

    /// The plain manifest that everybody starts from.
    pub fn plain() -> Self {
        Self(Manifest::shipped("native-sidecar.yaml").objects)
    }

    pub fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|it| it["kind"] == kind).collect()
    }

    /// The only Deployment.
    #[track_caller]
    pub fn deployment(&self) -> &Value {
        let all = self.of_kind("Deployment");
        assert_eq!(all.len(), 1, "one Deployment");
        all[0]
    }

    #[track_caller]
    pub fn pod(&self) -> &Value {
        pod(self.deployment())
    }

    /// What the sidecar has that must be the same everywhere.
    #[track_caller]
    pub fn sidecar(&self) -> Value {
        sidecar(self.deployment())
    }

    /// The files beside Rehup's configuration, by name.
    #[track_caller]
    pub fn files(&self) -> &Map<String, Value> {
        let name = &named(&self.pod()["volumes"], "rehup")["configMap"]["name"];
        let maps = self.of_kind("ConfigMap");
        let map = maps.into_iter().find(|it| it["metadata"]["name"] == *name);
        map.and_then(|it| it["data"].as_object()).unwrap_or_else(|| panic!("a ConfigMap {name}"))
    }

    /// What is wrong with it, as with any manifest: rights, the sidecar, its configuration.
    pub fn breaches(&self) -> Vec<String> {
        judged::breaches(&self.0)
    }
}

/// The pod of a Deployment.
pub fn pod(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

/// An item of a list, by its name.
#[track_caller]
pub fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let found = list.as_array().and_then(|all| all.iter().find(|it| it["name"] == name));
    found.unwrap_or_else(|| panic!("no {name} in {list}"))
}

/// What the sidecar of a Deployment has that must be the same everywhere.
#[track_caller]
pub fn sidecar(deployment: &Value) -> Value {
    let pod = pod(deployment);
    let rehup = named(&pod["initContainers"], "rehup");
    let mut same: Map<_, _> =
        SAME.iter().map(|it| ((*it).to_owned(), rehup[*it].clone())).collect();
    for variable in ["REHUP_CONFIG", "REHUP_OUTPUT", "REHUP_LISTEN"] {
        same.insert(variable.to_owned(), named(&rehup["env"], variable)["value"].clone());
    }
    for volume in ["rehup", "shared"] {
        same.insert(format!("mount of {volume}"), named(&rehup["volumeMounts"], volume).clone());
    }
    // What the container does not say, the pod says for it.
    let mut context = pod["securityContext"].clone();
    let own = rehup["securityContext"].as_object().expect("a security context");
    own.iter().for_each(|(name, value)| context[name] = value.clone());
    same.insert("security context".to_owned(), context);
    Value::Object(same)
}

/// The same security context without the group that may read a Secret.
pub fn without_group(mut sidecar: Value) -> Value {
    let context = sidecar["security context"].as_object_mut().expect("a security context");
    assert_eq!(context.remove("fsGroup"), Some(json!(65532)), "a group that may read the Secret");
    sidecar
}

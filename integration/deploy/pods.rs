//! Pods and containers, wherever in a document they are: in a workload of any kind, in a patch.

use serde_json::Value;

/// The lists of containers that a pod may have.
const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// What has containers. A patch adds to a pod that somebody else wrote: it may have no containers
/// of the pod's own, and nothing of what is the pod's.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The name of the object around it.
    pub name: String,
    pub spec: Value,
    pub containers: Vec<Container>,
    pub is_patch: bool,
}

/// One container of any list.
#[derive(Clone, Debug)]
pub struct Container {
    pub name: String,
    pub spec: Value,
    /// Over before the pod's own containers start.
    pub is_init: bool,
}

impl Container {
    fn new(spec: &Value, list: &str) -> Self {
        let name = spec["name"].as_str().unwrap_or("a container without a name").to_owned();
        let is_init = list == "initContainers" && spec["restartPolicy"] != "Always";
        Self { name, spec: spec.clone(), is_init }
    }

    /// Whether its image is Rehup's, whatever the registry and the tag.
    pub fn is_rehup(&self) -> bool {
        let image = self.spec["image"].as_str().unwrap_or_default();
        let last = image.rsplit('/').next().unwrap_or_default();
        last.split([':', '@']).next() == Some("rehup")
    }

    /// The value of a variable of its environment.
    pub fn variable(&self, name: &str) -> Option<&Value> {
        let all = self.spec["env"].as_array()?;
        all.iter().find(|it| it["name"] == name)
    }
}

impl Pod {
    /// What a container's security context says, or the pod's where the container is silent.
    pub fn effective(&self, container: &Container, key: &str) -> Value {
        let own = &container.spec["securityContext"][key];
        if own.is_null() { self.spec["securityContext"][key].clone() } else { own.clone() }
    }
}

/// Every pod in a document.
pub fn of(document: &Value) -> Vec<Pod> {
    let name = document["metadata"]["name"].as_str().unwrap_or_default();
    let mut found = Vec::new();
    walk(document, name, &mut found);
    found
}

fn walk(value: &Value, name: &str, found: &mut Vec<Pod>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, name, found)),
        Value::Object(fields) => {
            let lists: Vec<_> = LISTS.iter().filter(|list| value[**list].is_array()).collect();
            if !lists.is_empty() {
                found.push(pod(value, name));
            } else if value["image"].is_string() && value["name"].is_string() {
                // A container that a patch brings by itself.
                let containers = vec![Container::new(value, "")];
                let spec = Value::Null;
                found.push(Pod { name: name.to_owned(), spec, containers, is_patch: true });
            }
            for (key, field) in fields {
                if !LISTS.contains(&key.as_str()) {
                    walk(field, name, found);
                }
            }
        }
        _ => {}
    }
}

fn pod(spec: &Value, name: &str) -> Pod {
    let of_list = |list: &&'static str| {
        let all = spec[*list].as_array().cloned().unwrap_or_default();
        all.into_iter().map(|it| Container::new(&it, list)).collect::<Vec<_>>()
    };
    let containers: Vec<_> = LISTS.iter().flat_map(of_list).collect();
    // A whole pod has containers of its own, and each has an image.
    let own = spec["containers"].as_array().is_some_and(|all| !all.is_empty());
    let is_patch = !own || containers.iter().any(|it| it.spec["image"].is_null());
    Pod { name: name.to_owned(), spec: spec.clone(), containers, is_patch }
}

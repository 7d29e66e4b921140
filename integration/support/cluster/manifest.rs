//! What ships, and the one thing about it that a cluster without a registry needs otherwise.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Images by their public names without a tag, and what stands in for them: Debian's programs, made
/// by `e2e/images.sh`. Rehup's own image is the one that ships.
pub const STAND_INS: &[(&str, &str)] = &[
    ("docker.io/library/nginx", "localhost/e2e-nginx:1"),
    ("docker.io/library/busybox", "localhost/e2e-busybox:1"),
    ("docker.io/hashicorp/consul", "localhost/e2e-consul:1"),
    ("gcr.io/etcd-development/etcd", "localhost/e2e-etcd:1"),
];

/// The objects of one file.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub objects: Vec<Value>,
}

impl Manifest {
    /// A file below `deploy/kubernetes`.
    pub fn shipped(name: &str) -> Self {
        let path = folder().join(name);
        let text = std::fs::read_to_string(&path);
        Self::parse(&text.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// Objects as YAML: a test's own, or what `helm` and `kustomize` print.
    #[track_caller]
    pub fn parse(yaml: &str) -> Self {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("YAML");
        Self { objects: documents.into_iter().filter(|it| !it.is_null()).collect() }
    }

    /// The object of this kind, to look at it or to make a test's variant.
    #[track_caller]
    pub fn object(&mut self, kind: &str, name: &str) -> &mut Value {
        let found = self
            .objects
            .iter_mut()
            .find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    /// The same with images that the tests' cluster has, and that are asked of no registry.
    #[must_use]
    pub fn with_stand_ins(mut self) -> Self {
        for object in &mut self.objects {
            let Some(spec) = pod_specs(object) else { continue };
            for list in ["initContainers", "containers"] {
                let containers = spec.get_mut(list).and_then(Value::as_array_mut);
                for container in containers.into_iter().flatten() {
                    let image = stand_in(container["image"].as_str().expect("an image"));
                    container["image"] = image.into();
                    container["imagePullPolicy"] = "Never".into();
                }
            }
        }
        self
    }

    /// All of it as one object that `kubectl` reads.
    pub fn list(&self) -> Value {
        serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": self.objects })
    }
}

/// What ships for plain Kubernetes.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes")
}

/// The files there, by name.
pub fn shipped() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("manifests").map(|it| it.expect("a file"));
    let names = files.map(|file| file.file_name().into_string().expect("UTF-8"));
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".yaml")).collect();
    names.sort();
    assert!(names.len() > 1, "only {names:?} ship");
    names
}

/// Where an object describes pods: itself, or its template.
pub fn pod_specs(object: &mut Value) -> Option<&mut Value> {
    let place = match object["kind"].as_str()? {
        "Pod" => "/spec",
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => "/spec/template/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => return None,
    };
    object.pointer_mut(place)
}

fn stand_in(image: &str) -> String {
    if image.starts_with("localhost/") {
        return image.to_owned();
    }
    let repository = image.rsplit_once(':').map_or(image, |(repository, _)| repository);
    let found = STAND_INS.iter().find(|(name, _)| *name == repository);
    let (_, ours) = found.unwrap_or_else(|| panic!("nothing stands in for {image}"));
    (*ours).to_owned()
}

//! A Kubernetes namespace of one test, removed with it. Pod Security is enforced there as strictly
//! as it can be, so that whatever is applied proves that it needs no privilege.

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use super::{
    Cluster, Manifest, Pod,
    api::{Api, Body},
};
use crate::support::patience::patiently;

/// The namespace.
pub struct Space {
    pub(super) name: String,
    pub(super) api: Api,
    cluster: Cluster,
}

impl Space {
    /// One that admits only what the profile `restricted` does.
    pub fn new() -> Self {
        Self::of_profile("restricted")
    }

    /// One of another profile: `baseline`, `privileged`.
    pub fn of_profile(profile: &str) -> Self {
        let cluster = Cluster::of_the_tests();
        let api = Api::of(&cluster);
        let name = format!("rehup-e2e-{:08x}", fastrand::u32(..));
        let enforce = "pod-security.kubernetes.io/enforce";
        let labels = json!({ enforce: profile, "app.kubernetes.io/managed-by": "rehup-e2e" });
        let object = json!({ "metadata": { "name": name, "labels": labels } });
        api.must("POST", "/api/v1/namespaces", &Body::Object(&object));
        let space = Self { name, api, cluster };
        let account = space.path("serviceaccounts/default");
        patiently("pods are admitted", || space.api.get(&account));
        space
    }

    /// The path of an object of the core API in this namespace: `configmaps/web`.
    pub fn path(&self, object: &str) -> String {
        format!("/api/v1/namespaces/{}/{object}", self.name)
    }

    /// An object by its path below the namespace and its API: `("apps/v1", "deployments/web")`.
    pub fn get(&self, api: &str, object: &str) -> Option<Value> {
        self.api.get(&format!("/apis/{api}/namespaces/{}/{object}", self.name))
    }

    /// `kubectl` in this namespace, with something on its standard input, to its end.
    pub fn kubectl(&self, words: &[&str], input: &str) -> Output {
        let mut command = self.cluster.kubectl();
        command.args(["--namespace", &self.name]).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("kubectl reads");
        drop(stdin);
        child.wait_with_output().expect("kubectl ends")
    }

    /// Applies what ships, as a server-side apply does, with images that the cluster has.
    #[track_caller]
    pub fn apply(&self, manifest: &Manifest) -> &Self {
        let said = self.try_apply(manifest);
        assert!(said.is_empty(), "kubectl apply: {said}");
        self
    }

    /// The same; what the server says against it, or warns of.
    pub fn try_apply(&self, manifest: &Manifest) -> String {
        self.say("--dry-run=none", manifest)
    }

    /// What the server would say to it.
    pub fn dry_run(&self, manifest: &Manifest) -> String {
        self.say("--dry-run=server", manifest)
    }

    fn say(&self, how: &str, manifest: &Manifest) -> String {
        let list = manifest.clone().with_stand_ins().list().to_string();
        let output = self.kubectl(&["apply", "--server-side", how, "--filename", "-"], &list);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || !said.is_empty(), "kubectl says why");
        said
    }

    /// What a ConfigMap holds at a key.
    #[track_caller]
    pub fn key(&self, configmap: &str, key: &str) -> String {
        let object = self.api.get(&self.path(&format!("configmaps/{configmap}")));
        let object = object.unwrap_or_default();
        object["data"][key].as_str().unwrap_or_else(|| panic!("no {key} in {configmap}")).to_owned()
    }

    /// The pods that are ready endpoints of a Service.
    pub fn endpoints(&self, service: &str) -> Vec<String> {
        let label = format!("kubernetes.io/service-name={service}");
        let slices =
            self.get("discovery.k8s.io/v1", &format!("endpointslices?labelSelector={label}"));
        let slices = slices.unwrap_or_default();
        let slices = slices["items"].as_array().into_iter().flatten();
        let endpoints = slices.filter_map(|slice| slice["endpoints"].as_array()).flatten();
        let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
        ready.filter_map(|it| Some(it["targetRef"]["name"].as_str()?.to_owned())).collect()
    }

    /// The one pod with this label that is not about to end.
    #[track_caller]
    pub fn pod(&self, label: &str) -> Pod<'_> {
        let name = patiently(format_args!("one pod {label}; {}", self.story()), || {
            let mut pods = self.pods(label);
            if pods.len() == 1 { pods.pop() } else { None }
        });
        Pod::new(self, name)
    }

    /// A pod by its name.
    pub fn pod_named(&self, name: &str) -> Pod<'_> {
        Pod::new(self, name.to_owned())
    }

    /// The names of the pods with this label that are not about to end.
    pub fn pods(&self, label: &str) -> Vec<String> {
        let list = self.api.get(&self.path(&format!("pods?labelSelector={label}")));
        let list = list.unwrap_or_default();
        let pods = list["items"].as_array().into_iter().flatten();
        let stay = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        stay.filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned())).collect()
    }

    /// Sets one key of a ConfigMap, and pokes every pod: the kubelet then looks at once, and not up
    /// to a minute and a half later.
    #[track_caller]
    pub fn edit(&self, configmap: &str, key: &str, value: &str) -> &Self {
        let change = json!({ "data": { key: value } });
        let path = self.path(&format!("configmaps/{configmap}"));
        self.api.must("PATCH", &path, &Body::Merge(&change));
        let poke = format!("{:08x}", fastrand::u32(..));
        let change = json!({ "metadata": { "annotations": { "poke": poke } } });
        for pod in self.pods("") {
            self.api.must("PATCH", &self.path(&format!("pods/{pod}")), &Body::Merge(&change));
        }
        self
    }

    /// Changes an object of another API by a merge patch.
    #[track_caller]
    pub fn patch(&self, api: &str, object: &str, change: &Value) -> Value {
        let path = format!("/apis/{api}/namespaces/{}/{object}", self.name);
        self.api.must("PATCH", &path, &Body::Merge(change))
    }

    /// What happened here: events, states and logs, for the message of a failed expectation.
    pub fn story(&self) -> Story<'_> {
        Story(self)
    }
}

/// Read when it is printed.
pub struct Story<'a>(&'a Space);

impl std::fmt::Display for Story<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(space) = self;
        for words in [&["get", "pods", "--output=wide"][..], &["get", "events"]] {
            let output = space.kubectl(words, "");
            writeln!(f, "{words:?}\n{}", String::from_utf8_lossy(&output.stdout))?;
        }
        for name in space.pods("") {
            let words =
                ["logs", &name, "--all-containers", "--prefix", "--tail=40", "--ignore-errors"];
            let output = space.kubectl(&words, "");
            writeln!(f, "{}", String::from_utf8_lossy(&output.stdout))?;
        }
        Ok(())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.name, self.story());
        }
        // What is in it follows; nothing waits for that.
        self.api.ask("DELETE", &format!("/api/v1/namespaces/{}", self.name), &Body::None);
    }
}

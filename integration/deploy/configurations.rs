//! Every configuration under `deploy/` is accepted by `rehup check`, offline, where the manifest
//! mounts it and with what the manifest has in its environment.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{
    files, none,
    pods::{self, Container, Pod},
};
use crate::support::{app, process::scratch};

const FILE: &str = "rehup.yaml";

/// What a variable holds that the cluster fills in.
const STORE: &str = "https://store.test:2379";
const NODE: &str = "192.0.2.1";

/// A container's files, below a folder.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        Self(scratch())
    }

    /// The place of a path of the container.
    fn place(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let place = self.place(path);
        fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
        fs::write(place, text).expect("a file");
    }

    /// A configuration of the container as one that is read here, with something in each file that
    /// a Secret would bring.
    fn translated(&self, text: &str, mounts: &[String], secrets: &[String]) -> String {
        let begins = |word: &&str, mounts: &[String]| {
            mounts.iter().any(|mount| word.starts_with(&format!("{mount}/")))
        };
        let end = |c: char| c.is_whitespace() || "\"'{}[],".contains(c);
        for word in text.split(end).filter(|word| begins(word, secrets)) {
            self.write(word, "a credential");
        }
        mounts.iter().fold(text.to_owned(), |text, mount| {
            text.replace(&format!("{mount}/"), &format!("{}/", self.place(mount).display()))
        })
    }
}

/// What is wrong with a configuration, if anything is.
fn judge(config: &Path, environment: &BTreeMap<String, String>) -> Option<String> {
    let mut command = Command::new(app::program());
    command.arg("check").env_clear().envs(environment).env("REHUP_CONFIG", config);
    let output = command.output().expect("the built binary");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let accepted = output.status.success() && said.starts_with("configuration: ");
    // No source or no template: then nothing was looked at.
    let empty = said.contains(" 0 sources") || said.contains(" 0 templates");
    (!accepted || empty).then(|| said + &String::from_utf8_lossy(&output.stderr))
}

/// Each ConfigMap of a file, by name.
fn config_maps(documents: &[Value]) -> BTreeMap<String, &Value> {
    let maps = documents.iter().filter(|it| it["kind"] == "ConfigMap");
    let named = maps.map(|it| (it["metadata"]["name"].as_str().unwrap_or_default().to_owned(), it));
    named.collect()
}

fn environment(container: &Container) -> BTreeMap<String, String> {
    let all = container.spec["env"].as_array().cloned().unwrap_or_default();
    let value = |it: &Value| match it["value"].as_str() {
        Some(value) => value.to_owned(),
        None if it["valueFrom"]["fieldRef"].is_object() => NODE.to_owned(),
        None => STORE.to_owned(),
    };
    all.iter().map(|it| (it["name"].as_str().expect("a name").to_owned(), value(it))).collect()
}

/// What is wrong with a container's configuration; also the name of the ConfigMap that holds it.
pub fn check(pod: &Pod, container: &Container, documents: &[Value]) -> (String, Option<String>) {
    let (root, maps) = (Root::new(), config_maps(documents));
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (mut mounts, mut secrets, mut configured) = (Vec::new(), Vec::new(), String::new());
    for mount in array(&container.spec["volumeMounts"]) {
        let path = mount["mountPath"].as_str().expect("a path").to_owned();
        let volumes = array(&pod.spec["volumes"]);
        let volume = volumes.into_iter().find(|volume| volume["name"] == mount["name"]);
        let volume = volume.unwrap_or_else(|| panic!("{}: no volume {}", pod.name, mount["name"]));
        let name = volume["configMap"]["name"].as_str().unwrap_or_default();
        for (key, text) in
            maps.get(name).into_iter().filter_map(|map| map["data"].as_object()).flatten()
        {
            root.write(&format!("{path}/{key}"), text.as_str().expect("text"));
            if key == FILE {
                name.clone_into(&mut configured);
            }
        }
        if volume["secret"].is_object() {
            secrets.push(path.clone());
        }
        mounts.push(path);
    }
    let environment = environment(container);
    let config = environment.get("REHUP_CONFIG").map_or("/etc/rehup/rehup.yaml", String::as_str);
    let place = root.place(config);
    let text = fs::read_to_string(&place)
        .unwrap_or_else(|error| panic!("{}/{}: {config}: {error}", pod.name, container.name));
    fs::write(&place, root.translated(&text, &mounts, &secrets)).expect("a configuration");
    (configured, judge(&place, &environment))
}

/// Files whose documents are whole manifests, with the configuration inside.
fn manifests() -> Vec<(String, Vec<Value>)> {
    let names = files::names().into_iter();
    let names = names.filter(|name| name.starts_with("kubernetes/") && files::is_yaml(name));
    names.map(|name| (name.clone(), files::documents_of(&name))).collect()
}

#[test]
fn every_configuration_of_a_manifest_is_accepted_where_it_is_mounted() {
    let mut mistakes = Vec::new();
    let mut checked = 0;
    for (file, documents) in manifests() {
        let mut seen = BTreeSet::new();
        for pod in documents.iter().flat_map(pods::of) {
            for container in pod.containers.iter().filter(|it| it.is_rehup()) {
                let (configured, mistake) = check(&pod, container, &documents);
                mistakes.extend(mistake.map(|it| format!("{file}, {}: {it}", container.name)));
                seen.insert(configured);
                checked += 1;
            }
        }
        for (name, map) in config_maps(&documents) {
            if map["data"][FILE].is_string() && !seen.contains(&name) {
                mistakes.push(format!("{file}: no container mounts {name}"));
            }
        }
    }
    assert!(checked >= 8, "only {checked} containers were looked at");
    none(mistakes);
}

/// Whether a file is a configuration: `rehup.yaml`, or another of the same recipe, `rehup.psql.yaml`.
fn is_configuration(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or_default();
    name == FILE || (name.starts_with("rehup.") && files::is_yaml(name))
}

/// What is wrong with a configuration that is a file, with all that lies beside it mounted beside it.
fn check_file(name: &str, all: &[String]) -> Option<String> {
    let (root, folder) = (Root::new(), &name[..=name.rfind('/').expect("a folder")]);
    for beside in all.iter().filter(|it| it.starts_with(folder)) {
        root.write(&format!("/etc/rehup/{}", &beside[folder.len()..]), &files::text(beside));
    }
    let (mounts, secrets) = (["/etc/rehup", "/run/secrets"], ["/run/secrets"]);
    let text = files::text(name);
    let text = root.translated(&text, &mounts.map(str::to_owned), &secrets.map(str::to_owned));
    root.write("/etc/rehup/rehup.yaml", &text);
    let mut environment = BTreeMap::from([("REHUP_OUTPUT".to_owned(), "/shared".to_owned())]);
    for variable in text.split("${").skip(1).filter_map(|rest| rest.split('}').next()) {
        environment.insert(variable.to_owned(), NODE.to_owned());
    }
    judge(&root.place("/etc/rehup/rehup.yaml"), &environment)
}

#[test]
fn every_configuration_that_is_a_file_is_accepted() {
    let all = files::names();
    let ours: Vec<_> = all.iter().filter(|name| is_configuration(name)).collect();
    let mistake = |name: &&String| check_file(name, &all).map(|it| format!("{name}: {it}"));
    none(ours.iter().filter_map(mistake));
    // A recipe without a configuration is none.
    let recipes = all.iter().filter(|name| name.starts_with("recipes/"));
    let folders: BTreeSet<_> = recipes.filter_map(|name| Some(name.rsplit_once('/')?.0)).collect();
    none(folders.into_iter().filter(|folder| *folder != "recipes").filter_map(|folder| {
        let found = ours.iter().any(|name| name.rsplit_once('/').is_some_and(|it| it.0 == folder));
        (!found).then(|| format!("{folder} has no configuration"))
    }));
}

#[test]
fn a_signal_has_one_namespace_and_one_user_and_an_endpoint_has_neither() {
    let mut breaches = Vec::new();
    for (file, documents) in manifests() {
        let maps = config_maps(&documents);
        let signals = maps.values().filter_map(|map| map["data"][FILE].as_str());
        let signals = signals.into_iter().any(|text| text.contains("signal: "));
        for pod in documents.iter().flat_map(pods::of) {
            let shared = pod.spec["shareProcessNamespace"] == true;
            if signals != shared {
                breaches.push(format!("{file}: signals: {signals}, one namespace: {shared}"));
            }
            let user = |it: &Container| pod.effective(it, "runAsUser").to_string();
            let users: BTreeSet<_> = pod.containers.iter().map(user).collect();
            if signals && users.len() != 1 {
                breaches.push(format!("{file}: the users {users:?}, and a signal needs one"));
            }
        }
    }
    none(breaches);
}

#[test]
fn a_configuration_that_is_broken_is_found() {
    let mut documents = files::documents_of("kubernetes/etcd-mtls.yaml");
    let map = documents.iter_mut().find(|it| it["kind"] == "ConfigMap").expect("a ConfigMap");
    let text = map["data"][FILE].as_str().expect("a configuration").to_owned();
    let broken = [
        ("/etc/rehup/nginx.conf.j2", "/etc/rehup/other.j2"),
        ("/etc/rehup-tls/tls.key", "/etc/elsewhere/tls.key"),
        ("${ETCD_ENDPOINT}", "${ANOTHER}"),
        ("SIGHUP", "SIGHUPP"),
        ("nginx.conf }", "nginx.conf, mod: 1 }"),
    ];
    for (from, to) in broken {
        assert!(text.contains(from), "{from}");
        let map = documents.iter_mut().find(|it| it["kind"] == "ConfigMap").expect("a ConfigMap");
        map["data"][FILE] = text.replace(from, to).into();
        let pod = documents.iter().flat_map(pods::of).next().expect("a pod");
        let rehup = pod.containers.iter().find(|it| it.is_rehup()).expect("a container of Rehup");
        let (_, mistake) = check(&pod, rehup, &documents);
        assert!(mistake.is_some_and(|it| it.contains(FILE)), "{from} -> {to} is accepted");
    }
}

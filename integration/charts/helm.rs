//! The library chart, through the example that uses it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{
    programs::{Ran, at, run},
    rendering::{Rendering, named, without_group},
};
use crate::support::process::scratch;

mod aliases;
mod mistakes;

/// The sets of values that ship with the example, by name: `""` is its own `values.yaml`.
pub const SETS: [&str; 4] = ["", "configmap", "http", "secret"];

/// A copy of both charts, in which the example has what it depends on.
pub struct Charts(tempfile::TempDir);

impl Charts {
    /// As `Chart.lock` says, and offline.
    pub fn new() -> Self {
        let folder = scratch();
        let copied =
            Command::new("cp").arg("-r").arg(at("deploy/helm")).arg(folder.path()).status();
        assert!(copied.expect("cp").success(), "the charts are copied");
        let charts = Self(folder);
        let example = charts.example();
        // What somebody built in place is not what is shown here.
        if example.join("charts").exists() {
            fs::remove_dir_all(example.join("charts")).expect("a folder");
        }
        run("helm", [Path::new("dependency"), Path::new("build"), &example]).good();
        assert!(example.join("charts").is_dir(), "the library is beside the example");
        charts
    }

    pub fn example(&self) -> PathBuf {
        self.0.path().join("helm/example")
    }

    fn arguments(&self, set: &str, more: &[&str]) -> Vec<String> {
        let example = self.example().display().to_string();
        let values = |set: &str| ["--values".to_owned(), format!("{example}/values/{set}.yaml")];
        let set = Some(set).filter(|it| !it.is_empty()).map(values);
        let more = more.iter().map(|it| (*it).to_owned());
        std::iter::once(example.clone()).chain(set.into_iter().flatten()).chain(more).collect()
    }

    /// `helm template` of a release called `web`.
    pub fn template(&self, set: &str, more: &[&str]) -> Ran {
        let words = ["template", "web"].map(str::to_owned).into_iter();
        run("helm", words.chain(self.arguments(set, more)))
    }

    #[track_caller]
    pub fn rendering(&self, set: &str, more: &[&str]) -> Rendering {
        Rendering::parse(&self.template(set, more).good())
    }
}

#[test]
fn both_charts_pass_the_linter_with_each_set_of_values() {
    let charts = Charts::new();
    let library = at("deploy/helm/rehup").display().to_string();
    run("helm", ["lint", "--strict", &library]).good();
    for set in SETS {
        let words = ["lint", "--strict"].map(str::to_owned).into_iter();
        run("helm", words.chain(charts.arguments(set, &[]))).good();
    }
}

#[test]
fn each_set_of_values_has_the_sidecar_of_the_plain_manifest() {
    let (charts, plain) = (Charts::new(), Rendering::plain().sidecar());
    for set in SETS {
        let sidecar = charts.rendering(set, &[]).sidecar();
        let sidecar = if set == "secret" { without_group(sidecar) } else { sidecar };
        assert_eq!(sidecar, plain, "{set}");
    }
}

#[test]
fn each_set_of_values_has_no_right_too_many_and_a_configuration_that_is_accepted() {
    let charts = Charts::new();
    for set in SETS {
        let rendering = charts.rendering(set, &[]);
        assert_eq!(rendering.breaches(), Vec::<String>::new(), "{set}: {:#?}", rendering.files());
    }
    let broken = charts.rendering("http", &["--set", "rehup.config.guard.max_remove=1"]);
    let breaches = broken.breaches().join("");
    assert!(breaches.contains("max_remove"), "a mistake is found: {breaches}");
}

#[test]
fn a_signal_has_one_pid_namespace_and_an_endpoint_has_none() {
    let charts = Charts::new();
    assert_eq!(charts.rendering("", &[]).pod()["shareProcessNamespace"], true);
    assert!(charts.rendering("http", &[]).pod()["shareProcessNamespace"].is_null());
}

#[test]
fn probes_reach_a_pod_that_has_ipv6_alone() {
    let rendering = Charts::new().rendering("", &["--set", "rehup.listen=[::]"]);
    let pod = rendering.pod();
    let rehup = named(&pod["initContainers"], "rehup");
    assert_eq!(named(&rehup["env"], "REHUP_LISTEN")["value"], "[::]:9533");
}

#[test]
fn a_token_comes_from_a_secret_and_the_volume_may_be_memory() {
    let rendering = Charts::new().rendering("secret", &[]);
    let pod = rendering.pod();
    let rehup = named(&pod["initContainers"], "rehup");
    let mount = json!({ "name": "token", "mountPath": "/etc/rehup-consul", "readOnly": true });
    assert_eq!(named(&rehup["volumeMounts"], "token"), &mount);
    let secret = json!({ "secretName": "web-consul", "defaultMode": 0o440 });
    assert_eq!(named(&pod["volumes"], "token")["secret"], secret);
    let memory = json!({ "medium": "Memory", "sizeLimit": "64Mi" });
    assert_eq!(named(&pod["volumes"], "shared")["emptyDir"], memory);
    assert_eq!(rehup["resources"]["limits"], json!({ "memory": "192Mi" }));
    let host = named(&rehup["env"], "HOST_IP");
    assert_eq!(host["valueFrom"]["fieldRef"]["fieldPath"], "status.hostIP");
    // The program beside it has none of it.
    let program = &pod["containers"][0]["volumeMounts"];
    assert!(program.as_array().is_some_and(|all| all.iter().all(|it| it["name"] != "token")));
    assert_eq!(named(program, "shared")["readOnly"], true, "the program only reads");
}

#[test]
fn templates_keep_their_braces() {
    let charts = Charts::new();
    for set in SETS {
        let folder = if set == "http" { "prometheus" } else { "nginx" };
        let rendering = charts.rendering(set, &[]);
        for (name, text) in rendering.files().iter().filter(|(name, _)| *name != "rehup.yaml") {
            let file = charts.example().join(folder).join(name);
            let file = fs::read_to_string(file).expect("a template");
            assert!(file.contains("{{ "), "{name} has braces");
            assert_eq!(text.as_str(), Some(file.as_str()), "{set}: {name}");
        }
        assert!(rendering.files().len() > 1, "{set}: a configuration and a template");
    }
}

#[test]
fn an_edit_of_the_configuration_replaces_no_pod() {
    let charts = Charts::new();
    let (before, edit) = (charts.rendering("http", &[]), "rehup.config.settle.quiet=1s");
    let after = charts.rendering("http", &["--set", edit]);
    assert_ne!(before.files(), after.files(), "the edit is there");
    assert_eq!(before.deployment(), after.deployment(), "and nothing else");
}

#[test]
fn the_config_map_has_the_name_that_is_mounted_whatever_it_is() {
    let charts = Charts::new();
    let name = |more: &[&str]| {
        let rendering = charts.rendering("", more);
        let maps = rendering.of_kind("ConfigMap");
        let name = named(&rendering.pod()["volumes"], "rehup")["configMap"]["name"].clone();
        let made = maps.first().map(|map| map["metadata"]["name"].clone());
        assert!(made.is_none_or(|made| made == name), "another name is mounted");
        (name.as_str().expect("a name").to_owned(), maps.len())
    };
    let long = format!("fullnameOverride={}", "a".repeat(70));
    assert_eq!(name(&[]), ("web-rehup".to_owned(), 1));
    assert_eq!(name(&["--set", "nameOverride=shop"]), ("web-shop-rehup".to_owned(), 1));
    assert_eq!(name(&["--set", "fullnameOverride=shop"]), ("shop-rehup".to_owned(), 1));
    assert_eq!(name(&["--set", &long]), (format!("{}-rehup", "a".repeat(57)), 1));
    assert_eq!(name(&["--set", "rehup.existingConfigMap=kept"]), ("kept".to_owned(), 0));
}

#[test]
fn the_charts_have_the_version_of_the_program() {
    let yaml = |path: &str| -> Value {
        let text = fs::read_to_string(at("deploy/helm").join(path)).expect("a file");
        serde_saphyr::from_str(&text).expect("YAML")
    };
    let (ours, chart) = (env!("CARGO_PKG_VERSION"), yaml("rehup/Chart.yaml"));
    assert_eq!(chart["version"], ours);
    assert_eq!(chart["appVersion"], ours);
    assert_eq!(yaml("rehup/values.yaml")["image"]["tag"], ours);
    assert_eq!(yaml("example/Chart.yaml")["dependencies"][0]["version"], ours);
    assert_eq!(yaml("example/Chart.lock")["dependencies"][0]["version"], ours);
}

//! Every manifest and every rendering against the schemas of Kubernetes, where a field that they do
//! not know is a mistake.

use std::{collections::BTreeSet, fs, path::Path};

use super::{
    helm::{Charts, SETS},
    kustomize,
    programs::run,
};
use crate::support::{
    cluster::{Manifest, manifest},
    process::scratch,
};

/// The newest that is tested in pods, and the oldest with native sidecars.
const VERSIONS: [&str; 2] = ["1.34", "1.29"];

/// What is for clusters without native sidecars, and the newest of those.
const OLDER: [(&str, &str); 2] = [("classic-sidecar.yaml", "1.28"), ("init-once.yaml", "1.28")];

/// Kinds that a cluster does not bring: no schema of Kubernetes knows them.
const FOREIGN: [&str; 1] = ["podmonitor"];

/// What is wrong with the objects of a file; also an object that was not looked at.
fn mistakes(file: &Path, versions: &[&str]) -> Vec<String> {
    let objects = Manifest::parse(&fs::read_to_string(file).expect("a manifest")).objects;
    let mut expected = BTreeSet::new();
    for object in &objects {
        let kind = object["kind"].as_str().expect("a kind").to_lowercase();
        let name = object["metadata"]["name"].as_str().expect("a name");
        for version in versions.iter().filter(|_| !FOREIGN.contains(&kind.as_str())) {
            expected.insert(format!(
                "INFO {} passed for resource {kind}/{name} against version {version}",
                file.display()
            ));
        }
    }
    let versions = versions.iter().flat_map(|it| ["--kubernetes-version", it]);
    let file = file.display().to_string();
    let words = ["--strict"].into_iter().chain(versions).chain([file.as_str()]);
    let ran = run("kubernetes-validate", words);
    let lines: BTreeSet<_> = ran.stdout.lines().map(str::to_owned).collect();
    let wrong = lines.iter().filter(|line| line.starts_with("ERROR") || line.starts_with("FATAL"));
    let mut mistakes: Vec<_> = wrong.cloned().collect();
    assert_eq!(ran.succeeded, mistakes.is_empty(), "{}{}", ran.stdout, ran.stderr);
    mistakes.extend(expected.difference(&lines).map(|it| format!("not seen: {it}")));
    mistakes
}

/// The same for what a program printed.
fn mistakes_of(yaml: &str) -> Vec<String> {
    let folder = scratch();
    let file = folder.path().join("rendered.yaml");
    fs::write(&file, yaml).expect("a file");
    mistakes(&file, &VERSIONS)
}

#[test]
fn every_manifest_is_valid() {
    let mut found = Vec::new();
    for name in manifest::shipped() {
        let file = manifest::folder().join(&name);
        found.extend(mistakes(&file, &VERSIONS));
        for (_, version) in OLDER.iter().filter(|(older, _)| *older == name) {
            found.extend(mistakes(&file, &[version]));
        }
    }
    assert!(found.is_empty(), "\n  {}", found.join("\n  "));
}

#[test]
fn charts_are_valid_with_each_set_of_values() {
    let charts = Charts::new();
    for set in SETS {
        assert_eq!(mistakes_of(&charts.template(set, &[]).good()), Vec::<String>::new(), "{set}");
    }
}

#[test]
fn the_overlay_is_valid() {
    assert_eq!(mistakes_of(&kustomize::overlay()), Vec::<String>::new());
}

#[test]
fn a_mistake_in_a_manifest_is_found() {
    let good = fs::read_to_string(manifest::folder().join("native-sidecar.yaml")).expect("a file");
    assert_eq!(mistakes_of(&good), Vec::<String>::new());
    let broken = [
        ("shareProcessNamespace", "sharedProcessNamespace", "sharedProcessNamespace"),
        ("periodSeconds: 1\n", "periodSeconds: often\n", "often"),
        ("kind: Service", "kind: Servce", "not seen: "),
        ("emptyDir: {}", "emptyDir: { medum: Memory }", "medum"),
    ];
    for (from, to, expected) in broken {
        assert!(good.contains(from), "{from}");
        let found = mistakes_of(&good.replacen(from, to, 1));
        assert!(found.iter().any(|it| it.contains(expected)), "{to}: {found:?}");
    }
}

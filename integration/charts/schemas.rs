//! Every manifest and every rendering against the schemas of Kubernetes, where a field that they do
//! not know is a mistake.

use std::{collections::BTreeSet, fs, path::PathBuf};

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

/// The newest without them, and what is for such clusters.
const BEFORE: &str = "1.28";
const OLDER: [&str; 2] = ["classic-sidecar.yaml", "init-once.yaml"];

/// Kinds that a cluster does not bring: no schema of Kubernetes knows them.
const FOREIGN: [&str; 1] = ["podmonitor"];

/// What is wrong with the objects of these files; also an object that was not looked at.
fn mistakes(files: &[PathBuf], versions: &[&str]) -> Vec<String> {
    let mut expected = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).expect("a manifest");
        for object in Manifest::parse(&text).objects {
            let kind = object["kind"].as_str().expect("a kind").to_lowercase();
            let name = object["metadata"]["name"].as_str().expect("a name");
            let seen = versions.iter().filter(|_| !FOREIGN.contains(&kind.as_str()));
            expected.extend(seen.map(|version| {
                let (file, object) = (file.display(), format!("{kind}/{name}"));
                format!("INFO {file} passed for resource {object} against version {version}")
            }));
        }
    }
    let mut words = vec!["--strict".to_owned()];
    words.extend(versions.iter().flat_map(|it| ["--kubernetes-version".into(), (*it).to_owned()]));
    words.extend(files.iter().map(|it| it.display().to_string()));
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
    mistakes(&[file], &VERSIONS)
}

#[test]
fn every_manifest_is_valid() {
    let at = |name: &str| manifest::folder().join(name);
    let all: Vec<_> = manifest::shipped().iter().map(|name| at(name)).collect();
    let older: Vec<_> = OLDER.iter().map(|name| at(name)).collect();
    let found = [mistakes(&all, &VERSIONS), mistakes(&older, &[BEFORE])].concat();
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

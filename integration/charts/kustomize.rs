//! The component, through the overlay that uses it and through Deployments that it has never seen.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::{
    programs::{at, run},
    rendering::{Rendering, named, pod, sidecar},
};
use crate::support::process::scratch;

/// The overlay that ships.
pub fn overlay() -> String {
    run("kustomize", [std::ffi::OsStr::new("build"), at("deploy/kustomize/example").as_os_str()])
        .good()
}

/// A kustomization beside the component, with these files.
#[track_caller]
fn build(files: &[(&str, &str)]) -> Rendering {
    let folder = scratch();
    let copied =
        Command::new("cp").arg("-r").arg(at("deploy/kustomize")).arg(folder.path()).status();
    assert!(copied.expect("cp").success(), "the component is copied");
    let ours = folder.path().join("kustomize/ours");
    fs::create_dir(&ours).expect("a folder");
    for (name, text) in files {
        fs::write(ours.join(name), text).expect("a file");
    }
    let words = ["build".to_owned(), ours.display().to_string()];
    Rendering::parse(&run("kustomize", words).good())
}

#[test]
fn the_overlay_has_the_sidecar_of_the_plain_manifest() {
    let (overlay, plain) = (Rendering::parse(&overlay()), Rendering::plain());
    assert_eq!(overlay.sidecar(), plain.sidecar());
    let resources =
        |it: &Rendering| named(&it.pod()["initContainers"], "rehup")["resources"].clone();
    assert_eq!(resources(&overlay), resources(&plain));
    assert_eq!(overlay.pod()["shareProcessNamespace"], true);
    let nginx = named(&overlay.pod()["containers"], "nginx");
    assert_eq!(named(&nginx["volumeMounts"], "shared")["readOnly"], true);
}

#[test]
fn the_overlay_has_no_right_too_many_and_a_configuration_that_is_accepted() {
    let overlay = Rendering::parse(&overlay());
    assert_eq!(overlay.breaches(), Vec::<String>::new(), "{:#?}", overlay.files());
    assert!(overlay.files()["nginx.conf.j2"].as_str().is_some_and(|it| it.contains("{{ ")));
}

/// A generated name with a hash in it would be another one after each edit.
#[test]
fn an_edit_of_the_configuration_replaces_no_pod() {
    let names = |rendering: &Rendering| -> Vec<Value> {
        rendering.of_kind("ConfigMap").iter().map(|it| it["metadata"]["name"].clone()).collect()
    };
    let overlay = Rendering::parse(&overlay());
    assert_eq!(names(&overlay), ["web-rehup", "web-settings"]);
    let volume = |name| named(&overlay.pod()["volumes"], name)["configMap"]["name"].clone();
    assert_eq!([volume("rehup"), volume("settings")], ["web-rehup", "web-settings"]);
}

/// Two of them: one with everything that a patch could get wrong, one with nothing.
const DEPLOYMENTS: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: full }
spec:
  selector: { matchLabels: { app: full } }
  template:
    metadata: { labels: { app: full } }
    spec:
      securityContext: { runAsUser: 1000, fsGroup: 2000 }
      initContainers:
        - { name: migrate, image: "migrate:1.0" }
      containers:
        - name: app
          image: "app:1.0"
          volumeMounts: [{ name: data, mountPath: /data }]
        - { name: proxy, image: "proxy:1.0" }
      volumes: [{ name: data, emptyDir: {} }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: bare }
spec:
  selector: { matchLabels: { app: bare } }
  template:
    metadata: { labels: { app: bare } }
    spec:
      containers: [{ name: bare, image: "bare:1.0" }]
---
apiVersion: v1
kind: Service
metadata: { name: full }
spec: { ports: [{ port: 80 }] }
"#;

const KUSTOMIZATION: &str = r"
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [deployments.yaml]
components: [../component]
";

#[test]
fn any_deployment_gets_the_sidecar_and_keeps_what_it_has() {
    let files = [("deployments.yaml", DEPLOYMENTS), ("kustomization.yaml", KUSTOMIZATION)];
    let rendering = build(&files);
    let plain = Rendering::plain().sidecar();
    let (before, after) = (Rendering::parse(DEPLOYMENTS), rendering.of_kind("Deployment"));
    assert_eq!(after.len(), 2);
    for deployment in &after {
        let mut found = sidecar(deployment);
        let context = found["security context"].as_object_mut().expect("a security context");
        let group = context.remove("fsGroup");
        assert_eq!(group, (deployment["metadata"]["name"] == "full").then(|| json!(2000)));
        assert_eq!(found, plain);
    }
    for (old, name) in
        [(before.of_kind("Deployment")[0], "full"), (before.of_kind("Deployment")[1], "bare")]
    {
        let new =
            after.iter().find(|it| it["metadata"]["name"] == name).expect("it is still there");
        assert_eq!(pod(new)["containers"], pod(old)["containers"], "{name}");
        for list in ["initContainers", "volumes"] {
            for item in pod(old)[list].as_array().into_iter().flatten() {
                let kept = named(&pod(new)[list], item["name"].as_str().expect("a name"));
                assert_eq!(kept, item, "{name}: {list}");
            }
        }
        assert_eq!(
            pod(new)["initContainers"][0]["name"],
            "rehup",
            "{name}: what runs later may read"
        );
    }
    assert_eq!(rendering.of_kind("Service"), before.of_kind("Service"));
}

#[test]
fn a_patch_of_the_overlay_has_the_last_word() {
    let patches = r"
patches:
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: { name: bare }
      spec:
        template:
          spec:
            securityContext: { runAsUser: 101, runAsGroup: 101 }
            initContainers:
              - name: rehup
                env: [{ name: PREFIX, value: /bare/ }]
                resources: { limits: { memory: 1Gi } }
            volumes: [{ name: shared, emptyDir: { medium: Memory } }]
";
    let kustomization = format!("{KUSTOMIZATION}{patches}");
    let files = [("deployments.yaml", DEPLOYMENTS), ("kustomization.yaml", kustomization.as_str())];
    let rendering = build(&files);
    let all = rendering.of_kind("Deployment");
    let bare = pod(all.iter().find(|it| it["metadata"]["name"] == "bare").expect("bare"));
    let rehup = named(&bare["initContainers"], "rehup");
    assert_eq!(bare["securityContext"]["runAsUser"], 101);
    assert_eq!(named(&rehup["env"], "PREFIX")["value"], "/bare/");
    assert_eq!(named(&rehup["env"], "REHUP_OUTPUT")["value"], "/shared", "the others stay");
    assert_eq!(rehup["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(named(&bare["volumes"], "shared")["emptyDir"], json!({ "medium": "Memory" }));
}

//! What the server says to what ships, under the strictest Pod Security.

use serde_json::json;

use crate::support::cluster::{Manifest, Space, manifest};

#[test]
fn every_manifest_is_taken_without_a_word() {
    let space = Space::new();
    let mut said = Vec::new();
    for name in manifest::shipped() {
        let words = space.dry_run(&Manifest::shipped(&name));
        if !words.is_empty() {
            said.push(format!("{name}: {words}"));
        }
    }
    assert!(said.is_empty(), "{}", said.join("\n"));
}

#[test]
fn the_strictest_profile_refuses_what_needs_a_right() {
    let space = Space::new();
    let mut manifest = Manifest::shipped("native-sidecar.yaml");
    let spec = &mut manifest.object("Deployment", "web")["spec"]["template"]["spec"];
    spec["initContainers"][0]["securityContext"]["capabilities"] = json!({ "add": ["KILL"] });
    let said = space.dry_run(&manifest);
    assert!(said.contains("would violate PodSecurity"), "{said:?}");
}

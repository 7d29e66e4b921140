//! A rolling update under load.

use serde_json::json;

use crate::support::cluster::{Manifest, Space, client};

#[test]
fn a_rolling_update_fails_no_request() {
    let space = Space::new();
    space.apply(&Manifest::shipped("native-sidecar.yaml"));
    let old = space.pod("app=web");
    old.in_service("web").serves("Hello");
    let served = client::follow(&space, "web", || {
        let annotations = json!({ "annotations": { "update": "1" } });
        let change = json!({ "spec": { "template": { "metadata": annotations } } });
        space.patch("apps/v1", "deployments/web", &change);
        old.eventually("the old pod is gone", || old.object().is_none().then_some(()));
        let new = space.pod("app=web");
        new.ready().serves("Hello");
        assert_ne!(new.name, old.name, "another pod took its place");
    });
    assert!(served.answered > 20, "{served:?}");
    assert!(served.failed.is_empty(), "{served:?}");
}

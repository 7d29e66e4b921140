//! What a stranger copies from the README works as it stands there.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::app::App;

/// The README's `ConfigMap`.
fn config_map() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(path).expect("README.md");
    let block = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    serde_saphyr::from_str(block.expect("a block of YAML")).expect("YAML")
}

#[test]
fn the_configuration_and_its_template_are_accepted() {
    let app = App::new();
    let map = config_map();
    let files = map["data"].as_object().expect("files");
    for (name, text) in files {
        let text = text.as_str().expect("text");
        // The ConfigMap is mounted elsewhere here.
        let text = text.replace("/etc/rehup", &app.folder().display().to_string());
        fs::write(app.folder().join(name), text).expect("a file");
    }
    let check = app.run(&["check"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

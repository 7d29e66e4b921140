//! What `docs/migration.md` says that Rehup is told instead is accepted, and gives what it says.

use std::{fs, path::Path};

use crate::support::app::App;

/// The page's blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migration.md");
    let page = fs::read_to_string(path).expect("docs/migration.md");
    let fences = page.split("```").skip(1).step_by(2);
    let of_it = fences.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    of_it.map(str::to_owned).collect()
}

/// An app with the page's template and one of its configurations.
fn with(configuration: &str) -> App {
    let app = App::new();
    let template = blocks("jinja").pop().expect("a template");
    fs::write(app.folder().join("nginx.conf.j2"), template).expect("a template");
    // A mounted Secret.
    fs::create_dir(app.folder().join("secrets")).expect("a folder");
    fs::write(app.folder().join("secrets/password"), "a-password").expect("a password");
    app.configure(configuration.replace("/etc/rehup", &app.folder().display().to_string()));
    app
}

#[test]
fn each_configuration_of_ours_is_accepted() {
    let ours = blocks("yaml");
    assert_eq!(ours.len(), 5, "one for each tool");
    for configuration in ours {
        let check = with(&configuration).run(&["check"]);
        let said = String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success(), "{configuration}\n{said}");
    }
}

#[test]
fn those_with_the_same_keys_give_the_file_that_the_page_shows() {
    let expected = blocks("nginx").pop().expect("a file");
    for configuration in &blocks("yaml")[..3] {
        let app = with(configuration);
        let (data, out) = (app.folder().join("data.yaml"), app.folder().join("out"));
        let servers = "servers/a: '10.0.0.1:8080', servers/b: '10.0.0.2:8080'";
        fs::write(&data, format!("app: {{ workers: '4', {servers} }}")).expect("fixtures");
        let (data, folder) = (data.display().to_string(), out.display().to_string());
        let render = app.run(&["render", "--data", &data, "--out", &folder]);
        assert!(render.status.success(), "{}", String::from_utf8_lossy(&render.stderr));
        assert_eq!(fs::read_to_string(out.join("nginx.conf")).expect("a file"), expected);
    }
}

#[test]
fn what_was_the_environment_comes_from_the_pod() {
    let app = with(&blocks("yaml")[3]);
    let data = app.folder().join("data.yaml");
    let config = "prometheus.yml: 'global: { external_labels: { pod: $(POD_NAME) } }'";
    let fixtures = format!(
        "config: {{ {config} }}\nrules: {{ up.yml: 'groups: []' }}\npod: {{ name: web-0 }}\n"
    );
    fs::write(&data, fixtures).expect("fixtures");
    let (data, out) = (data.display().to_string(), app.folder().join("out"));
    let render = app.run(&["render", "--data", &data, "--out", &out.display().to_string()]);
    assert!(render.status.success(), "{}", String::from_utf8_lossy(&render.stderr));
    let made = fs::read_to_string(out.join("prometheus.yml")).expect("a file");
    assert_eq!(made, "global: { external_labels: { pod: web-0 } }");
    assert!(out.join("rules/up.yml").is_file(), "the rules are there");
}

//! The files under `deploy/`, and the documents of those that are YAML.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// Every file, as a path below the folder, in order.
pub fn names() -> Vec<String> {
    let root = root();
    let (mut folders, mut names) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).expect("below it").display().to_string();
                names.push(name);
            }
        }
    }
    names.sort();
    names
}

/// Its text.
pub fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every document of a file.
pub fn documents_of(name: &str) -> Vec<Value> {
    let all = serde_saphyr::from_multiple::<Value>(&text(name));
    all.unwrap_or_else(|error| panic!("deploy/{name} is no YAML: {error}"))
}

/// Every document of every YAML file, with the name of its file.
pub fn documents() -> Vec<(String, Value)> {
    let of = |name: String| documents_of(&name).into_iter().map(move |it| (name.clone(), it));
    names().into_iter().filter(|name| is_yaml(name)).flat_map(of).collect()
}

/// Whether a file is YAML as it is: a chart's templates are only when they have been rendered.
pub fn is_yaml(name: &str) -> bool {
    let path = Path::new(name);
    let extension = path.extension().is_some_and(|it| it == "yaml" || it == "yml");
    extension && !(name.starts_with("helm/") && path.iter().any(|part| part == "templates"))
}

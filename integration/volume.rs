//! P06 to P11, P13 to P15, P17: what a volume may be, what may lie on it, and what others do to it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::support::{app::App, patience::eventually};

mod access;
mod drift;
mod leftovers;
mod mounts;
mod peers;
mod readers;
mod shapes;
mod time;

/// An app with one key and these outputs, each of which holds its own name and the key.
fn app(layout: &str, outputs: &[&str]) -> App {
    let mut app = App::new();
    app.quiet().put("a", "0");
    configure(&app, layout, outputs, "keep: 1, grace: 0s");
    app
}

/// Writes its configuration, with more words about the output.
fn configure(app: &App, layout: &str, outputs: &[&str], more: &str) {
    let template = |to: &&str| format!("  - {{ to: {to}, inline: \"{to} {{{{ base.a }}}}\" }}\n");
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\ntemplates:\n{}\
         output: {{ layout: {layout}, {more} }}\nsettle: off\n",
        app.folder().display(),
        outputs.iter().map(template).collect::<String>(),
    ));
}

/// Changes the key, and waits until each output has it.
#[track_caller]
fn publishes(app: &App, outputs: &[&str], value: &str) {
    app.put("a", value);
    shows(app, outputs, value);
}

#[track_caller]
fn shows(app: &App, outputs: &[&str], value: &str) {
    for output in outputs {
        app.shows(output, &format!("{output} {value}"));
    }
}

/// Waits until the status says why nothing is published.
#[track_caller]
fn refuses(app: &App, words: &[&str]) {
    eventually(format_args!("it refuses, with {words:?}; {}", app.tail()), || {
        let said = app.get("/freshz")?.body;
        words.iter().all(|word| said.contains(word)).then_some(())
    });
}

/// Type, mode, owner and content of everything below a folder, by path.
fn everything(root: &Path) -> BTreeMap<PathBuf, (u32, u32, Vec<u8>)> {
    let (mut all, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|it| it.expect("an entry")) {
            let path = entry.path();
            let Ok(meta) = path.symlink_metadata() else { continue };
            let content = if meta.is_symlink() {
                let to = fs::read_link(&path).unwrap_or_default();
                to.into_os_string().into_encoded_bytes()
            } else if meta.is_file() {
                fs::read(&path).unwrap_or_default()
            } else {
                Vec::new()
            };
            if meta.is_dir() {
                folders.push(path.clone());
            }
            let name = path.strip_prefix(root).expect("below").to_owned();
            all.insert(name, (meta.mode(), meta.uid(), content));
        }
    }
    all
}

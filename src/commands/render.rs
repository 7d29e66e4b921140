//! `rehup render`: what would be published, to standard output or a folder, or as a difference.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use providers::{Key, Revision, Snapshot, Value};
use tokio::time::Instant;

use super::first;
use crate::{
    exit::Failure,
    load::Loader,
    publish::Volume,
    rendering::{OutputPath, Rendering},
    view::Complete,
};

/// How long a source may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to do with the rendering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Every file with a heading; it shows values, which is what was asked for.
    Stdout,
    /// Files below a folder that must not hold them yet.
    Folder(PathBuf),
    /// What differs from the volume, by name only.
    Difference,
}

/// Renders once from the stores, or from fixtures.
pub async fn render(loader: &Loader, data: Option<&Path>, to: To) -> Result<(), Failure> {
    let mut accepted = loader.load().map_err(|refusal| Failure::Config(refusal.mistakes))?;
    let sources = &accepted.config.sources;
    let snapshots = match data {
        Some(file) => fixtures(file, sources.keys())?,
        None => first::snapshots(sources, PATIENCE)
            .await
            .map_err(|failures| Failure::running(failures.join("\n")))?,
    };
    let rendering =
        accepted.templates.render(&Complete::from_snapshots(snapshots)).map_err(|errors| {
            let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
            Failure::running(lines.join("\n"))
        })?;
    match to {
        To::Stdout => print(&rendering)?,
        To::Folder(folder) => write(&rendering, &folder)?,
        To::Difference => difference(&rendering, &accepted.config.volume()),
    }
    Ok(())
}

/// Snapshots from a file: source → key → text.
fn fixtures<'a>(
    file: &Path,
    sources: impl Iterator<Item = &'a String>,
) -> Result<BTreeMap<String, Snapshot>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::running(format!("{} cannot be read: {error}", file.display())))?;
    let mut data: BTreeMap<String, BTreeMap<String, String>> = serde_saphyr::from_str(&text)
        .map_err(|_| {
            let shape = "write `source: {key: text}`, with every text in quotes";
            Failure::running(format!("{} is no fixture: {shape}", file.display()))
        })?;
    let snapshot = |name: &String| {
        let keys = data.remove(name).ok_or_else(|| {
            Failure::running(format!("{} has no source `{name}`", file.display()))
        })?;
        let entry = |(key, text): (String, String)| (Key::from(key), Value::new(text));
        let snapshot = Snapshot {
            revision: Revision::default(),
            entries: keys.into_iter().map(entry).collect(),
            doubts: Vec::new(),
            as_of: Instant::now(),
        };
        Ok((name.clone(), snapshot))
    };
    sources.map(snapshot).collect()
}

fn print(rendering: &Rendering) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (path, file) in rendering.files() {
        writeln!(out, "==> {path} ({:04o}) <==", file.access.mode)?;
        out.write_all(&file.bytes)?;
        if !file.bytes.ends_with(b"\n") {
            writeln!(out)?;
        }
    }
    out.flush()
}

/// Writes each file whole or not at all; what is there already is an error.
fn write(rendering: &Rendering, folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    for (path, file) in rendering.files() {
        let to = folder.join(path.as_str());
        let parent = to.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)?;
        let mut staged = tempfile::NamedTempFile::new_in(parent)?;
        staged.write_all(&file.bytes)?;
        let mode = std::fs::Permissions::from_mode(file.access.mode);
        staged.as_file().set_permissions(mode)?;
        staged.persist_noclobber(&to).map_err(|error| {
            Failure::running(format!("{} cannot be written: {}", to.display(), error.error))
        })?;
        println!("{}", to.display());
    }
    Ok(())
}

/// Names what publishing would change.
fn difference(rendering: &Rendering, volume: &crate::publish::VolumeOptions) {
    let visible = Volume::glance(volume);
    let before = visible.as_ref().map(|generation| &generation.files);
    let mut same = true;
    let mut line = |sign: char, path: &OutputPath, what: &str| {
        same = false;
        println!("{sign} {path}{what}");
    };
    for (path, file) in rendering.files() {
        match before.and_then(|before| before.get(path)) {
            None => line('+', path, &format!(" ({} bytes)", file.bytes.len())),
            Some(old) if old.digest != file.digest => {
                line('~', path, &format!(" ({} bytes, were {})", file.bytes.len(), old.size));
            }
            Some(old) if old.access != file.access => line('~', path, " (mode or owner)"),
            Some(_) => {}
        }
    }
    for path in before.into_iter().flat_map(BTreeMap::keys) {
        if !rendering.files().contains_key(path) {
            line('-', path, "");
        }
    }
    if same {
        println!("nothing would change");
    }
}

//! Waiting for edits of the configuration file and of template files, and reading them together.
//!
//! Owns when to read them again and that files of one mount are of one version. Must not parse:
//! what a text means is not known here.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use providers::watch::{Wake, Watch};
use tokio::time::{Instant, timeout_at};

use crate::bounded;

/// A look at the files whatever inotify says; some file systems never tell.
const POLL: Duration = Duration::from_secs(30);
/// Editors and the kubelet do several things for one edit: this long without another ends it.
const QUIET: Duration = Duration::from_millis(50);
/// An edit is looked at after this long even if it goes on.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often files are read again because their mount was swapped meanwhile.
const TRIES: usize = 10;
/// A configuration or template above this size is a mistake: a FIFO or a log.
pub(crate) const LARGEST: u64 = 16 << 20;

/// Waits until the configuration or a template file may have changed.
#[derive(Debug)]
pub struct ConfigWatch {
    watch: Watch,
    /// An edit that began and may go on: when it began.
    edit: Option<Instant>,
}

impl ConfigWatch {
    /// Watches these files from now on: read them after this call. They need not exist.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { watch: Watch::new(paths, POLL), edit: None }
    }

    /// Watches other files: after an accepted edit that names other templates. If they differ, the
    /// next [`Self::changed`] completes soon.
    pub fn set_paths(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.watch.set_paths(paths);
    }

    /// Completes when a file may have changed and rests, and at times when nothing has: read them
    /// with [`read_consistent`] and compare.
    ///
    /// Cancel safe: what happened while nobody waited is told to the next call.
    pub async fn changed(&mut self) {
        while self.edit.is_none() {
            match self.watch.changed().await {
                Wake::Hint => break,
                Wake::Poll => return,
                // A poll follows.
                Wake::Lost => {}
            }
        }
        let begun = *self.edit.get_or_insert_with(Instant::now);
        loop {
            let quiet = (Instant::now() + QUIET).min(begun + PATIENCE);
            let rests = timeout_at(quiet, self.watch.changed()).await.is_err();
            if rests || begun.elapsed() >= PATIENCE {
                self.edit = None;
                return;
            }
        }
    }
}

/// Reads several text files; all files of one mounted ConfigMap or Secret are of one version.
///
/// Blocks for as long as reading takes. The error names the file; the first one in order wins.
pub fn read_consistent(paths: &[PathBuf]) -> io::Result<BTreeMap<PathBuf, String>> {
    let mut last = None;
    for _ in 0..TRIES {
        match attempt(paths) {
            Ok(Some(texts)) => return Ok(texts),
            Ok(None) => {}
            // It may only have been swapped away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    let swapped = || io::Error::other("the files keep changing while they are read");
    Err(last.unwrap_or_else(swapped))
}

/// One attempt; none if a mount was swapped meanwhile.
fn attempt(paths: &[PathBuf]) -> io::Result<Option<BTreeMap<PathBuf, String>>> {
    let mut versions: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut texts = BTreeMap::new();
    for path in paths {
        let place = match mount_of(path) {
            Some((mount, name)) => {
                let link = mount.join("..data");
                let version = match versions.get(&mount) {
                    Some(version) => version.clone(),
                    None => link.read_link().map_err(|error| about(path, &error))?,
                };
                let place = mount.join(&version).join(name);
                versions.insert(mount, version);
                // A mount may hold other things beside.
                if place.exists() { place } else { path.clone() }
            }
            None => path.clone(),
        };
        let text = read(&place).map_err(|error| about(path, &error))?;
        texts.insert(path.clone(), text);
    }
    let stands = |(mount, version): (&PathBuf, &PathBuf)| {
        mount.join("..data").read_link().is_ok_and(|now| now == *version)
    };
    Ok(versions.iter().all(stands).then_some(texts))
}

/// The mounted volume that a path lies in, and the path below it.
fn mount_of(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mount = path.ancestors().skip(1).find(|folder| folder.join("..data").is_symlink())?;
    let name = path.strip_prefix(mount).ok()?;
    Some((mount.to_owned(), name.to_owned()))
}

fn read(place: &Path) -> io::Result<String> {
    let bytes = bounded::read_file(place, LARGEST)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// Swaps in a new version of two files as the kubelet does.
    fn swap(mount: &Path, version: usize) {
        let old = mount.join("..data").read_link();
        let new = format!("..version_{version}");
        fs::create_dir(mount.join(&new)).unwrap();
        for name in ["rehup.yaml", "a.j2"] {
            fs::write(mount.join(&new).join(name), version.to_string()).unwrap();
            // It exists from the second version on.
            drop(symlink(Path::new("..data").join(name), mount.join(name)));
        }
        symlink(&new, mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
        if let Ok(old) = old {
            fs::remove_dir_all(mount.join(old)).unwrap();
        }
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        vec![folder.join("rehup.yaml"), folder.join("a.j2")]
    }

    #[test]
    fn files_of_one_mount_are_of_one_version() {
        let dir = tempfile::tempdir().unwrap();
        swap(dir.path(), 0);
        let mount = dir.path().to_owned();
        let writer = std::thread::spawn(move || (1..=300).for_each(|number| swap(&mount, number)));
        let paths = files(dir.path());
        while !writer.is_finished() {
            // Under this load reading may give up.
            if let Ok(texts) = read_consistent(&paths) {
                assert_eq!(texts[&paths[0]], texts[&paths[1]]);
            }
        }
        writer.join().unwrap();
        assert_eq!(read_consistent(&paths).unwrap()[&paths[1]], "300");
    }

    #[test]
    fn plain_files_and_files_beside_a_mount_are_read_too() {
        let dir = tempfile::tempdir().unwrap();
        swap(dir.path(), 1);
        fs::write(dir.path().join("beside"), "plain").unwrap();
        let paths = [dir.path().join("beside"), dir.path().join("a.j2")];
        let texts = read_consistent(&paths).unwrap();
        assert_eq!(texts.into_values().collect::<Vec<_>>(), ["1", "plain"]);
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("latin"), b"caf\xe9").unwrap();
        for (name, kind) in [
            ("missing", io::ErrorKind::NotFound),
            ("latin", io::ErrorKind::InvalidData),
            (".", io::ErrorKind::InvalidInput),
        ] {
            let path = dir.path().join(name);
            let error = read_consistent(std::slice::from_ref(&path)).unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }

    #[tokio::test]
    async fn every_swap_and_every_save_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain.j2");
        let mut watch = ConfigWatch::new(files(dir.path()).into_iter().chain([plain.clone()]));
        for version in 1..=3 {
            swap(dir.path(), version);
            watch.changed().await;
            assert_eq!(fs::read_to_string(dir.path().join("a.j2")).unwrap(), version.to_string());
        }
        fs::write(&plain, "one").unwrap();
        watch.changed().await;
        let other = dir.path().join("other.j2");
        watch.set_paths([other.clone()]);
        watch.changed().await;
        fs::write(&other, "one").unwrap();
        watch.changed().await;
    }
}

//! Folders to follow: written as the kubelet does, and as people do.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use providers::{Provider, Settings, conformance::Bench, files::Files, settings::FilesSettings};
use tempfile::TempDir;

use crate::support::{process::scratch, store::Store};

/// The provider on `path`.
pub fn files(path: &Path, poll: Duration) -> Box<dyn Provider> {
    Box::new(Files::new(FilesSettings { path: path.to_owned(), poll, max_bytes: 16 << 20 }))
}

/// A folder whose whole content is swapped by one rename, in the kubelet's order: new version,
/// `..data`, links of new names, links of gone names, the old version.
pub struct Mounted {
    place: Place,
    content: BTreeMap<String, Vec<u8>>,
    version: u32,
}

/// A folder of plain files.
pub struct Plain(Place);

/// A folder that can be out of reach for a while.
struct Place {
    scratch: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { scratch: scratch() };
        fs::create_dir(place.path()).expect("a folder");
        place
    }

    fn path(&self) -> PathBuf {
        self.scratch.path().join("followed")
    }

    fn away(&self) -> PathBuf {
        self.scratch.path().join("away")
    }

    fn stop(&self) {
        fs::rename(self.path(), self.away()).expect("a rename");
    }

    fn start(&self) {
        fs::rename(self.away(), self.path()).expect("a rename");
    }

    /// The inotify watches on the folder: other tests of this process have watches on others.
    fn watches(&self) -> usize {
        let inode = fs::metadata(self.path()).expect("the folder").ino();
        let about = format!("ino:{inode:x} ");
        let descriptors = fs::read_dir("/proc/self/fdinfo").expect("proc").flatten();
        // One may be closed meanwhile.
        let infos = descriptors.filter_map(|found| fs::read_to_string(found.path()).ok());
        infos.map(|info| info.lines().filter(|line| line.contains(&about)).count()).sum()
    }
}

impl Mounted {
    /// An empty volume.
    pub fn new() -> Self {
        Self { place: Place::new(), content: BTreeMap::new(), version: 0 }
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.place.path()
    }

    /// Swaps in a version of two files that belong together: both hold its number.
    pub fn both(&mut self, version: u32) {
        let value = version.to_string().into_bytes();
        self.content = ["a", "dir/b"].map(|key| (key.to_owned(), value.clone())).into();
        self.swap();
    }

    fn swap(&mut self) {
        let root = self.place.path();
        let old = fs::read_link(root.join("..data")).ok();
        self.version += 1;
        let new = format!("..version_{}", self.version);
        for (key, value) in &self.content {
            write(&root.join(&new).join(key), value);
        }
        fs::create_dir_all(root.join(&new)).expect("a folder");
        symlink(&new, root.join("..data_tmp")).expect("a link");
        fs::rename(root.join("..data_tmp"), root.join("..data")).expect("a rename");
        for top in self.content.keys().filter_map(|key| key.split('/').next()) {
            if fs::symlink_metadata(root.join(top)).is_err() {
                symlink(Path::new("..data").join(top), root.join(top)).expect("a link");
            }
        }
        for entry in fs::read_dir(&root).expect("the folder").flatten() {
            if !entry.path().exists() {
                fs::remove_file(entry.path()).expect("a dangling link");
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(root.join(old)).expect("the old version");
        }
    }
}

impl Store for Mounted {
    fn settings(&self) -> Settings {
        let path = self.place.path();
        Settings::Files(FilesSettings { path, poll: Duration::from_secs(30), max_bytes: 16 << 20 })
    }
}

impl Bench for Mounted {
    fn provider(&self, proof_every: Duration) -> Box<dyn Provider> {
        files(&self.place.path(), proof_every)
    }

    async fn put(&mut self, key: &str, value: &[u8]) {
        self.transaction(&[(key, value)]).await;
    }

    async fn delete(&mut self, key: &str) {
        self.content.remove(key);
        self.swap();
    }

    async fn transaction(&mut self, entries: &[(&str, &[u8])]) {
        for (key, value) in entries {
            self.content.insert((*key).to_owned(), value.to_vec());
        }
        self.swap();
        // A volume that is swapped without a pause is never at rest for a reader on this thread.
        tokio::task::yield_now().await;
    }

    async fn put_prefix(&mut self, _value: &[u8]) -> bool {
        false
    }

    async fn stop(&mut self) -> bool {
        self.place.stop();
        true
    }

    async fn start(&mut self) {
        self.place.start();
    }

    async fn held(&mut self) -> Option<usize> {
        Some(self.place.watches())
    }
}

impl Plain {
    /// An empty folder.
    pub fn new() -> Self {
        Self(Place::new())
    }
}

impl Bench for Plain {
    fn provider(&self, proof_every: Duration) -> Box<dyn Provider> {
        files(&self.0.path(), proof_every)
    }

    async fn put(&mut self, key: &str, value: &[u8]) {
        write(&self.0.path().join(key), value);
    }

    async fn delete(&mut self, key: &str) {
        fs::remove_file(self.0.path().join(key)).expect("a file");
    }

    async fn transaction(&mut self, _entries: &[(&str, &[u8])]) {
        unreachable!("plain files cannot change together");
    }

    async fn put_prefix(&mut self, _value: &[u8]) -> bool {
        false
    }

    async fn stop(&mut self) -> bool {
        self.0.stop();
        true
    }

    async fn start(&mut self) {
        self.0.start();
    }

    async fn held(&mut self) -> Option<usize> {
        Some(self.0.watches())
    }
}

fn write(path: &Path, value: &[u8]) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
    fs::write(path, value).expect("a file");
}

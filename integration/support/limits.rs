//! Processes that are kept short: control groups of the first version, which root makes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// A cgroup, removed when dropped.
pub struct Limited(Vec<PathBuf>);

impl Limited {
    /// Each limit is a controller, one of its files, and a value.
    pub fn new(limits: &[(&str, &str, &str)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rehup-test-{}-{number}", std::process::id());
        let mut groups = Vec::new();
        for (controller, file, value) in limits {
            let group = Path::new("/sys/fs/cgroup").join(controller).join(&name);
            if !group.exists() {
                fs::create_dir(&group).unwrap_or_else(|error| panic!("{controller}: {error}"));
                groups.push(group.clone());
            }
            fs::write(group.join(file), value).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        Self(groups)
    }

    /// The words that put what follows into it.
    pub fn entry(&self) -> [String; 4] {
        let enter =
            self.0.iter().map(|group| format!("echo $$ > {}/cgroup.procs; ", group.display()));
        let script = enter.collect::<String>() + "exec \"$@\"";
        ["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]
    }

    /// Whether no process is in it.
    pub fn is_empty(&self) -> bool {
        let processes = |group: &PathBuf| fs::read_to_string(group.join("cgroup.procs"));
        self.0.iter().all(|group| processes(group).is_ok_and(|ids| ids.is_empty()))
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        for group in &self.0 {
            // What ran inside needs a moment to be gone.
            for _ in 0..200 {
                if fs::remove_dir(group).is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

//! Programs that the machine brings.

use std::path::{Path, PathBuf};

/// Finds a program as a shell does, and in `/usr/sbin`, which not every user's `PATH` has.
pub fn installed(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("no {name}: run `make test`, which installs it"))
}

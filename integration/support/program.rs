//! Programs that the machine brings.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Finds a program as a shell does, and in `/usr/sbin`, which not every user's `PATH` has.
pub fn installed(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("no {name}: run `make test`, which installs it"))
}

/// Copies a program, to run it under another name or as somebody else. Not by ourselves: a child
/// that another test starts meanwhile would hold the copy open for writing, and the kernel starts
/// no such file.
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let status = Command::new("cp").arg(from.as_ref()).arg(to.as_ref()).status();
    assert!(status.expect("cp").success(), "{} is copied", from.as_ref().display());
}

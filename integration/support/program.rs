//! Programs that the machine brings, and those of `programs/` in C.

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

/// Compiles `programs/NAME.c`: Rust's own linker is a C compiler. Built beside its place and moved
/// there, so that two runs at once do no harm.
pub fn compiled(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let built = folder.join(format!("{name}.{}", std::process::id()));
    let source = format!("integration/programs/{name}.c");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let status = Command::new("cc").arg("-o").arg(&built).arg(source).status();
    assert!(status.expect("a C compiler named cc").success(), "{name}.c compiles");
    let path = folder.join(name);
    std::fs::rename(built, &path).expect("a place for the program");
    path
}

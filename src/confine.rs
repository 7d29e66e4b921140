//! Confines the process with Landlock: it reads where the configuration points, and writes the
//! volume, and nothing else.
//!
//! Rules are on folders, never on single files: a swapped ConfigMap or a rotated token is another
//! file of the same name. Must run before any other thread does.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, BitFlags, PathBeneath, PathFd, PathFdError, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus,
};

use crate::{chain::chain, load::Loader};

/// What is read besides configured paths: name resolution, the machine's boot id, authorities.
const ALWAYS: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/ssl",
    "/etc/pki",
    "/usr/share/ca-certificates",
    "/proc/sys/kernel/random",
];

/// What a confined process may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Folders to read.
    pub read: Vec<PathBuf>,
    /// The output root.
    pub write: PathBuf,
    /// Targets are found by `/proc`.
    pub processes: bool,
}

impl Reach {
    /// Whether a configured path is inside: a live edit must not name one outside.
    pub fn covers(&self, path: &Path) -> bool {
        self.read.iter().any(|folder| path.starts_with(folder)) || path.starts_with(&self.write)
    }
}

/// Confines the process as its configuration asks at the start. One that is refused now asks for
/// nothing: what is mended later needs a restart to be confined.
pub fn at_start(loader: &Loader) -> String {
    match loader.load() {
        Ok(accepted) if accepted.config.confine => confine(&accepted.config.reach(&accepted.files)),
        _ => "off".to_owned(),
    }
}

/// Confines this thread and all that it starts; the answer is for the status.
pub fn confine(reach: &Reach) -> String {
    let why = match restrict(reach) {
        Ok(RulesetStatus::FullyEnforced) => return "on".to_owned(),
        Ok(RulesetStatus::PartiallyEnforced) => return "on, as far as this kernel can".to_owned(),
        Ok(RulesetStatus::NotEnforced) => "this kernel has no Landlock".to_owned(),
        Err(error) => chain(&error),
    };
    tracing::warn!(why, "going on without being confined");
    format!("not possible: {why}")
}

/// Why the process is not confined.
#[derive(Debug, thiserror::Error)]
enum ConfineError {
    #[error(transparent)]
    Rules(#[from] RulesetError),
    #[error(transparent)]
    Folder(#[from] PathFdError),
}

fn restrict(reach: &Reach) -> Result<RulesetStatus, ConfineError> {
    let abi = ABI::V3;
    let mut read: Vec<&Path> = ALWAYS.iter().map(Path::new).collect();
    read.extend(reach.read.iter().map(PathBuf::as_path));
    if reach.processes {
        read.push(Path::new("/proc"));
    }
    let readable = read.into_iter().map(|path| (path, AccessFs::from_read(abi)));
    let writable = std::iter::once((reach.write.as_path(), AccessFs::from_all(abi)));
    let rules = readable.chain(writable);
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        .add_rules(rules.filter_map(|(path, access)| rule(path, access, abi).transpose()))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// A rule for a path; none for what is not there or not ours to open. What cannot be opened for
/// another reason may be in a moment, and without a rule nobody could until the end of the process:
/// rather free than locked out.
fn rule(
    path: &Path,
    access: BitFlags<AccessFs>,
    abi: ABI,
) -> Result<Option<PathBeneath<PathFd>>, ConfineError> {
    use ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    let access = if path.is_file() { access & AccessFs::from_file(abi) } else { access };
    match PathFd::new(path) {
        Ok(opened) => Ok(Some(PathBeneath::new(opened, access))),
        Err(PathFdError::OpenCall { source, .. })
            if matches!(source.kind(), NotFound | NotADirectory | PermissionDenied) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

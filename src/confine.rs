//! Confines the process with Landlock: it reads where the configuration points, and writes the
//! volume, and nothing else.
//!
//! Rules are on folders, never on single files: a swapped ConfigMap or a rotated token is another
//! file of the same name. Must run before any other thread does.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, PathBeneath, PathFd, PathFdError, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};

use crate::load::Loader;

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
    match restrict(reach) {
        Ok(RulesetStatus::FullyEnforced) => "on".to_owned(),
        Ok(RulesetStatus::PartiallyEnforced) => "on, as far as this kernel can".to_owned(),
        Ok(RulesetStatus::NotEnforced) => "not possible: this kernel has no Landlock".to_owned(),
        Err(error) => format!("not possible: {error}"),
    }
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
    // A rule for what cannot be opened now is left out, and nobody may open it until the end of
    // the process: rather free than without a volume.
    let volume = PathBeneath::new(PathFd::new(&reach.write)?, AccessFs::from_all(abi));
    let mut read: Vec<PathBuf> = ALWAYS.iter().map(PathBuf::from).collect();
    read.extend(reach.read.iter().cloned());
    if reach.processes {
        read.push("/proc".into());
    }
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(read, AccessFs::from_read(abi)))?
        .add_rule(volume)?
        .restrict_self()?;
    Ok(status.ruleset)
}

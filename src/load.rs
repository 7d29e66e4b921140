//! Reads the configuration and its templates from disk, and accepts or refuses them as a whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    chain::chain,
    config::{self, Config, Facts, Loaded, Overrides, Salvaged},
    digest::Digest,
    template::TemplateSet,
};

/// Where the configuration comes from; the process's environment as it was at the start.
#[derive(Clone, Debug)]
pub struct Loader {
    /// The file.
    pub path: PathBuf,
    /// What the command line and the environment say.
    pub overrides: Overrides,
    /// The environment for `${NAME}`.
    pub environment: BTreeMap<String, String>,
    /// What this process may do.
    pub facts: Facts,
}

/// A configuration that can be used.
pub struct Accepted {
    /// The configuration.
    pub config: Config,
    /// Its templates, compiled.
    pub templates: TemplateSet,
    /// The digest over file and templates.
    pub digest: Digest,
    /// The file and its template files.
    pub files: Vec<PathBuf>,
}

/// A configuration that cannot be used.
pub struct Refusal {
    /// One line for each mistake, with place and hint.
    pub mistakes: Vec<String>,
    /// What could still be read of it.
    pub salvaged: Salvaged,
    /// The files to watch for a mended state.
    pub files: Vec<PathBuf>,
}

impl Loader {
    /// Reads and judges what is on disk now.
    pub fn load(&self) -> Result<Accepted, Refusal> {
        todo!()
    }
}

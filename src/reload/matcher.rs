//! Which files a target cares about: the globs of `only`.
//!
//! Shared by reload and rollback, so that both mean the same files.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::rendering::OutputPath;

/// The compiled `only` of one target; without globs it matches every file.
#[derive(Clone, Debug)]
pub struct Matcher(Option<GlobSet>);

impl Matcher {
    /// Compiles globs in which `*` and `?` stop at a `/` and `**` does not.
    pub fn new(only: Option<&[String]>) -> Result<Self, globset::Error> {
        let Some(globs) = only else { return Ok(Self(None)) };
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(GlobBuilder::new(glob).literal_separator(true).build()?);
        }
        Ok(Self(Some(set.build()?)))
    }

    /// Whether a file belongs to the target.
    pub fn matches(&self, path: &OutputPath) -> bool {
        self.0.as_ref().is_none_or(|set| set.is_match(path.as_str()))
    }
}

//! A credential read from a file: used once, never printed, never kept.

use std::path::Path;

use crate::{ErrorKind, ProviderError};

/// A credential; it has no way to be printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Reads `path` and drops the line end; an empty file is an error, so that nothing goes out
    /// anonymously by mistake.
    pub fn read(path: &Path) -> Result<Self, ProviderError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("credential file {} cannot be read", path.display());
            ProviderError::new(ErrorKind::Credentials, message).with_source(error)
        })?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            let message = format!("credential file {} is empty", path.display());
            return Err(ProviderError::new(ErrorKind::Credentials, message));
        }
        Ok(Self(text.to_owned()))
    }

    /// The credential itself, for the wire only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

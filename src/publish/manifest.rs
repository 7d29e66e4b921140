//! The manifest's form: one line that vouches for the rest, then JSON.
//!
//! `..manifest` in a generation's folder (no output can have that name, and globs skip it). Mode
//! 0600: a plain digest of a file with one secret can be guessed. Must not judge the files.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    digest::Digest,
    generation::Generation,
    rendering::{Access, OutputPath},
};

/// The manifest's name in a generation's folder.
pub(super) const NAME: &str = "..manifest";

/// The most that is read of a manifest: far above what the limits of a generation allow.
pub(super) const LIMIT: u64 = 64 << 20;

/// Ours alone.
pub(super) const PRIVATE: Access = Access { mode: 0o600, owner: None, group: None };

const FORM: &str = "rehup-manifest 1";

/// The manifest of the `files` layout.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FilesManifest {
    /// What is visible once all renames are done.
    pub(super) generation: Generation,
    /// What lay there before: each file of ours with its digest. Until the journal has the
    /// generation, either content is good.
    pub(super) before: BTreeMap<OutputPath, Digest>,
    /// Folders that we made, so that we may remove them.
    pub(super) folders: BTreeSet<String>,
}

/// The bytes of a manifest.
pub(super) fn encode(content: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let json = serde_json::to_vec(content)?;
    let mut bytes = format!("{FORM} {}\n", Digest::of(&json).to_hex()).into_bytes();
    bytes.extend(json);
    Ok(bytes)
}

/// Reads a manifest; `None` if it is torn, of another form, or none at all.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let cut = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, json) = (std::str::from_utf8(&bytes[..cut]).ok()?, &bytes[cut + 1..]);
    let digest = Digest::from_hex(head.strip_prefix(FORM)?.strip_prefix(' ')?)?;
    if Digest::of(json) != digest {
        return None;
    }
    serde_json::from_slice(json).ok()
}

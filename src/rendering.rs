//! Every output file, in memory: what the templates made of one view.
//!
//! Owns the rules for names on the volume. Must not touch the volume.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, DigestBuilder};

/// A file's path below the output root: relative, plain components, none of ours.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OutputPath(Arc<str>);

/// Why a text is no [`OutputPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` cannot be a file on the volume: {reason}")]
pub struct BadPath {
    path: String,
    reason: &'static str,
}

impl OutputPath {
    /// Checks each component: not empty, not `.` or `..`, no control characters, at most 255
    /// bytes, 4096 in all, and the first does not begin with `..`, which is ours.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        let refuse = |reason| Err(BadPath { path: text.escape_debug().to_string(), reason });
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.starts_with('/') {
            return refuse("it is absolute; write it relative to output.path");
        }
        if text.len() > 4096 {
            return refuse("it is longer than 4096 bytes");
        }
        if text.starts_with("..") && text != ".." && !text.starts_with("../") {
            return refuse("names that begin with `..` are reserved");
        }
        for component in text.split('/') {
            match component {
                "" => return refuse("a component is empty"),
                "." | ".." => return refuse("`.` and `..` lead elsewhere"),
                long if long.len() > 255 => return refuse("a component is longer than 255 bytes"),
                odd if odd.chars().any(char::is_control) => {
                    return refuse("it has a control character");
                }
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first component: the name that a reader sees in the root.
    pub fn top(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for OutputPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OutputPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<String> for OutputPath {
    type Error = BadPath;

    fn try_from(text: String) -> Result<Self, BadPath> {
        Self::parse(&text)
    }
}

impl From<OutputPath> for String {
    fn from(path: OutputPath) -> Self {
        path.0.as_ref().into()
    }
}

/// Mode and ownership of an output file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Permission bits, exact whatever the umask.
    pub mode: u32,
    /// The user id, if not ours.
    pub owner: Option<u32>,
    /// The group id, if not ours.
    pub group: Option<u32>,
}

/// One file, rendered.
#[derive(Clone)]
pub struct OutputFile {
    /// The content.
    pub bytes: Bytes,
    /// Mode and ownership.
    pub access: Access,
    /// The digest of the content.
    pub digest: Digest,
}

impl OutputFile {
    /// A file with its digest.
    pub fn new(bytes: Bytes, access: Access) -> Self {
        let digest = Digest::of(&bytes);
        Self { bytes, access, digest }
    }
}

impl fmt::Debug for OutputFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes, mode {:04o}>", self.bytes.len(), self.access.mode)
    }
}

/// Every output file of one view.
#[derive(Clone, Debug)]
pub struct Rendering {
    files: BTreeMap<OutputPath, OutputFile>,
    digest: Digest,
}

/// Two files at one path, or a path that is also a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Clash {
    /// The same path twice.
    #[error("two outputs for `{0}`: from {1} and from {2}")]
    Same(OutputPath, String, String),
    /// A file where another output needs a folder.
    #[error("`{0}` is a file (from {1}) and also the folder of `{2}` (from {3})")]
    Folder(OutputPath, String, OutputPath, String),
}

impl Rendering {
    /// Collects files; each comes with the words that name its origin in an error.
    pub fn collect(
        outputs: impl IntoIterator<Item = (OutputPath, OutputFile, String)>,
    ) -> Result<Self, Clash> {
        let mut files = BTreeMap::new();
        let mut origins: BTreeMap<OutputPath, String> = BTreeMap::new();
        for (path, file, origin) in outputs {
            if let Some(first) = origins.get(&path) {
                return Err(Clash::Same(path, first.clone(), origin));
            }
            origins.insert(path.clone(), origin);
            files.insert(path, file);
        }
        for (path, origin) in &origins {
            let mut parent = path.as_str();
            while let Some(cut) = parent.rfind('/') {
                parent = &parent[..cut];
                let above = OutputPath(parent.into());
                if let Some(other) = origins.get(&above) {
                    return Err(Clash::Folder(above, other.clone(), path.clone(), origin.clone()));
                }
            }
        }
        let digest = digest(files.iter().map(|(path, file)| (path, &file.access, &file.digest)));
        Ok(Self { files, digest })
    }

    /// The files by path.
    pub fn files(&self) -> &BTreeMap<OutputPath, OutputFile> {
        &self.files
    }

    /// The rendering digest: paths, modes, owners and bytes, not revisions.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Content bytes in all.
    pub fn size(&self) -> u64 {
        self.files.values().map(|file| file.bytes.len() as u64).sum()
    }
}

/// The digest over some files: paths, modes, owners and content.
pub fn digest<'a>(
    files: impl IntoIterator<Item = (&'a OutputPath, &'a Access, &'a Digest)>,
) -> Digest {
    let id = |id: Option<u32>| id.map_or(u64::MAX, u64::from).to_le_bytes();
    let mut builder = DigestBuilder::default();
    for (path, access, content) in files {
        builder
            .part(path.as_str().as_bytes())
            .part(&access.mode.to_le_bytes())
            .part(&id(access.owner))
            .part(&id(access.group))
            .part(content.as_bytes());
    }
    builder.finish()
}

#[cfg(test)]
mod properties;

//! `copy`: keys whose bytes become files, untouched.

use std::ops::Bound;

use globset::{GlobBuilder, GlobMatcher};
use imbl::ordmap::DiffItem;
use providers::Snapshot;

use super::{TemplateError, tree::subscript};
use crate::{
    config::shape,
    rendering::{Access, OutputFile, OutputPath},
    view::Complete,
};

/// A compiled `copy`.
pub(super) struct Copied {
    source: String,
    keys: Keys,
    to: String,
}

enum Keys {
    /// One key; `to` is the file.
    One(String),
    /// A glob; the part of each key before `cut` is dropped.
    Many { glob: GlobMatcher, cut: String },
}

impl Copied {
    /// Refuses what is no glob.
    pub(super) fn new(copy: &shape::Copy, to: &str) -> Result<Self, String> {
        let wild = copy.keys.find(['*', '?', '[', '{']);
        let keys = match wild {
            None => Keys::One(copy.keys.clone()),
            Some(at) => {
                let before = &copy.keys[..at];
                let cut = before.rfind('/').map_or("", |slash| &before[..=slash]).to_owned();
                let glob = GlobBuilder::new(&copy.keys).literal_separator(true).build();
                let glob =
                    glob.map_err(|error| format!("copy.keys is no glob: {}", error.kind()))?;
                Keys::Many { glob: glob.compile_matcher(), cut }
            }
        };
        Ok(Self { source: copy.source.clone(), keys, to: to.trim_end_matches('/').to_owned() })
    }

    /// The one file that it makes, if that can be known without keys.
    pub(super) fn known_path(&self) -> Option<&str> {
        matches!(self.keys, Keys::One(_)).then_some(self.to.as_str())
    }

    /// Whether the difference between two snapshots of a source concerns it.
    pub(super) fn is_affected(&self, source: &str, old: &Snapshot, new: &Snapshot) -> bool {
        if source != self.source || old.entries.ptr_eq(&new.entries) {
            return false;
        }
        old.entries.diff(&new.entries).any(|item| match item {
            DiffItem::Add(key, _)
            | DiffItem::Remove(key, _)
            | DiffItem::Update { new: (key, _), .. } => self.takes(key.as_str()),
        })
    }

    fn takes(&self, key: &str) -> bool {
        match &self.keys {
            Keys::One(one) => one == key,
            Keys::Many { glob, .. } => glob.is_match(key),
        }
    }

    /// The files, from the source's snapshot, each at most `limit` bytes.
    pub(super) fn files(
        &self,
        template: &str,
        view: &Complete,
        access: Access,
        limit: u64,
    ) -> Result<Vec<(OutputPath, OutputFile)>, TemplateError> {
        let refuse = |message: String| TemplateError::new(template, None, message);
        let Some(snapshot) = view.snapshots().get(&self.source) else { return Ok(Vec::new()) };
        let file = |path: &str, key: &str, value: &providers::Value| {
            if value.bytes().len() as u64 > limit {
                let key = subscript(&self.source, key);
                return Err(refuse(format!("{key} is larger than limits.file")));
            }
            let path = OutputPath::parse(path).map_err(|error| {
                refuse(format!("{} cannot be copied: {error}", subscript(&self.source, key)))
            })?;
            Ok((path, OutputFile::new(value.bytes().clone(), access)))
        };
        match &self.keys {
            Keys::One(key) => match snapshot.entries.get(key.as_str()) {
                Some(value) => Ok(vec![file(&self.to, key, value)?]),
                None => Err(refuse(format!("there is no {}", subscript(&self.source, key)))),
            },
            Keys::Many { glob, cut } => {
                let from = (Bound::Included(cut.as_str()), Bound::Unbounded);
                let below = snapshot.entries.range::<_, str>(from);
                let below = below.take_while(|(key, _)| key.as_str().starts_with(cut.as_str()));
                below
                    .filter(|(key, _)| glob.is_match(key.as_str()))
                    .map(|(key, value)| {
                        let rest = &key.as_str()[cut.len()..];
                        let path = match self.to.as_str() {
                            "" | "." => rest.to_owned(),
                            to => format!("{to}/{rest}"),
                        };
                        file(&path, key.as_str(), value)
                    })
                    .collect()
            }
        }
    }
}

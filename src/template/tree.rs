//! A source as templates see it: a tree over the `/` in its keys, read lazily.
//!
//! Owns how a path or a subscript finds a key. Every look is noted in [`Reads`].

use std::{fmt, ops::Bound, sync::Arc};

use minijinja::{
    Error, ErrorKind, Value,
    value::{Enumerator, Object},
};
use providers::{Entries, Key};

use super::{reads::Reads, trouble::Trouble};

/// The keys below a prefix of one source.
pub(super) struct Branch {
    source: Arc<str>,
    entries: Entries,
    /// Empty, or ends in `/`.
    prefix: String,
    reads: Arc<Reads>,
}

impl Branch {
    /// A whole source.
    pub(super) fn root(source: &str, entries: Entries, reads: Arc<Reads>) -> Self {
        Self { source: source.into(), entries, prefix: String::new(), reads }
    }

    /// What is at a path, and whether anything is below it.
    fn look(&self, name: &str) -> (String, Option<&providers::Value>, bool) {
        let path = format!("{}{name}", self.prefix);
        let folder = format!("{path}/");
        self.reads.key(&self.source, &path);
        self.reads.some_below(&self.source, &folder);
        let below = has_below(&self.entries, &folder);
        let value = self.entries.get(path.as_str());
        (path, value, below)
    }

    fn branch(&self, path: &str) -> Value {
        Value::from_object(Self {
            source: Arc::clone(&self.source),
            entries: self.entries.clone(),
            prefix: format!("{path}/"),
            reads: Arc::clone(&self.reads),
        })
    }

    fn text(&self, path: &str, value: &providers::Value) -> Value {
        match std::str::from_utf8(value.bytes()) {
            Ok(text) => Value::from(text),
            Err(_) => trouble(format!(
                "the value of {} is not UTF-8; only `copy` can carry it",
                subscript(&self.source, path)
            )),
        }
    }

    fn found(
        &self,
        name: &str,
        path: &str,
        value: Option<&providers::Value>,
        below: bool,
    ) -> Option<Value> {
        match (value, below) {
            (Some(value), _) => Some(self.text(path, value)),
            (None, true) => Some(self.branch(path)),
            (None, false) => {
                self.reads.missing(subscript(&self.source, path), name);
                None
            }
        }
    }
}

impl Object for Branch {
    /// A subscript is exact.
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let (path, value, below) = self.look(name);
        self.found(name, &path, value, below)
    }

    /// A path step: where it could mean the key or what is below it, the template must say which.
    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        let (path, value, below) = self.look(name);
        if value.is_some() && below {
            let exact = subscript(&self.source, &path);
            return Some(trouble(format!(
                "`{name}` is a key and has keys below it; write {exact} for the key, and {} for one below",
                subscript(&self.source, &format!("{path}/…"))
            )));
        }
        self.found(name, &path, value, below)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.reads.listed(&self.source, &self.prefix);
        let mut names: Vec<Value> = Vec::new();
        let mut folder = None;
        for (key, _) in from(&self.entries, &self.prefix) {
            let Some(rest) = key.as_str().strip_prefix(self.prefix.as_str()) else { break };
            let Some((name, _)) = rest.split_once('/') else {
                names.push(Value::from(rest));
                continue;
            };
            // A key of the same name has listed it, maybe with others (`a-b`) in between.
            let listed =
                || self.entries.contains_key(&key.as_str()[..self.prefix.len() + name.len()]);
            if folder != Some(name) && !listed() {
                names.push(Value::from(name));
            }
            folder = Some(name);
        }
        Enumerator::Values(names)
    }

    /// A tree that is printed as a whole shows its names, never its values by accident.
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Debug for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", subscript(&self.source, &self.prefix))
    }
}

/// Whether any key begins with a prefix.
pub(super) fn has_below(entries: &Entries, prefix: &str) -> bool {
    from(entries, prefix).next().is_some_and(|(key, _)| key.as_str().starts_with(prefix))
}

fn from<'a>(
    entries: &'a Entries,
    prefix: &str,
) -> impl Iterator<Item = (&'a Key, &'a providers::Value)> {
    entries.range::<_, str>((Bound::Included(prefix), Bound::Unbounded))
}

/// A key as a template writes it exactly.
pub(super) fn subscript(source: &str, path: &str) -> String {
    format!("{source}[{path:?}]")
}

/// A value that is an error as soon as it is used.
fn trouble(what: String) -> Value {
    Error::new(ErrorKind::InvalidOperation, "").with_source(Trouble(what)).into()
}

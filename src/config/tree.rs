//! The configuration file as a tree in which every node knows its line.
//!
//! Owns `${NAME}`. Must not know any key's meaning.

use std::ops::Range;

use super::mistake::Mistake;

/// Texts below these keys are taken as they are: templates, bodies and regular expressions are
/// full of dollar signs.
const LITERAL: [&str; 3] = ["inline", "body", "cmdline"];

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// The line that it begins at.
    pub(super) line: usize,
    /// The bytes of the file that made it.
    pub(super) bytes: Range<usize>,
    /// The text before variables were put in: all that may be shown of it, for a variable may hold
    /// a secret.
    pub(super) unexpanded: Option<String>,
    /// The value.
    pub(super) value: Value,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    /// Entries in the order of the file, each key with its line.
    Map(Vec<(String, usize, Node)>),
    /// A text whose variables are not set, which was told already.
    Lost,
}

impl Node {
    /// Puts environment variables in; every unset one is a mistake.
    pub(super) fn expand(
        &mut self,
        environment: &dyn Fn(&str) -> Option<String>,
        path: &str,
        mistakes: &mut Vec<Mistake>,
    ) {
        match &mut self.value {
            Value::Text(text) if text.contains("${") => match expand(text, environment) {
                Ok(expanded) => self.unexpanded = Some(std::mem::replace(text, expanded)),
                Err(what) => {
                    mistakes.push(Mistake::at(self.line, path, what));
                    self.value = Value::Lost;
                }
            },
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.expand(environment, &format!("{path}[{index}]"), mistakes);
                }
            }
            Value::Map(entries) => {
                for (key, _, node) in entries {
                    // A source may be called `body`.
                    let is_text = matches!(node.value, Value::Text(_));
                    if !(is_text && LITERAL.contains(&key.as_str())) {
                        node.expand(environment, &below(path, key), mistakes);
                    }
                }
            }
            _ => {}
        }
    }

    /// The value below a key, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(name, _, _)| name == key).map(|(_, _, node)| node)
    }

    /// The number or word as the file `text` has it: `0640`, not 640.
    pub(super) fn written<'a>(&self, text: &'a str) -> Option<&'a str> {
        let written = text.get(self.bytes.clone())?.trim();
        let word = !written.is_empty() && written.chars().all(|c| c.is_ascii_graphic());
        word.then_some(written)
    }
}

/// The path of a key below another.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn expand(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let name_on = &rest[at + 2..];
        let Some(end) = name_on.find('}') else {
            return Err("`${` without `}`; write `$${` for a literal one".to_owned());
        };
        let name = &name_on[..end];
        let value = environment(name).ok_or_else(|| {
            let literal = "or write `$${` for a literal `${`";
            format!("the environment variable `{name}` is not set; set it, {literal}")
        })?;
        out.push_str(&value);
        rest = &name_on[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

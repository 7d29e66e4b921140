//! The configuration file as a tree in which every node knows its line.
//!
//! Owns YAML and `${NAME}`. Must not know any key's meaning.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

use super::mistake::Mistake;

/// Strings below these keys are taken as they are: templates, bodies and regular expressions are
/// full of dollar signs.
const LITERAL: [&str; 3] = ["inline", "body", "cmdline"];

/// A value and the line it begins at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
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
}

/// Parses a file. YAML errors end it: after one nothing else can be judged.
pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    // Of the words that older YAML takes for booleans only `true` and `false` are left: `n` and `on`
    // are good file names.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |at| usize::try_from(at.line()).unwrap_or(1));
        // The rendered error quotes the file, which may hold a secret in an inline template.
        let what = error.without_snippet().to_string();
        let what = what.lines().next().unwrap_or("it cannot be read").to_owned();
        Mistake::at(line, "", format!("this is no YAML: {what}"))
    })
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
            Value::Text(text) if text.contains('$') => match expand(text, environment) {
                Ok(expanded) => *text = expanded,
                Err(what) => mistakes.push(Mistake::at(self.line, path, what)),
            },
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.expand(environment, &format!("{path}[{index}]"), mistakes);
                }
            }
            Value::Map(entries) => {
                for (key, _, node) in entries {
                    if !LITERAL.contains(&key.as_str()) {
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
            return Err("`${` without `}`; write $${ for a literal one".to_owned());
        };
        let name = &name_on[..end];
        let value = environment(name).ok_or_else(|| {
            format!("the environment variable `{name}` is not set; write $${{ for a literal one")
        })?;
        out.push_str(&value);
        rest = &name_on[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        let line = usize::try_from(spanned.referenced.line()).unwrap_or_default();
        Ok(Self { line, value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let number = serde_json::Number::from_f64(value);
        number.map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let line = usize::try_from(key.referenced.line()).unwrap_or_default();
            entries.push((key.value, line, access.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}

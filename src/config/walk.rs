//! Holds the file's tree against the JSON Schema: every unknown key, wrong type and wrong word at
//! once, each with its place.
//!
//! What is wrong gets a stand-in, so that one mistake neither hides the next nor makes another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Number, Value as Json};

use super::{
    format,
    kind::{expected, matches, mismatch, plain, retyped},
    mistake::{Mistake, nearest},
    schema::{self, is_null},
    tree::{Node, Value, below},
};

/// What a walk found.
pub(super) struct Walked {
    /// The file as the schema wants it, with stand-ins for what is wrong.
    pub(super) right: Json,
    /// The mistakes.
    pub(super) mistakes: Vec<Mistake>,
    /// The line of each path.
    pub(super) lines: BTreeMap<String, usize>,
    /// The paths of the stand-ins.
    pub(super) lost: BTreeSet<String>,
}

/// Walks the whole file; `text` is what it was read from.
pub(super) fn walk(root: &Node, schema: &Json, text: &str) -> Walked {
    let walked = Walked {
        right: Json::Null,
        mistakes: Vec::new(),
        lines: BTreeMap::new(),
        lost: BTreeSet::new(),
    };
    let mut walk = Walk { root: schema, text, walked };
    let right = walk.node(root, schema, "");
    Walked { right, ..walk.walked }
}

struct Walk<'a> {
    root: &'a Json,
    text: &'a str,
    walked: Walked,
}

impl<'a> Walk<'a> {
    fn node(&mut self, node: &Node, outer: &'a Json, path: &str) -> Json {
        self.walked.lines.insert(path.to_owned(), node.line);
        if node.value == Value::Lost {
            return self.stand_in(outer, path);
        }
        // A format stands beside the reference to the shape that it narrows.
        let format = outer.get("format").and_then(Json::as_str);
        let schema = self.resolve(outer);
        let variants = schema.get("anyOf").or_else(|| schema.get("oneOf"));
        let right = if let Some(variants) = variants.and_then(Json::as_array) {
            self.variants(node, format, variants, path)
        } else if let Some(words) = schema.get("enum").and_then(Json::as_array) {
            word(node, words)
        } else {
            self.typed(node, schema, path)
        };
        right.unwrap_or_else(|what| self.wrong(node.line, path, what, outer))
    }

    fn typed(&mut self, node: &Node, schema: &'a Json, path: &str) -> Result<Json, String> {
        if let Some(value) = retyped(node, schema) {
            return Ok(value);
        }
        if !matches(node, schema) {
            return Err(mismatch(node, schema, self.text));
        }
        match &node.value {
            Value::Null | Value::Lost => Ok(Json::Null),
            Value::Bool(value) => Ok(Json::Bool(*value)),
            Value::Number(number) => in_bounds(number, schema),
            Value::Text(text) => {
                let name = schema.get("format").and_then(Json::as_str);
                name.map_or(Ok(()), |name| formatted(node, name, text))?;
                Ok(Json::String(text.clone()))
            }
            Value::List(items) => self.list(items, schema, path),
            Value::Map(entries) => Ok(self.map(node, entries, schema, path)),
        }
    }

    fn resolve(&self, schema: &'a Json) -> &'a Json {
        schema::resolve(self.root, schema)
    }

    /// Takes the only variant whose type fits.
    fn variants(
        &mut self,
        node: &Node,
        format: Option<&str>,
        variants: &'a [Json],
        path: &str,
    ) -> Result<Json, String> {
        // Words with a description each come as one `const` for each variant.
        let words: Vec<Json> = variants.iter().filter_map(|it| it.get("const").cloned()).collect();
        if words.len() == variants.len() {
            return word(node, &words);
        }
        let fitting = variants.iter().find(|variant| {
            let variant = self.resolve(variant);
            let words = variant.get("enum").and_then(Json::as_array);
            words.map_or_else(|| matches(node, variant), |words| words.contains(&plain(node)))
        });
        let Some(variant) = fitting else {
            let resolved: Vec<_> = variants.iter().map(|variant| self.resolve(variant)).collect();
            let resolved: Vec<_> = resolved.into_iter().filter(|it| !is_null(it)).collect();
            if let [only] = resolved[..] {
                return Err(mismatch(node, only, self.text));
            }
            let words: Vec<_> = resolved.into_iter().map(expected).collect();
            return Err(format!("expected {}", words.join(" or ")));
        };
        if let (Value::Text(text), Some(name)) = (&node.value, format) {
            formatted(node, name, text)?;
        }
        Ok(self.node(node, variant, path))
    }

    fn list(&mut self, items: &[Node], schema: &'a Json, path: &str) -> Result<Json, String> {
        let bound = |key| schema.get(key).and_then(Json::as_u64);
        match (bound("minItems"), bound("maxItems"), items.len() as u64) {
            (Some(least), Some(most), count) if least == most && count != least => {
                return Err(format!("expected {least} parts, not {count}"));
            }
            (Some(_), _, 0) => return Err("it must not be empty".to_owned()),
            _ => {}
        }
        let each = schema.get("items").unwrap_or(&Json::Null);
        let items = items.iter().enumerate();
        let right = items.map(|(index, item)| self.node(item, each, &format!("{path}[{index}]")));
        Ok(Json::Array(right.collect()))
    }

    fn map(
        &mut self,
        node: &Node,
        entries: &[(String, usize, Node)],
        schema: &'a Json,
        path: &str,
    ) -> Json {
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        let mut right = Map::new();
        for (key, line, value) in entries {
            let known = schema.get("properties").and_then(|properties| properties.get(key));
            if let Some(schema) = known.or(others) {
                let value = self.node(value, schema, &below(path, key));
                right.insert(key.clone(), value);
                continue;
            }
            let meant = self.unknown(key, *line, schema, path);
            // What is below a misspelt key is judged as if it were spelt right.
            if let Some((key, schema)) = meant.filter(|(meant, _)| node.get(meant).is_none()) {
                let value = self.node(value, schema, &below(path, key));
                right.insert(key.to_owned(), value);
            }
        }
        for key in schema.get("required").and_then(Json::as_array).into_iter().flatten() {
            let key = key.as_str().unwrap_or_default();
            if !right.contains_key(key) {
                let what = format!("the key `{key}` is missing");
                self.walked.mistakes.push(Mistake::at(node.line, path, what));
                let value = self.stand_in(&schema["properties"][key], &below(path, key));
                right.insert(key.to_owned(), value);
            }
        }
        Json::Object(right)
    }

    /// Reports an unknown key; gives the known one that it looks like.
    fn unknown(
        &mut self,
        key: &str,
        line: usize,
        schema: &'a Json,
        path: &str,
    ) -> Option<(&'a str, &'a Json)> {
        let properties = schema.get("properties").and_then(Json::as_object)?;
        let names = properties.keys().map(String::as_str);
        let meant = nearest(key, names.clone());
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known are {}", names.collect::<Vec<_>>().join(", ")),
        };
        let what = format!("there is no such key; {hint}");
        self.walked.mistakes.push(Mistake::at(line, below(path, key), what));
        let (name, schema) = properties.get_key_value(meant?)?;
        Some((name.as_str(), schema))
    }

    fn wrong(&mut self, line: usize, path: &str, what: String, schema: &'a Json) -> Json {
        self.walked.mistakes.push(Mistake::at(line, path, what));
        self.stand_in(schema, path)
    }

    /// A value that the types take, in place of one that is wrong.
    fn stand_in(&mut self, schema: &'a Json, path: &str) -> Json {
        self.walked.lost.insert(path.to_owned());
        schema::example(self.root, schema)
    }
}

fn word(node: &Node, words: &[Json]) -> Result<Json, String> {
    let given = plain(node);
    if words.contains(&given) {
        return Ok(given);
    }
    let known: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
    let guess = given.as_str().and_then(|given| nearest(given, known.iter().copied()));
    let hint = guess.map(|guess| format!("; did you mean `{guess}`?")).unwrap_or_default();
    match known[..] {
        [only] => Err(format!("expected `{only}`")),
        _ => Err(format!("expected one of {}{hint}", known.join(", "))),
    }
}

fn in_bounds(number: &Number, schema: &Json) -> Result<Json, String> {
    let value = number.as_f64().unwrap_or_default();
    let bound = |key| schema.get(key).and_then(Json::as_f64);
    let widest = match schema.get("format").and_then(Json::as_str) {
        Some("uint16") => Some(f64::from(u16::MAX)),
        Some("uint32") => Some(f64::from(u32::MAX)),
        _ => None,
    };
    if let Some(least) = bound("minimum").filter(|least| value < *least) {
        return Err(format!("it is at least {least}"));
    }
    if let Some(most) = bound("maximum").or(widest).filter(|most| value > *most) {
        return Err(format!("it is at most {most}"));
    }
    Ok(Json::Number(number.clone()))
}

/// Checks a text; where variables were put in, only the text before that is shown.
fn formatted(node: &Node, name: &str, text: &str) -> Result<(), String> {
    format::check(name, text).map_err(|what| match &node.unexpanded {
        Some(before) if !text.is_empty() => what.replace(text, before),
        _ => what,
    })
}

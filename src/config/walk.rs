//! Holds the file's tree against the JSON Schema: every unknown key, wrong type and wrong word at
//! once, each with its place.
//!
//! What is right is given on as JSON, so that one mistake does not hide the next.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{
    format,
    mistake::{Mistake, nearest},
    tree::{Node, Value, below},
};

/// What a walk found.
pub(super) struct Walked {
    /// The file without what is wrong; none if nothing is left.
    pub(super) right: Option<Json>,
    /// The mistakes.
    pub(super) mistakes: Vec<Mistake>,
    /// The line of each path.
    pub(super) lines: BTreeMap<String, usize>,
}

/// Walks the whole file.
pub(super) fn walk(root: &Node, schema: &Json) -> Walked {
    let mut walk = Walk { root: schema, mistakes: Vec::new(), lines: BTreeMap::new() };
    let right = walk.node(root, schema, "");
    Walked { right, mistakes: walk.mistakes, lines: walk.lines }
}

struct Walk<'a> {
    root: &'a Json,
    mistakes: Vec<Mistake>,
    lines: BTreeMap<String, usize>,
}

impl<'a> Walk<'a> {
    fn node(&mut self, node: &Node, schema: &'a Json, path: &str) -> Option<Json> {
        self.lines.insert(path.to_owned(), node.line);
        // A format stands beside the reference to the shape that it narrows.
        let format = schema.get("format").and_then(Json::as_str);
        let schema = self.resolve(schema);
        if let Some(variants) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            return self.variants(node, format, variants.as_array()?, path);
        }
        if let Some(words) = schema.get("enum").and_then(Json::as_array) {
            return self.word(node, words, path);
        }
        if !matches(node, schema) {
            self.mistake(node.line, path, mismatch(node, schema));
            return None;
        }
        match &node.value {
            Value::Null => Some(Json::Null),
            Value::Bool(value) => Some(Json::Bool(*value)),
            Value::Number(number) => self.number(node, number, schema, path),
            Value::Text(text) => self.text(node, text, schema, path),
            Value::List(items) => Some(self.list(node, items, schema, path)),
            Value::Map(entries) => Some(self.map(node, entries, schema, path)),
        }
    }

    fn resolve(&self, schema: &'a Json) -> &'a Json {
        let mut schema = schema;
        while let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let pointer = reference.trim_start_matches('#');
            match self.root.pointer(pointer) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    /// Takes the only variant whose type fits.
    fn variants(
        &mut self,
        node: &Node,
        format: Option<&str>,
        variants: &'a [Json],
        path: &str,
    ) -> Option<Json> {
        // Words with a description each come as one `const` for each variant.
        let words: Vec<Json> = variants.iter().filter_map(|it| it.get("const").cloned()).collect();
        if words.len() == variants.len() {
            return self.word(node, &words, path);
        }
        let fits = |variant: &&&'a Json| {
            let variant = self.resolve(variant);
            let listed = variant.get("enum").and_then(Json::as_array);
            listed.map_or_else(|| matches(node, variant), |words| words.contains(&plain(node)))
        };
        let fitting: Vec<&'a Json> = variants.iter().collect();
        let fitting: Vec<_> = fitting.iter().filter(fits).copied().collect();
        let Some(variant) = fitting.first() else {
            let resolved = variants.iter().map(|variant| expected(self.resolve(variant)));
            let wanted: Vec<_> = resolved.filter(|it| it != "nothing").collect();
            self.mistake(node.line, path, format!("expected {}", wanted.join(" or ")));
            return None;
        };
        let right = self.node(node, variant, path)?;
        match (&right, format) {
            (Json::String(text), Some(name)) => {
                self.formatted(node, name, text, path).then_some(right)
            }
            _ => Some(right),
        }
    }

    fn word(&mut self, node: &Node, words: &[Json], path: &str) -> Option<Json> {
        let given = plain(node);
        if words.contains(&given) {
            return Some(given);
        }
        let known: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
        let guess = given.as_str().and_then(|given| nearest(given, known.iter().copied()));
        let hint = guess.map(|guess| format!("; did you mean `{guess}`?")).unwrap_or_default();
        self.mistake(node.line, path, format!("expected one of {}{hint}", known.join(", ")));
        None
    }

    fn number(
        &mut self,
        node: &Node,
        number: &serde_json::Number,
        schema: &Json,
        path: &str,
    ) -> Option<Json> {
        let value = number.as_f64().unwrap_or_default();
        let bound = |key| schema.get(key).and_then(Json::as_f64);
        if let Some(least) = bound("minimum").filter(|least| value < *least) {
            self.mistake(node.line, path, format!("it is at least {least}"));
            return None;
        }
        if let Some(most) = bound("maximum").filter(|most| value > *most) {
            self.mistake(node.line, path, format!("it is at most {most}"));
            return None;
        }
        Some(Json::Number(number.clone()))
    }

    fn text(&mut self, node: &Node, text: &str, schema: &Json, path: &str) -> Option<Json> {
        let name = schema.get("format").and_then(Json::as_str);
        let right = name.is_none_or(|name| self.formatted(node, name, text, path));
        right.then(|| Json::String(text.to_owned()))
    }

    fn formatted(&mut self, node: &Node, name: &str, text: &str, path: &str) -> bool {
        match format::check(name, text) {
            Ok(()) => true,
            Err(what) => {
                self.mistake(node.line, path, what);
                false
            }
        }
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &'a Json, path: &str) -> Json {
        let least = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        if (items.len() as u64) < least {
            self.mistake(node.line, path, "it must not be empty".to_owned());
        }
        let Some(each) = schema.get("items") else { return Json::Array(Vec::new()) };
        let right = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.node(item, each, &format!("{path}[{index}]")));
        Json::Array(right.collect())
    }

    fn map(
        &mut self,
        node: &Node,
        entries: &[(String, usize, Node)],
        schema: &'a Json,
        path: &str,
    ) -> Json {
        let nothing = Map::new();
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&nothing);
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        let mut right = Map::new();
        for (key, line, value) in entries {
            let at = below(path, key);
            // `properties` may be the empty map of this function, so it is looked up again.
            let known = schema.get("properties").and_then(|properties| properties.get(key));
            if let Some(schema) = known.or(others) {
                if let Some(value) = self.node(value, schema, &at) {
                    right.insert(key.clone(), value);
                }
            } else {
                let guess = nearest(key, properties.keys().map(String::as_str));
                let hint = if let Some(guess) = guess {
                    format!("; did you mean `{guess}`?")
                } else {
                    let known: Vec<_> = properties.keys().map(String::as_str).collect();
                    format!("; known are {}", known.join(", "))
                };
                self.mistake(*line, &at, format!("there is no such key{hint}"));
            }
        }
        for key in schema.get("required").and_then(Json::as_array).into_iter().flatten() {
            let key = key.as_str().unwrap_or_default();
            if !entries.iter().any(|(name, _, _)| name == key) {
                let what = format!("the key `{key}` is missing");
                self.mistake(node.line, path, what);
            }
        }
        Json::Object(right)
    }

    fn mistake(&mut self, line: usize, path: &str, what: String) {
        self.mistakes.push(Mistake::at(line, path, what));
    }
}

/// Whether a value has one of the types that a schema names.
fn matches(node: &Node, schema: &Json) -> bool {
    let is = |name: &str| match &node.value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => {
            name == "number" || (name == "integer" && (number.is_u64() || number.is_i64()))
        }
        Value::Text(_) => name == "string",
        Value::List(_) => name == "array",
        Value::Map(_) => name == "object",
    };
    match schema.get("type") {
        None => true,
        Some(Json::String(name)) => is(name),
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).any(is),
        Some(_) => false,
    }
}

/// What is wrong about a value's type, and what to write.
fn mismatch(node: &Node, schema: &Json) -> String {
    let hint = match (&node.value, schema.get("format").and_then(Json::as_str)) {
        (Value::Number(number), Some("mode")) => format!("; write it in quotes, \"0{number}\""),
        (Value::Number(number), Some("duration")) => format!("; write a unit, {number}s"),
        (Value::Number(number), Some("percent")) => format!("; write {number}%"),
        (Value::Number(_) | Value::Bool(_), _) => "; write it in quotes".to_owned(),
        _ => String::new(),
    };
    format!("expected {}{hint}", expected(schema))
}

fn expected(schema: &Json) -> String {
    let word = |name: &str| match name {
        "string" => "text",
        "object" => "a map",
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "null" => "nothing",
        _ => "a number",
    };
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        let words: Vec<_> = words.iter().filter_map(Json::as_str).collect();
        return words.join(" or ");
    }
    match schema.get("type") {
        Some(Json::String(name)) => word(name).to_owned(),
        Some(Json::Array(names)) => {
            let words = names.iter().filter_map(Json::as_str).map(word);
            words.filter(|it| *it != "nothing").collect::<Vec<_>>().join(" or ")
        }
        _ => "something else".to_owned(),
    }
}

/// A scalar as JSON.
fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => Json::Number(number.clone()),
        Value::Text(text) => Json::String(text.clone()),
        _ => Json::Null,
    }
}

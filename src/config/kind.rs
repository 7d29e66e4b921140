//! The types of values against the types that the schema names, and the words for both.

use serde_json::{Number, Value as Json};

use super::tree::{Node, Value};

/// Whether a value has one of the types that a schema names.
pub(super) fn matches(node: &Node, schema: &Json) -> bool {
    let is = |name: &str| match &node.value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => {
            name == "number" || (name == "integer" && (number.is_u64() || number.is_i64()))
        }
        Value::Text(_) => name == "string",
        Value::List(_) => name == "array",
        Value::Map(_) => name == "object",
        Value::Lost => true,
    };
    schema.get("type").is_none() || kinds(schema).any(is)
}

fn kinds(schema: &Json) -> impl Iterator<Item = &str> {
    let kind = schema.get("type");
    let list = kind.and_then(Json::as_array).into_iter().flatten();
    list.chain(kind.filter(|kind| kind.is_string())).filter_map(Json::as_str)
}

/// A variable's value is text; where the schema wants a number or a truth it is read as one.
pub(super) fn retyped(node: &Node, schema: &Json) -> Option<Json> {
    let Value::Text(text) = &node.value else { return None };
    if node.unexpanded.is_none() || matches(node, schema) {
        return None;
    }
    let value: Json = serde_json::from_str(text).ok()?;
    kinds(schema)
        .any(|kind| match kind {
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            _ => false,
        })
        .then_some(value)
}

/// What is wrong about a value's type, and what to write; `text` is the whole file.
pub(super) fn mismatch(node: &Node, schema: &Json, text: &str) -> String {
    let wants = |kind: &str| kinds(schema).any(|it| it == kind);
    let format = schema.get("format").and_then(Json::as_str);
    let written = node.written(text);
    let hint = match (&node.value, written) {
        (Value::Null, _) => "; it has no value".to_owned(),
        (Value::Number(number), written) if wants("string") => {
            let number = written.map_or_else(|| number.to_string(), str::to_owned);
            match format {
                Some("mode") => format!("; write it in quotes, \"{}\"", octal(&number)),
                Some("duration") => format!("; write a unit, {number}s"),
                Some("percent") => format!("; write {number}%"),
                Some("listen") => format!("; write 0.0.0.0:{number}"),
                _ => format!("; write it in quotes, \"{number}\""),
            }
        }
        (Value::Bool(_), Some(written)) if wants("string") => {
            format!("; write it in quotes, \"{written}\"")
        }
        (Value::Text(word), _) if wants("boolean") => match word.as_str() {
            "yes" | "on" | "y" | "True" | "TRUE" => "; write true".to_owned(),
            "no" | "off" | "n" | "False" | "FALSE" => "; write false".to_owned(),
            _ => String::new(),
        },
        (Value::Text(digits), _)
            if wants("integer") && digits.parse::<Number>().is_ok() && written.is_some() =>
        {
            "; drop the quotes".to_owned()
        }
        (Value::Map(_), _) if wants("array") => "; begin each of its parts with `- `".to_owned(),
        (Value::Text(_) | Value::Number(_), _) if wants("array") => "; put it in [ ]".to_owned(),
        _ => String::new(),
    };
    format!("expected {}{hint}", expected(schema))
}

/// A mode as it is written in quotes; of what is no mode, an example.
fn octal(number: &str) -> String {
    let digits = number.trim_start_matches("0o").trim_start_matches('0');
    let is_mode = digits.len() == 3 && digits.chars().all(|c| c.is_digit(8));
    if is_mode { format!("0{digits}") } else { "0640".to_owned() }
}

/// What a schema wants, in words.
pub(super) fn expected(schema: &Json) -> String {
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        let words: Vec<_> = words.iter().filter_map(Json::as_str).collect();
        return words.join(" or ");
    }
    let keys = schema.get("properties").and_then(Json::as_object);
    let keys: Vec<_> = keys.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    let words = kinds(schema).filter_map(|name| match name {
        "null" => None,
        "string" => Some("text".to_owned()),
        "object" if (1..=5).contains(&keys.len()) => {
            Some(format!("a map with {}", keys.join(", ")))
        }
        "object" => Some("a map".to_owned()),
        "array" => Some("a list".to_owned()),
        "boolean" => Some("true or false".to_owned()),
        "integer" => Some("a whole number".to_owned()),
        _ => Some("a number".to_owned()),
    });
    words.collect::<Vec<_>>().join(" or ")
}

/// A scalar as JSON.
pub(super) fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => Json::Number(number.clone()),
        Value::Text(text) => Json::String(text.clone()),
        _ => Json::Null,
    }
}

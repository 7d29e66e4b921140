//! The JSON Schema of the file, made from the types; for editors, and for the walk.

use serde_json::Value;

use super::{Config, format};

/// The schema for editors: our own formats as patterns, which every tool knows.
pub fn schema() -> Value {
    let mut schema = with_formats();
    patterns(&mut schema);
    schema
}

/// The schema for the walk: with our own formats.
pub(super) fn with_formats() -> Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    schema["title"] = "Rehup's configuration".into();
    schema
}

fn patterns(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            // A property may be called `format` too; then it is a schema itself.
            let name = members.get("format").and_then(Value::as_str).map(str::to_owned);
            if let Some(name) = name.filter(|name| format::example(name).is_some()) {
                members.remove("format");
                members.extend(format::pattern(&name).map(|it| ("pattern".to_owned(), it.into())));
            }
            members.values_mut().for_each(patterns);
        }
        Value::Array(items) => items.iter_mut().for_each(patterns),
        _ => {}
    }
}

/// The schema that a reference stands for.
pub(super) fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    while let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        match root.pointer(reference.trim_start_matches('#')) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// Whether only `null` is allowed.
pub(super) fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

/// A value that a schema allows: the default, or the least that is complete.
pub(super) fn example(root: &Value, schema: &Value) -> Value {
    if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
        return default.clone();
    }
    let format = schema.get("format").and_then(Value::as_str);
    if let Some(example) = format.and_then(format::example) {
        return example.into();
    }
    let schema = resolve(root, schema);
    let variants = schema.get("anyOf").or_else(|| schema.get("oneOf"));
    if let Some(variants) = variants.and_then(Value::as_array) {
        let some = variants.iter().find(|variant| !is_null(variant));
        return some.map_or(Value::Null, |variant| example(root, variant));
    }
    let words = schema.get("enum").and_then(|words| words.get(0));
    if let Some(word) = schema.get("const").or(words) {
        return word.clone();
    }
    let kind = schema.get("type").map(|kind| kind.get(0).unwrap_or(kind));
    match kind.and_then(Value::as_str) {
        Some("string") => "lost".into(),
        Some("boolean") => false.into(),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| 0.into()),
        Some("array") => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or_default();
            (0..least).map(|_| example(root, &schema["items"])).collect()
        }
        Some("object") => {
            let keys = schema.get("required").and_then(Value::as_array);
            let keys = keys.into_iter().flatten().filter_map(Value::as_str);
            let entry = |key: &str| (key.to_owned(), example(root, &schema["properties"][key]));
            Value::Object(keys.map(entry).collect())
        }
        _ => Value::Null,
    }
}

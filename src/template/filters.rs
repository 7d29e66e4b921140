//! Filters for what configurations need, beside the engine's own.
//!
//! Each is pure; no message quotes its input.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minijinja::{Environment, Error, ErrorKind, State, Value, value::ValueKind};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::trouble::Trouble;

/// Adds them, and takes away what is not the same each time or shows more than it should.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_filter("fromjson", fromjson);
    environment.add_filter("fromyaml", fromyaml);
    environment.add_filter("fromtoml", fromtoml);
    environment.add_filter("tojson", tojson);
    environment.add_filter("toyaml", toyaml);
    environment.add_filter("totoml", totoml);
    environment.add_filter("b64encode", b64encode);
    environment.add_filter("b64decode", b64decode);
    environment.add_filter("sha256", sha256);
    environment.add_filter("shquote", shquote);
    environment.add_filter("nginxquote", nginxquote);
    environment.add_filter("envquote", envquote);
    environment.remove_global("debug");
    environment.remove_filter("pprint");
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, "").with_source(Trouble(what.into()))
}

/// The text of a filter's input; a missing key is told as one.
fn text<'a>(filter: &str, value: &'a Value) -> Result<&'a str, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    value.as_str().ok_or_else(|| wrong(format!("{filter}: it takes text")))
}

/// The text of something to parse, paid for beforehand: parsed it takes many times its length.
fn parsable<'a>(filter: &str, state: &State<'_, '_>, value: &'a Value) -> Result<&'a str, Error> {
    let text = text(filter, value)?;
    state.consume_fuel(text.len() as u64 / 4)?;
    Ok(text)
}

fn fromjson(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let parsed: Json =
        serde_json::from_str(parsable("fromjson", state, value)?).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            wrong(format!("fromjson: the text is no JSON at its line {line}, column {column}"))
        })?;
    to_value(state, parsed)
}

fn fromyaml(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let parsed: Json =
        serde_saphyr::from_str(parsable("fromyaml", state, value)?).map_err(|error| {
            let line = error.location().map_or(1, |at| at.line());
            wrong(format!("fromyaml: the text is no YAML at its line {line}"))
        })?;
    to_value(state, parsed)
}

fn fromtoml(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let parsed: toml::Table = toml::from_str(parsable("fromtoml", state, value)?)
        .map_err(|_| wrong("fromtoml: the text is no TOML"))?;
    let parsed = serde_json::to_value(parsed).map_err(|_| wrong("fromtoml: too deep"))?;
    to_value(state, parsed)
}

fn tojson(value: &Value, indent: Option<usize>) -> Result<String, Error> {
    let json = to_json("tojson", value)?;
    let printed = match indent {
        None | Some(0) => serde_json::to_string(&json),
        Some(_) => serde_json::to_string_pretty(&json),
    };
    printed.map_err(|_| wrong("tojson: this cannot be JSON"))
}

fn toyaml(value: &Value) -> Result<String, Error> {
    let json = to_json("toyaml", value)?;
    let yaml = serde_saphyr::to_string(&json).map_err(|_| wrong("toyaml: this cannot be YAML"))?;
    Ok(yaml.trim_end_matches('\n').to_owned())
}

fn totoml(value: &Value) -> Result<String, Error> {
    let json = to_json("totoml", value)?;
    let toml = toml::to_string(&json).map_err(|_| {
        wrong("totoml: this cannot be TOML; the outermost must be a map, without null")
    })?;
    Ok(toml.trim_end_matches('\n').to_owned())
}

fn b64encode(value: &Value) -> Result<String, Error> {
    Ok(STANDARD.encode(text("b64encode", value)?))
}

fn b64decode(value: &Value) -> Result<String, Error> {
    let input = text("b64decode", value)?;
    let bytes =
        STANDARD.decode(input.trim()).map_err(|_| wrong("b64decode: the text is no base64"))?;
    String::from_utf8(bytes).map_err(|_| wrong("b64decode: what is inside is not UTF-8"))
}

fn sha256(value: &Value) -> Result<String, Error> {
    let digest = Sha256::digest(text("sha256", value)?.as_bytes());
    let hex = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    Ok(digest.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]).collect())
}

/// For a shell: one word, whatever it holds.
fn shquote(value: &Value) -> Result<String, Error> {
    let input = text("shquote", value)?;
    if input.contains('\0') {
        return Err(wrong("shquote: a shell word cannot hold a NUL byte"));
    }
    Ok(format!("'{}'", input.replace('\'', "'\\''")))
}

/// For nginx: one parameter. nginx has no way to write a `$` that is not a variable.
fn nginxquote(value: &Value) -> Result<String, Error> {
    let input = text("nginxquote", value)?;
    if input.contains(['\0', '$']) {
        return Err(wrong("nginxquote: nginx cannot take a `$` or a NUL byte as data"));
    }
    Ok(format!("\"{}\"", input.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// For an environment file as systemd, dotenv and a shell read it: one line.
fn envquote(value: &Value) -> Result<String, Error> {
    let input = text("envquote", value)?;
    if input.chars().any(|c| c.is_control() && c != '\t') {
        return Err(wrong(
            "envquote: a line of an environment file cannot hold control characters",
        ));
    }
    let mut quoted = String::from("\"");
    for c in input.chars() {
        if "\\\"$`".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    Ok(quoted)
}

fn to_json(filter: &str, value: &Value) -> Result<Json, Error> {
    if value.kind() == ValueKind::Undefined {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    serde_json::to_value(value).map_err(|_| wrong(format!("{filter}: this cannot be written")))
}

/// Each list and map is paid for: `[[],[]]` takes some thirty times its text. Their items and all
/// text are paid for by the engine.
fn to_value(state: &State<'_, '_>, json: Json) -> Result<Value, Error> {
    Ok(match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(value),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Value::from(number),
            (_, Some(number), _) => Value::from(number),
            (_, _, number) => Value::from(number.unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text),
        Json::Array(items) => {
            state.consume_fuel(1 + items.len() as u64 / 2)?;
            let items = items.into_iter().map(|item| to_value(state, item));
            Value::from(items.collect::<Result<Vec<_>, _>>()?)
        }
        Json::Object(map) => {
            state.consume_fuel(1 + map.len() as u64)?;
            let pairs = map.into_iter().map(|(key, item)| Ok((key, to_value(state, item)?)));
            Value::from_pairs(pairs.collect::<Result<Vec<_>, Error>>()?)
        }
    })
}

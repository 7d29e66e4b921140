//! From YAML text to a tree of [`Node`]s.
//!
//! Owns the parser, its budget and the words of its errors. Must not know any key's meaning.

use std::{fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Error, Location, MessageFormatter as _, Spanned, UserMessageFormatter};

use super::{
    mistake::Mistake,
    tree::{Node, Value},
};

/// Lists and maps in each other: the file has eight at most, but `equals` takes any value. Each
/// costs the parser some 30 KiB of stack in a build without optimisation.
const DEPTH: usize = 24;

/// Parses a file. A YAML error ends it: after one nothing else can be judged.
pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    // Of the words that older YAML takes for booleans only `true` and `false` are left: `n` and `on`
    // are good file names.
    let budget = serde_saphyr::budget! { max_depth: DEPTH };
    let options = serde_saphyr::options! { strict_booleans: true, budget: budget };
    let root: Node = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| refusal(text, &error))?;
    match root.value {
        Value::Null => {
            Err(Mistake::at(1, "", "the file is empty; it needs `sources` and `templates`"))
        }
        _ => Ok(root),
    }
}

/// What is wrong, without a quotation of the file: it may hold a secret in an inline template.
fn refusal(text: &str, error: &Error) -> Mistake {
    let mut inner = error;
    while let Error::AliasError { error, .. } | Error::WithSnippet { error, .. } = inner {
        inner = error;
    }
    let line = error.location().map_or(1, line_of);
    let what = match inner {
        Error::MultipleDocuments { .. } => {
            "there is a second document; drop the line `---` and what follows".to_owned()
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` is there twice, a duplicate; drop one")
        }
        Error::Budget { .. } => "it is too deep or too large, maybe by its aliases".to_owned(),
        other => {
            let message = UserMessageFormatter.format_message(other);
            let at_line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
            let hint = match () {
                () if at_line.contains("${") => "; put a text with `${` in quotes",
                () if at_line.contains("{{") => "; put a text with `{{` in quotes",
                () => "",
            };
            let message = message.replace(char::is_control, " ");
            format!("this is no YAML: {message}{hint}")
        }
    };
    Mistake::at(line, "", what)
}

fn line_of(at: Location) -> usize {
    usize::try_from(at.line()).unwrap_or_default().max(1)
}

/// The bytes of the file that made a value; an empty range where that is not known.
fn bytes_of(at: Location) -> Range<usize> {
    let span = at.span();
    let number = |number: Option<_>| number.and_then(|it| usize::try_from(it).ok());
    let begin = number(span.byte_offset()).unwrap_or_default();
    begin..begin + number(span.byte_len()).unwrap_or_default()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            line: line_of(spanned.referenced),
            bytes: bytes_of(spanned.defined),
            unexpanded: None,
            value: spanned.value,
        })
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
            let line = line_of(key.referenced);
            let value: Node = access.next_value()?;
            // A map begins below its key, but the key is what people look for.
            entries.push((key.value, line, Node { line, ..value }));
        }
        Ok(Value::Map(entries))
    }
}

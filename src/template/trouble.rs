//! What went wrong in a template, in words that never hold a value.
//!
//! The engine's own messages may quote operands, so only their kind is told.

use minijinja::{Error, ErrorKind};

/// A message of ours, which holds no value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Trouble(pub(super) String);

/// The words for an engine's error, and the deepest template and line that it names. `undefined`
/// has the words for what is not defined at a template's line.
pub(super) fn describe(
    error: &Error,
    undefined: impl Fn(Option<&str>, Option<usize>) -> Option<String>,
) -> (String, Option<String>, Option<usize>) {
    let mut deepest = error;
    let mut ours = None;
    let mut next = std::error::Error::source(error);
    while let Some(below) = next {
        if let Some(trouble) = below.downcast_ref::<Trouble>() {
            ours = Some(trouble.0.clone());
        }
        if let Some(below) = below.downcast_ref::<Error>() {
            deepest = below;
        }
        next = below.source();
    }
    let (name, line) = if deepest.line().is_some() {
        (deepest.name(), deepest.line())
    } else {
        (error.name(), error.line())
    };
    let words = ours.unwrap_or_else(|| words(deepest, undefined(name, line)));
    (words, name.map(str::to_owned), line)
}

fn words(error: &Error, undefined: Option<String>) -> String {
    match error.kind() {
        ErrorKind::UndefinedError => {
            undefined.unwrap_or_else(|| "something is not defined".to_owned())
        }
        // It quotes the template and nothing else.
        ErrorKind::SyntaxError => format!("syntax error: {}", error.detail().unwrap_or_default()),
        ErrorKind::TemplateNotFound => {
            "there is no such template; include one by its file name or its `to`".to_owned()
        }
        // Written ones are found when compiling; these were computed, maybe from a value.
        ErrorKind::UnknownFilter => "there is no filter of that computed name".to_owned(),
        ErrorKind::UnknownTest => "there is no test of that computed name".to_owned(),
        ErrorKind::UnknownFunction => "there is no such function".to_owned(),
        ErrorKind::UnknownMethod => "there is no such method".to_owned(),
        ErrorKind::OutOfFuel => "it took more than limits.fuel allows".to_owned(),
        ErrorKind::WriteFailure => "its output is larger than limits.file".to_owned(),
        ErrorKind::InvalidOperation => "an operation or filter does not fit its input".to_owned(),
        kind => format!("{kind:?}: an operation or filter does not fit its input"),
    }
}

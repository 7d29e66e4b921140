//! Whether an output parses as the format that its template claims.
//!
//! Must not repeat content: an error holds a place in the output and nothing else.

use serde::de::IgnoredAny;

use crate::config::shape::Format;

/// An output that does not parse as its `format`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output is not {format}{}", place(*.at))]
pub struct NotParsed {
    /// The format's name.
    pub format: &'static str,
    /// Line and column in the output, both from 1, where the parser tells.
    pub at: Option<(u64, u64)>,
}

fn place(at: Option<(u64, u64)>) -> String {
    at.map(|(line, column)| format!(": line {line}, column {column}")).unwrap_or_default()
}

/// Checks that `output` parses as `format`.
pub fn check(format: Format, output: &str) -> Result<(), NotParsed> {
    let (format, failed) = match format {
        Format::Json => ("JSON", json(output)),
        Format::Yaml => ("YAML", yaml(output)),
        Format::Toml => ("TOML", toml(output)),
    };
    failed.map_or(Ok(()), |at| Err(NotParsed { format, at }))
}

fn json(output: &str) -> Option<Option<(u64, u64)>> {
    let error = serde_json::from_str::<IgnoredAny>(output).err()?;
    Some(Some((error.line() as u64, error.column() as u64)))
}

fn yaml(output: &str) -> Option<Option<(u64, u64)>> {
    let error = serde_saphyr::from_multiple::<IgnoredAny>(output).err()?;
    Some(error.location().map(|at| (at.line(), at.column())))
}

fn toml(output: &str) -> Option<Option<(u64, u64)>> {
    let error = toml::from_str::<toml::Table>(output).err()?;
    let before = error.span().and_then(|span| output.get(..span.start));
    Some(before.map(|before| {
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line as u64, column as u64)
    }))
}

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
    let (format, parsed) = match format {
        Format::Json => ("JSON", json(output)),
        Format::Yaml => ("YAML", yaml(output)),
        Format::Toml => ("TOML", toml(output)),
    };
    parsed.map_err(|at| NotParsed { format, at })
}

/// Where a parser stopped, if it tells.
type Place = Option<(u64, u64)>;

fn json(output: &str) -> Result<(), Place> {
    let place = |error: serde_json::Error| Some((error.line() as u64, error.column() as u64));
    serde_json::from_str::<IgnoredAny>(output).map(drop).map_err(place)
}

fn yaml(output: &str) -> Result<(), Place> {
    let place = |error: serde_saphyr::Error| error.location().map(|at| (at.line(), at.column()));
    serde_saphyr::from_multiple::<IgnoredAny>(output).map(drop).map_err(place)
}

fn toml(output: &str) -> Result<(), Place> {
    let place = |error: toml::de::Error| {
        let before = output.get(..error.span()?.start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((line as u64, column as u64))
    };
    toml::from_str::<toml::Table>(output).map(drop).map_err(place)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(format: Format, output: &str, expected: &str) {
        let error = check(format, output).expect_err(output).to_string();
        assert_eq!(error, format!("the output is not {expected}"));
    }

    #[test]
    fn what_parses_is_accepted() {
        for (format, output) in [
            (Format::Json, "{\"a\": [1, null]}\n"),
            (Format::Yaml, "a: 1\n---\nb: [2]\n---\n- c\n"),
            (Format::Yaml, "a: &x {b: 1}\nc: *x\n"),
            (Format::Toml, "a = 1\n[b]\nc = \"d\"\n"),
        ] {
            assert_eq!(check(format, output), Ok(()), "{output}");
        }
    }

    #[test]
    fn what_does_not_parse_is_refused_with_its_place_and_without_its_content() {
        refused(Format::Json, "{\n  \"a\": s3cret }", "JSON: line 2, column 8");
        refused(Format::Json, "{} {}", "JSON: line 1, column 4");
        refused(Format::Toml, "a = 1\nb = s3cret\n", "TOML: line 2, column 5");
        let error = check(Format::Yaml, "a: 1\nb: [s3cret\n").expect_err("an open list");
        assert!(error.at.is_some() && !error.to_string().contains("s3cret"), "{error}");
    }
}

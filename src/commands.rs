//! The commands beside `run`: each does one thing and ends.

#![expect(clippy::print_stdout, reason = "a command's answer goes to standard output")]

pub mod check;
pub mod once;
pub mod render;
pub mod status;

mod first;

use std::io::Write as _;

use crate::exit::Failure;

/// `rehup schema`.
pub fn print_schema(schema: &serde_json::Value) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(schema)?)?)
}

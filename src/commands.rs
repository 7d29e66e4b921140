//! The commands beside `run`: each does one thing and ends.

#![expect(clippy::print_stdout, reason = "a command's answer goes to standard output")]

pub mod check;
pub mod once;
pub mod render;
pub mod status;

mod first;

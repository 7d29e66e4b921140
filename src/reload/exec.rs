//! Reload by a program: a list of words, with a deadline.

use std::time::Duration;

use super::attempt::{Class, Report};
use crate::{
    command::{self, Ended, LeftBehind},
    rendering::OutputPath,
};

/// Runs the program to its end or its deadline; it is told generation and changed files.
pub(super) async fn run(
    words: &[String],
    timeout: Duration,
    generation: u64,
    changed: &[OutputPath],
) -> Report {
    let paths: Vec<&str> = changed.iter().map(OutputPath::as_str).collect();
    let told = [("REHUP_GENERATION", generation.to_string()), ("REHUP_CHANGED", paths.join("\n"))];
    match command::run(words, &told, timeout, LeftBehind::Kept).await {
        Ended::Exited(status) if status.success() => Report::new(Class::Confirmed, "exit status 0"),
        Ended::Exited(status) => Report::new(Class::SaidNo, status.to_string()),
        Ended::Deadline => Report::new(Class::CannotKnow, format!("no end within {timeout:?}")),
        Ended::NotStarted(error) => {
            let program = words.first().map_or("", String::as_str);
            Report::new(Class::Misconfigured, format!("cannot start {program}: {error}"))
        }
    }
}

//! How the process may end, and with which code.

use std::process::ExitCode;

use crate::chain::chain;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// Something went wrong while running: exit code 1.
    Running(Box<dyn std::error::Error + Send + Sync>),
    /// The configuration is wrong, one line for each mistake: exit code 78.
    Config(Vec<String>),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Running(Box::new(error))
    }
}

impl Failure {
    /// A failure that is a sentence.
    pub fn running(message: impl Into<String>) -> Self {
        Self::Running(message.into().into())
    }

    /// The lines to print, once.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Running(error) => vec![chain(&**error)],
            Self::Config(mistakes) => mistakes.clone(),
        }
    }

    /// 1, or 78 as in `sysexits.h` for a wrong configuration.
    pub fn code(&self) -> ExitCode {
        match self {
            Self::Running(_) => ExitCode::from(1),
            Self::Config(_) => ExitCode::from(78),
        }
    }
}

//! The text formats that the schema names: what each allows, and what to write instead.

use nix::sys::signal::Signal;
use providers::settings::{duration, size};

use super::{
    mistake::nearest,
    shape::{Mode, Percent},
};

/// Checks a text against a format of the schema; an unknown format allows everything.
pub(super) fn check(name: &str, text: &str) -> Result<(), String> {
    match name {
        "duration" => duration::parse(text).map(drop),
        "size" => size::parse(text).map(drop),
        "mode" => Mode::try_from(text.to_owned()).map(drop),
        "percent" => Percent::try_from(text.to_owned()).map(drop),
        "glob" => glob(text),
        "regex" => regex_lite::Regex::new(text).map(drop).map_err(|error| error.to_string()),
        "signal" => signal(text),
        "url" => url(text),
        _ => Ok(()),
    }
}

fn glob(text: &str) -> Result<(), String> {
    globset::Glob::new(text).map(drop).map_err(|error| format!("this is no glob: {}", error.kind()))
}

fn signal(text: &str) -> Result<(), String> {
    match text.parse() {
        Ok(Signal::SIGKILL | Signal::SIGSTOP) => {
            Err(format!("no process can catch {text}; a reload signal is SIGHUP, SIGUSR1, SIGUSR2"))
        }
        Ok(_) => Ok(()),
        Err(_) => {
            let full = format!("SIG{}", text.trim_start_matches("SIG").to_uppercase());
            let guess = nearest(&full, Signal::iterator().map(Signal::as_str));
            let hint = guess.map(|guess| format!("; did you mean {guess}?")).unwrap_or_default();
            Err(format!("`{text}` is no signal{hint}"))
        }
    }
}

fn url(text: &str) -> Result<(), String> {
    let http = ["http://", "https://"].iter().any(|scheme| {
        let host = text.strip_prefix(scheme).and_then(|rest| rest.split(['/', '?']).next());
        host.is_some_and(|host| !host.is_empty())
    });
    let unix = text.strip_prefix("unix://").is_some_and(|rest| rest.starts_with('/'));
    if http && reqwest::Url::parse(text).is_ok() || unix {
        return Ok(());
    }
    Err(format!(
        "`{text}` is no URL to call; write http://, https:// or unix:///path/to/socket:/request/path"
    ))
}

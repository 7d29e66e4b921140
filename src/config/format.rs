//! The text formats that the schema names: what each allows, and what to write instead.

use std::{net::SocketAddr, time::Duration};

use nix::sys::signal::Signal;
use providers::settings::{duration, size};
use reqwest::Url;

use super::{
    mistake::nearest,
    shape::{Mode, Percent, StatusRange},
};

/// Longer than this is a slip, and no clock has room for much more.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Checks a text against a format of the schema; an unknown format allows everything.
pub(super) fn check(name: &str, text: &str) -> Result<(), String> {
    match name {
        "duration" => match duration::parse(text)? {
            long if long > LONGEST => Err(format!("`{text}` is longer than a year")),
            _ => Ok(()),
        },
        "size" => size::parse(text).map(drop),
        "mode" => Mode::try_from(text.to_owned()).map(drop),
        "percent" => Percent::try_from(text.to_owned()).map(drop),
        "status" => StatusRange::try_from(serde_json::Value::from(text)).map(drop),
        "glob" => glob(text),
        "regex" => regex_lite::Regex::new(text)
            .map(drop)
            .map_err(|error| format!("this is no regular expression: {error}")),
        "signal" => signal(text),
        "listen" => listen(text),
        "url" if text.starts_with("unix:") => socket(text),
        "url" => url(text, "http://, https:// or unix:///path/to/socket:/request/path"),
        "http-url" => url(text, "http:// or https://, a host and a port"),
        _ => Ok(()),
    }
}

/// A text that a format allows.
pub(super) fn example(name: &str) -> Option<&'static str> {
    Some(match name {
        "duration" => "1s",
        "size" => "1MiB",
        "mode" => "0644",
        "percent" => "50%",
        "status" => "200",
        "signal" => "SIGHUP",
        "listen" => "127.0.0.1:9533",
        "url" | "http-url" => "http://localhost",
        "glob" => "**",
        "regex" => "lost",
        _ => return None,
    })
}

/// The same format as a pattern that any editor knows; variables are allowed, for they are put in
/// before a format is checked.
pub(super) fn pattern(name: &str) -> Option<String> {
    let pattern = match name {
        "duration" => r"^([0-9]+(\.[0-9]+)? ?[a-zA-Zµ]+ ?)+$|^0$",
        "size" => r"^[0-9]+ ?(B|KiB|MiB|GiB)?$",
        "mode" => "^0?[0-7]{3}$",
        "percent" => "^([0-9]{1,2}|100)%$",
        "status" => "^[1-5][0-9]{2}( ?- ?[1-5][0-9]{2})?$",
        "signal" => "^SIG[A-Z0-9]+$",
        "listen" => r"^[0-9a-fA-F.:\[\]]+:[0-9]+$",
        "url" => "^(https?|unix)://.+$",
        "http-url" => "^https?://.+$",
        _ => return None,
    };
    Some(format!(r"{pattern}|\$\{{"))
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
            let upper = text.to_uppercase();
            let full = format!("SIG{}", upper.trim_start_matches("SIG"));
            let guess = nearest(&full, Signal::iterator().map(Signal::as_str));
            Err(match guess {
                Some(guess) => format!("`{text}` is no signal; did you mean {guess}?"),
                None => format!("`{text}` is no signal; write SIGHUP, SIGUSR1 or SIGUSR2"),
            })
        }
    }
}

fn listen(text: &str) -> Result<(), String> {
    if text.parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(9533);
    Err(format!(
        "`{text}` is no address to listen at; write a numeric one with a port, 0.0.0.0:{port}"
    ))
}

fn socket(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("unix://").unwrap_or_default();
    let socket = rest.split_once(":/").map_or(rest, |(socket, _)| socket);
    if socket.len() > 1 && socket.starts_with('/') {
        return Ok(());
    }
    Err(format!("`{text}` names no socket; write unix:///path/to/socket:/request/path"))
}

fn url(text: &str, write: &str) -> Result<(), String> {
    let slashes = text.starts_with("http://") || text.starts_with("https://");
    let host = text.split(['/', '?', '#']).nth(2).unwrap_or_default();
    match Url::parse(text) {
        // It would be seen in logs and on the status page.
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("it has a user or password; put them into a file, and name the file".to_owned())
        }
        Ok(_) if slashes && !host.is_empty() => Ok(()),
        // What stands before an `@` is maybe a password.
        _ if text.contains('@') => Err(format!("this is no URL to call; write {write}")),
        _ => {
            let (host, port) = text.split_once(':').unwrap_or((text, "80"));
            let bare = !host.is_empty() && !text.contains('/') && port.parse::<u16>().is_ok();
            let example = format!("http://{text} or https://{text}");
            let write = if bare { &example } else { write };
            Err(format!("`{text}` is no URL to call; write {write}"))
        }
    }
}

//! Checks: what must say yes to a staged generation before readers see it.
//!
//! Only asks; what follows from the answer is the pipeline's. A checker's output is not shown: it
//! may quote values.

use std::{path::Path, time::Duration};

use tokio::time::Instant;

use crate::{
    chain::chain,
    command::{self, Ended, LeftBehind},
    config::shape,
    failpoint,
    rendering::Rendering,
};

/// The pause between two attempts at a server that refuses connections.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a staged generation is not made visible.
#[derive(Debug, thiserror::Error)]
#[error("check `{check}` {answer}")]
pub struct CheckError {
    check: String,
    answer: String,
    /// It ran and said no: that stands until the inputs change. Otherwise it is asked again.
    pub said_no: bool,
}

impl CheckError {
    /// `check` names it and `answer` says how it ended: "check `check` answer".
    pub fn new(check: impl Into<String>, answer: impl Into<String>, said_no: bool) -> Self {
        Self { check: check.into(), answer: answer.into(), said_no }
    }
}

/// A check that was passed over, because its server was not there.
#[derive(Debug)]
pub struct Skipped {
    /// Its URL.
    pub check: String,
}

/// Runs all checks in order; the first no ends it.
///
/// # Cancel safety
///
/// Dropping the future kills a running checker.
pub async fn run(
    checks: &[shape::Check],
    staged: &Path,
    rendering: &Rendering,
) -> Result<Vec<Skipped>, CheckError> {
    failpoint::pass("check").await;
    let mut skipped = Vec::new();
    for check in checks {
        if let Some(words) = &check.exec {
            exec(words, staged, check.timeout).await?;
        } else if let Some(http) = &check.http {
            skipped.extend(post(http, rendering, check.timeout).await?);
        }
    }
    Ok(skipped)
}

async fn exec(words: &[String], staged: &Path, deadline: Duration) -> Result<(), CheckError> {
    let folder = staged.to_string_lossy();
    let words: Vec<String> = words.iter().map(|word| word.replace("{dir}", &folder)).collect();
    let name = words.first().map_or("", String::as_str);
    let failed = |answer: String, said_no| Err(CheckError::new(name, answer, said_no));
    match command::run(&words, &[], deadline, LeftBehind::Killed).await {
        Ended::Exited(status) if status.success() => Ok(()),
        Ended::Exited(status) => failed(
            format!("said no ({status}); see why with `rehup render --out` and the same command"),
            true,
        ),
        Ended::Deadline => failed(format!("gave no answer within {deadline:?}"), false),
        Ended::NotStarted(error) => failed(format!("cannot be started: {error}"), false),
    }
}

async fn post(
    http: &shape::CheckHttp,
    rendering: &Rendering,
    deadline: Duration,
) -> Result<Option<Skipped>, CheckError> {
    let failed = |answer: String, said_no| Err(CheckError::new(&http.url, answer, said_no));
    let body = http.body_file.as_deref().and_then(|name| {
        let wanted = rendering.files().iter().find(|(path, _)| path.as_str() == name);
        wanted.map(|(_, file)| file.bytes.clone())
    });
    let client = match providers::http::client(None).map(|builder| builder.no_proxy().build()) {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return failed(format!("cannot be asked: {error}"), false),
        Err(error) => return failed(format!("cannot be asked: {error}"), false),
    };
    let end = Instant::now() + deadline;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let request = client.post(&http.url).timeout(left.max(PAUSE));
        let request = body.clone().into_iter().fold(request, reqwest::RequestBuilder::body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return Ok(None),
            // As a target's: nobody has looked at the files yet.
            Ok(answer) if matches!(answer.status().as_u16(), 408 | 425 | 429 | 502..=504) => {
                return failed(format!("cannot answer now ({})", answer.status()), false);
            }
            Ok(answer) => return failed(format!("said no ({})", answer.status()), true),
            // Somebody is there, but not whom we trust: that is no reason to do without the answer.
            Err(error) if providers::http::is_tls(&error) => {
                return failed(format!("cannot be asked: {}", chain(&error.without_url())), false);
            }
            Err(error) if error.is_connect() && Instant::now() + PAUSE < end => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) if error.is_connect() => {
                return Ok(Some(Skipped { check: http.url.clone() }));
            }
            Err(_) => return failed(format!("gave no answer within {deadline:?}"), false),
        }
    }
}

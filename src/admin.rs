//! The admin endpoint: probes, metrics, status, and an operator's wishes.
//!
//! Reads the status; what it is asked to do it passes on. A probe must answer whatever a store, a
//! target or a disk does.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    bells::Bells,
    metrics::Metrics,
    pipeline::Command,
    pulse::Pulses,
    status::{Board, Report, SourceStatus},
};

mod page;
mod visitors;

pub use visitors::listen;
use visitors::{Peer, Visitors};

/// What the endpoint reads and whom it tells.
#[derive(Clone)]
pub struct Admin {
    /// What is known.
    pub board: Board,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who is alive.
    pub pulses: Pulses,
    /// To the pipeline.
    pub commands: mpsc::Sender<Command>,
    /// To the targets' tasks.
    pub repeats: Bells,
    /// To the task that reads the configuration; sources are read again too.
    pub reread: Arc<Notify>,
    /// The file of the operator's token; a live edit may change it.
    pub token_file: Arc<Mutex<Option<PathBuf>>>,
}

/// What an operator asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    target: Option<String>,
    accept: Option<String>,
    unquarantine: Option<String>,
}

impl Admin {
    /// Serves until `shutdown`.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let router = Router::new()
            .route("/", get(home))
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/startupz", get(readyz))
            .route("/freshz", get(freshz))
            .route("/metrics", get(metrics))
            .route("/status", get(status))
            .route("/-/reload", post(reload))
            .with_state(self);
        let service = router.into_make_service_with_connect_info::<Peer>();
        tokio::select! {
            () = shutdown.cancelled() => {}
            ended = axum::serve(Visitors::new(listener), service) => {
                if let Err(error) = ended {
                    tracing::error!(%error, "the admin endpoint ended");
                }
            }
        }
    }

    fn report(&self) -> Report {
        Report::of(&self.board.read(), Instant::now())
    }
}

async fn livez(State(admin): State<Admin>) -> Response {
    let silent = admin.pulses.silent(Instant::now());
    if silent.is_empty() {
        return (StatusCode::OK, "ok\n").into_response();
    }
    let text = format!("silent for over 60s: {}\n", silent.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn readyz(State(admin): State<Admin>) -> Response {
    match admin.board.read().generation {
        Some(generation) => (StatusCode::OK, format!("generation {}\n", generation.number)),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no generation is visible yet\n".to_owned()),
    }
    .into_response()
}

async fn freshz(State(admin): State<Admin>) -> Response {
    let (status, now) = (admin.board.read(), Instant::now());
    let causes = status.stale(now);
    if causes.is_empty() {
        // What is not stale yet may be on its way there.
        let source = |(name, source): (&String, &SourceStatus)| {
            let age = source.age(now).unwrap_or_default().as_secs();
            format!("{name}: {}, proven {age}s ago\n", source.state(now))
        };
        let sources: String = status.sources.iter().map(source).collect();
        return (StatusCode::OK, format!("fresh\n{sources}")).into_response();
    }
    let lines = causes.iter().map(|(cause, why)| format!("{}: {why}\n", cause.as_str()));
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>()).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let page = admin.metrics.page(&admin.board.read(), Instant::now());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], page).into_response()
}

async fn status(State(admin): State<Admin>) -> Response {
    match serde_json::to_string_pretty(&admin.report()) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn home(State(admin): State<Admin>) -> Html<String> {
    Html(page::page(&admin.report()))
}

async fn reload(
    State(admin): State<Admin>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    let special = wish.target.is_some() || wish.accept.is_some() || wish.unquarantine.is_some();
    let loopback = peer.ip().to_canonical().is_loopback();
    if (special || !loopback)
        && let Err(refusal) = admin.authorize(&headers)
    {
        return refusal;
    }
    if let Some(target) = wish.target {
        return answer(admin.repeats.ask(&target), "the reload is owed again", "no such target");
    }
    if let Some(accept) = wish.accept {
        let Some((source, digest)) = accept.split_once(':') else {
            return (StatusCode::BAD_REQUEST, "write accept=SOURCE:DIGEST\n".to_owned());
        };
        let (done, accepted) = oneshot::channel();
        let (source, digest) = (source.to_owned(), digest.to_owned());
        let sent = admin.commands.send(Command::Accept { source, digest, done }).await;
        let accepted = sent.is_ok() && accepted.await.unwrap_or(false);
        return answer(accepted, "accepted", "nothing of that digest is held for that source");
    }
    if let Some(digest) = wish.unquarantine {
        let (done, found) = oneshot::channel();
        let sent = admin.commands.send(Command::Unquarantine { digest, done }).await;
        let found = sent.is_ok() && found.await.unwrap_or(false);
        return answer(found, "it may be published again", "nothing of that digest is quarantined");
    }
    admin.reread.notify_one();
    (StatusCode::ACCEPTED, "configuration and sources are read again\n".to_owned())
}

fn answer(done: bool, yes: &str, no: &str) -> (StatusCode, String) {
    if done {
        (StatusCode::OK, format!("{yes}\n"))
    } else {
        (StatusCode::NOT_FOUND, format!("{no}\n"))
    }
}

impl Admin {
    /// Whether the caller has the operator's token; the file is read for each call.
    fn authorize(&self, headers: &HeaderMap) -> Result<(), (StatusCode, String)> {
        let file = self.token_file.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(file) = file else {
            let why = "set admin.token_file: this call needs the operator's token\n";
            return Err((StatusCode::FORBIDDEN, why.to_owned()));
        };
        let token = providers::Secret::read(&file)
            .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))?;
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        // Digests take the same time to compare wherever the two differ.
        if blake3::hash(given.as_bytes()) == blake3::hash(token.expose().as_bytes()) {
            return Ok(());
        }
        Err((StatusCode::UNAUTHORIZED, "send the token as `Authorization: Bearer`\n".to_owned()))
    }
}

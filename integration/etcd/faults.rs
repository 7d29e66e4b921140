//! Faults of etcd and of the way to it, end to end: the built binary follows a real store, and each
//! test reads like its row of the fault matrix.

mod cancels;
mod churn;
mod compaction;
mod endpoints;
mod fragments;
mod login;
mod network;
mod outage;
mod restore;
mod rights;
mod silence;
mod size;
mod tls;
mod tokens;

use crate::support::canary;
use etcd_client::Client;

use crate::support::{app::App, patience::eventually};

/// What the source is called in the configuration.
const SOURCE: &str = "app";
/// Where its keys are.
const PREFIX: &str = "/app/";
/// The published file: a line for each key.
const FILE: &str = "all";

/// The usual template: a line for each key.
const LINES: &str = "  - to: all\n    \
    inline: \"{% for key, value in app | items %}{{ key }}={{ value }}\\n{% endfor %}\"\n";

/// A Rehup that follows these endpoints; `etcd` is what else the provider is set to, `source` what
/// else the source is.
fn following<S: AsRef<str>>(endpoints: &[S], etcd: &str, source: &str) -> App {
    let app = App::new();
    app.configure(configuration(endpoints, etcd, source, LINES));
    app
}

fn configuration<S: AsRef<str>>(
    endpoints: &[S],
    etcd: &str,
    source: &str,
    templates: &str,
) -> String {
    let endpoints: Vec<_> = endpoints.iter().map(|it| format!("\"{}\"", it.as_ref())).collect();
    format!(
        "sources:\n  {SOURCE}:\n    etcd: {{ endpoints: [{}], prefix: {PREFIX}{etcd} }}\n{source}\
         templates:\n{templates}settle: off\n",
        endpoints.join(", ")
    )
}

/// Waits until the source is live.
#[track_caller]
fn is_live(app: &App) {
    eventually(format_args!("the source is live; {}", app.tail()), || {
        (app.state(SOURCE) == "live").then_some(())
    });
}

/// Waits until the source is degraded for this reason, in status and metrics alike.
#[track_caller]
fn degrades(app: &App, reason: &str) {
    eventually(format_args!("the source is degraded({reason}); {}", app.tail()), || {
        is_degraded(app, reason).then_some(())
    });
}

/// The count of full reads for one reason.
fn resyncs(app: &App, reason: &str) -> u64 {
    app.count(&format!("rehup_source_resyncs_total{{source=\"{SOURCE}\",reason=\"{reason}\"}}"))
}

/// Whether a source is degraded for this reason, in status and metrics alike.
fn is_degraded(app: &App, reason: &str) -> bool {
    let sample = format!("rehup_source_degraded{{source=\"{SOURCE}\",reason=\"{reason}\"}}");
    app.state(SOURCE) == format!("degraded({reason})") && app.metric(&sample) > 0.0
}

/// The value has the mark of a secret.
async fn put(client: &mut Client, key: &str, value: impl Into<Vec<u8>>) {
    let value = [value.into(), canary::MARK.into()].concat();
    client.put(format!("{PREFIX}{key}"), value, None).await.expect("a put");
}

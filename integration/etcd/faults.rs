//! Faults of etcd and of the way to it, end to end: the built binary follows a real store, and each
//! test reads like its row of the fault matrix.

mod compaction;
mod login;
mod outage;
mod restore;

use etcd_client::Client;

use crate::support::app::App;

/// What the source is called in the configuration.
const SOURCE: &str = "app";
/// Where its keys are.
const PREFIX: &str = "/app/";
/// The published file: a line for each key.
const FILE: &str = "all";

/// A Rehup that follows these endpoints; `etcd` is what else its source is set to.
fn following<S: AsRef<str>>(endpoints: &[S], etcd: &str, source: &str) -> App {
    let endpoints: Vec<_> = endpoints.iter().map(|it| format!("\"{}\"", it.as_ref())).collect();
    let app = App::new();
    app.configure(format!(
        "sources:\n  {SOURCE}:\n    etcd: {{ endpoints: [{}], prefix: {PREFIX}{etcd} }}\n{source}\
         templates:\n  - to: {FILE}\n    inline: \"{{% for key, value in app | items %}}\
         {{{{ key }}}}={{{{ value }}}}\\n{{% endfor %}}\"\n\
         settle: off\n",
        endpoints.join(", ")
    ));
    app
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

async fn put(client: &mut Client, key: &str, value: impl Into<Vec<u8>>) {
    client.put(format!("{PREFIX}{key}"), value, None).await.expect("a put");
}

//! The command line: what can be typed, and what it means.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Follows configuration in Consul KV, etcd and files, publishes it atomically on a shared volume
/// and makes the main process reload.
#[derive(Debug, Parser)]
#[command(
    name = "rehup",
    version,
    after_help = "Exit codes: 0 clean stop, 1 failed while running, 2 wrong command line, 78 wrong configuration."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        env = "REHUP_CONFIG",
        default_value = "/etc/rehup/rehup.yaml",
        value_name = "FILE"
    )]
    pub config: PathBuf,
    /// The shared volume; a configuration that says otherwise is refused.
    #[arg(long, global = true, env = "REHUP_OUTPUT", value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// Where probes, metrics and status are served; a configuration that says otherwise is refused.
    #[arg(long, global = true, env = "REHUP_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// How log lines look.
    #[arg(
        long,
        global = true,
        env = "REHUP_LOG_FORMAT",
        default_value = "text",
        value_enum,
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
    /// How much is logged: error, warn, info, debug or trace.
    #[arg(long, global = true, env = "REHUP_LOG", default_value = "info", value_name = "LEVEL")]
    pub log_level: tracing::Level,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The sidecar: follows, publishes and reloads until it is stopped.
    Run,
    /// Publishes one complete generation and ends, for an init container; never reloads.
    Once {
        /// How long to try. With a good generation visible the end is then a warning.
        #[arg(long, default_value = "5m", value_parser = duration, value_name = "TIME")]
        timeout: Duration,
        /// Fail rather than leave an older generation.
        #[arg(long)]
        require_fresh: bool,
    },
    /// Checks configuration, templates and their names, offline.
    Check {
        /// Also asks the sources, renders, and looks for the targets, without telling them.
        #[arg(long)]
        connect: bool,
    },
    /// Renders once, to standard output.
    Render {
        /// Write the files below this folder instead.
        #[arg(long, value_name = "FOLDER", conflicts_with = "diff")]
        out: Option<PathBuf>,
        /// Only name what differs from the volume; no value is shown.
        #[arg(long)]
        diff: bool,
        /// Fixtures instead of stores: a YAML map of source to key to text.
        #[arg(long, value_name = "FILE")]
        data: Option<PathBuf>,
    },
    /// Shows what the running one knows.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the JSON Schema of the configuration file.
    Schema,
}

fn duration(text: &str) -> Result<Duration, String> {
    providers::settings::duration::parse(text)
}

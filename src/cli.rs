//! The command line: what can be typed, and what it means.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

const HELP: &str = "\
When something is wrong: `rehup status` says what is stale and why, `rehup check --connect` tries
sources and targets without telling anybody, `rehup render --diff` names what would change.

Exit codes: 0 clean stop, 1 failed while running, 2 wrong command line, 78 wrong configuration.";

const RUN: &str = "\
SIGHUP reads configuration and sources again; SIGTERM ends it within 2 s, owed reloads stay noted.
While a good generation is visible nothing in the outside world ends it: it keeps that generation,
says why, and recovers by itself.

Exit codes: 0 stopped; 1 failed, or 78 wrong configuration, on a volume without a good generation.";

const ONCE: &str = "\
Exit codes: 0 published; 1 the time is up; 78 wrong configuration. With a good generation visible
the last two are 0 and a warning, unless --require-fresh is given.";

const CHECK: &str = "\
Every mistake is printed at once: file, line, key path, what is wrong and what to write.

Exit codes: 0 all is well; 1 a source or target cannot be used now; 78 wrong configuration.";

const RENDER: &str = "\
It shows values, secrets too, unless --out or --diff is given. Nothing on the volume changes.

Exit codes: 0 rendered; 1 a source or a template failed; 78 wrong configuration.";

const STATUS: &str = "\
It asks the one that listens at --listen, or at `admin.listen` of the configuration.

Exit codes: 0 it answered; 1 it did not.";

/// Follows configuration in Consul KV, etcd and files, publishes it atomically on a shared volume
/// and makes the main process reload.
#[derive(Debug, Parser)]
#[command(name = "rehup", version, after_help = HELP)]
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
#[command(next_help_heading = "Options of every command")]
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
    #[command(after_help = RUN)]
    Run,
    /// Publishes one complete generation and ends, for an init container; never reloads anything.
    #[command(after_help = ONCE)]
    Once {
        /// How long to try. With a good generation visible the end is then a warning.
        #[arg(long, default_value = "5m", value_parser = duration, value_name = "TIME")]
        timeout: Duration,
        /// Fail rather than leave an older generation.
        #[arg(long)]
        require_fresh: bool,
    },
    /// Checks configuration, templates and their names, offline.
    #[command(after_help = CHECK)]
    Check {
        /// Also asks the sources, renders, and looks for the targets, without telling them.
        #[arg(long)]
        connect: bool,
    },
    /// Renders once, to standard output.
    #[command(after_help = RENDER)]
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
    #[command(after_help = STATUS)]
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["rehup"], words].concat())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn common_options_stand_before_or_after_the_command() {
        for words in [["--listen", "127.0.0.1:1", "run"], ["run", "--listen", "127.0.0.1:1"]] {
            let common = parse(&words).expect("a command line").common;
            assert_eq!(common.listen, Some(SocketAddr::from(([127, 0, 0, 1], 1))));
        }
    }

    #[test]
    fn once_tries_for_five_minutes_unless_told_otherwise() {
        for (words, seconds) in [(&["once"][..], 300), (&["once", "--timeout", "1m 30s"], 90)] {
            let Command::Once { timeout, require_fresh } = parse(words).expect("once").command
            else {
                panic!("once")
            };
            assert_eq!((timeout.as_secs(), require_fresh), (seconds, false));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_hint() {
        for (words, hint) in [
            (&["once", "--timeout", "5"][..], "`5` is no duration; write 200ms, 2s or 5m"),
            (&["render", "--out", "/a", "--diff"], "cannot be used with"),
            (&["run", "--log-level", "loud"], "expected one of"),
            (&["run", "--listen", "localhost"], "invalid socket address"),
            (&["chekc"], "'check'"),
        ] {
            let told = parse(words).expect_err("a refusal");
            assert_eq!(told.exit_code(), 2);
            assert!(told.to_string().contains(hint), "{told}");
        }
    }

    #[test]
    fn every_command_tells_its_exit_codes() {
        for command in Cli::command().get_subcommands().filter(|it| it.get_name() != "schema") {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Exit codes: 0"), "{help}");
        }
    }
}

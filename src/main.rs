//! The binary: parse, start logging, run one command, turn its end into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use rehup::{
    cli::{Cli, Command},
    commands::{self, render::To},
    config::{self, Facts, Overrides},
    confine,
    exit::Failure,
    load::Loader,
    privacy, supervisor, telemetry,
};

fn main() -> ExitCode {
    let Cli { command, common } = Cli::parse();
    telemetry::start(common.log_format, common.log_level);
    privacy::keep();
    let overrides = Overrides { output: common.output, listen: common.listen };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let facts = Facts::of_this_process();
    let loader = Loader { path: common.config, overrides, environment, facts };
    match start(command, &loader) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.lines() {
                tracing::error!("{line}");
            }
            failure.code()
        }
    }
}

fn start(command: Command, loader: &Loader) -> Result<(), Failure> {
    // Before any other thread: Landlock binds a thread and what it starts.
    let confined = match command {
        Command::Run => confine::at_start(loader),
        _ => String::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        match command {
            Command::Run => supervisor::run(loader.clone(), confined).await,
            Command::Once { timeout, require_fresh } => {
                commands::once::once(loader, timeout, require_fresh).await
            }
            Command::Check { connect } => commands::check::check(loader, connect).await,
            Command::Render { out, diff, data } => {
                let to = match (out, diff) {
                    (Some(folder), _) => To::Folder(folder),
                    (None, true) => To::Difference,
                    (None, false) => To::Stdout,
                };
                commands::render::render(loader, data.as_deref(), to).await
            }
            Command::Status { json } => commands::status::status(loader, json).await,
            Command::Schema => commands::print_schema(&config::schema()),
        }
    });
    // A read that hangs in a file system must not keep us.
    runtime.shutdown_background();
    done
}

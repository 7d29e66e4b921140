//! Log lines: text or JSON on standard error.
//!
//! Dependencies are heard from `warn` on only: below that they print headers, which hold
//! credentials. A panic tells where, never what: its message may hold a value.

use std::io;

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _,
    filter::Targets,
    fmt::{self, time::SystemTime},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::cli::LogFormat;

/// Starts logging. Called once, before anything can happen.
pub fn start(format: LogFormat, level: Level) {
    let filter = Targets::new()
        .with_default(LevelFilter::from_level(level.min(Level::WARN)))
        .with_target("rehup", level)
        .with_target("providers", level);
    let layer = fmt::layer().with_writer(io::stderr).with_timer(SystemTime);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(false).with_target(false).boxed(),
        LogFormat::Json => layer.with_ansi(false).json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(place, thread, "a bug: this task panicked");
    }));
}

//! Log lines: text or JSON on standard error.
//!
//! Dependencies are heard from `warn` on only: below that they print headers, which hold
//! credentials. A panic tells where, never what: its message may hold a value.

use std::{fmt, io, time::Duration};

use tokio::time::Instant;
use tracing::{
    Level,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer as _,
    field::RecordFields,
    filter::Targets,
    fmt::{FormatFields, format::Writer, time::SystemTime},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::cli::LogFormat;

/// Fields as people type them: text without quotes where that is no riddle. What could break a line
/// or look like another field is quoted and escaped.
struct Plain;

impl<'writer> FormatFields<'writer> for Plain {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = PlainVisitor { writer, first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct PlainVisitor<'writer> {
    writer: Writer<'writer>,
    first: bool,
    result: fmt::Result,
}

impl PlainVisitor<'_> {
    fn field(&mut self, field: &Field, value: &dyn fmt::Display) {
        let space = if std::mem::take(&mut self.first) { "" } else { " " };
        let written = match field.name() {
            "message" => write!(self.writer, "{space}{value}"),
            name => write!(self.writer, "{space}{name}={value}"),
        };
        self.result = self.result.and(written);
    }
}

impl Visit for PlainVisitor<'_> {
    fn record_str(&mut self, field: &Field, text: &str) {
        let plain = |c: char| c.is_ascii_graphic() && !"\"\\=".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            self.field(field, &text);
        } else {
            self.field(field, &format_args!("{text:?}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A message is one line whatever it quotes.
        let text = format!("{value:?}").replace('\n', "\\n");
        self.field(field, &text);
    }
}

/// Starts logging. Called once, before anything can happen.
pub fn start(format: LogFormat, level: Level) {
    let filter = Targets::new()
        .with_default(LevelFilter::from_level(level.min(Level::WARN)))
        .with_target("rehup", level)
        .with_target("providers", level);
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_timer(SystemTime);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(false).with_target(false).fmt_fields(Plain).boxed(),
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

/// How long ago something began, without digits that nobody reads.
pub(crate) fn took(since: Instant) -> Duration {
    let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(if micros > 1000 { micros / 100 * 100 } else { micros })
}

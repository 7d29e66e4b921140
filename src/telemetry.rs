//! Log lines: text or JSON on standard error.
//!
//! Dependencies are heard from `warn` on only: below that they print headers, which hold
//! credentials. A panic tells where, never what: its message may hold a value.

use std::{borrow::Cow, fmt, io, time::Duration};

use tokio::time::Instant;
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer as _,
    field::RecordFields,
    filter::Targets,
    fmt::{FormatFields, MakeWriter, format::Writer, time::SystemTime},
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
    fn field(&mut self, field: &Field, value: &str) {
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
        match field.name() {
            "message" => self.field(field, &one_line(text)),
            _ => self.field(field, &one_word(text)),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        // The debug form of a text is quoted already.
        let quoted = text.len() > 1 && text.starts_with('"') && text.ends_with('"');
        match field.name() {
            "message" => self.field(field, &one_line(&text)),
            _ if quoted => self.field(field, &text),
            _ => self.field(field, &one_word(&text)),
        }
    }
}

/// A text as it is if nobody could take it for several fields, else quoted and escaped.
fn one_word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| !c.is_whitespace() && !"\"\\=".contains(c) && is_visible(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into()
    } else {
        format!("{text:?}").into()
    }
}

/// A text that stays on its line whatever it quotes.
fn one_line(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return text.into();
    }
    let mut line = String::new();
    for c in text.chars() {
        if is_visible(c) { line.push(c) } else { line.extend(c.escape_debug()) }
    }
    line.into()
}

/// Neither moves the cursor nor turns the direction.
fn is_visible(c: char) -> bool {
    "\"'\\".contains(c) || c.escape_debug().len() == 1
}

/// Starts logging. Called once, before anything can happen.
pub fn start(format: LogFormat, level: Level) {
    subscriber(format, level, io::stderr).init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(place, thread, "a bug: this task panicked");
    }));
}

fn subscriber<W>(format: LogFormat, level: Level, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = Targets::new()
        .with_default(LevelFilter::from_level(level.min(Level::WARN)))
        .with_target("rehup", level)
        .with_target("providers", level);
    // Where in the code a line comes from is nobody's business, and `target` is one of our words.
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_timer(SystemTime)
        .with_target(false);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(false).fmt_fields(Plain).boxed(),
        LogFormat::Json => layer.with_ansi(false).json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter))
}

/// How long ago something began, without digits that nobody reads.
pub(crate) fn took(since: Instant) -> Duration {
    let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(if micros > 1000 { micros / 100 * 100 } else { micros })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("a lock").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile.
    fn logged(format: LogFormat, level: Level, act: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(format, level, move || writer.clone());
        tracing::subscriber::with_default(subscriber, act);
        let bytes = lines.0.lock().expect("a lock").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_line_is_a_time_a_level_a_message_and_its_fields() {
        let line = logged(LogFormat::Text, Level::INFO, || {
            tracing::info!(generation = 42, changed = "nginx.conf", took = ?Duration::from_micros(1800), "published");
        });
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(time.starts_with("20") && time.contains('T') && time.ends_with('Z'), "{time}");
        assert_eq!(rest.trim(), "INFO published generation=42 changed=nginx.conf took=1.8ms");
    }

    #[test]
    fn what_could_break_a_line_or_look_like_a_field_is_escaped() {
        let line = logged(LogFormat::Text, Level::INFO, || {
            let hostile = "a\n2026 INFO b=\u{1b}[2J\u{202e}";
            tracing::info!(
                empty = "",
                path = %"/a b",
                word = ?"c d",
                hostile = %hostile,
                "it said: {hostile}"
            );
        });
        let (_, rest) = line.split_once("INFO ").expect("a level");
        let escaped = r"a\n2026 INFO b=\u{1b}[2J\u{202e}";
        let expected = format!(
            "it said: {escaped} empty=\"\" path=\"/a b\" word=\"c d\" hostile=\"{escaped}\"\n"
        );
        assert_eq!(rest, expected);
    }

    #[test]
    fn json_lines_have_every_key_once() {
        let line = logged(LogFormat::Json, Level::INFO, || {
            tracing::info!(target = "nginx", generation = 42, "reloaded");
        });
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&value["target"], &value["generation"]), (&"nginx".into(), &42.into()));
        assert_eq!((&value["level"], &value["message"]), (&"INFO".into(), &"reloaded".into()));
        assert_eq!(line.matches("\"target\"").count(), 1, "{line}");
    }

    #[test]
    fn dependencies_are_heard_from_warn_on_and_never_above_our_own_level() {
        let act = || {
            tracing::debug!(target: "hyper", "a header");
            tracing::warn!(target: "hyper", "a warning");
            tracing::debug!(target: "providers::etcd", "a proof");
        };
        let lines = logged(LogFormat::Text, Level::TRACE, act);
        assert!(!lines.contains("a header"), "{lines}");
        assert!(lines.contains("a warning") && lines.contains("a proof"), "{lines}");
        assert_eq!(logged(LogFormat::Text, Level::ERROR, act), "");
    }
}

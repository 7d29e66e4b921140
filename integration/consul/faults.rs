//! The faults of a Consul that the built binary follows: what is published, what is said, and that
//! it heals by itself.

mod answers;
mod certificates;
mod churn;
mod keys;
mod limits;
mod quorum;
mod restore;
mod rights;

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{PREFIX, path};
use crate::support::{app::App, patience::record};

/// A Rehup that follows the prefix there and publishes every key of it as `key=value;` in `all`.
/// `more` are further settings of the provider, and `required`.
pub fn follow(address: &str, more: Value) -> App {
    let app = App::new();
    configure(&app, address, more, "");
    app
}

/// Writes the configuration of [`follow`], with further lines.
pub fn configure(app: &App, address: &str, more: Value, lines: &str) {
    let mut source = json!({ "address": address, "prefix": PREFIX });
    let Value::Object(mut more) = more else { panic!("further settings are an object") };
    let required = more.remove("required").unwrap_or(json!([]));
    source.as_object_mut().expect("an object").extend(more);
    app.configure(format!(
        "sources: {{ app: {{ consul: {source}, required: {required} }} }}\n\
         templates: [{{ inline: \"{{% for k, v in app | items %}}{{{{ k }}}}={{{{ v }}}};{{% endfor %}}\", to: all }}]\n\
         settle: off\n{lines}"
    ));
}

/// Waits until the file with all keys has this content, as long as the row allows four times over.
#[track_caller]
pub fn shows(app: &App, limit: Duration, content: &str) {
    within(limit, format_args!("all shows {content:?}; {}", app.tail()), || {
        (app.read("all").as_deref() == Some(content)).then_some(())
    });
}

/// Waits for `/freshz` to say no, with these words.
#[track_caller]
pub fn stale(app: &App, limit: Duration, words: &[&str]) -> String {
    within(limit, format_args!("/freshz says {words:?}; {}", app.tail()), || {
        let answer = app.get("/freshz")?;
        let said = words.iter().all(|word| answer.body.contains(word));
        (answer.status == 503 && said).then_some(answer.body)
    })
}

/// Waits until the source is degraded by an error of this kind.
#[track_caller]
pub fn degraded(app: &App, limit: Duration, kind: &str) -> Value {
    within(limit, format_args!("the source is degraded({kind}); {}", app.tail()), || {
        let source = app.try_status()?["sources"]["app"].clone();
        (source["state"] == format!("degraded({kind})")).then_some(source)
    })
}

/// Waits until nothing is wrong with the source: no error, nothing held, proven.
#[track_caller]
pub fn live(app: &App, limit: Duration) {
    within(limit, format_args!("the source is live; {}", app.tail()), || {
        let source = app.try_status()?["sources"]["app"].clone();
        let well = source["error"].is_null() && source["held"].is_null();
        (well && source["state"] == "live").then_some(())
    });
}

/// Waits for `/freshz` to say yes.
#[track_caller]
pub fn fresh(app: &App, limit: Duration) {
    within(limit, format_args!("/freshz answers 200; {}", app.tail()), || {
        (app.get("/freshz")?.status == 200).then_some(())
    });
}

/// What the status says about the source.
pub fn source(app: &App) -> Value {
    app.status()["sources"]["app"].clone()
}

/// Waits four times as long as a bound allows: machines are slow, and no bound is tested here.
#[track_caller]
pub fn within<T>(
    limit: Duration,
    expected: impl Display,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = probe() {
            record(limit, &expected, begun.elapsed());
            return value;
        }
        assert!(begun.elapsed() < limit * 4, "expected within {limit:?}: {expected}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

const SOON: Duration = Duration::from_secs(5);

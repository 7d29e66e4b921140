//! An app whose one key feeds some targets, and what is seen of the reloads that they are owed.

use super::{app::App, patience::eventually};

/// An app with one key, one file and these targets, each a name and its settings.
pub fn with_targets(targets: &[(&str, String)]) -> App {
    let mut app = App::new();
    app.quiet();
    app.put("level", "1");
    configure(&app, targets);
    app
}

/// Other targets for it.
pub fn configure(app: &App, targets: &[(&str, String)]) {
    let target = |(name, settings): &(&str, String)| {
        format!("  - {{ name: {name}, min_interval: 0s, {settings} }}\n")
    };
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates: [{{ inline: \"{{{{ base.level }}}}\", to: level }}]\n\
         settle: off\ntargets:\n{}",
        app.folder().display(),
        targets.iter().map(target).collect::<String>()
    ));
}

/// Another content, as a generation of its own.
#[track_caller]
pub fn change(app: &App) -> u64 {
    let next = (app.generation() + 1).to_string();
    app.put("level", &next);
    app.shows("level", &next);
    app.generation()
}

/// Waits until a reload is owed for this reason.
#[track_caller]
pub fn owes(app: &App, target: &str, outcome: &str, said: &str) {
    eventually(format_args!("{target} owes, {outcome}: {said}; {}", app.tail()), || {
        let target = app.try_status()?["targets"][target].clone();
        let detail = target["detail"].as_str().unwrap_or_default();
        let owed = target["owed_seconds"].is_number();
        (target["outcome"] == outcome && detail.contains(said) && owed).then_some(())
    });
}

/// Waits until the newest generation has ended so.
#[track_caller]
pub fn ends(app: &App, target: &str, outcome: &str) -> serde_json::Value {
    let newest = app.generation();
    eventually(format_args!("{target} ends {outcome} for {newest}; {}", app.tail()), || {
        let status = app.try_status()?["targets"][target].clone();
        let settled = status["owed_seconds"].is_null() && status["generation"] == newest;
        (status["outcome"] == outcome && settled).then_some(status)
    })
}

/// How often a target's reloads ended so.
pub fn count(app: &App, target: &str, outcome: &str) -> u64 {
    app.count(&format!("rehup_reloads_total{{target=\"{target}\",outcome=\"{outcome}\"}}"))
}

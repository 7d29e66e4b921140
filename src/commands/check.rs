//! `rehup check`: configuration, templates and their names, offline; with `--connect` also the
//! sources, a rendering, and the way to each target.

use std::time::Duration;

use super::first;
use crate::{exit::Failure, load::Loader, reload, view::Complete};

/// How long a source may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks and prints one line for each thing; every mistake is reported.
pub async fn check(loader: &Loader, connect: bool) -> Result<(), Failure> {
    let mut accepted = loader.load().map_err(|refusal| Failure::Config(refusal.mistakes))?;
    let config = &accepted.config;
    let mut mistakes = accepted.missing.clone();
    println!(
        "configuration: {} sources, {} templates, {} targets",
        config.sources.len(),
        config.templates.len(),
        config.targets.len()
    );
    if !connect {
        return if mistakes.is_empty() { Ok(()) } else { Err(Failure::Config(mistakes)) };
    }
    match first::snapshots(&config.sources, PATIENCE).await {
        Err(failures) => mistakes.extend(failures),
        Ok(snapshots) => {
            for (name, snapshot) in &snapshots {
                println!(
                    "source {name}: {} keys at revision {}",
                    snapshot.entries.len(),
                    snapshot.revision
                );
            }
            match accepted.templates.render(&Complete::from_snapshots(snapshots)) {
                Ok(rendering) => println!("rendering: {} files", rendering.files().len()),
                Err(errors) => mistakes.extend(errors.iter().map(ToString::to_string)),
            }
        }
    }
    for target in &accepted.config.targets {
        match reload::Reloader::diagnose(target).await {
            Ok(sentence) => println!("target {}: {sentence}", target.name),
            Err(sentence) => mistakes.push(format!("target {}: {sentence}", target.name)),
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(Failure::running(mistakes.join("\n"))) }
}

//! `rehup once`: one complete generation, then the end. For an init container; never reloads.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{Engine, Shared, Targets},
    exit::Failure,
    load::Loader,
    publish::{Opened, PublishError, Volume, VolumeOptions},
    status::Report,
    world::RealWorld,
};

/// The pause between two attempts at the volume.
const PAUSE: Duration = Duration::from_millis(250);

/// Publishes one generation, or finds it published. With a good generation already visible a
/// failure is a warning, unless `require_fresh`.
pub async fn once(loader: &Loader, patience: Duration, require_fresh: bool) -> Result<(), Failure> {
    let accepted = match loader.load() {
        Ok(accepted) => accepted,
        Err(refusal) => {
            let options = refusal.salvaged.volume();
            return old_is_good_enough(
                options.as_ref(),
                require_fresh,
                Failure::Config(refusal.mistakes),
            );
        }
    };
    let options = accepted.config.volume();
    let shared = Shared::default();
    let end = Instant::now() + patience;
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let work = async {
        let (volume, opened) = open(&options, end).await?;
        let (_commands, receiver) = mpsc::channel(1);
        let started = Engine::start(
            accepted,
            RealWorld::new(volume),
            opened,
            Targets::LeftAlone,
            shared.clone(),
            receiver,
            shutdown.clone(),
        );
        let mut engine = started.await?;
        let published = tokio::select! {
            rendered = engine.rendered() => rendered.map_err(Failure::from),
            () = tokio::time::sleep_until(end) => Err(late(&shared, patience)),
            _ = terminate.recv() => Err(Failure::running("stopped before a generation was published")),
        };
        engine.finish().await;
        published
    };
    match work.await {
        Ok(()) => Ok(()),
        Err(failure) => old_is_good_enough(Some(&options), require_fresh, failure),
    }
}

/// Opens the volume; another Rehup on it is waited for until `end`.
async fn open(options: &VolumeOptions, end: Instant) -> Result<(Volume, Opened), Failure> {
    loop {
        match Volume::open(options.clone()).await {
            Ok(opened) => return Ok(opened),
            Err(PublishError::Locked { .. }) if Instant::now() + PAUSE < end => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A failure beside a good generation is a warning: the app can start with what is there.
fn old_is_good_enough(
    options: Option<&VolumeOptions>,
    require_fresh: bool,
    failure: Failure,
) -> Result<(), Failure> {
    let visible = options.and_then(Volume::glance);
    match visible {
        Some(visible) if !require_fresh => {
            for line in failure.lines() {
                tracing::warn!(generation = visible.number, "not fresh, kept as it is: {line}");
            }
            Ok(())
        }
        _ => Err(failure),
    }
}

/// Why nothing was published in time.
fn late(shared: &Shared, patience: Duration) -> Failure {
    let report = Report::of(&shared.board.read(), Instant::now());
    let causes = report.causes.iter().map(|cause| format!("{}: {}", cause.cause, cause.why));
    let causes: Vec<_> = causes.collect();
    Failure::running(format!(
        "no fresh generation within {}: {}",
        humantime::format_duration(patience),
        causes.join("; ")
    ))
}

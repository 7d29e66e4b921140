//! `rehup run`: brings everything up in order, takes configuration edits over, and stops it all.
//!
//! Owns what the outside world may do to this process: while a good generation is visible, nothing
//! in it makes the process exit or unready.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Admin},
    backoff::Backoff,
    chain::chain,
    config::follow::ConfigWatch,
    digest::Digest,
    engine::{Engine, Shared, Targets},
    exit::Failure,
    failpoint,
    generation::Generation,
    load::{Accepted, Loader, Refusal},
    pipeline::Command,
    publish::{Opened, PublishError, Volume, VolumeOptions},
    pulse::Pulse,
    status::{Cause, GenerationStatus},
    tasks::Tasks,
    world::RealWorld,
};

/// How long the lock of an empty volume is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// A file that is there and cannot be read is tried again after this, beside what its watch tells.
const READ_AGAIN: Duration = Duration::from_secs(2);

/// The pause between two attempts at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(250);

/// The process's outermost state.
struct Supervisor {
    loader: Loader,
    shared: Shared,
    tasks: Tasks,
    shutdown: CancellationToken,
    reread: Arc<Notify>,
    admin: Admin,
    commands: Option<mpsc::Receiver<Command>>,
    watch: ConfigWatch,
    listening: Option<SocketAddr>,
    refused: Vec<String>,
    passing: bool,
    pulse: Arc<Pulse>,
}

/// Runs until SIGTERM or SIGINT. `confined` is told in the status.
pub async fn run(loader: Loader, confined: String) -> Result<(), Failure> {
    let mut supervisor = Supervisor::new(loader, confined)?;
    let ended = supervisor.bring_up_and_follow().await;
    supervisor.tasks.finish().await;
    ended
}

impl Supervisor {
    fn new(loader: Loader, confined: String) -> Result<Self, Failure> {
        let shutdown = CancellationToken::new();
        let shared = Shared::default();
        shared.board.update(|status| status.confined = confined);
        let reread = Arc::new(Notify::new());
        let (sender, commands) = mpsc::channel(16);
        let admin = Admin {
            board: shared.board.clone(),
            metrics: Arc::clone(&shared.metrics),
            pulses: shared.pulses.clone(),
            commands: sender,
            repeats: shared.repeats.clone(),
            reread: Arc::clone(&reread),
            token_file: Arc::new(Mutex::new(None)),
        };
        let pulse = Arc::new(shared.pulses.task("supervisor"));
        let mut tasks = Tasks::new(shutdown.clone(), shared.pulses.clone());
        start_signals(&mut tasks, shutdown.clone(), Arc::clone(&reread))?;
        let watch = ConfigWatch::new(vec![loader.path.clone()]);
        Ok(Self {
            loader,
            shared,
            tasks,
            shutdown,
            reread,
            admin,
            commands: Some(commands),
            watch,
            listening: None,
            refused: Vec::new(),
            passing: false,
            pulse,
        })
    }

    async fn bring_up_and_follow(&mut self) -> Result<(), Failure> {
        let Some(accepted) = self.first_configuration().await? else { return Ok(()) };
        let options = accepted.config.volume();
        self.listen(accepted.config.listen(), &options).await?;
        let Some((volume, opened)) = self.open_volume(options).await? else { return Ok(()) };
        self.watch_over(&volume);
        let commands = self.commands.take().expect("the engine starts once");
        let (digest, shutdown) = (accepted.digest, self.shutdown.child_token());
        self.take_over(&accepted);
        let (shared, world) = (self.shared.clone(), RealWorld::new(volume));
        let started =
            Engine::start(accepted, world, opened, Targets::Told, shared, commands, shutdown);
        let mut engine = started.await?;
        let ended = self.follow_configuration(&mut engine, digest).await;
        engine.finish().await;
        ended
    }

    /// The first configuration that can be used; none if the process is to stop before that.
    async fn first_configuration(&mut self) -> Result<Option<Accepted>, Failure> {
        loop {
            let refusal = match self.loader.load() {
                Ok(accepted) => return Ok(Some(accepted)),
                Err(refusal) => refusal,
            };
            let options = refusal.salvaged.volume();
            let visible = options.as_ref().and_then(Volume::glance);
            let (Some(visible), Some(options)) = (visible, options) else {
                return Err(Failure::Config(refusal.mistakes));
            };
            self.show_glance(&visible);
            let listen = refusal.salvaged.listen();
            self.show_refused(*refusal);
            self.listen(listen, &options).await?;
            let pulse = Arc::clone(&self.pulse);
            if !pulse.wait(self.edited()).await? {
                return Ok(None);
            }
        }
    }

    /// Waits for an edit of the configuration or the wish to read it again; `false`: stop.
    async fn edited(&mut self) -> Result<bool, Failure> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return Ok(false),
            ended = self.tasks.unexpected_end() => return Err(ended.into()),
            () = self.reread.notified() => self.shared.resyncs.ask_all(),
            () = self.watch.changed() => {}
            () = tokio::time::sleep(READ_AGAIN), if self.passing => {}
        }
        Ok(true)
    }

    /// Starts the admin endpoint. A taken port ends the process only on a volume without a good
    /// generation; otherwise it is tried again.
    async fn listen(&mut self, at: SocketAddr, options: &VolumeOptions) -> Result<(), Failure> {
        if self.listening == Some(at) {
            return Ok(());
        }
        self.tasks.stop("admin").await;
        self.listening = Some(at);
        let bound = match admin::listen(at) {
            Ok(listener) => Some(listener),
            Err(error) if Volume::glance(options).is_some() => {
                tracing::error!(%at, %error, "the admin endpoint cannot listen; trying again");
                None
            }
            Err(error) => {
                return Err(Failure::running(format!("cannot listen on {at}: {error}")));
            }
        };
        let admin = self.admin.clone();
        self.tasks.start("admin", |stop, pulse| async move {
            // Whoever asks for its heartbeat is answered by it, or not.
            drop(pulse);
            let listener = if let Some(listener) = bound {
                listener
            } else {
                tokio::select! {
                    () = stop.cancelled() => return,
                    listener = bind(at) => listener,
                }
            };
            failpoint::pass("admin").await;
            admin.serve(listener, stop).await;
        });
        Ok(())
    }

    /// Opens the volume; none if the process is to stop before that.
    async fn open_volume(
        &mut self,
        options: VolumeOptions,
    ) -> Result<Option<(Volume, Opened)>, Failure> {
        let started = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            let thread = self.shared.pulses.task("volume");
            let opened = Volume::open_watched(options.clone(), thread);
            let error = match self.pulse.wait(opened).await {
                Ok(opened) => {
                    self.shared.board.update(|status| {
                        status.causes.remove(&Cause::Lock);
                        status.causes.remove(&Cause::Publish);
                    });
                    return Ok(Some(opened));
                }
                Err(error) => error,
            };
            let locked = matches!(error, PublishError::Locked { .. });
            match Volume::glance(&options) {
                Some(visible) => self.show_glance(&visible),
                None if locked && started.elapsed() < LOCK_PATIENCE => {}
                // What could not be looked at may well be good.
                None if error.is_passing() => {}
                None => return Err(error.into()),
            }
            let (cause, pause) = if locked {
                (Cause::Lock, LOCK_PAUSE)
            } else {
                (Cause::Publish, backoff.next(None))
            };
            self.show_waiting(cause, &error);
            let shutdown = self.shutdown.clone();
            let paused = shutdown.run_until_cancelled(tokio::time::sleep(pause));
            if self.pulse.wait(paused).await.is_none() {
                return Ok(None);
            }
        }
    }

    /// A panic of the volume's thread ends the process, whoever it worked for.
    fn watch_over(&mut self, volume: &Volume) {
        let ended = volume.ended();
        self.tasks.start("volume thread", |stop, pulse| async move {
            // The thread has its own.
            drop(pulse);
            tokio::select! {
                () = stop.cancelled() => {}
                () = ended => {}
            }
        });
    }

    /// Takes edits over until the process is to stop or a task ends that should not.
    async fn follow_configuration(
        &mut self,
        engine: &mut Engine<RealWorld>,
        mut digest: Digest,
    ) -> Result<(), Failure> {
        loop {
            let pulse = Arc::clone(&self.pulse);
            let go_on = pulse.wait(async {
                tokio::select! {
                    biased;
                    ended = engine.unexpected_end() => Err(ended.into()),
                    go_on = self.edited() => go_on,
                }
            });
            if !go_on.await? {
                return Ok(());
            }
            failpoint::pass("supervisor").await;
            match self.loader.load() {
                Ok(accepted) if accepted.digest == digest => self.accept(),
                Ok(accepted) => {
                    let restart = engine.config().needs_restart(&accepted.config);
                    if !restart.is_empty() {
                        self.show_mistakes(restart);
                        continue;
                    }
                    digest = accepted.digest;
                    self.take_over(&accepted);
                    engine.apply(accepted).await?;
                    tracing::info!("configuration taken over");
                }
                Err(refusal) => self.show_refused(*refusal),
            }
        }
    }

    /// What changes outside the engine with a configuration.
    fn take_over(&mut self, accepted: &Accepted) {
        self.watch.set_paths(accepted.files.clone());
        let mut token_file = self.admin.token_file.lock().expect("nothing panics with it");
        token_file.clone_from(&accepted.config.admin.token_file);
        drop(token_file);
        self.accept();
    }

    fn accept(&mut self) {
        self.refused.clear();
        self.passing = false;
        self.shared.board.update(|status| status.config_refused = None);
    }

    fn show_refused(&mut self, refusal: Refusal) {
        self.watch.set_paths(refusal.files);
        self.passing = refusal.passing;
        self.show_mistakes(refusal.mistakes);
    }

    /// Shows why the configuration on disk is not in use; each new reason is logged once.
    fn show_mistakes(&mut self, mistakes: Vec<String>) {
        if self.refused != mistakes {
            for mistake in &mistakes {
                tracing::error!("configuration refused: {mistake}");
            }
        }
        self.shared.board.update(|status| status.config_refused = Some(mistakes.join("; ")));
        self.refused = mistakes;
    }

    fn show_waiting(&self, cause: Cause, error: &PublishError) {
        let why = chain(error);
        self.shared.board.update(|status| {
            if status.causes.get(&cause) != Some(&why) {
                tracing::warn!(cause = cause.as_str(), "waiting for the volume: {why}");
            }
            status.causes.insert(cause, why);
        });
    }

    /// Shows a generation that was seen without the lock, for the probes.
    fn show_glance(&self, visible: &Generation) {
        let status = GenerationStatus::adopted(visible, String::new());
        self.shared.board.update(|board| board.generation = Some(status));
    }
}

/// Binds, however long it takes.
async fn bind(at: SocketAddr) -> TcpListener {
    let mut backoff = Backoff::new();
    loop {
        tokio::time::sleep(backoff.next(None)).await;
        if let Ok(listener) = admin::listen(at) {
            return listener;
        }
    }
}

/// TERM and INT end the process, HUP reads configuration and sources again.
fn start_signals(
    tasks: &mut Tasks,
    shutdown: CancellationToken,
    reread: Arc<Notify>,
) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tasks.start("signals", |stop, pulse| async move {
        loop {
            let ends = pulse.wait(async {
                tokio::select! {
                    _ = terminate.recv() => true,
                    _ = interrupt.recv() => true,
                    _ = hangup.recv() => false,
                    () = stop.cancelled() => true,
                }
            });
            let ends = ends.await;
            failpoint::pass("signals").await;
            if ends {
                break;
            }
            reread.notify_one();
        }
        if !stop.is_cancelled() {
            tracing::info!("stopping");
        }
        shutdown.cancel();
    });
    Ok(())
}

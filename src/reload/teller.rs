//! One target, told once: look, act, verify. The loop around it decides when.
//!
//! Owns the process that is held between signals. Must not write the journal.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use super::{
    attempt::{Class, Report},
    exec,
    gate::{Gate, gate},
    http,
    process::{Finder, NotFound, Stat},
    signal::Held,
    tell::{Look, Tell},
    verify::{self, Evidence},
};
use crate::{
    config::shape,
    failpoint,
    generation::{BootTime, Visible},
    rendering::OutputPath,
};

/// A process that is held is looked for again after this: a second match must not go unseen.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The blocked case is believed when it was seen twice, this far apart.
const BLOCKED_FOR: Duration = Duration::from_secs(1);
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// The settings of one target, compiled.
#[derive(Debug)]
pub struct Teller {
    target: shape::Target,
    signal: Option<Signal>,
    finder: Option<Finder>,
    held: Option<Held>,
    call: http::Web,
    ready: http::Web,
    page: http::Web,
}

impl Teller {
    /// What tells this target; an error says what is wrong with its settings.
    pub fn new(target: shape::Target) -> Result<Self, String> {
        let signal = target.signal.as_deref().map(str::parse::<Signal>).transpose();
        let signal = signal
            .map_err(|_| format!("{} is no signal", target.signal.as_deref().unwrap_or("")))?;
        let finder = target.process.as_ref().map(Finder::new).transpose();
        let finder = finder.map_err(|error| format!("process.cmdline: {error}"))?;
        if signal.is_some() && finder.is_none() {
            return Err("signal needs process".to_owned());
        }
        let [call, ready, page] = std::array::from_fn(|_| http::Web::default());
        Ok(Self { target, signal, finder, held: None, call, ready, page })
    }

    /// Finds the process, or checks that the one that is held still is the one.
    fn hold(&mut self) -> Result<Stat, Report> {
        let Some(finder) = &mut self.finder else {
            return Err(Report::new(Class::Unfit, "no process is configured"));
        };
        let now = Instant::now();
        if let Some(held) = self.held.as_ref().filter(|held| now - held.found < LOOK_AGAIN)
            && Stat::read(held.stat.pid)
                .is_some_and(|stat| stat.start == held.stat.start && finder.matches(&stat))
        {
            return Ok(held.stat.clone());
        }
        let found = finder.find().map_err(|error| {
            self.held = None;
            let class = match error {
                NotFound::NotRunning | NotFound::Hidden => Class::NotUp,
                NotFound::NotShared | NotFound::Ambiguous(..) => Class::Unfit,
            };
            Report::new(class, error.to_string())
        })?;
        match &mut self.held {
            Some(held) if (held.stat.pid, held.stat.start) == (found.pid, found.start) => {
                held.found = now;
            }
            _ => {
                self.held = Held::open(found.clone(), |now| finder.matches(now));
                if self.held.is_none() {
                    return Err(Report::new(Class::NotUp, "the process ended while it was found"));
                }
            }
        }
        Ok(found)
    }

    /// Whether the process may be told: ready or old enough, and for a signal with a handler.
    async fn fit(&mut self, stat: &Stat, now: &BootTime, fresh: bool) -> Result<(), Report> {
        let Some(held) = &mut self.held else {
            return Err(Report::new(Class::NotUp, "no running process matches"));
        };
        if let Some(ready) = &self.target.ready {
            if !held.ready {
                is_ready(&mut self.ready, ready).await?;
                held.ready = true;
            }
        } else if (self.signal.is_some() || fresh) && stat.uptime(now) < self.target.min_uptime {
            let why = format!("the process is younger than {:?}", self.target.min_uptime);
            return Err(Report::new(Class::NotUp, why));
        }
        match self.signal {
            Some(signal) if !fresh => admit(held, signal),
            _ => Ok(()),
        }
    }

    /// What has read the newest generation needs no signal now; that it may not be sent one is told
    /// all the same, before a change needs it.
    fn foresee(&self) {
        let (Some(_), Some(held)) = (self.signal, &self.held) else { return };
        if let Err(error @ nix::Error::EPERM) = held.send(None) {
            let (target, why) = (&self.target.name, refused(held.stat.pid, error));
            tracing::warn!(target, why, "the next reload would fail");
        }
    }

    fn send(&mut self) -> Report {
        let (Some(signal), Some(held)) = (self.signal, &self.held) else {
            return Report::new(Class::NotUp, "no running process matches");
        };
        // Between the look and now the journal was written: the table may have changed.
        match gate(held.stat.pid, signal) {
            Some(Gate::Caught | Gate::Blocked) => {}
            Some(_) => return Report::new(Class::Unfit, format!("no handler for {signal}")),
            None => return Report::new(Class::NotUp, "the process has ended"),
        }
        match held.send(Some(signal)) {
            Ok(()) => Report::new(Class::Sent, format!("{signal} sent to {}", held.stat.pid)),
            Err(nix::Error::ESRCH) => Report::new(Class::NotUp, "the process has ended"),
            Err(error) => Report::new(Class::Misconfigured, refused(held.stat.pid, error)),
        }
    }

    /// Whether it could be told now, without telling it.
    pub(super) async fn diagnose(&mut self) -> Result<String, String> {
        if self.finder.is_some() {
            let stat = self.hold().map_err(|report| report.detail)?;
            if let (Some(signal), Some(held)) = (self.signal, &self.held) {
                held.send(None).map_err(|error| refused(stat.pid, error))?;
                return match gate(stat.pid, signal) {
                    Some(Gate::Caught | Gate::Blocked) => {
                        Ok(format!("process {} takes {signal}", stat.pid))
                    }
                    Some(Gate::Ignored) => Err(format!("process {} ignores {signal}", stat.pid)),
                    Some(Gate::Unhandled) => Err(no_handler(stat.pid, signal)),
                    None => Err("the process has ended".to_owned()),
                };
            }
        }
        if let Some(http) = &self.target.http {
            return http::reach(&http.url).await;
        }
        Ok("it can be told".to_owned())
    }
}

impl Tell for Teller {
    type Evidence = Evidence;

    async fn look(&mut self, visible: &Visible, repeat: bool) -> Look<Evidence> {
        if self.finder.is_some() {
            match self.hold() {
                Err(report) => return Look::Wait(report),
                Ok(stat) => {
                    let now = BootTime::now();
                    let fresh = !repeat && stat.is_fresh(visible.flipped.as_ref(), &now);
                    if let Err(report) = self.fit(&stat, &now, fresh).await {
                        return Look::Wait(report);
                    }
                    if fresh {
                        self.foresee();
                        return Look::Fresh;
                    }
                }
            }
        }
        // Without a process to hold there is none to remember it of.
        if let (None, Some(ready)) = (&self.finder, &self.target.ready)
            && let Err(report) = is_ready(&mut self.ready, ready).await
        {
            return Look::Wait(report);
        }
        let Some(verify) = &self.target.verify else { return Look::Ready(None) };
        let pid = self.held.as_ref().map(|held| held.stat.pid);
        match verify::read(&mut self.page, verify, pid).await {
            Ok(evidence) => Look::Ready(Some(evidence)),
            Err(why) => {
                Look::Wait(Report::new(Class::NotUp, format!("no baseline for verify: {why}")))
            }
        }
    }

    async fn act(&mut self, generation: u64, changed: &[OutputPath]) -> Report {
        failpoint::pass("tell").await;
        if let Some(http) = &self.target.http {
            http::call(&mut self.call, http, generation, changed).await
        } else if let Some(words) = &self.target.exec {
            exec::run(words, self.target.timeout, generation, changed).await
        } else {
            self.send()
        }
    }

    async fn confirm(&mut self, told: Report, before: Option<&Evidence>) -> Report {
        let (Some(verify), Some(before)) = (&self.target.verify, before) else { return told };
        if !matches!(told.class, Class::Sent | Class::Confirmed | Class::CannotKnow) {
            return told;
        }
        let pid = self.held.as_ref().map(|held| held.stat.pid);
        let report = verify::wait(&mut self.page, verify, before, pid).await;
        match &self.held {
            Some(held) if report.class == Class::SaidNo && !held.is_same() => {
                Report::new(Class::NotUp, "the process ended before there was evidence")
            }
            Some(held) if report.class == Class::SaidNo => match held.stands() {
                Some(why) => Report::new(Class::CannotKnow, why),
                None => report,
            },
            _ => report,
        }
    }
}

async fn is_ready(web: &mut http::Web, ready: &shape::Ready) -> Result<(), Report> {
    match web.get(&ready.url, ready.tls.as_ref(), READY_TIMEOUT).await {
        Ok((200..=299, _)) => Ok(()),
        Ok((status, _)) => Err(Report::new(Class::NotUp, format!("ready answered {status}"))),
        Err(why) => Err(Report::new(Class::NotUp, format!("not ready: {why}"))),
    }
}

fn admit(held: &mut Held, signal: Signal) -> Result<(), Report> {
    let pid = held.stat.pid;
    let seen = gate(pid, signal);
    if seen != Some(Gate::Blocked) {
        held.blocked = None;
    }
    match seen {
        Some(Gate::Caught) => Ok(()),
        Some(Gate::Blocked) => {
            let since = *held.blocked.get_or_insert_with(Instant::now);
            if since.elapsed() >= BLOCKED_FOR {
                return Ok(());
            }
            let why = format!("process {pid} has {signal} blocked; looking again in a second");
            Err(Report::new(Class::NotUp, why))
        }
        Some(Gate::Ignored) => {
            Err(Report::new(Class::Unfit, format!("process {pid} ignores {signal}")))
        }
        Some(Gate::Unhandled) => Err(Report::new(Class::Unfit, no_handler(pid, signal))),
        None => Err(Report::new(Class::NotUp, "the process has ended")),
    }
}

fn no_handler(pid: i32, signal: Signal) -> String {
    format!("process {pid} has no handler for {signal}, which may kill it")
}

fn refused(pid: i32, error: nix::Error) -> String {
    format!(
        "cannot signal process {pid}: {error}; run as the same user (securityContext.runAsUser)"
    )
}

//! A real nginx whose configuration is what Rehup publishes.

use std::{collections::BTreeSet, ffi::OsString, net::SocketAddr, path::Path};

use nix::sys::signal::Signal;

use super::{
    http,
    patience::eventually,
    process::{Process, free_port, scratch},
    program::installed,
};

/// A place for one nginx: its port and its private files; nothing runs before [`Nginx::start`].
pub struct Nginx {
    folder: tempfile::TempDir,
    at: SocketAddr,
    process: Option<Process>,
}

impl Nginx {
    /// Picks a port.
    pub fn new() -> Self {
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self { folder: scratch(), at, process: None }
    }

    /// A configuration that answers every request with `body`, which may be a template expression.
    pub fn configuration(&self, body: &str) -> String {
        let folder = self.folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {folder}/{kind};"))
            .join(" ");
        format!(
            "daemon off; worker_processes 2; pid {folder}/pid;\n\
             error_log {folder}/error.log notice;\n\
             events {{ }}\n\
             http {{ access_log off; {temporary}\n  \
               server {{ listen {}; location / {{ return 200 \"{body}\"; }} }}\n}}\n",
            self.at
        )
    }

    /// Starts it on a configuration file and waits until it serves.
    pub fn start(&mut self, configuration: &Path) {
        self.begin(configuration);
        eventually("nginx serves", || self.page());
    }

    /// Starts it and waits for nothing but that it is nginx; its process id.
    pub fn begin(&mut self, configuration: &Path) -> u32 {
        // A killed master would leave its workers behind: SIGTERM when this process dies.
        let mut arguments = ["--pdeathsig", "TERM", "--"].map(OsString::from).to_vec();
        arguments.extend([installed("nginx").into_os_string(), "-c".into(), configuration.into()]);
        let log = self.folder.path().join("output");
        let process = Process::start("setpriv", arguments, &log, |_| ());
        let pid = process.pid();
        self.process = Some(process);
        let name = format!("/proc/{pid}/comm");
        eventually("it is nginx", || {
            std::fs::read_to_string(&name).is_ok_and(|name| name == "nginx\n").then_some(())
        });
        pid
    }

    /// Sends its master a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("a started nginx").signal(signal);
    }

    /// What it has logged, with the signals that it took.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }

    /// Whether its master lives.
    pub fn lives(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.exited().is_none())
    }

    /// What it serves now; none if a request fails.
    pub fn page(&self) -> Option<String> {
        http::get(self.at, "/").filter(|answer| answer.status == 200).map(|answer| answer.body)
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// The part of a target's settings that finds its master.
    pub fn process_yaml(&self) -> String {
        format!("process: {{ name: nginx, pid_file: {}/pid }}", self.folder.path().display())
    }

    /// Its workers.
    pub fn workers(&self) -> BTreeSet<u32> {
        Self::workers_of(self.process.as_ref().expect("a started nginx").pid())
    }

    /// The workers of a master that something else has started.
    pub fn workers_of(master: u32) -> BTreeSet<u32> {
        let children = format!("/proc/{master}/task/{master}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process
            && process.exited().is_none()
        {
            process.signal(Signal::SIGTERM);
            // It may have been stopped.
            process.signal(Signal::SIGCONT);
            process.wait();
        }
    }
}

//! A child process that never outlives its test, also when the test itself is killed.

use std::{
    ffi::OsStr,
    fs::File,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::net::TcpSocket;

/// A running child; dropping it kills and reaps it.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with its output in `log`. `setpriv` (util-linux) asks the kernel to kill it
    /// when this process dies, which no destructor can promise.
    pub fn start<S: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = S>,
        log: &Path,
        adjust: impl FnOnce(&mut Command),
    ) -> Self {
        let out = File::create(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("clone")).stderr(out);
        adjust(&mut command);
        let child = command.spawn().expect("setpriv of util-linux starts the program");
        Self { child, log: log.to_owned() }
    }

    /// Its process id; `setpriv` replaces itself, so this is the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("a pid"));
        kill(pid, signal).unwrap_or_else(|error| panic!("cannot send {signal} to {pid}: {error}"));
    }

    /// Its exit status, if it has ended.
    pub fn exited(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("our own child")
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("our own child")
    }

    /// Kills and reaps it now.
    pub fn kill(&mut self) {
        // Both fail only when it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.output());
        }
    }
}

/// A port of 127.0.0.1 that nobody listens on, below those that the system gives to outgoing
/// connections. It stays with this process: for as long as it runs, a socket at the same port of
/// another address keeps the tests of all processes from choosing it too.
///
/// The look at it does not listen: a program that another thread starts just then has a copy of the
/// socket until it is itself, and a copy that listens would keep the port.
pub fn free_port() -> u16 {
    static TAKEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    loop {
        let port = fastrand::u16(10_000..32_000);
        let Ok(taken) = UdpSocket::bind(("127.0.0.2", port)) else { continue };
        let look = TcpSocket::new_v4().expect("a socket");
        look.set_reuseaddr(true).expect("a socket");
        if look.bind(SocketAddr::from(([127, 0, 0, 1], port))).is_ok() {
            TAKEN.lock().expect("nobody panics with it").push(taken);
            return port;
        }
    }
}

/// A folder on tmpfs, removed when dropped.
pub fn scratch() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    let base = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("rehup-test-").tempdir_in(base).expect("a scratch folder")
}

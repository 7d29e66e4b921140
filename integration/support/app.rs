//! The built binary as a stranger would start it: a configuration, a volume, an admin port.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    sync::OnceLock,
};

use nix::sys::signal::Signal;

use super::{
    canary,
    http::{self, Answer},
    patience::eventually,
    process::{Process, free_port, scratch},
};

/// One Rehup with a folder of its own: configuration, templates, volume.
pub struct App {
    // Ends before its folder does.
    process: Option<Process>,
    folder: tempfile::TempDir,
    listen: SocketAddr,
    starts: usize,
    level: &'static str,
    program: PathBuf,
    extra: Vec<(String, OsString)>,
}

/// The log so far, read when it is printed.
pub struct Tail<'a>(&'a App);

/// The binary under test: `REHUP`, as `make test` sets it to the release build, or the one that
/// Cargo built beside this test.
pub fn program() -> PathBuf {
    std::env::var_os("REHUP").map_or_else(|| env!("CARGO_BIN_EXE_rehup").into(), PathBuf::from)
}

/// The same program with failpoints: `REHUP_FAILPOINTS_BINARY`, or built now, as Cargo finds it.
fn failpoints() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(program) = std::env::var_os("REHUP_FAILPOINTS_BINARY") {
            return program.into();
        }
        let words = "build --locked --quiet --features failpoints --example rehup-failpoints";
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(words.split(' ')).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(cargo.status().expect("cargo").success(), "cargo {words}");
        Path::new(env!("CARGO_BIN_EXE_rehup")).with_file_name("examples/rehup-failpoints")
    })
}

/// Where the whole suite runs confined, so does every configuration that may.
fn confined(yaml: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(yaml);
    let may = text.contains("sources:") && !text.contains("exec:") && !text.contains("confine:");
    let more = if may && std::env::var_os("REHUP_TEST_CONFINE").is_some() {
        &b"confine: true\n"[..]
    } else {
        b""
    };
    [yaml, more].concat()
}

impl fmt::Display for Tail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log:\n{}", self.0.log())
    }
}

impl App {
    /// A folder with an empty volume; nothing runs yet.
    pub fn new() -> Self {
        let folder = scratch();
        std::fs::create_dir(folder.path().join("volume")).expect("a volume");
        let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self {
            process: None,
            folder,
            listen,
            starts: 0,
            level: "trace",
            program: program(),
            extra: Vec::new(),
        }
    }

    /// One whose tasks can be made to fail; heartbeats may stay away for `silence`.
    pub fn with_failpoints(silence: &str) -> Self {
        let mut app = Self::new();
        failpoints().clone_into(&mut app.program);
        std::fs::write(app.folder().join("silence"), silence).expect("a file");
        app.fail("");
        app
    }

    /// From now on these points fail: `target hang`; an empty text ends that.
    pub fn fail(&self, points: &str) {
        let folder = self.folder();
        let silence = std::fs::read_to_string(folder.join("silence")).expect("failpoints");
        let staged = folder.join(".failpoints.new");
        std::fs::write(&staged, format!("silence {silence}\n{points}\n")).expect("failpoints");
        std::fs::rename(staged, folder.join("failpoints")).expect("failpoints");
    }

    /// One more variable in the environment of what is started.
    pub fn variable(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.extra.push((name.to_owned(), value.into()));
        self
    }

    /// A copy of the program, with what it is to be run as.
    pub fn runs(&mut self, program: &Path) -> &mut Self {
        program.clone_into(&mut self.program);
        self
    }

    /// Logs as little as in production.
    pub fn quiet(&mut self) -> &mut Self {
        self.level = "info";
        self
    }

    /// The folder for configuration, templates and whatever a test keeps.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The output root.
    pub fn volume(&self) -> PathBuf {
        self.folder.path().join("volume")
    }

    /// The admin endpoint.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Writes the configuration file by rename.
    pub fn configure(&self, yaml: impl AsRef<[u8]>) {
        let staged = self.folder.path().join(".rehup.yaml.new");
        std::fs::write(&staged, confined(yaml.as_ref())).expect("a configuration");
        std::fs::rename(staged, self.config()).expect("a configuration");
    }

    /// Writes a key of the file source `base/` by rename, its value with the mark of a secret.
    pub fn put(&self, key: &str, value: &str) {
        self.put_plainly(key, &canary::hide(value));
    }

    /// Writes a key as it is, where its value has a meaning to somebody.
    pub fn put_plainly(&self, key: &str, value: &str) {
        let base = self.folder.path().join("base");
        std::fs::create_dir_all(&base).expect("a source folder");
        let staged = base.join(".new");
        std::fs::write(&staged, value).expect("a staged key");
        std::fs::rename(staged, base.join(key)).expect("a key");
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("rehup.yaml")
    }

    /// A command of the binary, with configuration, volume and admin port in its environment.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words);
        self.environment(&mut command);
        command
    }

    fn environment(&self, command: &mut Command) {
        command
            .env("REHUP_CONFIG", self.config())
            .env("REHUP_OUTPUT", self.volume())
            .env("REHUP_LISTEN", self.listen.to_string())
            .env("REHUP_LOG", self.level)
            .env("REHUP_FAILPOINTS", self.folder.path().join("failpoints"))
            .envs(self.extra.iter().map(|(name, value)| (name, value)));
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Output {
        self.run_through::<&str>(&[], words)
    }

    /// The same through programs that replace themselves or wait for it.
    #[track_caller]
    pub fn run_through<S: AsRef<OsStr>>(&self, through: &[S], words: &[&str]) -> Output {
        let mut line: Vec<_> = through.iter().map(AsRef::as_ref).collect();
        line.push(self.program.as_os_str());
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).args(words);
        self.environment(&mut command);
        let output = command.output().expect("the built binary");
        // To print what was rendered is all that `render` does.
        if words[0] != "render" || words.contains(&"--diff") {
            canary::listen(&format!("what `{words:?}` prints"), &output.stdout);
        }
        canary::listen(&format!("the errors of `{words:?}`"), &output.stderr);
        output
    }

    /// Starts `rehup run`.
    pub fn start(&mut self) -> &mut Self {
        self.start_through::<&str>(&[])
    }

    /// Starts it through programs that replace themselves: `nsenter`, `setpriv`.
    pub fn start_through<S: AsRef<OsStr>>(&mut self, words: &[S]) -> &mut Self {
        assert!(self.process.is_none(), "it runs already");
        self.starts += 1;
        let log = self.folder.path().join(format!("log-{}", self.starts));
        let environment = |command: &mut Command| self.environment(command);
        let mut line: Vec<_> = words.iter().map(AsRef::as_ref).collect();
        line.extend([self.program.as_os_str(), OsStr::new("run")]);
        let process = Process::start(line[0], &line[1..], &log, environment);
        self.process = Some(process);
        self
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a started rehup")
    }

    /// What it has logged since its last start.
    pub fn log(&self) -> String {
        self.process.as_ref().expect("a started rehup").output()
    }

    /// The same for the message of a failed expectation.
    pub fn tail(&self) -> Tail<'_> {
        Tail(self)
    }

    /// Asks the admin endpoint; none while nobody answers.
    #[track_caller]
    pub fn get(&self, path: &str) -> Option<Answer> {
        let answer = http::get(self.listen, path)?;
        canary::listen(path, answer.body.as_bytes());
        Some(answer)
    }

    /// Waits until the admin endpoint answers `path` with `status`.
    #[track_caller]
    pub fn answers(&self, path: &str, status: u16) -> String {
        eventually(format_args!("{path} answers {status}; {}", self.tail()), || {
            self.get(path).filter(|answer| answer.status == status).map(|answer| answer.body)
        })
    }

    /// Waits for the first generation.
    #[track_caller]
    pub fn ready(&self) -> &Self {
        self.answers("/readyz", 200);
        self
    }

    /// The whole status.
    pub fn status(&self) -> serde_json::Value {
        self.try_status().expect("a running rehup")
    }

    /// The whole status, or nothing while nobody answers.
    pub fn try_status(&self) -> Option<serde_json::Value> {
        let answer = self.get("/status")?;
        Some(serde_json::from_str(&answer.body).expect("the status is JSON"))
    }

    /// The state of one source, as the status tells it: `live`, `degraded(unavailable)`.
    pub fn state(&self, source: &str) -> String {
        let status = self.try_status().unwrap_or_default();
        status["sources"][source]["state"].as_str().unwrap_or_default().to_owned()
    }

    /// The value of one sample of `/metrics`, named with its labels; 0 while it is not there.
    pub fn metric(&self, sample: &str) -> f64 {
        let page = self.get("/metrics").map(|answer| answer.body).unwrap_or_default();
        let value = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// The same for what is counted.
    pub fn count(&self, sample: &str) -> u64 {
        format!("{:.0}", self.metric(sample)).parse().expect("a count")
    }

    /// The number of the visible generation, read from the volume; 0 without one.
    pub fn generation(&self) -> u64 {
        let Ok(link) = std::fs::read_link(self.volume().join("..data")) else { return 0 };
        let name = link.to_string_lossy().into_owned();
        let number = name.strip_prefix("..gen-").and_then(|rest| rest.split('-').next());
        number.and_then(|number| number.parse().ok()).expect("a generation's folder name")
    }

    /// A published file.
    pub fn read(&self, path: &str) -> Option<String> {
        Some(canary::unhide(&std::fs::read_to_string(self.volume().join(path)).ok()?))
    }

    /// Waits until a published file has this content.
    #[track_caller]
    pub fn shows(&self, path: &str, content: &str) {
        eventually(format_args!("{path} shows {content:?}; {}", self.tail()), || {
            (self.read(path).as_deref() == Some(content)).then_some(())
        });
    }

    /// Waits until one target's newest outcome is this.
    #[track_caller]
    pub fn settles(&self, target: &str, outcome: &str) -> serde_json::Value {
        eventually(format_args!("target {target} ends {outcome}; {}", self.tail()), || {
            let status = self.try_status()?["targets"][target].clone();
            (status["outcome"] == outcome && status["owed_seconds"].is_null()).then_some(status)
        })
    }

    /// SIGTERM, and the exit status.
    pub fn stop(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("a started rehup");
        process.signal(Signal::SIGTERM);
        process.wait()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process().kill();
        self.process = None;
    }

    /// Waits until it ends by itself.
    pub fn ends(&mut self) -> (ExitStatus, String) {
        let mut process = self.process.take().expect("a started rehup");
        let status = eventually("rehup ends", || process.exited());
        (status, process.output())
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // A test that has failed already says more than what comes of it.
        if std::thread::panicking() {
            return;
        }
        for start in 1..=self.starts {
            let log = std::fs::read(self.folder.path().join(format!("log-{start}")));
            canary::listen("the log", &log.unwrap_or_default());
        }
    }
}

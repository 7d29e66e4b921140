//! A shipped recipe at work: its files with our paths and ports in them, Rehup on them, and the
//! program that its first line names, both as one user in a PID namespace of their own, as in a pod.

use std::{
    cell::Cell,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    app::{App, program},
    http::{self, Answer},
    patience::eventually,
    process::free_port,
    processes::{Inhabitant, Processes},
    program::copy,
};

/// Where the recipes lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/recipes")
}

/// Pairs of a path or a port that a recipe names and ours.
pub struct Places(Vec<(String, String)>);

impl Places {
    /// What every recipe has: its own folder, the values, the volume.
    pub fn of(app: &App) -> Self {
        let mut places = Self(Vec::new());
        places.path("/etc/rehup/values", &app.folder().join("base"));
        places.path("/etc/rehup", app.folder());
        places.path("/shared", &app.volume());
        places
    }

    /// Another path.
    pub fn path(&mut self, from: &str, to: &Path) {
        assert!(from.starts_with('/') && to.is_absolute(), "{from} is a path");
        self.0.push((from.to_owned(), to.display().to_string()));
    }

    /// Another port.
    pub fn port(&mut self, from: &str, to: u16) {
        assert!(from.parse::<u16>().is_ok(), "{from} is a port");
        self.0.push((from.to_owned(), to.to_string()));
    }

    /// A text with our places in it; putting theirs back gives the same text, so nothing else
    /// differs.
    pub fn put_into(&self, text: &str) -> String {
        let ours = replace(text, self.0.iter().map(|(from, to)| (from.as_str(), to.as_str())));
        let back = replace(&ours, self.0.iter().map(|(from, to)| (to.as_str(), from.as_str())));
        assert_eq!(back, text, "only paths and ports differ");
        ours
    }
}

/// One pass from left to right over whole paths and whole numbers; where several match, the longest.
fn replace<'a>(text: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    let in_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "-_.".contains(c));
    let (mut replaced, mut rest, mut before) = (String::new(), text, None);
    while let Some(next) = rest.chars().next() {
        let found = pairs.iter().find(|(from, _)| {
            let after = rest.strip_prefix(from).map(|rest| rest.chars().next());
            !in_word(before) && after.is_some_and(|after| !in_word(after))
        });
        let (take, put) = match found {
            Some((from, to)) => (from.len(), (*to).to_owned()),
            None => (next.len_utf8(), next.to_string()),
        };
        replaced.push_str(&put);
        let (taken, left) = rest.split_at(take);
        (before, rest) = (taken.chars().next_back(), left);
    }
    replaced
}

/// Copies a recipe into the app's folder.
pub fn lay_out(app: &App, recipe: &str, file: &str, places: &Places) {
    let recipe = folder().join(recipe);
    for entry in fs::read_dir(&recipe).expect("a recipe").map(|it| it.expect("an entry").path()) {
        let name = entry.file_name().expect("a name");
        let text = fs::read_to_string(&entry).expect("a text");
        fs::write(app.folder().join(name), places.put_into(&text)).expect("a file");
    }
    let yaml = fs::read_to_string(recipe.join(file)).expect("a configuration");
    app.configure(places.put_into(&yaml));
}

/// The program that a configuration's first line names.
fn named_in(config: &Path, places: &Places) -> Vec<String> {
    let yaml = fs::read_to_string(config).expect("a configuration");
    let first = yaml.lines().next().and_then(|line| line.strip_prefix("# Runs: "));
    let line = places.put_into(first.expect("the first line says what it runs beside"));
    line.split_whitespace().map(str::to_owned).collect()
}

/// What happens to a program that ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// It stays gone.
    Once,
    /// It is started again, as by a kubelet.
    Again,
}

/// A recipe whose program may be started.
pub struct Recipe {
    // In the order in which they end.
    program: Option<Inhabitant>,
    processes: Processes,
    pub app: App,
    places: Places,
    user: u32,
    group: u32,
    path: String,
    target: &'static str,
    line: Vec<String>,
    /// The last generation that ended as it should.
    last: Cell<u64>,
}

impl Recipe {
    /// A place for one, whose target has this name; nothing is laid out yet.
    pub fn new(target: &'static str) -> Self {
        let mut app = App::new();
        let copied = app.folder().join("rehup");
        // Where everybody can reach it.
        copy(program(), &copied);
        app.runs(&copied);
        let places = Places::of(&app);
        let folders =
            ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        let own = app.folder().join("bin");
        fs::create_dir(&own).expect("a folder");
        let path = format!("{}:{}", own.display(), folders.join(":"));
        let processes = Processes::new();
        let (user, group) = (65532, 65532);
        let (program, line, last) = (None, Vec::new(), Cell::new(0));
        Self { program, processes, app, places, user, group, path, target, line, last }
    }

    /// As another user than in our manifests.
    pub fn as_user(&mut self, name: &str) {
        let id = |which: &str| {
            let output = Command::new("id").args([which, name]).output().expect("id");
            String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
        };
        (self.user, self.group) = (id("-u"), id("-g"));
    }

    /// A program that is found before those of the machine, as in the recipe's image.
    pub fn brings(&self, name: &str, from: &Path) {
        assert!(from.is_file(), "no {} at {}: run `make test`", name, from.display());
        copy(from, self.app.folder().join("bin").join(name));
    }

    /// A folder whose programs are found too.
    pub fn finds_in(&mut self, folder: &Path) {
        self.path = format!("{}:{}", folder.display(), self.path);
    }

    /// A free port in place of the recipe's.
    pub fn port(&mut self, from: &str) -> SocketAddr {
        let port = free_port();
        self.places.port(from, port);
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// A folder of ours, that the user may write, in place of the recipe's.
    pub fn folder(&mut self, from: &str) -> PathBuf {
        let folder = self.app.folder().join(from.trim_start_matches('/').replace('/', "-"));
        fs::create_dir_all(&folder).expect("a folder");
        self.places.path(from, &folder);
        folder
    }

    /// Copies the recipe's files.
    pub fn lay_out(&mut self, recipe: &str, file: &str) {
        lay_out(&self.app, recipe, file, &self.places);
        self.line = named_in(&folder().join(recipe).join(file), &self.places);
        let whole = format!("{}:{}", self.user, self.group);
        self.outside(&["chown", "-R", &whole]);
        self.outside(&["chmod", "755"]);
    }

    /// Something that root does to the whole folder.
    fn outside(&self, words: &[&str]) {
        let status = Command::new(words[0]).args(&words[1..]).arg(self.app.folder()).status();
        assert!(status.expect("coreutils").success(), "{words:?}");
    }

    /// The words in front of what runs as the user.
    fn as_the_user(&self) -> Vec<String> {
        let (user, group) = (format!("--reuid={}", self.user), format!("--regid={}", self.group));
        let words = ["setpriv", &user, &group, "--clear-groups", "env", "HOME=/"];
        let path = format!("PATH={}", self.path);
        words.map(str::to_owned).into_iter().chain([path]).collect()
    }

    /// Runs something as the user to its end, and requires that it succeeds; what it printed.
    pub fn does(&self, words: &[&str]) -> String {
        let line = self.as_the_user();
        let mut command = Command::new(&line[0]);
        let output =
            command.args(&line[1..]).args(words).current_dir("/").output().expect("setpriv");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Starts Rehup, and the program once a whole generation is visible: as a native sidecar does.
    #[track_caller]
    pub fn start(&mut self, ends: Ends) {
        let line: Vec<_> = self.processes.entry().into_iter().chain(self.as_the_user()).collect();
        self.app.start_through(&line).ready();
        let mut line = self.as_the_user();
        if ends == Ends::Again {
            line.extend(["sh", "-c", "while :; do \"$@\"; done", "kubelet"].map(str::to_owned));
        }
        line.extend(self.line.iter().cloned());
        self.program = Some(self.processes.start(&line, &self.app.folder().join("output")));
        self.ends("confirmed");
    }

    /// What the program has printed.
    pub fn said(&self) -> String {
        fs::read_to_string(self.app.folder().join("output")).unwrap_or_default()
    }

    /// A value, which comes by rename.
    pub fn put(&self, key: &str, value: &str) {
        self.app.put_plainly(key, value);
    }

    /// Waits until a page says this.
    #[track_caller]
    pub fn serves(&self, at: SocketAddr, path: &str, body: &str) {
        let mut last = None;
        let expected = format!("{path} is {body:?}; {}; it said {}", self.app.tail(), self.said());
        eventually(expected, || {
            last = http::get(at, path);
            matches!(&last, Some(Answer { status: 200, body: it }) if it == body).then_some(())
        });
    }

    /// Waits until the target has ended a newer generation so, and the visible one.
    #[track_caller]
    pub fn ends(&self, outcome: &str) {
        let last = self.last.get();
        let expected = format_args!("one after {last} ends {outcome}; {}", self.app.tail());
        self.last.set(eventually(expected, || {
            let status = self.app.try_status()?;
            let told = &status["targets"][self.target];
            let number = told["generation"].as_u64().filter(|number| *number > last)?;
            let visible = status["generation"]["number"] == number;
            (told["outcome"] == outcome && visible).then_some(number)
        }));
    }

    /// Waits until the check has refused what would come next, while the last one stays.
    #[track_caller]
    pub fn is_refused(&self) {
        eventually(format_args!("the check says no; {}", self.app.tail()), || {
            let answer = self.app.get("/freshz")?;
            (answer.status == 503 && answer.body.contains("check:")).then_some(())
        });
        let visible = &self.app.status()["generation"]["number"];
        assert_eq!(*visible, self.last.get(), "readers never see it");
        self.app.answers("/readyz", 200);
    }
}

//! A Compose file that ships, brought up unchanged by podman-compose: in namespaces of its own, with
//! images, containers, volumes and networks of its own, all gone when a test ends, however it ends.
//!
//! What podman-compose and Debian's podman do not understand of the files is put right by
//! `compose/podman.sh`, which says what; health checks, which podman leaves to systemd, are run by
//! [`Stack::healthy`].

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;

use super::{
    patience::{eventually, patiently},
    process::Process,
};

/// One file that is up, or was.
pub struct Stack {
    file: &'static str,
    project: String,
    /// Process 1 of its namespaces.
    init: u32,
    keeper: Process,
    folder: tempfile::TempDir,
}

impl Stack {
    /// Namespaces, and in them the images of a file below `deploy`; nothing runs yet.
    pub fn new(file: &'static str, images: &[&str]) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        configure_podman(folder.path());
        let words = "--net --mount --propagation private --pid --fork --kill-child --mount-proc";
        let script = root().join("integration/compose/box.sh");
        let words = words.split(' ').map(PathBuf::from).chain(["--".into(), script]);
        let keeper = Process::start("unshare", words, &folder.path().join("box"), |_| {});
        let init = eventually("process 1 of the namespaces", || first_process(keeper.pid()));
        let text = fs::read_to_string(root().join("deploy").join(file)).expect("a Compose file");
        let project = text.lines().find_map(|line| line.strip_prefix("name: "));
        let project = project.expect("the file names its project").to_owned();
        let stack = Self { file, project, init, keeper, folder };
        let copies = stack.folder.path().join("images");
        let script = root().join("integration/compose/images.sh");
        let built = stack.inside(script).arg(copies).args(images).output();
        succeeded("the images are built", &built.expect("bash"));
        stack
    }

    /// A command that runs inside.
    fn inside(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--pid", "--target", &self.init.to_string()]);
        command.arg(format!("--wd={}", root().display())).arg("--").arg(program.as_ref());
        let of = |name: &str| self.folder.path().join(name);
        command.env("CONTAINERS_CONF", of("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", of("storage.conf"));
        command.env("CGROUP", self.cgroup());
        command.env("PROJECT", &self.project).env("REHUP", super::app::program());
        command
    }

    /// Where the cgroups of its containers are.
    fn cgroup(&self) -> String {
        let name = self.folder.path().file_name().expect("a name").to_string_lossy();
        format!("/rehup-test-{}", name.trim_start_matches('.'))
    }

    /// Runs podman-compose on the file.
    pub fn compose(&self, words: &[&str]) -> String {
        let podman = root().join("integration/compose/podman.sh");
        let file = root().join("deploy").join(self.file);
        let program = root().join("target/tools/podman-compose/bin/podman-compose");
        let mut command = self.inside(program);
        command.arg("--podman-path").arg(podman).arg("--file").arg(file).args(words);
        succeeded(&words.join(" "), &command.output().expect("podman-compose"))
    }

    /// Runs podman, which must succeed.
    pub fn podman(&self, words: &[&str]) -> String {
        let output = self.inside("podman").args(words).output().expect("podman");
        succeeded(&words.join(" "), &output)
    }

    /// The container of a service.
    pub fn container(&self, service: &str) -> String {
        format!("{}_{service}_1", self.project)
    }

    /// Runs a program of a service's container, which must succeed.
    pub fn exec(&self, service: &str, words: &[&str]) -> String {
        let container = self.container(service);
        self.podman(&[&["exec", container.as_str()], words].concat())
    }

    /// User and group of a volume.
    pub fn owner(&self, volume: &str) -> (u32, u32) {
        let path = self.podman(&["volume", "inspect", "--format", "{{.Mountpoint}}", volume]);
        let folder = fs::metadata(path.trim()).expect("the volume's folder");
        (folder.uid(), folder.gid())
    }

    /// One field of what podman knows of a service's container.
    pub fn inspect(&self, service: &str, field: &str) -> String {
        let answer = self.podman(&["inspect", "--format", field, &self.container(service)]);
        answer.trim().to_owned()
    }

    /// What a service has printed.
    pub fn log(&self, service: &str) -> String {
        let command = self.inside("podman").args(["logs", &self.container(service)]).output();
        let output = command.expect("podman");
        [output.stdout, output.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat()
    }

    /// Whether a service's own health check passes; podman itself would leave it to systemd's timers.
    pub fn healthy(&self, service: &str) -> bool {
        let container = self.container(service);
        let check = self.inside("podman").args(["healthcheck", "run", &container]).output();
        check.expect("podman").status.success()
    }

    /// Sends a signal to the first process of a service's container, past podman.
    pub fn signal(&self, service: &str, signal: &str) {
        let pid = self.inspect(service, "{{.State.Pid}}");
        let sent = self.inside("kill").args(["-s", signal, &pid]).output().expect("kill");
        succeeded("a signal is sent", &sent);
    }

    /// What a published port answers; none if it does not.
    pub fn get(&self, port: u16, path: &str) -> Option<String> {
        self.fetch(port, path, &[])
    }

    /// What it answers to a body; none if it does not.
    pub fn post(&self, port: u16, path: &str, body: &str) -> Option<String> {
        self.fetch(port, path, &["--data", body])
    }

    fn fetch(&self, port: u16, path: &str, words: &[&str]) -> Option<String> {
        let url = format!("http://127.0.0.1:{port}{path}");
        let mut command = self.inside("curl");
        command.args(["--silent", "--fail", "--max-time", "5"]).args(words).arg(url);
        let output = command.output().expect("curl");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until Rehup's status says that a target has settled a generation with an outcome.
    #[track_caller]
    pub fn settles(&self, target: &str, generation: u64, outcome: &str) {
        patiently(format_args!("{target}: {outcome} for {generation}"), || {
            let status: Value = serde_json::from_str(&self.get(9533, "/status")?).ok()?;
            let told = &status["targets"][target];
            (told["outcome"] == outcome && told["generation"] == generation).then_some(())
        });
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.inside("podman").args(["ps", "--all"]).output().expect("podman");
            eprintln!("--- {}\n{}", self.file, String::from_utf8_lossy(&output.stdout));
            for service in ["rehup-once", "rehup", "nginx", "prometheus"] {
                eprintln!("--- {service}\n{}", self.log(service));
            }
        }
        let mut command = self.inside("podman");
        drop(command.args(["rm", "--all", "--force", "--time", "0"]).output());
        self.keeper.kill();
        let cgroup = self.cgroup();
        let tops = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let tops = tops.map(|top| top.path()).chain(["/sys/fs/cgroup".into()]);
        for place in tops.map(|top| top.join(cgroup.trim_start_matches('/'))) {
            // What was killed is still dying.
            for _ in 0..200 {
                remove_cgroups(&place);
                if !place.exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Removes a cgroup without processes and all below it.
fn remove_cgroups(place: &Path) {
    let below = fs::read_dir(place).into_iter().flatten().flatten();
    for child in below.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        remove_cgroups(&child);
    }
    drop(fs::remove_dir(place));
}

/// Tells podman to share nothing with a podman of this machine.
fn configure_podman(folder: &Path) {
    let at = folder.display();
    let containers = format!(
        "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
         [network]\nnetwork_config_dir = \"{at}/networks\"\n\
         [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
         lock_type = \"file\"\ntmp_dir = \"{at}/tmp\"\n"
    );
    let storage = format!(
        "[storage]\ndriver = \"overlay\"\ngraphroot = \"{at}/store\"\nrunroot = \"{at}/run\"\n"
    );
    fs::write(folder.join("containers.conf"), containers).expect("a file");
    fs::write(folder.join("storage.conf"), storage).expect("a file");
}

/// The child of `unshare`, once it is what `box.sh` becomes.
fn first_process(unshare: u32) -> Option<u32> {
    let children = format!("/proc/{unshare}/task/{unshare}/children");
    let child = fs::read_to_string(children).ok()?.trim().parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
    (name == "catatonit\n").then_some(child)
}

/// What a command printed, if it ended well.
#[track_caller]
fn succeeded(what: &str, output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{what}: {}\n{text}{error}", output.status);
    text.into_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

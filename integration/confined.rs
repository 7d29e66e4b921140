//! X08, X09: the process inside Landlock, and on a kernel that has less than it would like.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use crate::support::{
    app::App,
    compiled,
    endpoint::{Endpoint, Manner},
    patience::eventually,
    target::Counter,
};

/// A mounted ConfigMap with one template, as the kubelet writes it: `..data` leads to a version.
fn mount(folder: &Path, version: usize, template: &str) {
    mount_with(folder, version, |file| fs::write(file, template));
}

fn mount_with(folder: &Path, version: usize, make: impl Fn(&Path) -> std::io::Result<()>) {
    let name = format!("..version-{version}");
    fs::create_dir_all(folder.join(&name)).expect("a version");
    make(&folder.join(&name).join("level.j2")).expect("a template");
    symlink(&name, folder.join("..data_tmp")).expect("a link");
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("a swap");
    if version == 1 {
        symlink("..data/level.j2", folder.join("level.j2")).expect("a link");
    } else {
        let old = folder.join(format!("..version-{}", version - 1));
        fs::remove_dir_all(old).expect("the old version");
    }
}

fn rotate(path: &Path, content: &str) {
    let staged = path.with_extension("new");
    fs::write(&staged, content).expect("a file");
    fs::rename(staged, path).expect("a rename");
}

/// Confined, with everything that a rotation or a swap replaces.
fn serving(endpoint: &Endpoint, counter: &Counter) -> App {
    let app = App::new();
    let folder = app.folder().display().to_string();
    let (mounted, secret) = (app.folder().join("mounted"), app.folder().join("secret"));
    fs::create_dir(&secret).expect("a folder");
    mount(&mounted, 1, "1 {{ base.level }}");
    rotate(&secret.join("token"), "first token");
    app.put("level", "info");
    app.configure(format!(
        "confine: true\nsources: {{ base: {{ files: {{ path: {folder}/base }} }} }}\n\
         templates: [{{ file: {folder}/mounted/level.j2, to: level }}]\nsettle: off\n\
         targets:\n  - name: http\n    http: {{ url: \"{}\", bearer_file: {folder}/secret/token }}\n\
         \x20   min_interval: 0s\n  - {{ name: main, signal: SIGHUP, {}, min_interval: 0s, \
         min_uptime: 0s }}\n",
        endpoint.url("/reload"),
        counter.process_yaml(),
    ));
    app
}

fn last_token(endpoint: &Endpoint) -> Option<String> {
    let posts = endpoint.posts();
    posts.last()?.header("authorization").map(str::to_owned)
}

/// Both targets know of the newest generation, the one that counts after so many signals.
#[track_caller]
fn told(app: &App, counter: &Counter, signals: usize) {
    app.settles("http", "confirmed");
    app.settles("main", "unknown");
    eventually("the signal is counted", || (counter.count() == signals).then_some(()));
}

#[test]
fn x08_a_confined_rehup_follows_swaps_and_rotations_and_does_the_whole_job() {
    let (endpoint, counter) = (Endpoint::start(Manner::Status(200)), Counter::start());
    let mut app = serving(&endpoint, &counter);
    app.start().shows("level", "1 info");
    assert_eq!(app.status()["confined"], "on");
    told(&app, &counter, 1);
    app.put("level", "debug");
    app.shows("level", "1 debug");
    told(&app, &counter, 2);
    rotate(&app.folder().join("secret/token"), "second token");
    mount(&app.folder().join("mounted"), 2, "2 {{ base.level }}");
    app.shows("level", "2 debug");
    told(&app, &counter, 3);
    eventually("the new token is shown", || {
        (last_token(&endpoint)? == "Bearer second token").then_some(())
    });
    app.answers("/freshz", 200);
    assert!(app.stop().success());
}

/// A container runtime's default profile, which the shipped manifests ask for.
#[test]
fn x08_what_a_container_runtime_forbids_is_not_needed() {
    let filter = compiled::c("seccomp");
    for forbidden in [&["unshare", "--user", "true"][..], &["unshare", "--mount", "true"]] {
        let tried = Command::new(&filter).args(forbidden).output().expect("the filter starts it");
        assert!(!tried.status.success(), "the filter forbids {forbidden:?}");
    }
    let (endpoint, counter) = (Endpoint::start(Manner::Status(200)), Counter::start());
    let mut app = serving(&endpoint, &counter);
    app.start_through(&[&filter]).shows("level", "1 info");
    let status = fs::read_to_string(format!("/proc/{}/status", app.process().pid()));
    let status = status.expect("its status");
    for line in ["Seccomp:\t2\n", "NoNewPrivs:\t1\n"] {
        assert!(status.contains(line), "{line:?} in {status}");
    }
    assert_eq!(app.status()["confined"], "on");
    told(&app, &counter, 1);
    app.put("level", "debug");
    mount(&app.folder().join("mounted"), 2, "2 {{ base.level }}");
    app.shows("level", "2 debug");
    app.answers("/freshz", 200);
    app.settles("http", "confirmed");
    app.settles("main", "unknown");
    assert!(!app.log().contains("pidfd_open is blocked"), "{}", app.tail());
    assert!(app.stop().success());
}

#[test]
fn x08_a_confined_rehup_reads_nothing_that_its_configuration_does_not_name() {
    let (endpoint, counter) = (Endpoint::start(Manner::Status(200)), Counter::start());
    let mut app = serving(&endpoint, &counter);
    let elsewhere = crate::support::process::scratch();
    fs::write(elsewhere.path().join("level.j2"), "from elsewhere").expect("a template");
    app.start().shows("level", "1 info");
    told(&app, &counter, 1);

    // A way out by a link in a folder that is named.
    let (mounted, outside) = (app.folder().join("mounted"), elsewhere.path().join("level.j2"));
    mount_with(&mounted, 2, |file| symlink(&outside, file));
    let refused = eventually(format_args!("the link leads nowhere; {}", app.tail()), || {
        let answer = app.get("/freshz").filter(|answer| answer.status == 503)?;
        answer.body.contains("level.j2").then_some(answer.body)
    });
    assert!(refused.contains("ermission denied"), "{refused}");
    assert_eq!(app.read("level").as_deref(), Some("1 info"));
    mount(&mounted, 3, "3 {{ base.level }}");
    app.shows("level", "3 info");
    app.answers("/freshz", 200);

    // An edit that names another folder says what it needs.
    let yaml = fs::read_to_string(app.config()).expect("a configuration");
    let named = mounted.join("level.j2").display().to_string();
    app.configure(yaml.replace(&named, &outside.display().to_string()));
    eventually(format_args!("a restart is asked for; {}", app.tail()), || {
        app.get("/freshz")?.body.contains("needs a restart").then_some(())
    });
    assert_eq!(app.read("level").as_deref(), Some("3 info"));
    assert!(app.stop().success());
    app.start().shows("level", "from elsewhere");
}

#[test]
fn x08_what_could_not_be_opened_for_a_moment_is_not_locked_away() {
    for part in ["volume", "base"] {
        let (endpoint, counter) = (Endpoint::start(Manner::Status(200)), Counter::start());
        let mut app = serving(&endpoint, &counter);
        let (log, path) = (app.folder().join("trace"), app.folder().join(part));
        let (log, path) = (log.display().to_string(), path.display().to_string());
        let inject = "inject=openat:error=EIO:when=1";
        // Of the first thread alone, which confines the others.
        let words = ["strace", "-D", "-qq", "-o", &log, "-P", &path, "-e", inject];
        app.start_through(&words).shows("level", "1 info");
        let confined = app.status()["confined"].to_string();
        assert!(confined.contains("not possible") && confined.contains(&path), "{confined}");
        assert!(app.log().contains("WARN going on without being confined"), "{}", app.tail());
        app.answers("/freshz", 200);
    }
}

#[test]
fn x09_an_old_kernel_has_its_fallbacks_and_it_says_which() {
    let (endpoint, counter) = (Endpoint::start(Manner::Status(200)), Counter::start());
    let mut app = serving(&endpoint, &counter);
    let (log, calls) = (
        app.folder().join("trace").display().to_string(),
        "landlock_create_ruleset,openat2,pidfd_open,pidfd_send_signal",
    );
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:error=ENOSYS"));
    let words = ["strace", "-D", "-f", "-qq", "-o", &log, "-e", &trace, "-e", &inject];
    app.start_through(&words).shows("level", "1 info");
    told(&app, &counter, 1);
    app.put("level", "debug");
    app.shows("level", "1 debug");
    told(&app, &counter, 2);
    let confined = app.status()["confined"].to_string();
    assert!(confined.contains("no Landlock"), "{confined}");
    assert!(app.log().contains("pidfd_open is blocked"), "{}", app.tail());
    app.answers("/freshz", 200);
    let refused = fs::read_to_string(log).expect("what strace saw");
    for call in calls.split(',').filter(|call| *call != "pidfd_send_signal") {
        assert!(refused.contains(&format!("{call}(")), "{call} was tried: {refused}");
    }
}

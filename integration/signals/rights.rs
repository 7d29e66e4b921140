//! S06, S07, S11: what keeps a process from being told: another user, a namespace, a `/proc` that
//! hides it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Command,
    time::Duration,
};

use super::{after_the_flip, change, checked, count, ends, owes, signalling};
use crate::support::{
    app::{self, App},
    namespace::Namespace,
    owed::configure,
    patience::{eventually, within},
    process::scratch,
    program::copy,
    target::Counter,
};

const US: &str = "65532";
const OTHER: &str = "65533";
const SAME_USER: &str = "run as the same user (securityContext.runAsUser)";

/// Words that run a program as this user, with no more than these further words leave it.
fn user<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let user = ["setpriv", "--reuid", id, "--regid", id, "--clear-groups"];
    [&user, more, &["--"]].concat()
}

/// As in a restricted pod.
const RESTRICTED: [&str; 3] = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"];

/// Lets whoever Rehup runs as use its folder, and the program in there.
pub fn open_to_all(app: &mut App) {
    let program = app.folder().join("rehup");
    copy(app::program(), &program);
    app.runs(&program);
    for path in [app.folder(), &app.volume(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("open to all");
    }
    let us: u32 = US.parse().expect("a number");
    chown(app.volume(), Some(us), Some(us)).expect("its volume");
}

/// Starts so, and is refused: told once, in one sentence, and not tried again and again.
fn refused(words: &[&str], counter: &mut Counter) -> App {
    let mut app = signalling(&counter.process_yaml());
    open_to_all(&mut app);
    app.start_through(words).ready();
    owes(&app, "main", "misconfigured", SAME_USER);
    for _ in 0..3 {
        change(&app);
        app.answers("/freshz", 200);
    }
    owes(&app, "main", "misconfigured", SAME_USER);
    assert_eq!(count(&app, "main", "misconfigured"), 1, "one attempt; {}", app.tail());
    assert_eq!(app.log().matches(SAME_USER).count(), 1, "told once; {}", app.tail());
    assert!(counter.lives() && counter.count() == 0);
    app
}

fn told(words: &[&str], counter: &Counter, app: &mut App) {
    open_to_all(app);
    app.start_through(words).ready();
    ends(app, "main", "unknown");
    eventually("it is told", || (counter.count() == 1).then_some(()));
}

#[tokio::test]
async fn s06_another_user_is_not_signalled_and_the_rule_is_told() {
    let mut theirs = Counter::start_through(&user(OTHER, &RESTRICTED));
    let app = refused(&user(US, &RESTRICTED), &mut theirs);
    let (good, said) = checked(&app, &user(US, &RESTRICTED));
    assert!(!good && said.contains(SAME_USER), "{said}");
    // One of our own in its place, and no restart of ours: within the half minute.
    after_the_flip();
    let ours = Counter::start_through(&user(US, &RESTRICTED));
    fs::write(theirs.pid_file(), ours.pid().to_string()).expect("a pid file");
    let newest = app.generation();
    within(Duration::from_secs(30), "our own is looked at", async || {
        let status = app.try_status()?["targets"]["main"].clone();
        (status["outcome"] == "confirmed" && status["generation"] == newest).then_some(())
    })
    .await;
    change(&app);
    ends(&app, "main", "unknown");
    eventually("it is told", || (ours.count() == 1).then_some(()));
    assert_eq!(theirs.count(), 0);
}

#[test]
fn s06_the_same_user_needs_no_right_and_root_without_rights_may_not_signal_others() {
    let ours = Counter::start_through(&user(US, &RESTRICTED));
    told(&user(US, &RESTRICTED), &ours, &mut signalling(&ours.process_yaml()));
    let mut theirs = Counter::start_through(&user(OTHER, &RESTRICTED));
    let dropped = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"];
    let mut app = signalling(&theirs.process_yaml());
    open_to_all(&mut app);
    // Root without CAP_CHOWN or CAP_DAC_OVERRIDE writes only what is root's.
    chown(app.volume(), Some(0), Some(0)).expect("its volume");
    app.start_through(&dropped).ready();
    owes(&app, "main", "misconfigured", SAME_USER);
    assert!(theirs.lives() && theirs.count() == 0);
    let whole = Counter::start_through(&user(OTHER, &RESTRICTED));
    let mut app = signalling(&whole.process_yaml());
    app.start().ready();
    ends(&app, "main", "unknown");
    eventually("root with its rights may", || (whole.count() == 1).then_some(()));
}

/// Kubernetes cannot give an added capability to a user that is not root, so some images carry it
/// in the file; `allowPrivilegeEscalation: false` makes that void.
#[test]
fn s06_a_capability_of_the_file_is_void_where_no_new_rights_are_allowed() {
    // Memory is often mounted so that it ignores it.
    let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("open to all");
    let program = folder.path().join("rehup");
    copy(app::program(), &program);
    let status = Command::new("setcap").arg("cap_kill+ep").arg(&program).status();
    assert!(status.expect("setcap of libcap2-bin").success(), "the file has the capability");
    for void in [false, true] {
        let mut counter = Counter::start_through(&user(OTHER, &RESTRICTED));
        let mut app = signalling(&counter.process_yaml());
        open_to_all(&mut app);
        app.runs(&program);
        // The first one keeps its rights until it ends in another program.
        let more: &[&str] = if void { &["setpriv", "--no-new-privs", "--"] } else { &[] };
        app.start_through(&[&user(US, &[]), more].concat()).ready();
        if void {
            owes(&app, "main", "misconfigured", SAME_USER);
            assert!(counter.lives() && counter.count() == 0);
        } else {
            ends(&app, "main", "unknown");
            eventually("it is told", || (counter.count() == 1).then_some(()));
        }
    }
}

/// What started after the flip has read it: nothing is to be sent yet, but it is told already.
#[test]
fn s06_a_fresh_start_of_another_user_is_told_before_a_change_needs_it() {
    let folder = scratch();
    let pid_file = folder.path().join("pid");
    let mut app = signalling(&format!("process: {{ pid_file: {} }}", pid_file.display()));
    open_to_all(&mut app);
    app.start_through(&user(US, &RESTRICTED)).ready();
    owes(&app, "main", "not_up", "no running process matches");
    after_the_flip();
    let theirs = Counter::start_through(&user(OTHER, &RESTRICTED));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("open to all");
    fs::write(&pid_file, theirs.pid().to_string()).expect("a pid file");
    ends(&app, "main", "confirmed");
    eventually(format_args!("it is foreseen; {}", app.tail()), || {
        let log = app.log();
        (log.contains("the next reload would fail") && log.contains(SAME_USER)).then_some(())
    });
}

#[test]
fn s07_without_a_shared_pid_namespace_that_is_what_is_told() {
    let said = "only own processes are visible; share the PID namespace";
    let name = "process: { name: nginx }";
    let mut app = signalling(name);
    let alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    app.start_through(&alone).ready();
    owes(&app, "main", "misconfigured", said);
    change(&app);
    owes(&app, "main", "misconfigured", said);
    app.answers("/readyz", 200);
    assert!(app.log().contains("shareProcessNamespace: true"), "{}", app.tail());
    let (good, words) = checked(&app, &alone);
    assert!(!good && words.contains(said), "{words}");
    // A command needs no namespace.
    configure(&app, &[("main", "exec: [\"true\"]".to_owned())]);
    ends(&app, "main", "confirmed");
}

#[test]
fn s11_a_proc_that_hides_other_users_is_told_and_the_same_user_is_found() {
    let namespace = Namespace::of_mounts();
    namespace.run(&["mount", "-t", "proc", "-o", "hidepid=2", "proc", "/proc"]);
    let entry = namespace.entry();
    let entry: Vec<&str> = entry.iter().map(String::as_str).collect();
    let words = [&entry[..], &user(US, &RESTRICTED)].concat();
    let said = "/proc may hide those of other users (hidepid)";
    let theirs = Counter::start_through(&user(OTHER, &RESTRICTED));
    let mut app = signalling(&theirs.process_yaml());
    open_to_all(&mut app);
    app.start_through(&words).ready();
    owes(&app, "main", "not_up", said);
    change(&app);
    owes(&app, "main", "not_up", SAME_USER);
    app.answers("/freshz", 200);
    after_the_flip();
    let ours = Counter::start_through(&user(US, &RESTRICTED));
    let yaml = fs::read_to_string(app.config()).expect("a configuration");
    let (from, to) = (theirs.pid_file(), ours.pid_file());
    app.configure(yaml.replace(text(&from), text(&to)));
    ends(&app, "main", "confirmed");
    change(&app);
    ends(&app, "main", "unknown");
    eventually("it is told", || (ours.count() == 1).then_some(()));
    assert_eq!(theirs.count(), 0);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

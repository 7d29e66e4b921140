//! X03: values, tokens and passwords stay out of everything that is printed or left behind.
//!
//! Every other test with the built binary listens too: `support/canary.rs`.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use nix::sys::signal::Signal;

use crate::support::{
    app::App,
    canary::{self, MARK, hide},
    consul::rights::Rights,
    endpoint::{Endpoint, Manner},
    patience::eventually,
};

/// What turns a value into trouble; each names what `/freshz` then says.
const TROUBLE: [(&str, &str); 10] = [
    ("{{ base.secret | int }}", "render: "),
    ("{{ base.secret | fromjson }}", "render: "),
    ("{{ base.secret | fromyaml | items }}", "render: "),
    ("{{ base.secret | fromtoml }}", "render: "),
    ("{{ base.secret.missing.more }}", "render: "),
    ("{{ base.secret + 1 }}", "render: "),
    ("{{ base[base.secret] }}", "render: "),
    ("{% include base.secret %}", "render: "),
    ("{{ base.secret | nginxquote }}$ {{ ('$' ~ base.secret) | nginxquote }}", "render: "),
    (
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ base.secret }}{% endfor %}{% endfor %}",
        "render: ",
    ),
];

/// A target with every kind of credential, and all of them secret.
fn serving(endpoint: &Endpoint, rest: &str) -> App {
    let app = App::new();
    app.put("secret", "{'a\": [");
    for file in ["bearer", "password"] {
        fs::write(app.folder().join(file), hide(file)).expect("a credential");
    }
    configure(&app, endpoint, "{{ base.secret }}", rest);
    app
}

fn configure(app: &App, endpoint: &Endpoint, template: &str, rest: &str) {
    let template = template.replace('\'', "''");
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {folder}/base }} }} }}\n\
         templates:\n  - {{ inline: '{template}', to: out, mode: \"0640\" }}\n{rest}settle: off\n\
         targets:\n  - name: main\n    http: {{ url: \"{}\", bearer_file: {folder}/bearer, \
         headers: {{ X-Key: \"{MARK}\" }} }}\n    min_interval: 0s\n    tries: 1\n\
         \x20 - name: basic\n    http: {{ url: \"{}\", basic: {{ username: me, \
         password_file: {folder}/password }} }}\n    min_interval: 0s\n    tries: 1\n",
        endpoint.url("/reload"),
        endpoint.url("/reload"),
        folder = app.folder().display(),
    ));
}

#[track_caller]
fn refuses(app: &App, cause: &str) {
    eventually(format_args!("/freshz tells of {cause}; {}", app.tail()), || {
        app.get("/freshz").filter(|it| it.status == 503 && it.body.contains(cause))
    });
}

/// Asks for everything that can be asked for; what it prints is listened to.
fn ask(app: &App) {
    for page in ["/", "/status", "/metrics", "/freshz", "/readyz", "/livez", "/startupz", "/x"] {
        assert!(app.get(page).is_some(), "{page} is answered");
    }
    for words in [
        &["check"][..],
        &["check", "--connect"],
        &["status"],
        &["status", "--json"],
        &["render", "--diff"],
    ] {
        app.run(words);
    }
}

#[test]
fn x03_whatever_fails_no_value_and_no_credential_is_printed() {
    for format in ["text", "json"] {
        let endpoint = Endpoint::start(Manner::Status(200));
        endpoint.show(MARK);
        let mut app = serving(&endpoint, "");
        app.variable("REHUP_LOG_FORMAT", format);
        app.start().settles("main", "confirmed");
        app.settles("basic", "confirmed");
        let mut sent = endpoint.posts().into_iter().flat_map(|request| request.headers);
        assert!(sent.any(|header| header.contains(MARK)), "the endpoint is shown the credential");
        ask(&app);
        for (template, cause) in TROUBLE {
            configure(&app, &endpoint, template, "");
            refuses(&app, cause);
            ask(&app);
        }
        endpoint.turn(Manner::Status(422));
        configure(&app, &endpoint, "rejected {{ base.secret }}", "");
        app.settles("main", "rejected");
        ask(&app);
        fs::remove_file(app.folder().join("bearer")).expect("a credential");
        endpoint.turn(Manner::Status(200));
        configure(&app, &endpoint, "no credential {{ base.secret }}", "");
        eventually(format_args!("the missing file is told; {}", app.tail()), || {
            let main = app.try_status()?["targets"]["main"].clone();
            main["detail"].as_str()?.contains("bearer").then_some(())
        });
        ask(&app);
        assert!(app.stop().success());
    }
}

#[test]
fn x03_what_a_check_prints_or_answers_is_not_repeated() {
    let endpoint = Endpoint::start(Manner::Status(422));
    let loud =
        "checks: [{ exec: [sh, -c, 'cat \"$0\" >&2; cat \"$0\"; exit 1', \"{dir}/out\"] }]\n";
    let server = format!(
        "checks: [{{ http: {{ url: \"{}\", body_file: out }} }}]\n",
        endpoint.url("/check")
    );
    for check in [loud, &server, "checks: [{ exec: [\"{dir}/out\"] }]\n"] {
        let mut app = serving(&endpoint, check);
        app.start();
        refuses(&app, "check");
        app.answers("/readyz", 503);
        ask(&app);
        assert!(app.read("out").is_none(), "what a check refuses is not visible");
    }
    let mut app = serving(&endpoint, "");
    let yaml = fs::read_to_string(app.config()).expect("a configuration");
    app.configure(yaml.replace("to: out", "to: out, format: json"));
    app.start();
    refuses(&app, "out");
    ask(&app);
}

#[test]
fn x03_a_configuration_with_mistakes_is_not_quoted() {
    let endpoint = Endpoint::start(Manner::Status(200));
    let app = serving(&endpoint, "");
    let good = fs::read_to_string(app.config()).expect("a configuration");
    let key = format!("X-Key: \"{MARK}\"");
    for wrong in [
        good.replace(&key, &format!("X-Key: [\"{MARK}\"]")),
        good.replace(&key, &format!("\"X Key\": \"{MARK}\"")),
        good.replace(&key, &format!("X-Key: \"{MARK}\\n\"")),
        good.replace(&key, &format!("X-Key: {{ {MARK}")),
        good.replace(&key, &format!("X-Key: \"{MARK}\" }}, method: \"A {MARK}\"")),
    ] {
        app.configure(&wrong);
        let refused = app.run(&["check"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() || said.is_empty(), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x03_a_token_is_never_printed_whether_it_works_or_not() {
    let rights = Rights::start("key_prefix \"app/\" { policy = \"read\" }").await;
    rights.issue().await;
    rights.server.put("app/secret", b"").await;
    let mut app = App::new();
    app.configure(format!(
        "sources: {{ app: {{ consul: {{ address: \"{}\", prefix: app/, token_file: {} }} }} }}\n\
         templates: [{{ inline: \"{{{{ app.secret }}}}\", to: out }}]\nsettle: off\n",
        rights.server.url(),
        rights.token_file().display(),
    ));
    app.start().ready();
    ask(&app);
    rights.hand_out("00000000-dead-dead-dead-000000000000");
    rights.revoke_all().await;
    app.process().signal(Signal::SIGHUP);
    eventually(format_args!("the token is refused; {}", app.tail()), || {
        app.state("app").starts_with("degraded").then_some(())
    });
    ask(&app);
}

#[test]
fn x03_a_panic_tells_where_and_never_what() {
    let mut app = App::with_failpoints("2s");
    app.put("secret", "");
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates: [{{ inline: \"{{{{ base.secret }}}}\", to: out }}]\nsettle: off\n",
        app.folder().display()
    ));
    app.start().ready();
    app.fail("render panic");
    app.put("secret", "more");
    let (status, log) = app.ends();
    assert!(!status.success() && log.contains("panicked"), "{log}");
    canary::listen("the panic", log.as_bytes());
}

/// The modes of all that lies on the volume, with their names.
fn modes(folder: &std::path::Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let meta = fs::symlink_metadata(entry.path()).expect("an entry");
        if meta.is_dir() {
            found.extend(modes(&entry.path()));
        } else if meta.is_file() {
            let name = entry.path().display().to_string();
            found.push((name, meta.permissions().mode() & 0o7777));
        }
    }
    found
}

#[test]
fn x03_nothing_on_the_volume_is_wider_than_was_asked_for() {
    let endpoint = Endpoint::start(Manner::Status(200));
    for layout in ["set", "files"] {
        let mut app = serving(&endpoint, &format!("output: {{ layout: {layout} }}\n"));
        app.start().settles("main", "confirmed");
        app.put("secret", "2");
        app.shows("out", "2");
        // So that nothing goes while it is looked at.
        assert!(app.stop().success());
        let modes = modes(&app.volume());
        assert!(modes.iter().any(|(name, mode)| name.ends_with("/out") && *mode == 0o640));
        for (name, mode) in &modes {
            assert!(mode & 0o137 == 0, "{name} has mode {mode:o}");
            if !name.ends_with("/out") {
                let content = fs::read(name).expect("a file of ours");
                canary::listen(name, &content);
            }
        }
    }
}

#[test]
fn x03_nobody_of_the_same_user_reads_its_memory_and_no_core_is_left() {
    let endpoint = Endpoint::start(Manner::Status(200));
    let mut app = serving(&endpoint, "");
    fs::set_permissions(app.folder(), fs::Permissions::from_mode(0o777)).expect("a mode");
    fs::set_permissions(app.volume(), fs::Permissions::from_mode(0o777)).expect("a mode");
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
    app.start_through(&nobody).ready();
    let proc = format!("/proc/{}", app.process().pid());
    let limits = fs::read_to_string(format!("{proc}/limits")).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let core: Vec<_> = core.expect("a limit").split_ascii_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "no core dump, and no way to allow one");
    for secret in ["environ", "mem", "maps", "fd", "root"] {
        let script = match secret {
            "fd" | "root" => format!("ls {proc}/{secret}/"),
            _ => format!("head -c 1 {proc}/{secret}"),
        };
        let read = Command::new(nobody[0])
            .args(&nobody[1..])
            .args(["sh", "-c", &script])
            .output()
            .expect("setpriv of util-linux");
        assert!(!read.status.success(), "{secret} is closed to the same user");
    }
}

//! Each way to reload and to verify, and what each answer means, with the built binary.

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
};

use nix::{errno::Errno, sys::signal::killpg, unistd::Pid};

use crate::support::{
    app::App,
    canary,
    endpoint::{Endpoint, Manner},
    patience::eventually,
};

/// An app with one key, one file and one target.
fn with_target(target: &str) -> App {
    let app = App::new();
    app.put("level", "info");
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates: [{{ inline: \"{{{{ base.level }}}}\", to: level }}]\n\
         settle: off\n\
         targets: [{{ name: main, min_interval: 0s, {target} }}]\n",
        app.folder().display()
    ));
    app
}

/// Waits until a reload is owed for this reason.
fn owes(app: &App, outcome: &str, said: &str) {
    eventually(format_args!("it owes, {outcome}: {said}; {}", app.tail()), || {
        let target = app.try_status()?["targets"]["main"].clone();
        let detail = target["detail"].as_str().unwrap_or_default();
        let owed = target["owed_seconds"].is_number();
        (target["outcome"] == outcome && detail.contains(said) && owed).then_some(())
    });
}

#[test]
fn a_unix_socket_takes_a_reload() {
    let folder = crate::support::process::scratch();
    let socket = folder.path().join("reload.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a caller");
        let mut request = [0; 2048];
        let length = stream.read(&mut request).expect("a request");
        let answer = "HTTP/1.1 204 Done\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).expect("an answer");
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let mut app = with_target(&format!("http: {{ url: \"unix://{}:/reload\" }}", socket.display()));
    app.start().settles("main", "confirmed");
    assert!(asked.join().expect("the server").starts_with("POST /reload HTTP/1.1"));
}

#[test]
fn answers_mean_what_they_should() {
    for (status, outcome) in [(302, "misconfigured"), (404, "misconfigured"), (503, "not_up")] {
        let endpoint = Endpoint::start(Manner::Status(status));
        let mut app = with_target(&format!("http: {{ url: \"{}\" }}", endpoint.url("/")));
        app.start();
        owes(&app, outcome, &status.to_string());
        app.answers("/readyz", 200);
        endpoint.turn(Manner::Status(200));
        if outcome == "not_up" {
            app.settles("main", "confirmed");
        }
    }
    let endpoint = Endpoint::start(Manner::Status(422));
    let mut app = with_target(&format!("http: {{ url: \"{}\" }}", endpoint.url("/")));
    app.start().settles("main", "rejected");
    assert_eq!(endpoint.posts().len(), 3, "three tries");
}

#[test]
fn an_accepted_call_is_confirmed_only_by_newer_evidence() {
    let endpoint = Endpoint::start(Manner::Status(200));
    endpoint.show("{\"status\": {\"version\": 1}}");
    let verify = |timeout: &str| {
        let (reload, page) = (endpoint.url("/reload"), endpoint.url("/status"));
        format!(
            "http: {{ url: \"{reload}\" }}, tries: 1, verify: {{ timeout: {timeout}, \
             json: {{ url: \"{page}\", pointer: /status/version, changed: true }} }}"
        )
    };
    let mut app = with_target(&verify("20s"));
    app.start();
    eventually("the endpoint is called", || (!endpoint.posts().is_empty()).then_some(()));
    endpoint.show("{\"status\": {\"version\": 2}}");
    app.settles("main", "confirmed");

    let mut lied_to = with_target(&verify("1s"));
    lied_to.start().settles("main", "rejected");
}

#[test]
fn a_command_is_told_what_changed_and_ends_at_its_deadline() {
    let folder = crate::support::process::scratch();
    let told = folder.path().join("told");
    let script = format!("echo $REHUP_GENERATION $REHUP_CHANGED > {}", told.display());
    let mut app = with_target(&format!("exec: [sh, -c, \"{script}\"]"));
    app.start().settles("main", "confirmed");
    assert_eq!(std::fs::read_to_string(&told).expect("it was told"), "1 level\n");

    let pid = folder.path().join("pid");
    let script = format!("echo $$ > {}; sleep 600 & wait", pid.display());
    let mut app = with_target(&format!("exec: [sh, -c, \"{script}\"], timeout: 1s, tries: 1"));
    app.start().settles("main", "unknown");
    let group = std::fs::read_to_string(&pid).expect("it ran").trim().parse().expect("a pid");
    eventually("its whole group is gone", || {
        (killpg(Pid::from_raw(group), None) == Err(Errno::ESRCH)).then_some(())
    });

    let mut app = with_target("exec: [/no/such/program]");
    app.start();
    owes(&app, "misconfigured", "/no/such/program");
    let mut app = with_target("exec: [\"false\"], tries: 2");
    app.start().settles("main", "rejected");
}

#[test]
fn a_hanging_call_ends_at_its_deadline_and_the_newest_generation_is_told() {
    let endpoint = Endpoint::start(Manner::Hang);
    let url = endpoint.url("/");
    let mut app = with_target(&format!("http: {{ url: \"{url}\", timeout: 2s }}, tries: 100"));
    app.start();
    eventually("the endpoint is called", || (!endpoint.posts().is_empty()).then_some(()));
    app.put("level", "debug");
    app.shows("level", "debug");
    endpoint.turn(Manner::Status(200));
    app.settles("main", "confirmed");
    let last = endpoint.posts().pop().expect("a call");
    assert_eq!(last.header("x-rehup-generation"), Some("2"));
}

#[test]
fn a_check_by_a_server_says_no_or_is_passed_over_when_nobody_is_there() {
    let checker = Endpoint::start(Manner::Status(200));
    let mut app = with_target("http: { url: \"http://127.0.0.1:1/\" }");
    let yaml = std::fs::read_to_string(app.config()).expect("a configuration");
    let check = format!(
        "checks: [{{ http: {{ url: \"{}\", body_file: level }}, timeout: 1s }}]\n",
        checker.url("/check")
    );
    app.configure(yaml + &check);
    app.start().ready();
    assert_eq!(canary::unhide(&checker.posts().remove(0).body), "info");
    checker.turn(Manner::Status(422));
    app.put("level", "bad");
    assert!(app.answers("/freshz", 503).contains("check: check"));
    app.shows("level", "info");
    checker.turn(Manner::Status(200));
    app.put("level", "debug");
    app.shows("level", "debug");
    drop(checker);
    app.put("level", "warn");
    app.shows("level", "warn");
    assert!(app.log().contains("check skipped"));
}

#[test]
fn a_check_by_a_server_that_cannot_answer_now_is_asked_again() {
    let checker = Endpoint::start(Manner::Status(200));
    let mut app = with_target("http: { url: \"http://127.0.0.1:1/\" }");
    let yaml = std::fs::read_to_string(app.config()).expect("a configuration");
    app.configure(yaml + &format!("checks: [{{ http: {{ url: \"{}\" }} }}]\n", checker.url("/")));
    app.start().ready();
    for (number, status) in [429, 502, 503, 504].into_iter().enumerate() {
        checker.turn(Manner::Status(status));
        app.put("level", &number.to_string());
        eventually(format_args!("{status} is told; {}", app.tail()), || {
            let said = app.get("/freshz").filter(|answer| answer.status == 503)?.body;
            said.contains(&format!("cannot answer now ({status} ")).then_some(())
        });
        checker.turn(Manner::Status(200));
        app.shows("level", &number.to_string());
        app.answers("/freshz", 200);
    }
}

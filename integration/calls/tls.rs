//! H07: TLS that fails is no reason to say anything without it; certificates that change.

use std::fs;

use super::{change, configure, ends, owes, with_targets};
use crate::support::{
    app::App,
    certificates::{Authority, Pair},
    endpoint::{Endpoint, Manner, Tls, certificates},
    patience::eventually,
    target::Counter,
};

const HERE: &str = "IP:127.0.0.1";

fn certificate_of(pair: &Pair) -> Option<Vec<u8>> {
    certificates(&pair.cert).first().map(|it| it.to_vec())
}

#[test]
fn h07_a_handshake_that_fails_ends_the_call_and_nothing_is_said() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let start = |pair: &Pair| Endpoint::start_tls(Tls::new(pair), Manner::Status(200));
    let stranger = start(&theirs.issue("stranger", HERE));
    let elsewhere = start(&ours.issue("elsewhere", "DNS:elsewhere.test"));
    let expired = start(&ours.issue_expired("expired", HERE));
    let well = start(&ours.issue("well", HERE));
    let plain = Endpoint::start(Manner::Status(200));
    let token = ours.ca().with_file_name("token");
    fs::write(&token, "canary").expect("a token");
    let settings = |url: &str, tls: bool| {
        let ca = if tls {
            format!(", tls: {{ ca_file: {} }}", ours.ca().display())
        } else {
            String::new()
        };
        format!(
            "http: {{ url: \"{url}\", timeout: 2s, bearer_file: {}{ca} }}, tries: 1",
            token.display()
        )
    };
    let targets = [
        ("stranger", settings(&stranger.url("/"), true)),
        ("elsewhere", settings(&elsewhere.url("/"), true)),
        ("expired", settings(&expired.url("/"), true)),
        ("unknown-authority", settings(&well.url("/"), false)),
        ("plain-port", settings(&plain.url("/").replace("http:", "https:"), true)),
        ("tls-port", settings(&well.url("/").replace("https:", "http:"), false)),
    ];
    let mut app = with_targets(&targets);
    app.start().ready();
    for (name, said) in [
        ("stranger", "certificate"),
        ("elsewhere", "certificate"),
        ("expired", "certificate"),
        ("unknown-authority", "certificate"),
        ("plain-port", ""),
    ] {
        owes(&app, name, "misconfigured", said);
    }
    ends(&app, "tls-port", "unknown");
    for endpoint in [&stranger, &elsewhere, &expired, &well] {
        assert!(endpoint.requests().is_empty(), "{:?}", endpoint.requests());
    }
    let said = format!("{:?}", plain.requests());
    assert!(!said.contains("canary") && plain.posts().is_empty(), "{said}");
    app.answers("/readyz", 200);
    configure(&app, &[("well", settings(&well.url("/"), true))]);
    eventually(format_args!("the right one is told; {}", app.tail()), || {
        (app.try_status()?["targets"]["well"]["outcome"] == "confirmed").then_some(())
    });
    assert_eq!(well.posts().len(), 1);
}

#[test]
fn h07_a_check_whose_server_is_not_trusted_is_not_passed_over() {
    let authority = Authority::new();
    let stranger = Tls::new(&authority.issue("stranger", HERE));
    let stranger = Endpoint::start_tls(stranger, Manner::Status(200));
    let known = Endpoint::start(Manner::Status(200));
    let mut app = App::new();
    app.put("level", "info");
    let checked_by = |endpoint: &Endpoint| {
        format!(
            "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
             templates: [{{ inline: \"{{{{ base.level }}}}\", to: level }}]\nsettle: off\n\
             checks: [{{ http: {{ url: \"{}\" }}, timeout: 1s }}]\n",
            app.folder().display(),
            endpoint.url("/check")
        )
    };
    let (refused, accepted) = (checked_by(&stranger), checked_by(&known));
    app.configure(refused);
    app.start();
    eventually(format_args!("the certificate is told; {}", app.tail()), || {
        let said = app.get("/freshz").filter(|answer| answer.status == 503)?.body;
        (said.contains("check: ") && said.contains("certificate")).then_some(())
    });
    app.answers("/readyz", 503);
    assert!(app.read("level").is_none() && stranger.requests().is_empty());
    app.configure(accepted);
    app.shows("level", "info");
    app.answers("/freshz", 200);
}

#[test]
fn h08_a_rotated_client_certificate_is_shown_at_the_next_attempt() {
    let authority = Authority::new();
    let server = Tls::for_clients_of(&authority.issue("server", HERE), &authority.ca());
    let endpoint = Endpoint::start_tls(server, Manner::Status(200));
    let (first, second) = (authority.issue("first", HERE), authority.issue("second", HERE));
    let shown = Pair {
        cert: authority.ca().with_file_name("shown.crt"),
        key: authority.ca().with_file_name("shown.key"),
    };
    let rotate = |pair: &Pair| {
        for (from, to) in [(&pair.cert, &shown.cert), (&pair.key, &shown.key)] {
            let staged = to.with_extension("new");
            fs::copy(from, &staged).expect("a copy");
            fs::rename(staged, to).expect("a rotation");
        }
    };
    rotate(&first);
    let settings = format!(
        "http: {{ url: \"{}\", tls: {{ ca_file: {}, cert_file: {}, key_file: {} }} }}",
        endpoint.url("/"),
        authority.ca().display(),
        shown.cert.display(),
        shown.key.display()
    );
    let mut app = with_targets(&[("main", settings)]);
    app.start().settles("main", "confirmed");
    rotate(&second);
    change(&app);
    ends(&app, "main", "confirmed");
    let seen: Vec<_> = endpoint.posts().into_iter().map(|it| it.certificate).collect();
    assert_eq!(seen, [certificate_of(&first), certificate_of(&second)]);

    fs::remove_file(&shown.key).expect("a key");
    change(&app);
    owes(&app, "main", "misconfigured", "shown.key");
    assert_eq!(endpoint.posts().len(), 2, "nobody is called without it");
    rotate(&first);
    ends(&app, "main", "confirmed");
}

#[test]
fn h07_pages_that_say_ready_and_that_verify_are_believed_over_tls_alone() {
    let (authority, counter) = (Authority::new(), Counter::start());
    let server = Tls::for_clients_of(&authority.issue("server", HERE), &authority.ca());
    let endpoint = Endpoint::start_tls(server, Manner::Status(200));
    let client = authority.issue("client", HERE);
    endpoint.show("{\"n\": 1}");
    let own = format!(
        ", tls: {{ ca_file: {}, cert_file: {}, key_file: {} }}",
        authority.ca().display(),
        client.cert.display(),
        client.key.display()
    );
    let settings = |ready: &str, verify: &str| {
        format!(
            "signal: SIGHUP, {}, ready: {{ url: \"{}\"{ready} }}, verify: {{ \
             json: {{ url: \"{}\", pointer: /n, changed: true{verify} }} }}",
            counter.process_yaml(),
            endpoint.url("/ready"),
            endpoint.url("/page")
        )
    };
    let mut app = with_targets(&[("main", settings("", &own))]);
    app.start().ready();
    owes(&app, "main", "not_up", "not ready: ");
    configure(&app, &[("main", settings(&own, ""))]);
    owes(&app, "main", "not_up", "no baseline for verify: ");
    assert_eq!(counter.count(), 0);
    configure(&app, &[("main", settings(&own, &own))]);
    eventually(format_args!("it is signalled; {}", app.tail()), || {
        (counter.count() == 1).then_some(())
    });
    endpoint.show("{\"n\": 2}");
    ends(&app, "main", "confirmed");
    assert!(endpoint.requests().iter().all(|it| it.certificate == certificate_of(&client)));
}

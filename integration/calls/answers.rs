//! H02, H05, H06: answers that say no, that lead elsewhere, and that have no end.

use super::{change, configure, count, ends, owes, with_targets};
use crate::support::{
    app::App,
    endpoint::{Endpoint, Manner, with_body},
    patience::eventually,
};

fn resident(app: &mut App) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.process().pid()));
    let status = status.expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn h02_a_no_is_believed_after_three_tries_and_the_next_change_is_told() {
    let endpoints = [400, 422, 500].map(|status| Endpoint::start(Manner::Status(status)));
    let names = ["bad-request", "unprocessable", "error"];
    let settings = |endpoint: &Endpoint| format!("http: {{ url: \"{}\" }}", endpoint.url("/"));
    let targets: Vec<_> = names.into_iter().zip(endpoints.iter().map(settings)).collect();
    let mut app = with_targets(&targets);
    app.start();
    for (name, endpoint) in names.iter().zip(&endpoints) {
        app.settles(name, "rejected");
        assert_eq!(endpoint.posts().len(), 3, "{name} has three tries");
        assert!(count(&app, name, "rejected") > 0);
        endpoint.turn(Manner::Status(200));
    }
    // `keep`: it stays, and is fresh.
    app.answers("/freshz", 200);
    change(&app);
    for (name, endpoint) in names.iter().zip(&endpoints) {
        ends(&app, name, "confirmed");
        assert_eq!(endpoint.posts().len(), 4, "{name} is told once more");
    }
}

#[test]
fn h05_a_redirect_is_followed_nowhere() {
    let elsewhere = Endpoint::start(Manner::Status(200));
    let moved = Endpoint::start(Manner::Status(200));
    let there = [elsewhere.url("/moved"), "http://169.254.169.254/latest/meta-data/".to_owned()];
    let mut targets = Vec::new();
    let mut doors = Vec::new();
    for (number, (status, to)) in
        [301, 302, 303, 307, 308].into_iter().zip(there.iter().cycle()).enumerate()
    {
        let head = format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\n");
        let answer = format!("{head}content-length: 0\r\nconnection: close\r\n\r\n");
        let door = Endpoint::start(Manner::Raw(answer.into_bytes()));
        targets.push((
            ["a", "b", "c", "d", "e"][number],
            format!("http: {{ url: \"{}\" }}", door.url("/")),
        ));
        doors.push(door);
    }
    // A page that verifies is followed nowhere too: its own status is what it says.
    let verified = format!(
        "http: {{ url: \"{}\" }}, verify: {{ json: {{ url: \"{}\", pointer: /n, changed: true }} }}",
        moved.url("/"),
        doors[1].url("/page")
    );
    targets.push(("verified", verified));
    let mut app = with_targets(&targets);
    app.start();
    for ((name, _), status) in targets.iter().zip([301, 302, 303, 307, 308]) {
        owes(&app, name, "misconfigured", &format!("answered {status}"));
    }
    owes(&app, "verified", "not_up", "the page answered 302");
    assert!(moved.requests().is_empty(), "without a baseline nobody is told");
    assert!(elsewhere.requests().is_empty(), "{:?}", elsewhere.requests());
    app.answers("/readyz", 200);
    // Mended where it is wrong.
    configure(&app, &[("a", format!("http: {{ url: \"{}\" }}", moved.url("/")))]);
    ends(&app, "a", "confirmed");
}

#[test]
fn h06_answers_without_an_end_have_one() {
    let head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let whole = |rest: &[u8]| [&head[..], rest].concat();
    let manners = [
        ("endless-body", Manner::Flood(whole(b"\r\n")), "confirmed"),
        ("endless-header", Manner::Flood(whole(b"x: ")), "unknown"),
        ("slow-header", Manner::Drip(whole(b"x: ")), "unknown"),
        ("slow-body", Manner::Drip(whole(b"content-length: 1000000\r\n\r\n")), "confirmed"),
        ("short-body", Manner::Raw(whole(b"content-length: 1000000\r\n\r\nx")), "confirmed"),
        ("nonsense", Manner::Raw(b"\x15\x03\x01 what?\r\n\r\n".to_vec()), "unknown"),
        ("nothing", Manner::Raw(Vec::new()), "unknown"),
    ];
    let page = Endpoint::start(Manner::Flood(whole(b"\r\n{\"n\": ")));
    let endpoints: Vec<_> =
        manners.iter().map(|(name, manner, _)| (*name, Endpoint::start(manner.clone()))).collect();
    let settings = |endpoint: &Endpoint| {
        format!("http: {{ url: \"{}\", timeout: 2s }}, tries: 1", endpoint.url("/"))
    };
    let mut targets: Vec<_> =
        endpoints.iter().map(|(name, endpoint)| (*name, settings(endpoint))).collect();
    let verify = format!(
        "{}, verify: {{ json: {{ url: \"{}\", pointer: /n, changed: true }} }}",
        settings(&endpoints[0].1),
        page.url("/")
    );
    targets.push(("endless-page", verify));
    let mut app = with_targets(&targets);
    app.start().ready();
    let before = resident(&mut app);
    for (name, _, outcome) in &manners {
        ends(&app, name, outcome);
    }
    owes(&app, "endless-page", "not_up", "the page is no JSON");
    change(&app);
    for (name, _, outcome) in &manners {
        ends(&app, name, outcome);
    }
    let grown = resident(&mut app).saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB more than before");
    page.turn(Manner::Raw(with_body(200, "{\"n\": 1}")));
    for (_, endpoint) in &endpoints {
        endpoint.turn(Manner::Status(200));
    }
    let told = endpoints[0].1.posts().len();
    change(&app);
    for (name, _, _) in &manners {
        ends(&app, name, "confirmed");
    }
    // Once for the target without a page, once for that with one.
    eventually("it has a baseline", || (endpoints[0].1.posts().len() >= told + 2).then_some(()));
    page.turn(Manner::Raw(with_body(200, "{\"n\": 2}")));
    ends(&app, "endless-page", "confirmed");
}

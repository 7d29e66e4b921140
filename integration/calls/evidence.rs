//! H04, H12: a call that is taken proves nothing, and evidence may take its time.

use std::sync::Arc;

use super::{change, count, ends, owes, with_targets};
use crate::support::{
    endpoint::{Endpoint, Manner},
    patience::eventually,
};

/// Whoever is told shows this from then on.
fn does(call: &Endpoint, page: &Arc<Endpoint>, after: &str) {
    let (page, after) = (Arc::clone(page), after.to_owned());
    call.decide(move |_| {
        page.show(&after);
        Manner::Status(200)
    });
}

#[test]
fn h04_what_was_taken_and_not_done_is_never_confirmed() {
    let json = "json: { url: \"URL\", pointer: /n, changed: true }";
    let metric = "metric: { url: \"URL\", name: n, increased: true }";
    let status = "status: { url: \"URL\" }";
    // Before, after, verify, outcome. Nothing after: the page is gone.
    let liars = [
        ("same-json", "{\"n\": 1}", "{\"n\": 1}", json, "rejected"),
        ("same-metric", "n 7\n", "n 7\n", metric, "rejected"),
        ("lower-metric", "n 7\n", "n 6\n", metric, "rejected"),
        ("other-metric", "n 7\n", "m 8\n", metric, "unknown"),
        ("broken-json", "{\"n\": 1}", "{\"n\": ", json, "unknown"),
        ("failing", "", "", status, "rejected"),
    ];
    let mut targets = Vec::new();
    let mut endpoints = Vec::new();
    for (name, before, after, verify, _) in &liars {
        let (call, page) =
            (Endpoint::start(Manner::Status(200)), Endpoint::start(Manner::Status(500)));
        let page = Arc::new(page);
        page.show(before);
        does(&call, &page, after);
        let verify = verify.replace("URL", &page.url("/"));
        targets.push((
            *name,
            format!(
                "http: {{ url: \"{}\" }}, tries: 1, verify: {{ {verify}, timeout: 1s }}",
                call.url("/")
            ),
        ));
        endpoints.push((call, page));
    }
    let mut app = with_targets(&targets);
    app.start().ready();
    for ((name, .., outcome), (call, _)) in liars.iter().zip(&endpoints) {
        ends(&app, name, outcome);
        assert_eq!(count(&app, name, "confirmed"), 0, "{name} is never confirmed");
        assert_eq!(call.posts().len(), 1, "{name} is told once");
    }
    for ((_, before, ..), (call, page)) in liars.iter().zip(&endpoints) {
        page.show(before);
        let better = if before.starts_with('{') { "{\"n\": 2}" } else { "n 8\n" };
        does(call, page, better);
    }
    change(&app);
    for (name, ..) in &liars {
        ends(&app, name, "confirmed");
    }
}

#[test]
fn h04_without_a_baseline_nobody_is_told() {
    let (call, page) = (Endpoint::start(Manner::Status(200)), Endpoint::start(Manner::Status(500)));
    let settings = format!(
        "http: {{ url: \"{}\" }}, verify: {{ json: {{ url: \"{}\", pointer: /n, changed: true }} }}",
        call.url("/"),
        page.url("/")
    );
    let mut app = with_targets(&[("main", settings)]);
    app.start();
    owes(&app, "main", "not_up", "no baseline for verify: the page answered 500");
    page.show("{\"m\": 1}");
    owes(&app, "main", "not_up", "the page has nothing at /n");
    assert!(call.posts().is_empty());
    page.show("{\"n\": 1}");
    eventually("it is told", || (call.posts().len() == 1).then_some(()));
    page.show("{\"n\": 2}");
    ends(&app, "main", "confirmed");
}

#[test]
fn h12_what_takes_its_time_is_pending_and_then_confirmed() {
    let (call, page) = (Endpoint::start(Manner::Status(200)), Endpoint::start(Manner::Status(500)));
    page.show("n 1\n");
    let settings = format!(
        "http: {{ url: \"{}\" }}, tries: 1, verify: {{ timeout: 10m, \
         metric: {{ url: \"{}\", name: n, increased: true }} }}",
        call.url("/"),
        page.url("/")
    );
    let mut app = with_targets(&[("main", settings)]);
    app.start();
    eventually("it is told", || (call.posts().len() == 1).then_some(()));
    let looked = page.requests().len();
    eventually("evidence is looked for", || (page.requests().len() > looked + 10).then_some(()));
    let target = app.status()["targets"]["main"].clone();
    assert!(target["owed_seconds"].is_number() && target["outcome"].is_null(), "{target}");
    assert!(app.metric("rehup_reload_owed{target=\"main\"}") > 0.0);
    app.answers("/freshz", 200);
    page.show("n 2\n");
    ends(&app, "main", "confirmed");
    assert_eq!(call.posts().len(), 1, "it was told once");
    assert!(app.metric("rehup_reload_owed{target=\"main\"}") < 1.0);
}

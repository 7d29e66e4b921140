//! H08: credentials that change, or are not there.

use std::fs;

use super::{change, ends, owes, with_targets};
use crate::support::{
    endpoint::{Endpoint, Manner, Request},
    patience::eventually,
};

/// Takes only callers who say this.
fn wants(endpoint: &Endpoint, credential: &str) {
    let wanted = credential.to_owned();
    endpoint.decide(move |request: &Request| {
        let said = request.header("authorization");
        Manner::Status(if said == Some(&wanted) { 200 } else { 401 })
    });
}

#[test]
fn h08_a_rotated_credential_is_used_at_the_next_attempt_and_a_missing_one_sends_nothing() {
    let bearer = Endpoint::start(Manner::Status(401));
    let basic = Endpoint::start(Manner::Status(401));
    let folder = crate::support::process::scratch();
    let (token, password) = (folder.path().join("token"), folder.path().join("password"));
    let rotate = |value: &str| {
        for file in [&token, &password] {
            let staged = folder.path().join(".new");
            fs::write(&staged, format!("{value}\n")).expect("a credential");
            fs::rename(staged, file).expect("a credential");
        }
        wants(&bearer, &format!("Bearer {value}"));
        let pair = format!("rehup:{value}");
        wants(&basic, &format!("Basic {}", base64(pair.as_bytes())));
    };
    rotate("canary-one");
    let mut app = with_targets(&[
        (
            "bearer",
            format!("http: {{ url: \"{}\", bearer_file: {} }}", bearer.url("/"), token.display()),
        ),
        (
            "basic",
            format!(
                "http: {{ url: \"{}\", basic: {{ username: rehup, password_file: {} }} }}",
                basic.url("/"),
                password.display()
            ),
        ),
    ]);
    app.start();
    app.settles("bearer", "confirmed");
    app.settles("basic", "confirmed");

    rotate("canary-two");
    change(&app);
    ends(&app, "bearer", "confirmed");
    ends(&app, "basic", "confirmed");

    fs::remove_file(&token).expect("a token");
    fs::remove_file(&password).expect("a password");
    let (asked, newest) = (bearer.requests().len() + basic.requests().len(), change(&app));
    owes(&app, "bearer", "misconfigured", "token");
    owes(&app, "basic", "misconfigured", "password");
    app.answers("/readyz", 200);
    assert_eq!(bearer.requests().len() + basic.requests().len(), asked, "nobody was asked");
    rotate("canary-three");
    for (name, endpoint) in [("bearer", &bearer), ("basic", &basic)] {
        ends(&app, name, "confirmed");
        let told = endpoint.posts().pop().expect("a call");
        assert_eq!(told.header("x-rehup-generation"), Some(newest.to_string().as_str()));
        let anonymous = |request: &Request| request.header("authorization").is_none();
        assert!(!endpoint.requests().iter().any(anonymous), "{name} was asked without a name");
    }
    let said = [app.log(), app.status().to_string(), app.answers("/metrics", 200)].concat();
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn h08_a_credential_that_is_refused_is_told_loudly_and_uses_no_try() {
    let endpoint = Endpoint::start(Manner::Status(200));
    wants(&endpoint, "Bearer right");
    let folder = crate::support::process::scratch();
    let token = folder.path().join("token");
    fs::write(&token, "wrong").expect("a token");
    let settings = format!(
        "http: {{ url: \"{}\", bearer_file: {} }}, tries: 1, on_reject: rollback",
        endpoint.url("/"),
        token.display()
    );
    let mut app = with_targets(&[("main", settings)]);
    app.start();
    owes(&app, "main", "misconfigured", "answered 401");
    change(&app);
    owes(&app, "main", "misconfigured", "answered 401");
    eventually("nothing is rolled back", || {
        (app.status()["generation"]["rollback"] == false).then_some(())
    });
    assert_eq!(endpoint.posts().len(), 1, "no storm");
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

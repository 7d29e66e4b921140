//! What an operator sees and does: probes, status, metrics, held snapshots, commands.

use std::process::Output;

use nix::sys::signal::Signal;

use crate::support::{
    app::App,
    endpoint::{Endpoint, Manner},
    http,
    patience::eventually,
};

const TOKEN: &str = "authorization: Bearer operators-own";

/// A file source, one template that lists every key, and an operator's token.
fn configured(rest: &str) -> App {
    let app = App::new();
    let folder = app.folder();
    std::fs::create_dir(folder.join("base")).expect("a source folder");
    std::fs::write(folder.join("token"), "operators-own\n").expect("a token");
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {0}/base }} }} }}\n\
         templates:\n  - {{ inline: \"{{% for k in base %}}{{{{ k }}}} {{% endfor %}}\", to: names }}\n\
         settle: off\n\
         admin: {{ token_file: {0}/token }}\n{rest}",
        folder.display()
    ));
    app
}

fn remove(app: &App, key: &str) {
    std::fs::remove_file(app.folder().join("base").join(key)).expect("a key");
}

fn post(app: &App, query: &str) -> u16 {
    let path = format!("/-/reload{query}");
    http::post(app.listen(), &path, &[TOKEN]).expect("a running rehup").status
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn r02_an_empty_store_is_held_until_an_operator_accepts_it() {
    let mut app = configured("");
    app.start().answers("/freshz", 503);
    let held = eventually("the empty snapshot is held", || {
        let held = app.try_status()?["sources"]["base"]["held"].clone();
        held.is_object().then_some(held)
    });
    app.answers("/readyz", 503);
    assert!(app.answers("/freshz", 503).contains("held: base"));
    assert!(app.answers("/metrics", 200).contains("rehup_held{source=\"base\"} 1"));
    assert!(app.log().contains("snapshot held"));

    let accept = format!("?accept=base:{}", held["digest"].as_str().expect("a digest"));
    let unknown = http::post(app.listen(), &format!("/-/reload{accept}"), &[]);
    assert_eq!(unknown.expect("an answer").status, 401, "accepting needs the token");
    assert_eq!(post(&app, "?accept=base:0000000000000000"), 404);
    assert_eq!(post(&app, &accept), 200);
    app.answers("/freshz", 200);
    assert_eq!(app.read("names").as_deref(), Some(""));

    assert!(app.stop().success());
    app.start().answers("/freshz", 200);
}

#[test]
fn r02_a_great_loss_is_held_and_a_second_read_lets_it_through() {
    let mut app = configured("");
    for key in 0..20 {
        app.put(&format!("k{key:02}"), "value");
    }
    app.start().ready();
    eventually("all keys are there", || {
        (app.read("names")?.split(' ').count() == 21).then_some(())
    });
    for key in 0..15 {
        remove(&app, &format!("k{key:02}"));
    }
    eventually("the loss is held", || app.log().contains("snapshot held").then_some(()));
    app.answers("/readyz", 200);
    app.shows("names", "k15 k16 k17 k18 k19 ");
    app.answers("/freshz", 200);
}

#[test]
fn r01_a_missing_required_key_keeps_the_last_good_generation() {
    let mut app = configured("");
    let yaml = std::fs::read_to_string(app.config()).expect("the configuration");
    app.configure(yaml.replace("/base } } }", "/base }, required: [level] } }"));
    app.put("level", "value");
    app.start().ready();
    app.put("other", "value");
    app.shows("names", "level other ");
    remove(&app, "level");
    assert!(app.answers("/freshz", 503).contains("base: level"));
    assert_eq!(app.read("names").as_deref(), Some("level other "));
    app.put("level", "value");
    app.answers("/freshz", 200);
}

#[test]
fn a_settled_reload_is_repeated_when_an_operator_asks() {
    let endpoint = Endpoint::start(Manner::Status(200));
    let mut app = configured(&format!(
        "targets: [{{ name: main, http: {{ url: \"{}\" }}, min_interval: 0s }}]\n",
        endpoint.url("/-/reload")
    ));
    app.put("a", "value");
    app.start().settles("main", "confirmed");
    let request = endpoint.requests().remove(0);
    assert!(request.line.starts_with("POST /-/reload "), "{request:?}");
    assert_eq!(request.header("x-rehup-generation"), Some("1"));
    assert_eq!(request.header("x-rehup-changed"), Some("names"));
    let traceparent = request.header("traceparent").expect("a traceparent");
    assert_eq!(traceparent.split('-').map(str::len).collect::<Vec<_>>(), [2, 32, 16, 2]);
    let body: serde_json::Value = serde_json::from_str(&request.body).expect("a JSON body");
    assert_eq!((&body["generation"], &body["changed"][0]), (&1.into(), &"names".into()));

    assert_eq!(post(&app, "?target=main"), 200);
    eventually("it is told again", || (endpoint.requests().len() == 2).then_some(()));
    assert_eq!(post(&app, "?target=nobody"), 404);
}

#[test]
fn hangup_and_a_bare_post_read_everything_again() {
    let mut app = configured("");
    app.put("a", "value");
    app.start().ready();
    let resyncs = |app: &App| {
        let page = app.answers("/metrics", 200);
        let line = page
            .lines()
            .find(|line| line.starts_with("rehup_source_resyncs_total") && line.contains("asked"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    assert_eq!(resyncs(&app), 0);
    app.process().signal(Signal::SIGHUP);
    eventually("SIGHUP is a wish", || (resyncs(&app) == 1).then_some(()));
    let answer = http::post(app.listen(), "/-/reload", &[]).expect("an answer");
    assert_eq!(answer.status, 202, "from loopback it needs no token");
    eventually("a post is one too", || (resyncs(&app) == 2).then_some(()));
    assert_eq!(app.generation(), 1);
}

#[test]
fn the_metrics_are_open_metrics_with_every_promised_name() {
    let endpoint = Endpoint::start(Manner::Status(200));
    let target =
        format!("targets: [{{ name: main, http: {{ url: \"{}\" }} }}]\n", endpoint.url("/"));
    let mut app = configured(&target);
    app.put("a", "value");
    app.start().settles("main", "confirmed");
    let page = app.answers("/metrics", 200);
    for sample in [
        "rehup_generation 1",
        "rehup_generation_timestamp_seconds ",
        "rehup_fresh{cause=\"source\"} 1",
        "rehup_fresh{cause=\"config_refused\"} 1",
        "rehup_source_age_seconds{source=\"base\"} ",
        "rehup_source_state{source=\"base\",state=\"live\"} 1",
        "rehup_source_state{source=\"base\",state=\"degraded\"} 0",
        "rehup_held{source=\"base\"} 0",
        "rehup_config_refused 0",
        "rehup_reload_owed{target=\"main\"} 0",
        "rehup_reload_owed_seconds{target=\"main\"} 0",
        "rehup_reloads_total{target=\"main\",outcome=\"confirmed\"} 1",
        "rehup_change_to_visible_seconds_count 1",
        "rehup_templates_rendered_total 1",
        "rehup_change_to_settled_seconds_count{target=\"main\"} 1",
    ] {
        assert!(page.lines().any(|line| line.starts_with(sample)), "{sample} in:\n{page}");
    }
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn commands_answer_without_a_running_rehup_and_beside_one() {
    let mut app = configured("");
    app.put("a", "value");
    assert!(text(&app.run(&["check", "--connect"])).contains("source base: 1 keys"));
    assert_eq!(text(&app.run(&["render"])), "==> names (0644) <==\na \n");
    assert_eq!(text(&app.run(&["render", "--diff"])), "+ names (2 bytes)\n");
    let fixtures = app.folder().join("fixtures.yaml");
    std::fs::write(&fixtures, "base: { x: \"1\", y: \"2\" }\n").expect("fixtures");
    let fixtures = fixtures.display().to_string();
    assert!(text(&app.run(&["render", "--data", &fixtures])).contains("x y "));
    let out = app.folder().join("out").display().to_string();
    assert!(app.run(&["render", "--out", &out]).status.success());
    assert_eq!(std::fs::read_to_string(app.folder().join("out/names")).expect("a file"), "a ");
    let schema: serde_json::Value =
        serde_json::from_slice(&app.run(&["schema"]).stdout).expect("the schema is JSON");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(app.run(&["status"]).status.code(), Some(1), "nobody runs");
    assert_eq!(app.run(&["dance"]).status.code(), Some(2));

    let fresh = app.start().answers("/freshz", 200);
    assert!(fresh.contains("base: live, proven "), "{fresh}");
    let status = text(&app.run(&["status"]));
    assert!(
        status.contains("ready, fresh") && status.contains("source base (files): live"),
        "{status}"
    );
    let json: serde_json::Value =
        serde_json::from_slice(&app.run(&["status", "--json"]).stdout).expect("JSON");
    assert_eq!(json["generation"]["number"], 1);
    assert_eq!(text(&app.run(&["render", "--diff"])), "nothing would change\n");
    assert!(app.answers("/", 200).contains("generation 1"));
    app.answers("/livez", 200);
    app.answers("/startupz", 200);
}

#[test]
fn a_check_that_says_no_keeps_the_last_good_generation() {
    let mut app = configured("checks: [{ exec: [grep, -q, a, \"{dir}/names\"] }]\n");
    app.put("a", "value");
    app.start().ready();
    app.put("b", "value");
    app.shows("names", "a b ");
    remove(&app, "a");
    assert!(app.answers("/freshz", 503).contains("check: check `grep` said no"));
    assert_eq!(app.read("names").as_deref(), Some("a b "));
    app.put("ab", "value");
    app.shows("names", "ab b ");
    app.answers("/freshz", 200);
}

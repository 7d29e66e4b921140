//! Rollback: a generation that a target rejects gives way to the newest that it confirmed, for all
//! targets, and does not come back before the source changes.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::support::{
    app::App,
    endpoint::{Endpoint, Manner, Request},
    http,
    patience::eventually,
};

mod deaths;

/// One Rehup with a file for each of two targets, `left` and `right`; each reads its file when it is
/// told, and judges that.
pub struct Scene {
    pub app: App,
    pub left: Endpoint,
    pub right: Endpoint,
}

const TOKEN: &str = "authorization: Bearer operators-own";

impl Scene {
    /// Both say no to what contains `bad`; only `left` may ask for a rollback.
    pub fn new() -> Self {
        Self::with("on_reject: rollback", "on_reject: keep")
    }

    pub fn with(left_rule: &str, right_rule: &str) -> Self {
        Self::of(App::new(), left_rule, right_rule)
    }

    pub fn of(mut app: App, left_rule: &str, right_rule: &str) -> Self {
        let [left, right] = [(); 2].map(|()| Endpoint::start(Manner::Status(200)));
        app.quiet();
        fs::write(app.folder().join("token"), "operators-own\n").expect("a token");
        let target = |name: &str, endpoint: &Endpoint, rule: &str| {
            let url = endpoint.url("/reload");
            format!(
                "  - {{ name: {name}, only: [{name}], http: {{ url: \"{url}\" }}, tries: 1, \
                 min_interval: 0s, {rule} }}\n"
            )
        };
        app.configure(format!(
            "sources: {{ base: {{ files: {{ path: {0}/base }} }} }}\n\
             templates:\n  - {{ to: left, inline: \"{{{{ base.left }}}}\" }}\n  \
             - {{ to: right, inline: \"{{{{ base.right }}}}\" }}\n\
             settle: off\nadmin: {{ token_file: {0}/token }}\ntargets:\n{1}{2}",
            app.folder().display(),
            target("left", &left, left_rule),
            target("right", &right, right_rule),
        ));
        let scene = Self { app, left, right };
        for name in ["left", "right"] {
            scene.rejects(name, "bad");
        }
        scene.becomes("1", "1");
        scene
    }

    /// From now on this target says no to content with this word.
    pub fn rejects(&self, target: &str, word: &'static str) {
        let file: PathBuf = self.app.volume().join(target);
        let endpoint = if target == "left" { &self.left } else { &self.right };
        endpoint.decide(move |_: &Request| {
            let content = fs::read_to_string(&file).unwrap_or_default();
            Manner::Status(if content.contains(word) { 422 } else { 200 })
        });
    }

    /// Both keys, as one change.
    pub fn becomes(&self, left: &str, right: &str) {
        let base = self.app.folder().join("base");
        let next = self.app.folder().join(format!("base-{left}-{right}"));
        fs::create_dir_all(&next).expect("a version");
        fs::write(next.join("left"), left).expect("a key");
        fs::write(next.join("right"), right).expect("a key");
        let staged = self.app.folder().join("base.new");
        std::os::unix::fs::symlink(&next, &staged).expect("a link");
        fs::rename(staged, base).expect("a version");
    }

    /// Waits until this is visible, and each target's newest outcome is this.
    #[track_caller]
    pub fn settles(&self, [left, right]: [&str; 2], outcomes: [&str; 2]) -> Value {
        let expected = format_args!("{left} and {right} are {outcomes:?}; {}", self.app.tail());
        eventually(expected, || {
            let status = self.app.try_status()?;
            let is = |name: &str, outcome: &str| {
                let target = &status["targets"][name];
                target["outcome"] == outcome && target["owed_seconds"].is_null()
            };
            let seen = self.app.read("left")? == left && self.app.read("right")? == right;
            let settled = is("left", outcomes[0]) && is("right", outcomes[1]);
            let newest = status["generation"]["number"] == self.app.generation();
            (seen && settled && newest).then_some(status)
        })
    }

    /// Waits until what both had before is visible again, and confirmed.
    #[track_caller]
    pub fn rolls_back_to(&self, contents: [&str; 2]) -> Value {
        eventually(format_args!("it is rolled back; {}", self.app.tail()), || {
            let status = self.app.try_status()?;
            let is = status["generation"]["rollback"] == true && self.quarantined().len() == 1;
            is.then_some(())
        });
        self.settles(contents, CONFIRMED)
    }

    /// What is quarantined, as the status shows it.
    pub fn quarantined(&self) -> Vec<String> {
        let status = self.app.try_status().unwrap_or_default();
        let all = status["quarantined"].as_array().cloned().unwrap_or_default();
        all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn post(&self, query: &str) -> u16 {
        let path = format!("/-/reload{query}");
        http::post(self.app.listen(), &path, &[TOKEN]).expect("a running rehup").status
    }
}

const CONFIRMED: [&str; 2] = ["confirmed", "confirmed"];

#[test]
fn h02_one_target_rejects_and_all_are_told_of_the_generation_before() {
    let mut scene = Scene::new();
    scene.app.start();
    scene.settles(["1", "1"], CONFIRMED);
    scene.becomes("bad", "2");
    scene.rolls_back_to(["1", "1"]);
    assert_eq!(scene.app.generation(), 3, "one that was rejected, one for the rollback");
    assert!(scene.app.answers("/freshz", 503).contains("quarantined: "));
    scene.app.answers("/readyz", 200);
    assert_eq!(scene.quarantined().len(), 1);
    assert_eq!(scene.app.count("rehup_reloads_total{target=\"left\",outcome=\"rejected\"}"), 1);
    // The other one confirmed what is taken from it.
    assert_eq!(scene.right.posts().len(), 3);
    let told = scene.right.posts().pop().expect("it was told");
    assert_eq!(told.header("x-rehup-generation"), Some("3"));

    scene.becomes("3", "2");
    scene.settles(["3", "2"], CONFIRMED);
    scene.app.answers("/freshz", 200);
    assert!(scene.quarantined().is_empty());
}

#[test]
fn h02_a_rollback_that_is_rejected_too_is_the_last_one() {
    let mut scene = Scene::with("on_reject: rollback", "on_reject: rollback");
    scene.app.start();
    scene.settles(["1", "1"], CONFIRMED);
    scene.rejects("right", "1");
    scene.becomes("bad", "2");
    scene.settles(["1", "1"], ["confirmed", "rejected"]);
    eventually(format_args!("the rollback has failed; {}", scene.app.tail()), || {
        scene.app.get("/freshz")?.body.contains("rollback_failed: right").then_some(())
    });
    assert_eq!(scene.app.generation(), 3);
    // Another process knows it too, also when it has looked at the newest view.
    scene.app.kill();
    scene.app.start();
    eventually(format_args!("the view is rendered; {}", scene.app.tail()), || {
        (scene.app.metric("rehup_templates_rendered_total") > 1.0).then_some(())
    });
    eventually(format_args!("the next process knows; {}", scene.app.tail()), || {
        scene.app.get("/freshz")?.body.contains("rollback_failed: right").then_some(())
    });
    scene.app.answers("/readyz", 200);
    assert_eq!(scene.app.generation(), 3, "nothing else is tried");
    scene.becomes("2", "2");
    scene.settles(["2", "2"], CONFIRMED);
    scene.app.answers("/freshz", 200);
}

#[test]
fn h02_without_a_generation_to_go_back_to_the_rejected_one_stays_and_is_told() {
    let mut scene = Scene::new();
    scene.becomes("bad", "1");
    scene.app.start();
    let status = scene.settles(["bad", "1"], ["rejected", "confirmed"]);
    assert_eq!(status["generation"]["rollback"], false, "{status}");
    eventually(format_args!("it is said; {}", scene.app.tail()), || {
        scene.app.log().contains("no generation to roll back to").then_some(())
    });
    eventually("nothing is quarantined", || scene.quarantined().is_empty().then_some(()));
    assert!(scene.app.stop().success());
    scene.app.start();
    scene.settles(["bad", "1"], ["rejected", "confirmed"]);
    assert_eq!(scene.app.generation(), 1);
    scene.becomes("2", "1");
    scene.settles(["2", "1"], CONFIRMED);
    scene.app.answers("/freshz", 200);
}

#[test]
fn h02_a_kept_generation_that_somebody_changed_is_passed_over() {
    let mut scene = Scene::new();
    scene.app.start();
    scene.settles(["1", "1"], CONFIRMED);
    scene.becomes("2", "1");
    scene.settles(["2", "1"], CONFIRMED);
    let second = fs::read_link(scene.app.volume().join("..data")).expect("a generation");
    fs::write(scene.app.volume().join(second).join("left"), "spoiled").expect("a file");
    scene.becomes("bad", "1");
    scene.rolls_back_to(["1", "1"]);
    scene.becomes("4", "1");
    scene.settles(["4", "1"], CONFIRMED);
    scene.app.answers("/freshz", 200);
}

#[test]
fn h02_what_may_be_gone_back_to_is_kept_however_many_come_after_it() {
    let mut scene = Scene::new();
    let yaml = fs::read_to_string(scene.app.config()).expect("a configuration");
    scene.app.configure(yaml + "output: { keep: 1, grace: 0s }\n");
    scene.app.start();
    scene.settles(["1", "1"], CONFIRMED);
    scene.left.turn(Manner::Status(503));
    for number in 2..5 {
        let value = number.to_string();
        scene.becomes(&value, "1");
        scene.app.shows("left", &value);
        eventually(format_args!("old ones are collected; {}", scene.app.tail()), || {
            let names = fs::read_dir(scene.app.volume()).expect("a volume");
            let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            let count = names.filter(|name| name.starts_with("..gen-")).count();
            // The visible one, the one before it, and the one that was confirmed.
            (count == number.min(3)).then_some(())
        });
    }
    scene.rejects("left", "bad");
    scene.becomes("bad", "1");
    scene.rolls_back_to(["1", "1"]);
}

#[test]
fn h02_what_was_rejected_stays_away_over_restarts_until_the_source_changes() {
    let mut scene = Scene::new();
    scene.app.start();
    scene.settles(["1", "1"], CONFIRMED);
    scene.becomes("bad", "1");
    scene.rolls_back_to(["1", "1"]);
    let (generation, shown) = (scene.app.generation(), scene.quarantined());
    for end in 0..3 {
        if end == 1 {
            scene.app.kill();
        } else {
            scene.app.stop();
        }
        scene.app.start();
        eventually(format_args!("it is quarantined still; {}", scene.app.tail()), || {
            let body = scene.app.get("/freshz")?.body;
            body.contains("quarantined: the newest rendering").then_some(())
        });
        assert_eq!((scene.app.generation(), scene.quarantined()), (generation, shown.clone()));
    }
    assert_eq!(scene.post("?unquarantine=0000000000000000"), 404);
    // Mended elsewhere, and said so by an operator.
    scene.rejects("left", "worse");
    assert_eq!(scene.post(&format!("?unquarantine={}", shown[0])), 200);
    scene.settles(["bad", "1"], CONFIRMED);
    scene.app.answers("/freshz", 200);

    // Away and back is a change: it is tried again, and rejected again.
    scene.becomes("worse", "1");
    scene.rolls_back_to(["bad", "1"]);
    let rejections = scene.app.count("rehup_reloads_total{target=\"left\",outcome=\"rejected\"}");
    scene.becomes("5", "1");
    scene.settles(["5", "1"], CONFIRMED);
    scene.becomes("worse", "1");
    scene.rolls_back_to(["5", "1"]);
    eventually("it was rejected again", || {
        let sample = "rehup_reloads_total{target=\"left\",outcome=\"rejected\"}";
        (scene.app.count(sample) == rejections + 1).then_some(())
    });
}

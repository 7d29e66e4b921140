//! H03: a newer generation ends the waiting, retrying and verifying of an older one at once, and
//! one target never waits for another.

use crate::support::{
    app::App,
    endpoint::{Endpoint, Manner},
    patience::eventually,
};

/// Targets of one Rehup, each with its endpoint.
struct Scene {
    app: App,
    changes: usize,
}

impl Scene {
    fn new(targets: &[String]) -> Self {
        let mut app = App::new();
        app.put("n", "0");
        app.configure(format!(
            "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
             templates: [{{ to: n, inline: \"{{{{ base.n }}}}\" }}]\nsettle: off\n\
             targets: [{}]\n",
            app.folder().display(),
            targets.join(", "),
        ));
        app.quiet().start().ready();
        Self { app, changes: 0 }
    }

    fn changes(&mut self) -> u64 {
        self.changes += 1;
        self.app.put("n", &self.changes.to_string());
        self.app.shows("n", &self.changes.to_string());
        self.app.generation()
    }

    fn settles(&self, target: &str, generation: u64) {
        let expected = format_args!("{target} confirms {generation}; {}", self.app.tail());
        eventually(expected, || {
            let target = self.app.try_status()?["targets"][target].clone();
            (target["outcome"] == "confirmed" && target["generation"] == generation).then_some(())
        });
    }
}

fn target(name: &str, endpoint: &Endpoint, rest: &str) -> String {
    let url = endpoint.url("/reload");
    format!("{{ name: {name}, http: {{ url: \"{url}\", timeout: 3s }}, min_interval: 0s{rest} }}")
}

/// The generations that an endpoint was told of, in their order.
fn told(endpoint: &Endpoint) -> Vec<u64> {
    let number = |it: &crate::support::endpoint::Request| {
        it.header("X-Rehup-Generation").and_then(|it| it.parse().ok()).expect("a generation")
    };
    endpoint.posts().iter().map(number).collect()
}

#[test]
fn h03_a_call_that_hangs_holds_up_no_other_target_and_no_newer_generation() {
    let (hangs, well) = (Endpoint::start(Manner::Hang), Endpoint::start(Manner::Status(200)));
    let mut scene = Scene::new(&[target("hangs", &hangs, ""), target("well", &well, "")]);
    scene.settles("well", 1);
    eventually("the call hangs", || (told(&hangs) == [1]).then_some(()));
    let newest = scene.changes();
    scene.settles("well", newest);
    hangs.turn(Manner::Status(200));
    scene.settles("hangs", newest);
    assert_eq!(told(&hangs), [1, newest], "the older generation is not tried again");
    scene.app.answers("/freshz", 200);
}

#[test]
fn h03_an_endpoint_that_keeps_failing_is_told_of_the_newest_generation_alone() {
    for status in [500, 503] {
        let (fails, well) =
            (Endpoint::start(Manner::Status(status)), Endpoint::start(Manner::Status(200)));
        let failing = target("fails", &fails, ", tries: 100");
        let mut scene = Scene::new(&[failing, target("well", &well, "")]);
        eventually("it fails again and again", || (told(&fails).len() > 1).then_some(()));
        let newest = scene.changes();
        scene.settles("well", newest);
        eventually("it is told of the newest", || told(&fails).contains(&newest).then_some(()));
        fails.turn(Manner::Status(200));
        scene.settles("fails", newest);
        let told = told(&fails);
        assert!(told.is_sorted(), "after the newest no older one is told: {told:?}");
        assert_eq!(told[0], 1, "{status}: {told:?}");
    }
}

#[test]
fn h03_a_verification_that_goes_on_ends_with_a_newer_generation() {
    let endpoint = Endpoint::start(Manner::Status(200));
    endpoint.show("{\"loaded\": \"never\"}");
    let page = endpoint.url("/loaded");
    let verify = format!(
        ", verify: {{ json: {{ url: \"{page}\", pointer: /loaded, changed: true }}, timeout: 10m }}"
    );
    let mut scene = Scene::new(&[target("main", &endpoint, &verify)]);
    eventually("the first is being verified", || (told(&endpoint) == [1]).then_some(()));
    let newest = scene.changes();
    eventually(format_args!("{newest} is told; {}", scene.app.tail()), || {
        (told(&endpoint) == [1, newest]).then_some(())
    });
    endpoint.show("{\"loaded\": \"now\"}");
    scene.settles("main", newest);
}

//! One pod: its state, what its containers answer and print, and commands in them.

use std::process::Output;

use serde_json::{Value, json};

use super::{Space, api::Body};
use crate::support::{http::Answer, patience::patiently};

/// A pod of a test's namespace.
pub struct Pod<'a> {
    space: &'a Space,
    pub name: String,
}

impl<'a> Pod<'a> {
    pub(super) fn new(space: &'a Space, name: String) -> Self {
        Self { space, name }
    }

    /// The whole object; nothing once it is gone.
    pub fn object(&self) -> Option<Value> {
        self.space.api.get(&self.space.path(&format!("pods/{}", self.name)))
    }

    /// Whether the cluster calls it ready: then it is in its Services.
    pub fn is_ready(&self) -> bool {
        let object = self.object().unwrap_or_default();
        let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|it| it["type"] == "Ready" && it["status"] == "True")
    }

    /// Waits until it is.
    #[track_caller]
    pub fn ready(&self) -> &Self {
        self.eventually("the pod is ready", || self.is_ready().then_some(()));
        self
    }

    /// Waits for anything, and tells the whole story if it does not come.
    #[track_caller]
    pub fn eventually<T>(&self, expected: &str, probe: impl FnMut() -> Option<T>) -> T {
        patiently(format_args!("{expected}; {}", self.space.story()), probe)
    }

    /// A container's status, of either list; null while there is none.
    pub fn container(&self, name: &str) -> Value {
        let object = self.object().unwrap_or_default();
        let lists = ["initContainerStatuses", "containerStatuses"];
        let all = lists.into_iter().filter_map(|list| object["status"][list].as_array()).flatten();
        all.into_iter().find(|it| it["name"] == name).cloned().unwrap_or_default()
    }

    /// How often a container was started again.
    pub fn restarts(&self, container: &str) -> u64 {
        self.container(container)["restartCount"].as_u64().unwrap_or_default()
    }

    /// How often something happened to it, by the reason that its events give.
    pub fn events(&self, reason: &str) -> u64 {
        let of = format!("involvedObject.name={},reason={reason}", self.name);
        let list = self.space.api.get(&self.space.path(&format!("events?fieldSelector={of}")));
        let list = list.unwrap_or_default();
        let events = list["items"].as_array().into_iter().flatten();
        events.filter_map(|event| event["count"].as_u64()).sum()
    }

    /// Asks one of its ports; none while nobody answers. What the pod does not answer is 502 or 503.
    pub fn get(&self, port: u16, path: &str) -> Option<Answer> {
        let pod = format!("pods/{}:{port}/proxy{path}", self.name);
        self.space.api.ask("GET", &self.space.path(&pod), &Body::None)
    }

    /// Sends one of its ports an object.
    pub fn post(&self, port: u16, path: &str, object: &Value) -> Option<Answer> {
        let pod = format!("pods/{}:{port}/proxy{path}", self.name);
        self.space.api.ask("POST", &self.space.path(&pod), &Body::Object(object))
    }

    /// What its app serves at `/` of port 8080; none if a request fails.
    pub fn page(&self) -> Option<String> {
        self.get(8080, "/").filter(|answer| answer.status == 200).map(|answer| answer.body)
    }

    /// Waits until its app serves this.
    #[track_caller]
    pub fn serves(&self, text: &str) -> &Self {
        let page = || self.page().filter(|page| page == text);
        self.eventually(&format!("the app serves {text:?}"), page);
        self
    }

    /// What Rehup answers.
    pub fn rehup(&self, path: &str) -> Option<Answer> {
        self.get(9533, path)
    }

    /// What Rehup knows; null while it does not answer.
    pub fn status(&self) -> Value {
        let answer = self.rehup("/status").filter(|answer| answer.status == 200);
        answer.and_then(|answer| serde_json::from_str(&answer.body).ok()).unwrap_or_default()
    }

    /// Waits until a target's newest outcome is this, with nothing owed.
    #[track_caller]
    pub fn settles(&self, target: &str, generation: u64, outcome: &str) -> Value {
        self.eventually(&format!("{target} ends {outcome} for generation {generation}"), || {
            let status = self.status()["targets"][target].clone();
            let settled = status["outcome"] == outcome && status["owed_seconds"].is_null();
            (settled && status["generation"] == generation).then_some(status)
        })
    }

    /// What a container printed since its last start.
    pub fn log(&self, container: &str) -> String {
        self.log_of(container, "")
    }

    /// What it printed before its last restart.
    pub fn log_before(&self, container: &str) -> String {
        self.log_of(container, "&previous=true")
    }

    fn log_of(&self, container: &str, which: &str) -> String {
        let path = format!("pods/{}/log?container={container}{which}", self.name);
        let answer = self.space.api.ask("GET", &self.space.path(&path), &Body::None);
        answer.filter(|it| it.status == 200).map(|it| it.body).unwrap_or_default()
    }

    /// Runs a command in a container.
    pub fn exec(&self, container: &str, words: &[&str]) -> Output {
        let mut line = vec!["exec", &self.name, "--container", container, "--"];
        line.extend(words);
        self.space.kubectl(&line, "")
    }

    /// The same; what it printed, if it succeeds.
    #[track_caller]
    pub fn run(&self, container: &str, words: &[&str]) -> String {
        let output = self.exec(container, words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?} in {container}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Kills Rehup from a container that shares its process namespace and its user.
    #[track_caller]
    pub fn kill_rehup(&self, from: &str) {
        self.run(from, &["sh", "-c", "kill -9 $(pidof rehup)"]);
    }

    /// Keeps its object after its end, or lets it go.
    pub fn hold(&self, keep: bool) {
        let finalizers = if keep { json!(["rehup.test/read"]) } else { Value::Null };
        let change = json!({ "metadata": { "finalizers": finalizers } });
        let path = self.space.path(&format!("pods/{}", self.name));
        self.space.api.must("PATCH", &path, &Body::Merge(&change));
    }

    /// Asks for its end, and waits for nothing.
    pub fn delete(&self) {
        self.space.api.must(
            "DELETE",
            &self.space.path(&format!("pods/{}", self.name)),
            &Body::None,
        );
    }
}

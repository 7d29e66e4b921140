//! `deploy/compose.yaml`: Consul, nginx and Rehup.

use serde_json::Value;

use crate::support::{patience::patiently, stack::Stack};

fn up() -> Stack {
    let stack = Stack::new("compose.yaml", &["rehup", "nginx", "consul"]);
    stack.compose(&["up", "--detach"]);
    shows(&stack, "hello");
    stack
}

/// Writes a key as deploy/README.md tells.
fn put(stack: &Stack, key: &str, value: &str) {
    stack.exec("consul", &["consul", "kv", "put", &format!("web/{key}"), value]);
}

fn page(stack: &Stack) -> Option<String> {
    stack.get(8080, "/")
}

#[track_caller]
fn shows(stack: &Stack, text: &str) {
    patiently(format_args!("the page says {text}"), || page(stack).filter(|it| it == text));
}

fn status(stack: &Stack) -> Option<Value> {
    serde_json::from_str(&stack.get(9533, "/status")?).ok()
}

#[test]
fn a_key_reaches_the_page_by_a_signal_and_what_is_broken_does_not() {
    let stack = up();
    let started = stack.inspect("nginx", "{{.State.StartedAt}}");
    put(&stack, "greeting", "Good morning");
    shows(&stack, "Good morning");
    stack.settles("nginx", 2, "confirmed");
    assert!(stack.log("nginx").contains("signal 1 (SIGHUP) received"), "nginx was signalled");

    // What the template refuses is not published.
    put(&stack, "greeting", "it costs $5");
    patiently("the refusal is told", || {
        let told = status(&stack)?["causes"].to_string();
        (told.contains("render") && told.contains("nginxquote")).then_some(())
    });
    assert_eq!(page(&stack).as_deref(), Some("Good morning"));
    put(&stack, "greeting", "Good evening");
    shows(&stack, "Good evening");
    stack.settles("nginx", 3, "confirmed");

    // What nginx refuses is published, not believed, and taken back.
    put(&stack, "connections", "many");
    patiently("the rollback", || (status(&stack)?["generation"]["rollback"] == true).then_some(()));
    stack.settles("nginx", 5, "confirmed");
    assert_eq!(page(&stack).as_deref(), Some("Good evening"));
    put(&stack, "connections", "256");
    stack.settles("nginx", 6, "confirmed");
    assert_eq!(page(&stack).as_deref(), Some("Good evening"));
    let now = stack.inspect("nginx", "{{.State.StartedAt}}");
    assert_eq!(now, started, "nginx was never restarted");

    // Compose stops one after the other, who depends on another first; podman-compose all at once,
    // and then Rehup may end with nginx's namespace before it has ended itself.
    stack.compose(&["stop", "rehup"]);
    stack.compose(&["stop"]);
    for service in ["rehup", "nginx", "consul", "rehup-once", "first-key"] {
        let code = stack.inspect(service, "{{.State.ExitCode}}");
        assert_eq!(code, "0", "{service} ends well within its grace period");
    }
    stack.compose(&["down", "--volumes"]);
    assert_eq!(stack.podman(&["ps", "--all", "--quiet"]), "", "no container is left");
    assert_eq!(stack.podman(&["volume", "ls", "--quiet"]), "", "no volume is left");
}

#[test]
fn a_fresh_volume_belongs_to_the_user_of_the_image() {
    let stack = Stack::new("compose.yaml", &["rehup"]);
    let image = format!("localhost/rehup:{}", env!("CARGO_PKG_VERSION"));
    // As another user: Podman would give the volume to the container's own in any case, Docker
    // looks at the image's folder alone.
    let words = ["run", "--rm", "--user", "0:0", "--volume", "fresh:/shared", &image, "schema"];
    stack.podman(&words);
    assert_eq!(stack.owner("fresh"), (65532, 65532));
}

#[test]
fn the_health_check_passes_while_rehup_answers_and_only_then() {
    let stack = up();
    patiently("Rehup answers", || stack.healthy("rehup").then_some(()));
    stack.signal("rehup", "STOP");
    assert!(!stack.healthy("rehup"), "one that is stuck is not healthy");
    stack.signal("rehup", "CONT");
    patiently("Rehup answers again", || stack.healthy("rehup").then_some(()));
}

#[test]
fn nginx_takes_rehup_along_when_it_ends_and_both_come_back() {
    let stack = up();
    put(&stack, "greeting", "one");
    shows(&stack, "one");
    stack.settles("nginx", 2, "confirmed");

    // A crash: nginx's restart policy brings it back with what is on the volume. Podman asks Rehup's
    // once, while nginx is not up yet: the next `up` brings it back, with what has come meanwhile.
    stack.signal("nginx", "KILL");
    patiently("nginx was started again", || {
        (stack.inspect("nginx", "{{.RestartCount}}") != "0").then_some(())
    });
    shows(&stack, "one");
    put(&stack, "greeting", "two");
    stack.compose(&["up", "--detach"]);
    shows(&stack, "two");
    stack.settles("nginx", 3, "confirmed");

    // A restart by hand. Compose restarts Rehup after it (`restart: true` below `depends_on`), which
    // podman-compose does not know.
    stack.compose(&["restart", "nginx"]);
    stack.compose(&["restart", "rehup"]);
    put(&stack, "greeting", "three");
    shows(&stack, "three");
    stack.settles("nginx", 4, "confirmed");

    // Another `up` beside a running Rehup waits for it, ends well, and changes nothing.
    stack.compose(&["up", "--detach"]);
    assert_eq!(stack.inspect("rehup-once", "{{.State.ExitCode}}"), "0");
    put(&stack, "greeting", "four");
    shows(&stack, "four");
}

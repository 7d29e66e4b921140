//! H01, H09, H10, H13: targets that are not there yet, or are reached by other ways.

use std::{fs, net::SocketAddr, os::unix::fs::MetadataExt};

use super::{change, count, ends, owes, with_targets};
use crate::support::{
    endpoint::{Endpoint, Manner},
    namespace::Namespace,
    patience::eventually,
    process::{free_port, scratch},
};

#[test]
fn h01_where_nobody_listens_the_newest_is_told_as_soon_as_somebody_does() {
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let settings = format!("http: {{ url: \"http://{at}/\" }}, tries: 1, on_reject: rollback");
    let mut app = with_targets(&[("main", settings)]);
    app.start().ready();
    owes(&app, "main", "not_up", "refused");
    let newest = change(&app);
    app.answers("/freshz", 200);
    owes(&app, "main", "not_up", "refused");
    // It is tried again and again, and written down once.
    let journal = app.volume().join("..rehup/journal");
    let written = || fs::metadata(&journal).expect("a journal").ino();
    let tried = |times| {
        eventually(format_args!("{times} attempts; {}", app.tail()), || {
            (count(&app, "main", "not_up") >= times).then_some(())
        });
    };
    tried(count(&app, "main", "not_up") + 1);
    let before = written();
    tried(count(&app, "main", "not_up") + 2);
    assert_eq!(written(), before, "the journal was written anew");
    let endpoint = Endpoint::start_at(at, Manner::Status(200));
    ends(&app, "main", "confirmed");
    let told = endpoint.posts();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].header("x-rehup-generation"), Some(newest.to_string().as_str()));
    assert_eq!(count(&app, "main", "rejected") + count(&app, "main", "unknown"), 0);
}

#[test]
fn h01_a_name_that_nobody_knows_is_waited_for() {
    let endpoint = Endpoint::start(Manner::Status(200));
    let port = endpoint.url("").rsplit(':').next().expect("a port").to_owned();
    let settings = format!("http: {{ url: \"http://app.rehup.test:{port}/\" }}, tries: 1");
    let mut app = with_targets(&[("main", settings)]);
    let namespace = Namespace::of_mounts();
    let (hosts, resolver) = (app.folder().join("hosts"), app.folder().join("resolver"));
    fs::write(&hosts, "127.0.0.1 localhost\n").expect("a file");
    // Nobody answers there.
    fs::write(&resolver, "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n").expect("a file");
    for (from, to) in [(&hosts, "/etc/hosts"), (&resolver, "/etc/resolv.conf")] {
        namespace.run(&["mount", "--bind", from.to_str().expect("UTF-8"), to]);
    }
    app.start_through(&namespace.entry()).ready();
    owes(&app, "main", "not_up", "");
    change(&app);
    app.answers("/freshz", 200);
    assert!(endpoint.posts().is_empty());
    fs::write(&hosts, "127.0.0.1 localhost app.rehup.test\n").expect("a file");
    ends(&app, "main", "confirmed");
}

#[test]
fn h01_a_target_that_is_not_ready_is_not_called() {
    let (endpoint, door) = (Endpoint::start(Manner::Status(200)), Endpoint::start(Manner::Hang));
    let ready = format!("ready: {{ url: \"{}\" }}", door.url("/ready"));
    let settings = format!("http: {{ url: \"{}\" }}, {ready}", endpoint.url("/"));
    let mut app = with_targets(&[("main", settings)]);
    app.start().ready();
    owes(&app, "main", "not_up", "not ready: ");
    door.turn(Manner::Status(503));
    owes(&app, "main", "not_up", "ready answered 503");
    assert!(endpoint.requests().is_empty());
    door.turn(Manner::Status(204));
    ends(&app, "main", "confirmed");
}

#[test]
fn h09_proxies_of_the_environment_see_nothing() {
    let proxy = Endpoint::start(Manner::Status(200));
    let folder = scratch();
    let near = Endpoint::start(Manner::Status(200));
    let socket = Endpoint::start_unix(&folder.path().join("reload.sock"), Manner::Status(200));
    near.show("n 1\n");
    let verify = format!(
        "http: {{ url: \"{}\" }}, verify: {{ status: {{ url: \"{}\" }} }}",
        near.url("/"),
        near.url("/page")
    );
    let mut app = with_targets(&[
        ("near", verify),
        ("socket", format!("http: {{ url: \"{}\" }}", socket.url("/reload"))),
    ]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        app.variable(name, proxy.url("")).variable(&name.to_lowercase(), proxy.url(""));
    }
    app.variable("NO_PROXY", "").variable("no_proxy", "");
    app.start();
    app.settles("near", "confirmed");
    app.settles("socket", "confirmed");
    change(&app);
    ends(&app, "near", "confirmed");
    ends(&app, "socket", "confirmed");
    assert!(proxy.requests().is_empty(), "{:?}", proxy.requests());
    assert_eq!((near.posts().len(), socket.posts().len()), (2, 2));
}

#[test]
fn h01_a_socket_that_comes_later_is_told() {
    let folder = scratch();
    let path = folder.path().join("reload.sock");
    let settings = format!("http: {{ url: \"unix://{}:/reload\" }}", path.display());
    let mut app = with_targets(&[("main", settings)]);
    app.start().ready();
    owes(&app, "main", "not_up", "");
    // A file that nobody listens at.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    owes(&app, "main", "not_up", "refused");
    fs::remove_file(&path).expect("a socket");
    let endpoint = Endpoint::start_unix(&path, Manner::Status(200));
    ends(&app, "main", "confirmed");
    assert_eq!(endpoint.posts()[0].line, "POST /reload HTTP/1.1\r\n");
}

#[test]
fn h10_each_generation_is_told_at_least_once_whenever_we_are_killed() {
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut app = with_targets(&[("main", format!("http: {{ url: \"http://{at}/\" }}"))]);
    app.start().ready();
    owes(&app, "main", "not_up", "refused");
    // Between the flip and the call.
    app.kill();
    let endpoint = Endpoint::start_at(at, Manner::Status(200));
    app.start();
    ends(&app, "main", "confirmed");
    assert_eq!(endpoint.posts().len(), 1);
    // With the call on its way: nobody can know whether it was taken.
    endpoint.turn(Manner::Hang);
    let newest = change(&app);
    eventually("it is called", || (endpoint.posts().len() == 2).then_some(()));
    app.kill();
    endpoint.turn(Manner::Status(200));
    app.start();
    ends(&app, "main", "confirmed");
    assert_eq!(endpoint.posts().len(), 3);
    // After it was written down.
    app.kill();
    app.start().answers("/freshz", 200);
    assert_eq!(app.status()["targets"]["main"]["outcome"], "confirmed");
    assert_eq!((endpoint.posts().len(), app.generation()), (3, newest));
}

#[test]
fn h13_a_first_start_waits_for_no_target() {
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let settings = format!(
        "http: {{ url: \"http://{at}/\" }}, verify: {{ json: {{ url: \"http://{at}/\", \
         pointer: /n, changed: true }} }}"
    );
    let mut app = with_targets(&[("main", settings)]);
    app.start().answers("/startupz", 200);
    app.answers("/freshz", 200);
    assert_eq!(app.read("level").as_deref(), Some("1"));
    owes(&app, "main", "not_up", "");
    app.answers("/livez", 200);
    // Only now the main process may start.
    let endpoint = Endpoint::start_at(at, Manner::Status(200));
    endpoint.show("{\"n\": 1}");
    eventually("it is told", || (endpoint.posts().len() == 1).then_some(()));
    endpoint.show("{\"n\": 2}");
    ends(&app, "main", "confirmed");
}

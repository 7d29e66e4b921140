//! Great losses from end to end: what readers see stays, to the byte, until the loss is believed.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use etcd_client::{Client, DeleteOptions};
use nix::sys::signal::Signal;
use rehup::guard::SECOND_READ;

use crate::support::{
    app::App,
    canary::hide,
    etcd::{Etcd, Version},
    http,
    patience::eventually,
};

const TOKEN: &str = "authorization: Bearer operators-own";

/// Follows `source`, lists every key with its value, and has an operator.
fn following(source: &str, guard: &str) -> App {
    let app = App::new();
    std::fs::write(app.folder().join("token"), "operators-own\n").expect("a token");
    app.configure(format!(
        "sources: {{ app: {source} }}\n\
         templates: [{{ inline: \"{{% for k, v in app | items %}}{{{{ k }}}}={{{{ v }}}} {{% endfor %}}\", to: all }}]\n\
         settle: off\n\
         admin: {{ token_file: {}/token }}\n{guard}",
        app.folder().display()
    ));
    app
}

/// What must be told while a snapshot is held; gives the digest to accept.
#[track_caller]
fn held(app: &App, keys: usize, removed: usize) -> String {
    let held = eventually(format_args!("{removed} gone keys are held; {}", app.tail()), || {
        let held = app.try_status()?["sources"]["app"]["held"].clone();
        (held["keys"] == keys && held["removed"] == removed).then_some(held)
    });
    assert!(app.answers("/freshz", 503).contains("held: app"));
    let metrics = app.answers("/metrics", 200);
    assert!(metrics.contains("rehup_held{source=\"app\"} 1\n"), "{metrics}");
    assert!(metrics.contains("rehup_fresh{cause=\"held\"} 0\n"), "{metrics}");
    app.answers("/readyz", 200);
    app.answers("/livez", 200);
    held["digest"].as_str().expect("a digest").to_owned()
}

#[track_caller]
fn released(app: &App) {
    app.answers("/freshz", 200);
    assert!(app.status()["sources"]["app"]["held"].is_null());
    assert!(app.answers("/metrics", 200).contains("rehup_held{source=\"app\"} 0\n"));
}

/// Reads everything again, and has the answer.
#[track_caller]
fn read_again(app: &mut App) {
    let asked = |app: &App| {
        let metrics = app.answers("/metrics", 200);
        let line = metrics.lines().find(|line| line.contains("reason=\"asked\""));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    let before = asked(app);
    app.process().signal(Signal::SIGHUP);
    eventually("everything was read again", || {
        let resyncing = app.status()["sources"]["app"]["state"] == "resyncing";
        (asked(app) > before && !resyncing).then_some(())
    });
}

async fn put(client: &mut Client, keys: usize, value: &str) {
    for key in 0..keys {
        client.put(format!("/app/k{key:02}"), hide(value), None).await.expect("a put");
    }
}

async fn delete(client: &mut Client, options: DeleteOptions, key: &str) {
    client.delete(key, Some(options)).await.expect("a delete");
}

async fn store() -> (Etcd, Box<Client>, String) {
    let server = Etcd::start(Version::Current).await;
    let client = server.client().await;
    let source = format!("{{ etcd: {{ endpoints: [\"{}\"], prefix: /app/ }} }}", server.endpoint());
    (server, client, source)
}

fn listed(keys: std::ops::Range<usize>, value: &str) -> String {
    keys.map(|key| format!("k{key:02}={value} ")).collect::<Vec<_>>().concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r02_a_deleted_prefix_is_held_until_an_operator_accepts_it() {
    let (_server, mut client, source) = store().await;
    put(&mut client, 20, "one").await;
    let mut app = following(&source, "");
    let good = listed(0..20, "one");
    app.start().shows("all", &good);

    delete(&mut client, DeleteOptions::new().with_prefix(), "/app/").await;
    let digest = held(&app, 0, 20);
    assert!(app.stop().success());
    app.start();
    assert_eq!(held(&app, 0, 20), digest, "a restart forgets neither the loss nor its digest");
    let since = Instant::now();
    eventually("a second read could be believed", || (since.elapsed() > SECOND_READ).then_some(()));
    read_again(&mut app);
    assert_eq!(held(&app, 0, 20), digest, "no second read frees an empty one");
    assert_eq!((app.generation(), app.read("all")), (1, Some(good)));

    let accept = |app: &App, digest: &str, headers: &[&str]| {
        let path = format!("/-/reload?accept=app:{digest}");
        http::post(app.listen(), &path, headers).expect("an answer").status
    };
    assert_eq!(accept(&app, &digest, &[]), 401, "only an operator may");
    assert_eq!(accept(&app, "0123456789abcdef", &[TOKEN]), 404, "and only what was shown");
    assert_eq!(accept(&app, &digest, &[TOKEN]), 200);
    app.shows("all", "");
    released(&app);

    put(&mut client, 20, "two").await;
    app.shows("all", &listed(0..20, "two"));
    released(&app);
    delete(&mut client, DeleteOptions::new().with_prefix(), "/app/").await;
    held(&app, 0, 20);
    assert_eq!(app.read("all"), Some(listed(0..20, "two")), "it was accepted for that once");
}

/// A loss that a second read confirms: this range of keys goes.
async fn second_read(guard: &str, options: DeleteOptions, first: &str, left: usize) {
    let (_server, mut client, source) = store().await;
    put(&mut client, 20, "one").await;
    let mut app = following(&source, guard);
    let good = listed(0..20, "one");
    app.start().shows("all", &good);

    delete(&mut client, options, first).await;
    held(&app, left, 20 - left);
    // The five seconds begin anew.
    app.kill();
    let lost = Instant::now();
    app.start();
    held(&app, left, 20 - left);
    assert_eq!((app.generation(), app.read("all")), (1, Some(good)));
    app.shows("all", &listed(20 - left..20, "one"));
    assert!(lost.elapsed() >= SECOND_READ, "believed after {:?}", lost.elapsed());
    assert!(app.answers("/metrics", 200).contains("reason=\"asked\"} 1\n"), "by a second read");
    released(&app);
    assert_eq!(app.generation(), 2);
    put(&mut client, 20, "two").await;
    app.shows("all", &listed(0..20, "two"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r02_more_than_half_of_the_keys_wait_for_a_second_read() {
    second_read("", DeleteOptions::new().with_range("/app/k15"), "/app/k00", 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r02_an_emptiness_that_is_allowed_waits_for_a_second_read() {
    let guard = "guard: { allow_empty: true }\n";
    second_read(guard, DeleteOptions::new().with_prefix(), "/app/", 0).await;
}

/// What a scripted listener says: a real Consul counts up when keys go, and so cannot be made to
/// answer 404 at the index that it had with them.
type Said = Arc<Mutex<(u64, Option<String>)>>;

fn consul(said: &Said) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = listener.local_addr().expect("a bound socket");
    let said = Arc::clone(said);
    // It ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let said = Arc::clone(&said);
            std::thread::spawn(move || answer(&stream, &said));
        }
    });
    at
}

fn answer(mut stream: &TcpStream, said: &Said) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let read = || said.lock().expect("nobody panics").clone();
    while let Some(request) = lines.by_ref().take_while(|line| !line.is_empty()).reduce(|a, _| a) {
        let waits = |index: u64| request.contains(&format!("index={index}&"));
        let begun = Instant::now();
        while waits(read().0) && begun.elapsed() < Duration::from_millis(500) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let (index, body) = read();
        let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
        let (body, size) = (body.clone().unwrap_or_default(), body.unwrap_or_default().len());
        let answer = format!(
            "HTTP/1.1 {status}\r\nx-consul-index: {index}\r\nx-consul-knownleader: true\r\n\
             x-consul-lastcontact: 0\r\ncontent-length: {size}\r\n\r\n{body}"
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Keys with the value `one`, as Consul lists them.
fn list(keys: usize) -> String {
    let entry = |key| {
        format!(
            "{{\"Key\":\"app/k{key:02}\",\"Value\":\"b25l\",\"ModifyIndex\":5,\"CreateIndex\":5,\"LockIndex\":0,\"Flags\":0}}"
        )
    };
    format!("[{}]", (0..keys).map(entry).collect::<Vec<_>>().join(","))
}

#[test]
fn r02_a_404_while_the_index_stands_is_never_believed() {
    let said: Said = Arc::new(Mutex::new((7, Some(list(20)))));
    let source = format!(
        "{{ consul: {{ address: \"http://{}\", prefix: app/, wait: 1s }} }}",
        consul(&said)
    );
    let mut app = following(&source, "guard: { allow_empty: true }\n");
    let good = listed(0..20, "one");
    app.start().shows("all", &good);

    *said.lock().expect("nobody panics") = (7, None);
    app.process().signal(Signal::SIGHUP);
    held(&app, 0, 20);
    let since = Instant::now();
    eventually("a second read could be believed", || (since.elapsed() > SECOND_READ).then_some(()));
    read_again(&mut app);
    held(&app, 0, 20);
    assert_eq!((app.generation(), app.read("all")), (1, Some(good)));

    *said.lock().expect("nobody panics") = (9, Some(list(21)));
    app.shows("all", &listed(0..21, "one"));
    released(&app);
}

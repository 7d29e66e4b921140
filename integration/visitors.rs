//! X06: the admin endpoint among slow, many, large and wrong callers: bounded, and the core goes on.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::support::{
    app::App,
    endpoint::{Endpoint, Manner},
    patience::eventually,
};

/// What the endpoint holds at most.
const MOST: usize = 32;

fn running() -> (App, Endpoint) {
    let (mut app, endpoint) = (App::new(), Endpoint::start(Manner::Status(200)));
    app.put("level", "0");
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates: [{{ inline: \"{{{{ base.level }}}}\", to: level }}]\nsettle: off\n\
         targets: [{{ name: main, http: {{ url: \"{}\" }}, min_interval: 0s }}]\n",
        app.folder().display(),
        endpoint.url("/")
    ));
    app.quiet().start().settles("main", "confirmed");
    (app, endpoint)
}

/// A change goes all the way, and each probe is answered.
#[track_caller]
fn goes_on(app: &App, endpoint: &Endpoint) {
    let told = endpoint.posts().len();
    let next = format!("{}", app.generation() + 1);
    app.put("level", &next);
    app.shows("level", &next);
    eventually("the target is told", || (endpoint.posts().len() == told + 1).then_some(()));
    for path in ["/livez", "/readyz", "/startupz", "/freshz", "/metrics", "/status", "/"] {
        app.answers(path, 200);
    }
}

fn connect(app: &App) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&app.listen(), Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    Some(stream)
}

fn descriptors(app: &mut App) -> usize {
    let folder = format!("/proc/{}/fd", app.process().pid());
    fs::read_dir(folder).expect("its descriptors").count()
}

fn resident(app: &mut App) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", app.process().pid()));
    let status = status.expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

#[test]
fn x06_ten_thousand_slow_callers_keep_nobody_out() {
    let (mut app, endpoint) = running();
    let (descriptors_before, before) = (descriptors(&mut app), resident(&mut app));
    let mut held = Vec::new();
    for number in 0..10_000 {
        let Some(mut stream) = connect(&app) else { continue };
        let begun = if number % 2 == 0 {
            &b"GET /metrics HTTP/1.1\r\nhost: x\r\nx-slow: "[..]
        } else {
            b""
        };
        // One that was sent away already does not take it.
        drop(stream.write_all(begun));
        // No more of them than this process may have.
        held.push(stream);
        if held.len() > 400 {
            held.remove(0);
        }
    }
    goes_on(&app, &endpoint);
    eventually("they are few", || {
        (descriptors(&mut app) <= descriptors_before + MOST + 2).then_some(())
    });
    let grown = resident(&mut app).saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB more than before");
    let there = held.iter().filter(|stream| is_there(stream)).count();
    assert!(there <= MOST, "{there} of {} are still there", held.len());
    drop(held);
    goes_on(&app, &endpoint);
}

/// Whether the other side has not closed it.
fn is_there(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    matches!(stream.read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn x06_huge_requests_and_slow_readers_are_bounded() {
    let (mut app, endpoint) = running();
    let before = resident(&mut app);
    let mut held = Vec::new();
    for number in 0..MOST {
        let mut stream = connect(&app).expect("a connection");
        let header = vec![b'x'; 8 << 20];
        let begin: &[u8] = match number % 3 {
            0 => b"GET / HTTP/1.1\r\nhost: x\r\nx-long: ",
            1 => b"GET /",
            _ => b"POST /-/reload HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n",
        };
        // It may be refused before the end.
        drop(stream.write_all(begin).and_then(|()| stream.write_all(&header)));
        held.push(stream);
    }
    for _ in 0..MOST {
        // Asks and asks, and never reads an answer.
        let mut stream = connect(&app).expect("a connection");
        stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let ask = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
        while stream.write_all(&ask).is_ok() {}
        held.push(stream);
    }
    goes_on(&app, &endpoint);
    let grown = resident(&mut app).saturating_sub(before);
    assert!(grown < 48 << 10, "{grown} KiB more than before");
    drop(held);
    goes_on(&app, &endpoint);
}

#[test]
fn x06_other_methods_and_nonsense_change_nothing() {
    let (app, endpoint) = running();
    let generation = app.generation();
    let ask = |text: &[u8]| {
        let mut stream = connect(&app).expect("a connection");
        drop(stream.write_all(text));
        let mut answer = Vec::new();
        // A reset is an answer too.
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok())
    };
    for path in ["/", "/livez", "/readyz", "/freshz", "/metrics", "/status"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
            let text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            assert_eq!(ask(text.as_bytes()), Some(405), "{method} {path}");
        }
    }
    for (method, path, status) in [
        ("GET", "/-/reload", 405),
        ("DELETE", "/-/reload", 405),
        ("GET", "/nothing", 404),
        ("GET", "/../../etc/passwd", 404),
        ("POST", "/-/reload?target=main", 403),
        ("POST", "/-/reload?nonsense=1", 400),
    ] {
        let text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        assert_eq!(ask(text.as_bytes()), Some(status), "{method} {path}");
    }
    for nonsense in
        [&b"\x16\x03\x01\x00\xff"[..], b"\0\0\0\0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let status = ask(&[nonsense, &b"\r\n\r\n"[..]].concat());
        assert!(status.is_none_or(|status| status == 400), "{nonsense:?}: {status:?}");
    }
    assert_eq!(app.generation(), generation);
    assert_eq!(endpoint.posts().len(), 1, "nobody was told anything");
    goes_on(&app, &endpoint);
}

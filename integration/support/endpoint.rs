//! A reload endpoint that does what it is told: answers, refuses or hangs, and remembers what it
//! was asked. A real server cannot be made to do these on cue.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// How the endpoint answers from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// With this status.
    Status(u16),
    /// Not at all, until the caller gives up.
    Hang,
}

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub line: String,
    pub headers: Vec<String>,
    pub body: String,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|header| {
            let (key, value) = header.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A running endpoint; dropping it ends it.
pub struct Endpoint {
    at: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Mutex<Manner>,
    page: Mutex<String>,
    requests: Mutex<Vec<Request>>,
    hanging: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl Endpoint {
    /// Listens on a port that the system picks.
    pub fn start(manner: Manner) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), manner)
    }

    /// Listens there.
    pub fn start_at(at: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(at).expect("a free port");
        let at = listener.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared {
            manner: Mutex::new(manner),
            page: Mutex::default(),
            requests: Mutex::default(),
            hanging: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if server.ended.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    server.serve(stream);
                }
            }
        });
        Self { at, shared }
    }

    /// `http://…` with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// Answers otherwise from now on.
    pub fn turn(&self, manner: Manner) {
        *self.shared.manner.lock().expect("a manner") = manner;
    }

    /// Serves this to every `GET` from now on.
    pub fn show(&self, page: &str) {
        page.clone_into(&mut self.shared.page.lock().expect("a page"));
    }

    /// What it was asked to do so far.
    pub fn posts(&self) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.line.starts_with("POST"));
        requests
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("requests").clone()
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let Some(request) = read(&stream) else { return };
        let page = self.page.lock().expect("a page").clone();
        let shown = request.line.starts_with("GET") && !page.is_empty();
        self.requests.lock().expect("requests").push(request);
        if shown {
            let length = page.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{page}"
            );
            drop((&stream).write_all(answer.as_bytes()));
            return;
        }
        match *self.manner.lock().expect("a manner") {
            Manner::Hang => self.hanging.lock().expect("connections").push(stream),
            Manner::Status(status) => {
                let answer = format!(
                    "HTTP/1.1 {status} Told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                // A caller that has gone is no fault of the endpoint.
                drop((&stream).write_all(answer.as_bytes()));
            }
        }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut request = Request::default();
    reader.read_line(&mut request.line).ok()?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        request.headers.push(header.trim().to_owned());
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.at));
    }
}

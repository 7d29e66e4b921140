//! A listener that speaks for Consul what a real one cannot be made to say: wrong indexes, wrong
//! bodies, redirects, endless answers. What is said is a function of the request.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it came.
    pub at: Instant,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    /// Its lines before the empty one.
    pub head: String,
}

impl Request {
    /// The index it waits behind, if it blocks.
    pub fn index(&self) -> Option<u64> {
        let (_, after) = self.head.lines().next()?.split_once("index=")?;
        after.split(['&', ' ']).next()?.parse().ok()
    }

    /// Whether it has this header.
    pub fn has_header(&self, name: &str) -> bool {
        let names = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        names.map(|(name, _)| name).any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Says something to a request; false closes the connection.
pub type Say = dyn Fn(&Request, &mut TcpStream) -> bool + Send + Sync;

/// A running listener; dropping it ends it.
pub struct Fake {
    at: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    say: Mutex<Arc<Say>>,
    requests: Mutex<Vec<Request>>,
    ended: AtomicBool,
}

impl Fake {
    /// Listens on a port that the system picks; each connection has a thread.
    pub fn start(say: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared {
            say: Mutex::new(Arc::new(say)),
            requests: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().flatten().enumerate() {
                if server.ended.load(Ordering::SeqCst) {
                    return;
                }
                let server = Arc::clone(&server);
                std::thread::spawn(move || server.serve(connection, stream));
            }
        });
        Self { at, shared }
    }

    /// Says the same thing to everybody.
    pub fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let fake = Self::start(|_, _| false);
        fake.say(answer);
        fake
    }

    /// Says this from now on.
    pub fn say(&self, answer: impl Into<Vec<u8>>) {
        let answer = answer.into();
        self.turn(move |_, stream| stream.write_all(&answer).is_ok());
    }

    /// Speaks so from now on.
    pub fn turn(&self, say: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) {
        *self.shared.say.lock().expect("a script") = Arc::new(say);
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("requests").clone()
    }
}

impl Shared {
    fn serve(&self, connection: usize, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap_or(0) == 0 {
                    return;
                }
            }
            let request = Request { at: Instant::now(), connection, head };
            self.requests.lock().expect("requests").push(request.clone());
            let say = Arc::clone(&self.say.lock().expect("a script"));
            if self.ended.load(Ordering::SeqCst) || !say(&request, &mut stream) {
                return;
            }
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.at));
    }
}

/// A whole answer with these header lines.
pub fn answer(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    let headers = [headers, &[&*length]].concat().join("\r\n");
    format!("HTTP/1.1 {status}\r\n{headers}\r\n\r\n{body}").into_bytes()
}

/// A list of keys as Consul gives it, below the prefix that all tests here follow.
pub fn list(index: u64, entries: &[(&str, &str)]) -> Vec<u8> {
    answer("200 OK", &[&format!("X-Consul-Index: {index}")], &body(entries))
}

/// The body of such a list.
pub fn body(entries: &[(&str, &str)]) -> String {
    let pair = |(key, value): &(&str, &str)| {
        let value = STANDARD.encode(value);
        serde_json::json!({ "Key": format!("payment/app/{key}"), "Value": value, "Flags": 0 })
    };
    serde_json::Value::Array(entries.iter().map(pair).collect()).to_string()
}

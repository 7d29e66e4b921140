//! A reload endpoint that does what it is told: answers, refuses, hangs or lies, and remembers what
//! it was asked. A real server cannot be made to do these on cue.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub use tls::{Tls, certificates};

mod tls;

/// How the endpoint answers from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// With this status.
    Status(u16),
    /// Not at all, until the caller gives up.
    Hang,
    /// With these bytes, and closes.
    Raw(Vec<u8>),
    /// With these bytes, and then ever more, as fast as they are taken.
    Flood(Vec<u8>),
    /// With these bytes, and then one more every now and then.
    Drip(Vec<u8>),
}

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub line: String,
    pub headers: Vec<String>,
    pub body: String,
    /// The certificate that the caller showed.
    pub certificate: Option<Vec<u8>>,
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
    place: Place,
    shared: Arc<Shared>,
}

#[derive(Clone)]
enum Place {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(PathBuf),
}

type Decide = Arc<dyn Fn(&Request) -> Manner + Send + Sync>;

struct Shared {
    decide: Mutex<Decide>,
    page: Mutex<String>,
    requests: Mutex<Vec<Request>>,
    hanging: Mutex<Vec<Box<dyn Wire>>>,
    ended: AtomicBool,
}

/// A connection of any kind.
trait Wire: Read + Write + Send {
    /// The certificate that the other side showed.
    fn certificate(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Wire for TcpStream {}
impl Wire for UnixStream {}

impl Endpoint {
    /// Listens on a port that the system picks.
    pub fn start(manner: Manner) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), manner)
    }

    /// Listens there.
    pub fn start_at(at: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(at).expect("a free port");
        let at = listener.local_addr().expect("a bound socket");
        let accept = move || Some(Box::new(listener.accept().ok()?.0) as Box<dyn Wire>);
        Self::serve(Place::Tcp(at), manner, accept)
    }

    /// Listens on a port that the system picks, and speaks TLS there.
    pub fn start_tls(tls: Tls, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("a bound socket");
        let accept = move || Some(Box::new(tls.accept(listener.accept().ok()?.0)) as Box<dyn Wire>);
        Self::serve(Place::Tls(at), manner, accept)
    }

    /// Listens on a socket that is a file.
    pub fn start_unix(socket: &Path, manner: Manner) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket");
        let accept = move || Some(Box::new(listener.accept().ok()?.0) as Box<dyn Wire>);
        Self::serve(Place::Unix(socket.to_owned()), manner, accept)
    }

    fn serve(
        place: Place,
        manner: Manner,
        accept: impl Fn() -> Option<Box<dyn Wire>> + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            decide: Mutex::new(Arc::new(move |_: &Request| manner.clone())),
            page: Mutex::default(),
            requests: Mutex::default(),
            hanging: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            while let Some(wire) = accept() {
                if server.ended.load(Ordering::SeqCst) {
                    return;
                }
                let server = Arc::clone(&server);
                std::thread::spawn(move || server.serve(wire));
            }
        });
        Self { place, shared }
    }

    /// A URL of it with this path.
    pub fn url(&self, path: &str) -> String {
        match &self.place {
            Place::Tcp(at) => format!("http://{at}{path}"),
            Place::Tls(at) => format!("https://{at}{path}"),
            Place::Unix(socket) => format!("unix://{}:{path}", socket.display()),
        }
    }

    /// Answers otherwise from now on.
    pub fn turn(&self, manner: Manner) {
        self.decide(move |_| manner.clone());
    }

    /// Answers each request as this says from now on.
    pub fn decide(&self, decide: impl Fn(&Request) -> Manner + Send + Sync + 'static) {
        *self.shared.decide.lock().expect("a manner") = Arc::new(decide);
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
    fn serve(&self, mut wire: Box<dyn Wire>) {
        let Some(mut request) = read(&mut wire) else {
            // As real servers do when they are spoken to in another protocol.
            return drop(wire.write_all(&with_body(400, "")));
        };
        request.certificate = wire.certificate();
        let page = self.page.lock().expect("a page").clone();
        let manner = if request.line.starts_with("GET") && !page.is_empty() {
            Manner::Raw(with_body(200, &page))
        } else {
            let decide = Arc::clone(&self.decide.lock().expect("a manner"));
            decide(&request)
        };
        self.requests.lock().expect("requests").push(request);
        // A caller that has gone is no fault of the endpoint.
        match manner {
            Manner::Hang => return self.hanging.lock().expect("connections").push(wire),
            Manner::Status(status) => drop(wire.write_all(&with_body(status, ""))),
            Manner::Raw(bytes) => drop(wire.write_all(&bytes)),
            Manner::Flood(head) => {
                self.go_on(&mut wire, &head, &vec![b'x'; 64 << 10], Duration::ZERO);
            }
            Manner::Drip(head) => self.go_on(&mut wire, &head, b"x", Duration::from_millis(20)),
        }
        drop(wire.flush());
    }

    fn go_on(&self, wire: &mut Box<dyn Wire>, head: &[u8], more: &[u8], pause: Duration) {
        let mut taken = wire.write_all(head);
        while taken.is_ok() && !self.ended.load(Ordering::SeqCst) {
            std::thread::sleep(pause);
            taken = wire.write_all(more).and_then(|()| wire.flush());
        }
    }
}

/// A whole answer.
pub fn with_body(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Told\r\ncontent-length: {length}\r\n");
    format!("{head}connection: close\r\n\r\n{body}").into_bytes()
}

fn read(wire: &mut Box<dyn Wire>) -> Option<Request> {
    let mut reader = BufReader::new(wire);
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
    (!request.line.is_empty()).then_some(request)
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        match &self.place {
            Place::Tcp(at) | Place::Tls(at) => drop(TcpStream::connect(at)),
            Place::Unix(socket) => drop(UnixStream::connect(socket)),
        }
    }
}

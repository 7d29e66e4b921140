//! A TCP proxy on loopback that fails as networks fail, and counts what passes.
//!
//! Both ends are real: a client that believes it talks to its server, and that server.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, watch},
};

use super::{patience::eventually, process::free_port};

/// What happens to the bytes of every connection, present and future.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// They pass.
    #[default]
    Forward,
    /// They pass, each piece so much later.
    Delay(Duration),
    /// They pass at so many bytes for each second, both ways.
    Throttle(u64),
    /// Nothing passes and nothing is closed: a network that swallows packets. New connections are
    /// accepted and stay silent. What was held passes when the manner changes, as after
    /// retransmissions.
    Hold,
    /// What the server says is held; what the client says passes.
    HoldAnswers,
    /// Of the server's answers one byte in so many, on average, is another one.
    Spoil(usize),
    /// New connections are closed at once.
    Refuse,
}

/// A running proxy; dropping it closes everything.
pub struct Proxy {
    at: SocketAddr,
    shared: Arc<Shared>,
    manner: watch::Sender<Manner>,
    end: Arc<Notify>,
}

#[derive(Default)]
struct Shared {
    target: Mutex<u16>,
    counts: Mutex<Counts>,
    /// Rung to close every connection that is open now.
    cut: Notify,
    /// Rung to close only the server's side of every connection: the client still may write.
    half: Notify,
    /// How many bytes of answers a connection carries before it is closed.
    left: Mutex<Option<u64>>,
    /// A connection on which nothing passes for so long is closed.
    idle: Mutex<Option<Duration>>,
    /// Connections whose first piece holds this are closed.
    barred: Mutex<Option<String>>,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    accepted: usize,
    open: usize,
    most: usize,
    requests: Vec<(Instant, String)>,
    answered: u64,
}

impl Proxy {
    /// A proxy in front of a port of 127.0.0.1.
    pub fn to(port: u16) -> Self {
        let shared = Arc::new(Shared::default());
        *lock(&shared.target) = port;
        let (manner, _) = watch::channel(Manner::default());
        let end = Arc::new(Notify::new());
        let (ready, listening) = std::sync::mpsc::channel();
        let server = (Arc::clone(&shared), manner.clone(), Arc::clone(&end));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let at = listener.local_addr().expect("a bound socket");
                ready.send(at).expect("the proxy's owner waits");
                let (shared, manner, end) = server;
                tokio::select! {
                    () = end.notified() => {}
                    () = accept(listener, shared, manner) => {}
                }
            });
        });
        let at = listening.recv().expect("a listening proxy");
        Self { at, shared, manner, end }
    }

    /// A proxy in front of nothing: for a port that is to be set later by [`Self::aim`].
    pub fn to_nothing() -> Self {
        Self::to(free_port())
    }

    /// New connections go to another port.
    pub fn aim(&self, port: u16) {
        *lock(&self.shared.target) = port;
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.at.port()
    }

    /// `http://…` of the proxy.
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// Treats every connection so from now on.
    pub fn turn(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// Closes every connection that is open now.
    pub fn cut(&self) {
        self.shared.cut.notify_waiters();
    }

    /// Refuses new connections and closes those that are open; nothing passes any more when it
    /// returns.
    #[track_caller]
    pub fn sever(&self) {
        self.turn(Manner::Refuse);
        self.cut();
        eventually("every connection is closed", || (self.open() == 0).then_some(()));
    }

    /// Ends what the server says on every open connection; the client still may write.
    pub fn half_close(&self) {
        self.shared.half.notify_waiters();
    }

    /// Closes each connection once it has carried so many bytes of answers; none: no more.
    pub fn truncate(&self, bytes: Option<u64>) {
        *lock(&self.shared.left) = bytes;
    }

    /// Closes each connection on which nothing passes for so long, as load balancers do.
    pub fn close_idle(&self, after: Option<Duration>) {
        *lock(&self.shared.idle) = after;
    }

    /// Closes connections whose first piece holds this text, as the name of who calls; all that are
    /// open now are closed, so that the others call again.
    pub fn bar(&self, caller: Option<&str>) {
        *lock(&self.shared.barred) = caller.map(str::to_owned);
        self.cut();
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> usize {
        self.counts().accepted
    }

    /// How many are open now.
    pub fn open(&self) -> usize {
        self.counts().open
    }

    /// The most that were ever open at once.
    pub fn most_open(&self) -> usize {
        self.counts().most
    }

    /// The first line of each HTTP/1 request so far, and when it came. Requests of this harness'
    /// clients have no body and fit into one piece.
    pub fn requests(&self) -> Vec<(Instant, String)> {
        self.counts().requests
    }

    /// How many bytes the server's answers had so far.
    pub fn answered(&self) -> u64 {
        self.counts().answered
    }

    fn counts(&self) -> Counts {
        lock(&self.shared.counts).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.notify_one();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, manner: watch::Sender<Manner>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        lock(&shared.counts).accepted += 1;
        if *manner.borrow() == Manner::Refuse {
            continue;
        }
        tokio::spawn(serve(client, Arc::clone(&shared), manner.subscribe()));
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>, mut manner: watch::Receiver<Manner>) {
    {
        let mut counts = lock(&shared.counts);
        counts.open += 1;
        counts.most = counts.most.max(counts.open);
    }
    let open = Open(Arc::clone(&shared));
    let cut = shared.cut.notified();
    tokio::pin!(cut);
    cut.as_mut().enable();
    let served = async {
        passes(&mut manner, &[Manner::Hold]).await;
        let port = *lock(&shared.target);
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        // Like the client's own connection, which would not wait for more either.
        drop((client.set_nodelay(true), server.set_nodelay(true)));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let up = pump(Way::Up, from_client, to_server, &shared, manner.clone());
        let down = pump(Way::Down, from_server, to_client, &shared, manner.clone());
        tokio::join!(up, down);
    };
    tokio::select! {
        () = &mut cut => {}
        () = served => {}
    }
    drop(open);
}

/// Counts a connection as open until it is dropped.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.0.counts).open -= 1;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// Moves bytes one way until one side ends; then that end is passed on.
async fn pump(
    way: Way,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    mut manner: watch::Receiver<Manner>,
) {
    let mut piece = vec![0; 16 << 10];
    let mut passed = 0;
    loop {
        let idle = *lock(&shared.idle);
        let read = tokio::select! {
            read = from.read(&mut piece) => read.unwrap_or(0),
            () = shared.half.notified(), if way == Way::Down => 0,
            () = elapsed(idle) => 0,
        };
        if read == 0 {
            break;
        }
        let held: &[_] =
            if way == Way::Up { &[Manner::Hold] } else { &[Manner::Hold, Manner::HoldAnswers] };
        match passes(&mut manner, held).await {
            Manner::Spoil(one_in) if way == Way::Down => spoil(&mut piece[..read], one_in),
            Manner::Delay(time) => tokio::time::sleep(time).await,
            Manner::Throttle(rate) => {
                tokio::time::sleep(Duration::from_micros(read as u64 * 1_000_000 / rate)).await;
            }
            _ => {}
        }
        if way == Way::Up && passed == 0 && is_barred(&piece[..read], shared) {
            break;
        }
        note(way, &piece[..read], shared);
        let allowed = allowed(way, passed, read, shared);
        passed += read as u64;
        if to.write_all(&piece[..allowed]).await.is_err() || allowed < read {
            break;
        }
    }
    // The other side may be gone already.
    drop(to.shutdown().await);
}

fn spoil(piece: &mut [u8], one_in: usize) {
    for byte in piece {
        if fastrand::usize(..one_in) == 0 {
            *byte = fastrand::u8(..);
        }
    }
}

async fn elapsed(idle: Option<Duration>) {
    match idle {
        Some(idle) => tokio::time::sleep(idle).await,
        None => std::future::pending().await,
    }
}

/// Waits while the manner is one of these; returns the one that it is then.
async fn passes(manner: &mut watch::Receiver<Manner>, held: &[Manner]) -> Manner {
    // An error means that the proxy is gone, and this task with it.
    manner.wait_for(|manner| !held.contains(manner)).await.map_or(Manner::Refuse, |now| *now)
}

fn is_barred(piece: &[u8], shared: &Shared) -> bool {
    let text = String::from_utf8_lossy(piece);
    lock(&shared.barred).as_ref().is_some_and(|caller| text.contains(caller))
}

fn note(way: Way, piece: &[u8], shared: &Shared) {
    let mut counts = lock(&shared.counts);
    if way == Way::Down {
        counts.answered += piece.len() as u64;
        return;
    }
    let line = piece.split(|byte| *byte == b'\r').next().unwrap_or_default();
    if let Ok(line) = std::str::from_utf8(line)
        && line.ends_with(" HTTP/1.1")
    {
        counts.requests.push((Instant::now(), line.to_owned()));
    }
}

/// How many of these bytes may pass.
fn allowed(way: Way, passed: u64, bytes: usize, shared: &Shared) -> usize {
    match *lock(&shared.left) {
        Some(left) if way == Way::Down => {
            usize::try_from(left.saturating_sub(passed)).unwrap_or(bytes).min(bytes)
        }
        _ => bytes,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

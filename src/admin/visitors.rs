//! The connections of the admin endpoint: few at once, and none that says nothing for long.
//!
//! Owns how many there are and which has to leave. Must not know what is asked: a probe is answered
//! however many others hold on to theirs.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A kubelet, a Prometheus and some people need no more, and the descriptors are needed elsewhere.
const MOST: usize = 32;
/// One that was answered nothing for so long is closed: longer than any scrape interval.
const SILENCE: Duration = Duration::from_secs(120);
/// How many may wait to be let in: a crowd must not push a probe back to its next attempt.
const WAITING: u32 = 1024;
/// How long one that has to leave is waited for.
const LEAVE: Duration = Duration::from_millis(100);

/// Whoever comes while all places are taken gets the place of the one that came first: slow ones
/// cannot keep a probe out.
pub(super) struct Visitors {
    listener: TcpListener,
    room: Arc<Room>,
    next: u64,
}

/// Listens there.
pub fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the connections of the process before.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(WAITING)
}

impl Visitors {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, room: Arc::default(), next: 0 }
    }
}

impl Listener for Visitors {
    type Io = Visitor;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visitor, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        while let Some(first) = self.room.first_of_too_many() {
            let mut left = pin!(self.room.left.notified());
            left.as_mut().enable();
            first.cancel();
            // It leaves when its task comes round; one that does not is passed over.
            drop(timeout(LEAVE, left).await);
        }
        self.next += 1;
        (Visitor::enter(stream, self.next, &self.room), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Who is there, in the order in which they came.
#[derive(Default)]
struct Room {
    present: Mutex<VecDeque<(u64, CancellationToken)>>,
    left: Notify,
}

impl Room {
    fn present(&self) -> MutexGuard<'_, VecDeque<(u64, CancellationToken)>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn first_of_too_many(&self) -> Option<CancellationToken> {
        let present = self.present();
        let mut staying = present.iter().filter(|(_, leave)| !leave.is_cancelled());
        let first = staying.next().map(|(_, leave)| leave.clone());
        first.filter(|_| present.len() >= MOST)
    }
}

/// One connection.
pub(super) struct Visitor {
    stream: TcpStream,
    number: u64,
    room: Arc<Room>,
    leave: Pin<Box<WaitForCancellationFutureOwned>>,
    silence: Pin<Box<Sleep>>,
}

impl Visitor {
    fn enter(stream: TcpStream, number: u64, room: &Arc<Room>) -> Self {
        let token = CancellationToken::new();
        let leave = Box::pin(token.clone().cancelled_owned());
        room.present().push_back((number, token));
        let (room, silence) = (Arc::clone(room), Box::pin(sleep(SILENCE)));
        Self { stream, number, room, leave, silence }
    }

    /// Fails once it has to leave.
    fn may_stay(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let must_leave = self.leave.as_mut().poll(cx).is_ready();
        if must_leave || self.silence.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.room.present().retain(|(number, _)| *number != self.number);
        self.room.left.notify_waiters();
    }
}

impl AsyncRead for Visitor {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let visitor = self.get_mut();
        visitor.may_stay(cx)?;
        Pin::new(&mut visitor.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Visitor {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let visitor = self.get_mut();
        visitor.may_stay(cx)?;
        let written = ready!(Pin::new(&mut visitor.stream).poll_write(cx, bytes))?;
        visitor.silence.as_mut().reset(Instant::now() + SILENCE);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Connected<IncomingStream<'_, Visitors>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Visitors>) -> Self {
        Self(*stream.remote_addr())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn visitors() -> (Visitors, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("a bound socket");
        (Visitors::new(listener), at)
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_sent_away() {
        let (mut visitors, at) = visitors().await;
        let client = TcpStream::connect(at).await.expect("a connection");
        let (mut visitor, _) = visitors.accept().await;
        let before = Instant::now();
        visitor.read_u8().await.expect_err("it has to leave");
        assert!(before.elapsed() >= SILENCE);
        drop(client);
    }

    #[tokio::test]
    async fn the_first_gives_way_when_all_places_are_taken() {
        let (mut visitors, at) = visitors().await;
        let (mut clients, mut present) = (Vec::new(), VecDeque::new());
        for _ in 0..MOST {
            clients.push(TcpStream::connect(at).await.expect("a connection"));
            present.push_back(visitors.accept().await.0);
        }
        let mut first = present.pop_front().expect("the first");
        let leaves = async move { first.read_u8().await.expect_err("it has to leave") };
        clients.push(TcpStream::connect(at).await.expect("a connection"));
        let ((last, _), _) = tokio::join!(visitors.accept(), leaves);
        assert_eq!(visitors.room.present().len(), MOST);
        let leaving = visitors.room.present().iter().any(|(_, leave)| leave.is_cancelled());
        assert!(!leaving, "all others stay");
        drop((last, present, clients));
    }
}

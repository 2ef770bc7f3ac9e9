//! Connections that can be reset, and a door that can be shut: what HTTP itself cannot be told to do wrong.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// How long to wait before asking the system again for what it refused.
const PATIENCE: Duration = Duration::from_millis(20);

/// An order to refuse connections for some time; it is answered when the door is shut.
pub(super) type Refusal = (Duration, oneshot::Sender<()>);

/// Where connections come in.
pub(super) struct Door {
    address: SocketAddr,
    /// Nothing while it is shut.
    listener: Option<TcpListener>,
    orders: mpsc::UnboundedReceiver<Refusal>,
    /// For how long it stays shut.
    shut_for: Duration,
    /// Cancelled when the door is shut; each opening has its own.
    opening: CancellationToken,
}

impl Door {
    /// Opens a door. What comes through `orders` shuts it.
    ///
    /// # Errors
    /// What the system said.
    pub fn open(address: SocketAddr, orders: mpsc::UnboundedReceiver<Refusal>) -> io::Result<Self> {
        let listener = bind(address)?.listen(BACKLOG)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            orders,
            shut_for: Duration::ZERO,
            opening: CancellationToken::new(),
        })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn shut(&mut self, (time, done): Refusal) {
        self.listener = None;
        self.shut_for = time;
        self.opening.cancel();
        // Whoever ordered it may have gone.
        let _ = done.send(());
    }

    /// Waits out the time for which the door is shut.
    async fn reopen(&mut self) -> TcpListener {
        loop {
            // A socket that is bound but does not listen refuses connections, and keeps others off the port.
            if let Ok(socket) = bind(self.address) {
                tokio::time::sleep(self.shut_for).await;
                if let Ok(listener) = socket.listen(BACKLOG) {
                    self.opening = CancellationToken::new();
                    return listener;
                }
            }
            tokio::time::sleep(PATIENCE).await;
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Else connections of before would keep the port for a minute.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let Some(listener) = &self.listener else {
                self.listener = Some(self.reopen().await);
                continue;
            };
            tokio::select! {
                biased;
                Some(order) = self.orders.recv() => self.shut(order),
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => return (Connection::new(stream, &self.opening), from),
                    Err(_) => tokio::time::sleep(PATIENCE).await,
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// What a handler can do to the connection that its request came through.
#[derive(Clone)]
pub(super) struct Wire(Arc<Handle>);

struct Handle {
    /// The next write resets the connection.
    reset: AtomicBool,
    /// A request is being handled.
    busy: AtomicBool,
    /// Cancelled when the door that the connection came through was shut.
    opening: CancellationToken,
}

impl Wire {
    /// Resets the connection in place of the answer that is written next.
    pub fn reset(&self) {
        self.0.reset.store(true, Ordering::Relaxed);
    }

    /// Marks a request as being handled, until what this gives is dropped.
    pub fn busy(&self) -> Busy {
        self.0.busy.store(true, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Whether the connection ends with the answer.
    pub fn is_closing(&self) -> bool {
        self.0.opening.is_cancelled()
    }

    fn is_reset(&self) -> bool {
        self.0.reset.load(Ordering::Relaxed)
    }
}

impl Connected<IncomingStream<'_, Door>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().wire.clone()
    }
}

/// A request that is being handled.
pub(super) struct Busy(Wire);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.busy.store(false, Ordering::Relaxed);
    }
}

/// A connection that ends when the door is shut, as soon as no request is being handled.
pub(super) struct Connection {
    stream: TcpStream,
    wire: Wire,
    shut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    fn new(stream: TcpStream, opening: &CancellationToken) -> Self {
        // Without it, small answers wait for a timer; where it cannot be set, they only wait.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            wire: Wire(Arc::new(Handle {
                reset: AtomicBool::new(false),
                busy: AtomicBool::new(false),
                opening: opening.clone(),
            })),
            shut: Box::pin(opening.clone().cancelled_owned()),
        }
    }

    /// The error that a write on a reset connection gives.
    fn check(&self) -> io::Result<()> {
        if !self.wire.is_reset() {
            return Ok(());
        }
        // A close without lingering is a reset.
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let shut = self.shut.as_mut().poll(cx).is_ready();
        if shut && !self.wire.0.busy.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // An orderly end would come before the reset.
        if self.wire.is_reset() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

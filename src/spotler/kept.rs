//! Connections that are kept for the next call, and looked at before they are used again.
//!
//! HTTP tells nothing of which call an answer is for, but by the order in which answers come. So where anything lies in a
//! connection before the next request is written, it is an answer to nobody, and the answers behind it would be one call
//! late. Such a connection is not used any more. The same goes for one that the other side has closed: what is not written
//! to it is certainly not sent.

use std::error::Error;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::transport::Stream;

/// A connection that was used before has bytes that no call asked for, or has been closed. Nothing was written to it.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a kept connection {0}, and was not used again")]
struct LeftOver(&'static str);

/// Whether an error says that a kept connection was not used again, so that nothing was sent.
pub(super) fn is_left_over(error: &(dyn Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    let is_it = io
        .and_then(io::Error::get_ref)
        .is_some_and(|e| e.is::<LeftOver>());
    is_it || error.source().is_some_and(is_left_over)
}

/// A connection that may be used for one call after the other.
pub(super) struct Kept<S> {
    stream: S,
    /// Whether an answer, or a part of one, was read since the last request was begun.
    is_answered: bool,
}

impl<S> Kept<S> {
    pub(super) fn new(stream: S) -> Self {
        let is_answered = false;
        Self {
            stream,
            is_answered,
        }
    }
}

impl<S: Underneath> Kept<S> {
    /// Asks the system itself: what the runtime knows of a connection may be older.
    fn check(&self) -> Result<(), LeftOver> {
        let socket = SockRef::from(self.stream.underneath());
        match socket.peek(&mut [MaybeUninit::uninit()]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Ok(1..) => Err(LeftOver("had bytes left over that no call asked for")),
            Ok(0) | Err(_) => Err(LeftOver("was closed by the other side")),
        }
    }
}

/// What lies below TLS and proxies.
pub(super) trait Underneath {
    fn underneath(&self) -> &TcpStream;
}

impl Underneath for MaybeHttpsStream<Stream> {
    fn underneath(&self) -> &TcpStream {
        let inner = match self {
            MaybeHttpsStream::Http(stream) => stream,
            MaybeHttpsStream::Https(tls) => tls.inner().get_ref().0.inner(),
        };
        match inner {
            MaybeHttpsStream::Http(stream) => stream.inner(),
            MaybeHttpsStream::Https(tls) => tls.inner().get_ref().0.inner().inner(),
        }
    }
}

impl Underneath for TokioIo<TcpStream> {
    fn underneath(&self) -> &TcpStream {
        self.inner()
    }
}

impl<S: Connection> Connection for Kept<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl<S: Read + Unpin> Read for Kept<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.is_answered |= polled.is_ready();
        polled
    }
}

impl<S: Write + Underneath + Unpin> Write for Kept<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_answered {
            self.check().map_err(io::Error::other)?;
            self.is_answered = false;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    /// Both ends of a connection through which an answer came already.
    async fn answered() -> (Kept<TokioIo<TcpStream>>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut kept = Kept::new(TokioIo::new(client.unwrap()));
        kept.is_answered = true;
        (kept, server.unwrap().0)
    }

    async fn write(kept: &mut Kept<TokioIo<TcpStream>>) -> io::Result<usize> {
        poll_fn(|context| Pin::new(&mut *kept).poll_write(context, b"POST")).await
    }

    #[tokio::test]
    async fn a_kept_connection_with_nothing_in_it_is_used_again() {
        let (mut kept, _server) = answered().await;
        assert_eq!(write(&mut kept).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn one_with_bytes_that_nobody_asked_for_is_not() {
        let (mut kept, mut server) = answered().await;
        server.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        // They have come once they can be seen.
        kept.stream.inner().readable().await.unwrap();
        let error = write(&mut kept).await.unwrap_err();
        assert!(is_left_over(&error), "{error}");
    }

    #[tokio::test]
    async fn one_that_was_closed_is_not() {
        let (mut kept, server) = answered().await;
        drop(server);
        kept.stream.inner().readable().await.unwrap();
        let error = write(&mut kept).await.unwrap_err();
        assert!(is_left_over(&error), "{error}");
    }
}

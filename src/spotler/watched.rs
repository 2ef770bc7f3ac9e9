//! The body of a request, which asks right before the first byte leaves whether it may.
//!
//! Head and body leave in one piece: nothing of them is written before the body is asked for, and that is after a connection
//! was waited for and made.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// Whether a call may be begun now.
pub(super) type MaySend = Arc<dyn Fn() -> bool + Send + Sync>;

/// That a call may not be begun any more.
#[derive(Debug, thiserror::Error)]
#[error("it was too late to send it")]
pub(super) struct TooLate;

/// Whether an error comes of a request that was not begun, since it may not have been.
pub(super) fn is_too_late(error: &(dyn Error + 'static)) -> bool {
    error.is::<TooLate>() || error.source().is_some_and(is_too_late)
}

/// A body in one piece.
pub(super) struct Watched {
    bytes: Option<Bytes>,
    may_send: MaySend,
}

impl Watched {
    pub(super) fn new(bytes: Bytes, may_send: MaySend) -> Self {
        let bytes = (!bytes.is_empty()).then_some(bytes);
        Self { bytes, may_send }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = TooLate;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooLate>>> {
        let bytes = self.bytes.take();
        Poll::Ready(bytes.map(|bytes| match (self.may_send)() {
            true => Ok(Frame::data(bytes)),
            false => Err(TooLate),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

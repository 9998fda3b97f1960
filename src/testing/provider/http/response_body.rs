use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Interval, interval};

use super::CloseConnection;

static FILLER: [u8; 16 * 1024] = [b'a'; 16 * 1024];

/// The body of a response.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    Whole(Bytes),
    /// One first chunk, then filler for ever.
    Endless(Bytes),
    /// A space, which JSON ignores, at every tick.
    Slow(Interval),
    /// One chunk, then the end of the connection.
    Cut(Bytes),
}

impl ResponseBody {
    pub(crate) fn endless() -> Self {
        Self::Endless(Bytes::from_static(br#"{"access_token":""#))
    }

    pub(crate) fn cut() -> Self {
        Self::Cut(Bytes::from_static(br#"{"access_token":""#))
    }

    pub(crate) fn slow() -> Self {
        Self::Slow(interval(Duration::from_secs(1)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = CloseConnection;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CloseConnection>>> {
        let chunk = match self.get_mut() {
            Self::Whole(rest) if rest.is_empty() => return Poll::Ready(None),
            Self::Whole(rest) => std::mem::take(rest),
            Self::Cut(rest) if rest.is_empty() => return Poll::Ready(Some(Err(CloseConnection))),
            Self::Cut(rest) => std::mem::take(rest),
            Self::Endless(next) => std::mem::replace(next, Bytes::from_static(&FILLER)),
            Self::Slow(ticks) => {
                ready!(ticks.poll_tick(context));
                Bytes::from_static(b" ")
            }
        };
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(rest) if rest.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(rest) => SizeHint::with_exact(rest.len() as u64),
            Self::Endless(_) | Self::Slow(_) | Self::Cut(_) => SizeHint::default(),
        }
    }
}

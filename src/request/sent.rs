//! `Sent`: what is kept of a request while it is under way.

use std::num::NonZeroU64;

use http::Extensions;
use url::Url;

use super::replay_body::ReplayBody;
use super::request_options::replay_body;
use super::stack::{Address, StackRequest};

/// A request that was sent.
#[allow(clippy::large_enum_variant, reason = "a box would cost every request an allocation")]
pub(super) enum Sent<R: StackRequest> {
    /// It can be sent again.
    Buffered(R),
    /// Its body is a stream, or it must not be sent again. Boxed, so that the future of every other request
    /// stays small: beyond a kilobyte the allocator is slower.
    Stream(Box<Stream<R>>),
}

pub(super) struct Stream<R: StackRequest> {
    address: R::Address,
    replay: Option<Replay<R>>,
}

/// A request that can be sent again, any number of times.
pub(super) struct Replay<R> {
    /// The request, but for a body that is a stream.
    pub(super) request: R,
    body: Option<ReplayBody>,
}

impl<R: StackRequest> Sent<R> {
    #[inline]
    pub(super) fn of(request: &mut R, extensions: &Extensions, is_sent_once: bool) -> Self {
        if is_sent_once {
            return Self::Stream(Box::new(Stream { address: request.address(), replay: None }));
        }
        match request.try_clone() {
            Some(replay) => Self::Buffered(replay),
            None => Self::Stream(Box::new(Stream::of(request, extensions))),
        }
    }

    /// What a session remembers of where it went.
    pub(super) fn path(&self) -> NonZeroU64 {
        match self {
            Self::Buffered(request) => request.path(),
            Self::Stream(stream) => stream.address.path(),
        }
    }

    /// Its URL, if redirects may have been followed, and what can be sent again.
    pub(super) fn into_parts(self) -> (Option<Url>, Option<Replay<R>>) {
        match self {
            Self::Buffered(request) => {
                (request.address().into_url(), Some(Replay { request, body: None }))
            }
            Self::Stream(stream) => (stream.address.into_url(), stream.replay),
        }
    }
}

impl<R: StackRequest> Stream<R> {
    fn of(request: &mut R, extensions: &Extensions) -> Self {
        let replay = replay_body(extensions)
            .cloned()
            .and_then(|again| Some(Replay { request: request.clone_head()?, body: Some(again) }));
        Self { address: request.address(), replay }
    }
}

impl<R: StackRequest> Replay<R> {
    /// The request, to be sent.
    pub(super) fn make(&self) -> Option<R> {
        let mut request = self.request.try_clone()?;
        if let Some(body) = &self.body {
            request.set_body(body.make());
        }
        Some(request)
    }
}

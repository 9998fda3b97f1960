//! `Sent`: what is kept of a request while it is under way.

use std::num::NonZeroU64;

use http::Extensions;
#[cfg(feature = "keys")]
use url::Url;

use super::replay_body::ReplayBody;
use super::request_options::replay_body;
use super::stack::{Address, Stack, StackRequest};

/// A request that was sent. Not boxed if it can be sent again: that would cost every request an allocation.
pub(super) enum Sent<S: Stack> {
    /// It can be sent again.
    Buffered(S::Request),
    /// Its body is a stream, or it must not be sent again. Boxed, so that the future of every other request
    /// stays small: beyond a kilobyte the allocator is slower.
    Stream(Box<Stream<S>>),
}

pub(super) struct Stream<S: Stack> {
    address: Address<S>,
    replay: Option<Replay<S>>,
}

/// A request that can be sent again, any number of times.
pub(super) struct Replay<S: Stack> {
    /// The request, but for a body that is a stream.
    pub(super) request: S::Request,
    body: Option<ReplayBody>,
}

impl<S: Stack> Sent<S> {
    #[inline(always)]
    pub(super) fn of(
        request: &mut S::Request,
        stack: &S,
        extensions: &Extensions,
        is_sent_once: bool,
    ) -> Self {
        if is_sent_once {
            return Self::Stream(Box::new(Stream { address: request.address(), replay: None }));
        }
        let stream = |request: &mut _| Self::Stream(Box::new(Stream::of(request, extensions)));
        stack.clone_or_else(request, Self::Buffered, stream)
    }

    /// What a session remembers of where it went.
    pub(super) fn path(&self, stack: &S) -> NonZeroU64 {
        stack.path(&self.address())
    }

    /// The URL where it went, if redirects may have been followed.
    #[cfg(feature = "keys")]
    #[cold]
    pub(super) fn url(&self) -> Option<Url> {
        S::url(self.address())
    }

    fn address(&self) -> Address<S> {
        match self {
            Self::Buffered(request) => request.address(),
            Self::Stream(stream) => stream.address.clone(),
        }
    }

    /// Where it went, and what can be sent again.
    pub(super) fn into_parts(self) -> (Address<S>, Option<Replay<S>>) {
        match self {
            Self::Buffered(request) => (request.address(), Some(Replay { request, body: None })),
            Self::Stream(stream) => (stream.address, stream.replay),
        }
    }
}

impl<S: Stack> Stream<S> {
    fn of(request: &mut S::Request, extensions: &Extensions) -> Self {
        let replay = replay_body(extensions)
            .cloned()
            .and_then(|again| Some(Replay { request: request.clone_head()?, body: Some(again) }));
        Self { address: request.address(), replay }
    }
}

impl<S: Stack> Replay<S> {
    /// The request, to be sent.
    pub(super) fn make(&self, stack: &S) -> Option<S::Request> {
        let mut request = stack.try_clone(&self.request)?;
        if let Some(body) = &self.body {
            request.set_body(body.make());
        }
        Some(request)
    }
}

//! `Sent`: what is kept of a request while it is under way.

use http::Extensions;
use reqwest::Request;
use url::Url;

use super::replay_body::ReplayBody;
use super::request_options::replay_body;

/// A request that was sent.
#[expect(clippy::large_enum_variant, reason = "a box would cost every request an allocation")]
pub(super) enum Sent {
    /// It can be sent again.
    Buffered(Request),
    /// Its body is a stream, or it must not be sent again. Boxed, so that the future of every other request
    /// stays small: beyond a kilobyte the allocator is slower.
    Stream(Box<Stream>),
}

pub(super) struct Stream {
    url: Url,
    replay: Option<Replay>,
}

/// A request that can be sent again, any number of times.
pub(super) struct Replay {
    /// The request, but for a body that is a stream.
    pub(super) request: Request,
    body: Option<ReplayBody>,
}

impl Sent {
    #[inline]
    pub(super) fn of(request: &mut Request, extensions: &Extensions, is_sent_once: bool) -> Self {
        if is_sent_once {
            return Self::Stream(Box::new(Stream { url: request.url().clone(), replay: None }));
        }
        match request.try_clone() {
            Some(replay) => Self::Buffered(replay),
            None => Self::Stream(Box::new(Stream::of(request, extensions))),
        }
    }

    /// Where it went, and what can be sent again.
    pub(super) fn into_parts(self) -> (Url, Option<Replay>) {
        match self {
            Self::Buffered(request) => {
                (request.url().clone(), Some(Replay { request, body: None }))
            }
            Self::Stream(stream) => (stream.url, stream.replay),
        }
    }
}

impl Stream {
    fn of(request: &mut Request, extensions: &Extensions) -> Self {
        let url = request.url().clone();
        let replay = replay_body(extensions).cloned().and_then(|again| {
            // Without its body it can be cloned.
            let body = request.body_mut().take();
            let head = request.try_clone();
            *request.body_mut() = body;
            Some(Replay { request: head?, body: Some(again) })
        });
        Self { url, replay }
    }
}

impl Replay {
    /// The request, to be sent.
    pub(super) fn make(&self) -> Option<Request> {
        let mut request = self.request.try_clone()?;
        if let Some(body) = &self.body {
            *request.body_mut() = Some(body.make());
        }
        Some(request)
    }
}

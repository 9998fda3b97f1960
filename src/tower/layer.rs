//! `OAuthLayer`: what is set for the requests of a service.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;
use url::{Position, Url};

use super::clone_request::{CloneBodies, CloneBodiesBy, SendOnce};
use super::http_stack::{Server, Settings};
use super::service::OAuthService;
use crate::error::Error;
use crate::origin::Origins;
use crate::request::Api;
use crate::session::Session;
use crate::sessions::UserSessions;

/// The [`Layer`] that puts a session's token on requests of the `http` crate; from
/// [`Session::tower_layer`](crate::Session::tower_layer), from
/// [`UserSessions::tower_layer`](crate::UserSessions::tower_layer) for many users, or from an [`Api`].
///
/// For what it does for a request see [`Api`]. The differences:
///
/// - **Bodies.** The service takes bodies that are [`Clone`], and sends them again after a 401. For other
///   bodies call [`clone_body`](Self::clone_body) or [`send_once`](Self::send_once).
/// - **Timeouts.** A request of the `http` crate has none of its own. Put a timeout layer outside this one:
///   it bounds all that is done for the request, and a renewal goes on without it.
///   [`RequestOptions::wait_at_most`](crate::RequestOptions::wait_at_most) bounds the waits for a token.
/// - **Redirects.** Put a layer that follows them outside this one: then each new origin is compared with
///   the list. Below this one, such a layer must remove the token when it leaves the origin.
/// - **Paths.** If only some paths of an origin get the token, none gets it that has dot segments
///   (`/tenant-b/../tenant-a`) or backslashes: the service below sends them as they are, and a server may read
///   them in another way.
/// - **Retries**, load shedding and others that look at readiness belong outside too.
///
/// Extensions of a request change how it is sent: [`RequestOptions`](crate::RequestOptions),
/// [`UserId`](crate::UserId). [`ReplayBody`](crate::ReplayBody) is only for reqwest. The response carries
/// [`TokenUpdated`](crate::TokenUpdated) and [`SentWithoutToken`](crate::SentWithoutToken) in its extensions.
///
/// # Errors
///
/// The service fails with a [`BoxError`](crate::BoxError), as most layers do. An error of the service below
/// passes as it is; [`Error::find_in`] finds one of this crate.
#[derive(Clone)]
pub struct OAuthLayer<C = CloneBodies> {
    api: Api,
    server: Option<Server>,
    clone_request: C,
}

impl From<Api> for OAuthLayer {
    fn from(api: Api) -> Self {
        Self { api, server: None, clone_request: CloneBodies }
    }
}

impl<C> OAuthLayer<C> {
    /// The server that the service below is connected to, for requests whose URI is a path alone: those of
    /// tonic's clients, and of a single connection of hyper's. It has to be one of the layer's origins, or the
    /// server of a listed path. Without it such a request is an error: nobody can tell who would get the token.
    ///
    /// It must be the server that the service really sends to: for tonic, that of the channel.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it is no origin, or not listed.
    pub fn connected_to(mut self, origin: impl AsRef<str>) -> Result<Self, Error> {
        let url = Url::parse(origin.as_ref()).ok();
        let url = url.filter(|url| {
            self.api.origins().is_some_and(|origins| origins.allow_some_path(url))
                && url.username().is_empty()
                && url.password().is_none()
                && url[Position::BeforePath..] == *"/"
        });
        self.server = url.and_then(|url| Server::of(url.as_str()));
        match self.server {
            Some(_) => Ok(self),
            None => Err(Error::config(
                "the server that the service is connected to is not one of the layer's origins; give its scheme, host and port only, such as https://api.example",
            )),
        }
    }

    /// How a body is made again, for bodies that are not [`Clone`] or should not always be cloned. Return
    /// `None` if it can be sent only once: then the caller gets the 401, and the next request renews. Called
    /// each time that the request is sent, in the request's task, so it must not block.
    #[must_use]
    pub fn clone_body<B, F>(self, clone_body: F) -> OAuthLayer<CloneBodiesBy<F>>
    where
        F: Fn(&B) -> Option<B>,
    {
        let clone_request = CloneBodiesBy(clone_body);
        OAuthLayer { api: self.api, server: self.server, clone_request }
    }

    /// Sends no request again, for a service whose bodies are streams. The caller gets the 401, and the
    /// next request renews.
    #[must_use]
    pub fn send_once(self) -> OAuthLayer<SendOnce> {
        OAuthLayer { api: self.api, server: self.server, clone_request: SendOnce }
    }
}

impl<S, C: Clone> Layer<S> for OAuthLayer<C> {
    type Service = OAuthService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        let (api, server) = (self.api.clone(), self.server.clone());
        let settings = Settings::new(api, server, self.clone_request.clone());
        OAuthService::new(inner, Arc::new(settings))
    }
}

impl Session {
    /// The layer for a `tower` service over the `http` crate's requests, such as hyper's client and tonic's
    /// channel: it puts this session's token on requests to the listed origins (`"https://api.example"`),
    /// and on no others. See [`Origins`]
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if an origin is no origin, or is plain http and not loopback.
    pub fn tower_layer<O>(&self, origins: O) -> Result<OAuthLayer, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        self.api(origins).map(OAuthLayer::from)
    }
}

impl UserSessions {
    /// As [`Session::tower_layer`](crate::Session::tower_layer), with the token of the request's
    /// [`UserId`](crate::UserId) (an extension). A request to the listed origins without a `UserId`, or for a
    /// user without a token, fails and is not sent.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if an origin is no origin, or is plain http and not loopback.
    pub fn tower_layer<O>(&self, origins: O) -> Result<OAuthLayer, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        self.api(origins).map(OAuthLayer::from)
    }
}

impl<C> fmt::Debug for OAuthLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthLayer")
            .field("api", &self.api)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

//! `HttpClient`: what sends the requests to the provider.

use std::fmt;

use reqwest::{Client, Request, Response};
#[cfg(feature = "middleware")]
use reqwest_middleware::ClientWithMiddleware;

use crate::error::BoxError;

/// The client for requests to the provider, for
/// [`OAuthClient::http_client`](crate::OAuthClient::http_client): from a [`reqwest::Client`], or with the
/// feature `middleware` from a `reqwest_middleware::ClientWithMiddleware`.
#[derive(Clone)]
pub struct HttpClient {
    inner: Inner,
    /// Built here, not by the application.
    is_ours: bool,
}

#[derive(Clone)]
enum Inner {
    Plain(Client),
    #[cfg(feature = "middleware")]
    Layered(ClientWithMiddleware),
}

impl From<Client> for HttpClient {
    fn from(client: Client) -> Self {
        Self { inner: Inner::Plain(client), is_ours: false }
    }
}

#[cfg(feature = "middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "middleware")))]
impl From<ClientWithMiddleware> for HttpClient {
    fn from(client: ClientWithMiddleware) -> Self {
        Self { inner: Inner::Layered(client), is_ours: false }
    }
}

impl HttpClient {
    pub(super) fn ours(client: Client) -> Self {
        Self { inner: Inner::Plain(client), is_ours: true }
    }

    /// Whether it was built here, so that it has no certificate.
    pub(super) fn is_ours(&self) -> bool {
        self.is_ours
    }

    pub(super) async fn execute(&self, request: Request) -> Result<Response, HttpError> {
        match &self.inner {
            Inner::Plain(client) => {
                let sent = client.execute(request).await;
                sent.map_err(|error| HttpError(error.without_url().into()))
            }
            #[cfg(feature = "middleware")]
            Inner::Layered(client) => {
                let sent = client.execute(request).await;
                sent.map_err(|error| HttpError(error.without_url().into()))
            }
        }
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

/// What sending failed with, without its URL.
pub(super) struct HttpError(pub(super) BoxError);

impl HttpError {
    /// reqwest's own error, where it is one or is in one.
    pub(super) fn of_reqwest(&self) -> Option<&reqwest::Error> {
        #[cfg(feature = "middleware")]
        match self.0.downcast_ref() {
            Some(reqwest_middleware::Error::Reqwest(error)) => return Some(error),
            Some(reqwest_middleware::Error::Middleware(error)) => {
                return error.chain().find_map(|cause| cause.downcast_ref());
            }
            None => {}
        }
        self.0.downcast_ref()
    }
}

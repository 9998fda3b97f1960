//! `HttpClient`: what sends the requests to the provider.

use std::fmt;

use reqwest::{Client, Request, Response};
#[cfg(feature = "middleware")]
use reqwest_middleware::ClientWithMiddleware;

use crate::error::BoxError;

/// The client for requests to the provider, for
/// [`OAuthClient::http_client`](crate::OAuthClient::http_client): made of a [`reqwest::Client`], or with the
/// feature `middleware` of a `reqwest_middleware::ClientWithMiddleware`.
#[derive(Clone)]
pub struct HttpClient(Inner);

#[derive(Clone)]
enum Inner {
    Plain(Client),
    #[cfg(feature = "middleware")]
    Layered(ClientWithMiddleware),
}

impl From<Client> for HttpClient {
    fn from(client: Client) -> Self {
        Self(Inner::Plain(client))
    }
}

#[cfg(feature = "middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "middleware")))]
impl From<ClientWithMiddleware> for HttpClient {
    fn from(client: ClientWithMiddleware) -> Self {
        Self(Inner::Layered(client))
    }
}

impl HttpClient {
    pub(super) async fn execute(&self, request: Request) -> Result<Response, HttpError> {
        match &self.0 {
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

//! `HttpClient`: what sends the requests to the provider.

use std::fmt;
use std::sync::Arc;

use reqwest::{Client, Request, Response};
#[cfg(feature = "middleware")]
use reqwest_middleware::ClientWithMiddleware;

use super::own_clients::OwnClients;
use crate::error::BoxError;

/// The client for requests to the provider, for
/// [`OAuthClient::http_client`](crate::OAuthClient::http_client): from a [`reqwest::Client`], or with the
/// feature `middleware` from a `reqwest_middleware::ClientWithMiddleware`.
#[derive(Clone)]
pub struct HttpClient(Inner);

#[derive(Clone)]
enum Inner {
    /// Built here, not by the application.
    Own(Arc<OwnClients>),
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
    pub(super) fn ours(clients: OwnClients) -> Self {
        Self(Inner::Own(Arc::new(clients)))
    }

    /// Whether it was built here, so that it has no certificate.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.0, Inner::Own(_))
    }

    pub(super) async fn execute(&self, request: Request) -> Result<Response, HttpError> {
        let plain = |error: reqwest::Error| HttpError(error.without_url().into());
        match &self.0 {
            Inner::Own(clients) => {
                let client = clients.of_this_runtime().map_err(plain)?;
                client.execute(request).await.map_err(plain)
            }
            Inner::Plain(client) => client.execute(request).await.map_err(plain),
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

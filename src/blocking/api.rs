//! `Api`: requests that block.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use http::Extensions;
use reqwest::blocking::{Client, Request, Response};
use tokio::runtime::Handle;

use super::blocking_stack::BlockingClient;
use super::owned::Owned;
use super::runtime::Runtime;
use crate::error::Error;
use crate::request::{self, RequestError, RequestOptions};

/// An API that takes a session's token, for `reqwest::blocking`; from
/// [`Runtime::api`](super::Runtime::api), or from [`Session::api`](super::Session::api).
///
/// For what it does for a request see [`Api`](crate::Api). The differences:
///
/// - A body that is a reader is sent once: its 401 is returned, and the next request renews.
///   [`ReplayBody`](crate::ReplayBody) is only for async bodies.
/// - With [`query_parameter`](crate::Api::query_parameter) the token is visible in the response's
///   URL.
///
/// Cheap to clone. It keeps the session: dropping the last of both waits for running renewals and saves.
#[derive(Clone)]
pub struct Api {
    api: request::Api,
    owned: Arc<Owned>,
}

impl Api {
    pub(super) fn new(api: request::Api, runtime: Runtime) -> Self {
        let owned = Arc::new(Owned::new(api.clone(), runtime));
        Self { api, owned }
    }

    /// One of a session.
    pub(super) fn sharing(api: request::Api, owned: Arc<Owned>) -> Self {
        Self { api, owned }
    }

    /// Sends the request.
    ///
    /// # Errors
    ///
    /// [`RequestError::Token`] for errors of the renewal and of [`Runtime::block_on`];
    /// [`RequestError::Send`] for errors of `http`.
    pub fn execute(&self, http: &Client, request: Request) -> Result<Response, RequestError> {
        self.send(http, request, Extensions::new())
    }

    /// As [`execute`](Self::execute), with options for this request.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    pub fn execute_with(
        &self,
        http: &Client,
        request: Request,
        options: RequestOptions,
    ) -> Result<Response, RequestError> {
        let mut extensions = Extensions::new();
        extensions.insert(options);
        self.send(http, request, extensions)
    }

    fn send(
        &self,
        http: &Client,
        request: Request,
        extensions: Extensions,
    ) -> Result<Response, RequestError> {
        let send = || {
            let client = BlockingClient(http);
            let run = request::Api::run(&self.api, request, extensions, client, |error| error);
            self.owned.runtime.block_on(run)
        };
        if Handle::try_current().is_err() {
            return send();
        }
        self.owned.runtime.expect_another_thread()?;
        // reqwest::blocking panics on a thread that async code runs on.
        thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, send) {
            Ok(sending) => sending.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(error) => Err(Error::config(format!(
                "a request that blocks needs a thread within async code, and there is none: {error}"
            ))
            .into()),
        })
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Api").field(&self.api).finish()
    }
}

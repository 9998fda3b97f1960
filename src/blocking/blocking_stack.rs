//! `reqwest::blocking`'s requests and responses, and its client, as a [`Stack`].

#[cfg(feature = "keys")]
use std::borrow::Cow;
use std::future::{Future, ready};
use std::num::NonZeroU64;
use std::time::Duration;

use http::{Extensions, HeaderMap, Method, StatusCode};
use reqwest::blocking::{Client, Request, Response};
use url::Url;

use crate::error::Error;
use crate::origin::Origins;
use crate::request::{Stack, StackRequest, StackResponse, head_of, is_url_for, path_of_url};

/// Its sending blocks the thread that polls it: the caller's.
pub(super) struct BlockingClient<'a>(pub(super) &'a Client);

impl Stack for BlockingClient<'_> {
    type Request = Request;
    type Response = Response;
    type Error = reqwest::Error;

    fn is_for(&self, request: &Request, origins: Option<&Origins>) -> Result<bool, Error> {
        is_url_for(request.url(), origins)
    }

    fn path(&self, address: &Url) -> NonZeroU64 {
        path_of_url(address)
    }

    fn url(address: Url) -> Option<Url> {
        Some(address)
    }

    #[cfg(feature = "keys")]
    fn target<'r>(&self, request: &'r Request) -> Option<Cow<'r, Url>> {
        Some(Cow::Borrowed(request.url()))
    }

    fn try_clone(&self, request: &Request) -> Option<Request> {
        request.try_clone()
    }

    fn send_prepared<'a>(
        &'a mut self,
        request: Request,
        _: &'a mut Extensions,
    ) -> impl Future<Output = Result<Response, reqwest::Error>> + Send {
        ready(self.0.execute(request))
    }
}

impl StackRequest for Request {
    type Address = Url;

    fn method(&self) -> &Method {
        self.method()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn address(&self) -> Url {
        self.url().clone()
    }

    fn query(&self) -> Option<&str> {
        self.url().query()
    }

    fn append_query_pair(&mut self, name: &str, value: &str) {
        self.url_mut().query_pairs_mut().append_pair(name, value);
    }

    fn timeout(&self) -> Option<Duration> {
        self.timeout().copied()
    }

    fn set_timeout(&mut self, timeout: Option<Duration>) {
        *self.timeout_mut() = timeout;
    }

    fn redirect(&mut self, url: &Url) -> bool {
        *self.url_mut() = url.clone();
        true
    }

    fn probe(&self, url: &Url) -> Option<Self> {
        let mut probe = Self::new(Method::HEAD, url.clone());
        *probe.headers_mut() = head_of(self.headers());
        Some(probe)
    }
}

impl StackResponse for Response {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }

    fn url(&self) -> Option<&Url> {
        Some(self.url())
    }
}

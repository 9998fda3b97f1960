//! reqwest's requests and responses, and what sends them, as a [`Stack`].

#[cfg(feature = "keys")]
use std::borrow::Cow;
use std::num::NonZeroU64;
use std::time::Duration;

use http::{Extensions, HeaderMap, Method, StatusCode};
use reqwest::{Body, Request, Response, ResponseBuilderExt};
use url::Url;

use super::send_request::SendRequest;
use super::stack::{Stack, StackRequest, StackResponse, head_of, is_url_for, path_of_url};
use crate::error::Error;
use crate::origin::Origins;

impl<S: SendRequest> Stack for S {
    type Request = Request;
    type Response = Response;
    type Error = S::Error;

    #[inline]
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

    #[inline]
    fn try_clone(&self, request: &Request) -> Option<Request> {
        request.try_clone()
    }

    #[inline]
    fn send_prepared<'a>(
        &'a mut self,
        request: Request,
        extensions: &'a mut Extensions,
    ) -> impl Future<Output = Result<Response, S::Error>> + Send {
        SendRequest::send(self, request, extensions)
    }
}

impl StackRequest for Request {
    type Address = Url;

    fn method(&self) -> &Method {
        self.method()
    }

    #[inline]
    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    #[inline]
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

    fn clone_head(&mut self) -> Option<Self> {
        let body = self.body_mut().take();
        let head = self.try_clone();
        *self.body_mut() = body;
        head
    }

    fn set_body(&mut self, body: Body) {
        *self.body_mut() = Some(body);
    }

    #[inline]
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
    #[inline]
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }

    #[inline]
    fn url(&self) -> Option<&Url> {
        Some(self.url())
    }

    /// Which reqwest lets nobody change.
    fn with_url(self, url: Url) -> Self {
        let (mut parts, body) = http::Response::from(self).into_parts();
        if let Ok(with_url) = http::Response::builder().url(url).body(()) {
            parts.extensions.extend(with_url.into_parts().0.extensions);
        }
        http::Response::from_parts(parts, body).into()
    }
}

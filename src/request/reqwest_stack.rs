//! reqwest's requests and responses, and what sends them, as a [`Stack`].

#[cfg(feature = "keys")]
use std::borrow::Cow;
use std::num::NonZeroU64;
use std::time::Duration;

use http::{Extensions, HeaderMap, Method, StatusCode};
use reqwest::{Body, Request, Response, ResponseBuilderExt};
use url::Url;

use super::reqwest_methods::reqwest_methods;
use super::send_request::SendRequest;
use super::stack::{
    Stack, StackRequest, StackResponse, head_of, is_url_for, path_of_url, remove_credentials,
};
use crate::error::Error;
use crate::origin::Origins;

impl<S: SendRequest> Stack for S {
    type Request = Request;
    type Response = Response;
    type Error = S::Error;

    reqwest_methods!(Stack);

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
    reqwest_methods!(StackRequest);

    fn clone_head(&mut self) -> Option<Self> {
        let body = self.body_mut().take();
        let head = self.try_clone();
        *self.body_mut() = body;
        head
    }

    fn set_body(&mut self, body: Body) {
        *self.body_mut() = Some(body);
    }
}

impl StackResponse for Response {
    reqwest_methods!(StackResponse);

    /// Which reqwest lets nobody change.
    fn with_url(self, url: Url) -> Self {
        let (mut parts, body) = http::Response::from(self).into_parts();
        if let Ok(with_url) = http::Response::builder().url(url).body(()) {
            parts.extensions.extend(with_url.into_parts().0.extensions);
        }
        http::Response::from_parts(parts, body).into()
    }
}

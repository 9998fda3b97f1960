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
use crate::request::{
    Stack, StackRequest, StackResponse, head_of, is_url_for, path_of_url, remove_credentials,
    reqwest_methods,
};

/// Its sending blocks the thread that polls it: the caller's.
pub(super) struct BlockingClient<'a>(pub(super) &'a Client);

impl Stack for BlockingClient<'_> {
    type Request = Request;
    type Response = Response;
    type Error = reqwest::Error;

    reqwest_methods!(Stack);

    fn send_prepared<'a>(
        &'a mut self,
        request: Request,
        _: &'a mut Extensions,
    ) -> impl Future<Output = Result<Response, reqwest::Error>> + Send {
        ready(self.0.execute(request))
    }
}

impl StackRequest for Request {
    reqwest_methods!(StackRequest);
}

impl StackResponse for Response {
    reqwest_methods!(StackResponse);
}

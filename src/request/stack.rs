//! `Stack`: what the request path needs of what is below it: its requests, its responses, a way to send.
//!
//! reqwest's are in [`reqwest_stack`](super::reqwest_stack).

#[cfg(feature = "keys")]
use std::borrow::Cow;
use std::future::Future;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU64;
use std::sync::LazyLock;
use std::time::Duration;

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT,
    PROXY_AUTHORIZATION, WWW_AUTHENTICATE,
};
use http::{Extensions, HeaderMap, Method, StatusCode};
use reqwest::Body;
use url::{Position, Url};

use crate::error::Error;
use crate::origin::{Origins, may_carry_token};

/// A way to send one request, any number of times.
pub(crate) trait Stack: Send + Sized {
    type Request: StackRequest;
    type Response: StackResponse;
    type Error: 'static;

    /// Whether these origins have the request; `None`: its own, if that may see a token.
    ///
    /// # Errors
    ///
    /// What to change where nobody can tell, or where its own may not.
    fn is_for(&self, request: &Self::Request, origins: Option<&Origins>) -> Result<bool, Error>;

    /// What a session remembers of where a request goes.
    fn path(&self, address: &Address<Self>) -> NonZeroU64;

    /// The URL. `None`: nothing below follows redirects, so every response is from where the request went.
    fn url(_: Address<Self>) -> Option<Url> {
        None
    }

    /// The URL of a request, for a proof; `None` where nobody knows scheme and host.
    #[cfg(feature = "keys")]
    fn target<'r>(&self, request: &'r Self::Request) -> Option<Cow<'r, Url>>;

    /// The same request, if its body can be sent again.
    fn try_clone(&self, request: &Self::Request) -> Option<Self::Request>;

    /// What `cloned` makes of the same request, or `otherwise` of this one if its body cannot be sent again. The
    /// hot path: a stack that knows that every body can be moves the clone once less.
    #[inline(always)]
    fn clone_or_else<T>(
        &self,
        request: &mut Self::Request,
        cloned: impl FnOnce(Self::Request) -> T,
        otherwise: impl FnOnce(&mut Self::Request) -> T,
    ) -> T {
        match self.try_clone(request) {
            Some(clone) => cloned(clone),
            None => otherwise(request),
        }
    }

    /// Waits until another request can be sent, after the first.
    fn ready_again(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// Gives the request what it needs beside its token: before each sending.
    fn prepare(&self, _: &mut Self::Request, _: &Extensions) {}

    /// Sends a request that is prepared.
    fn send_prepared<'a>(
        &'a mut self,
        request: Self::Request,
        extensions: &'a mut Extensions,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>> + Send;

    /// Sends a request. The hot path prepares it in its place, and so moves it once less.
    fn send<'a>(
        &'a mut self,
        mut request: Self::Request,
        extensions: &'a mut Extensions,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>> + Send {
        self.prepare(&mut request, extensions);
        self.send_prepared(request, extensions)
    }
}

/// Where a request of the stack goes.
pub(crate) type Address<S> = <<S as Stack>::Request as StackRequest>::Address;

pub(crate) trait StackRequest: Sized + Send {
    type Address: Send + Clone;

    fn method(&self) -> &Method;
    fn headers(&self) -> &HeaderMap;
    fn headers_mut(&mut self) -> &mut HeaderMap;
    fn address(&self) -> Self::Address;
    fn query(&self) -> Option<&str>;

    fn append_query_pair(&mut self, name: &str, value: &str);

    /// The same request without a body that cannot be cloned, for [`set_body`](Self::set_body).
    fn clone_head(&mut self) -> Option<Self> {
        None
    }

    fn set_body(&mut self, _: Body) {}

    /// How long it may take, if it says so itself.
    fn timeout(&self) -> Option<Duration> {
        None
    }

    fn set_timeout(&mut self, _: Option<Duration>) {}

    /// Sends it elsewhere from now on. False: nothing below follows redirects.
    fn redirect(&mut self, _: &Url) -> bool {
        false
    }

    /// The same request to this URL as a HEAD request.
    fn probe(&self, _: &Url) -> Option<Self> {
        None
    }
}

pub(crate) trait StackResponse: Sized + Send {
    fn status(&self) -> StatusCode;
    fn headers(&self) -> &HeaderMap;
    fn extensions_mut(&mut self) -> &mut Extensions;

    /// What it was that answered, if redirects may have been followed.
    fn url(&self) -> Option<&Url> {
        None
    }

    /// The same response with another URL.
    fn with_url(self, _: Url) -> Self {
        self
    }
}

/// What a session remembers of a path: a hash of origin and path. Nobody can choose paths that collide.
#[cold]
pub(crate) fn path_of(origin_and_path: impl Hash) -> NonZeroU64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    NonZeroU64::new(KEYS.hash_one(origin_and_path)).unwrap_or(NonZeroU64::MIN)
}

pub(crate) fn path_of_url(url: &Url) -> NonZeroU64 {
    path_of(&url[..Position::AfterPath])
}

/// [`Stack::is_for`], for a request with a URL.
#[inline]
pub(crate) fn is_url_for(url: &Url, origins: Option<&Origins>) -> Result<bool, Error> {
    match origins {
        Some(origins) => Ok(origins.allow(url)),
        None if may_carry_token(url) => Ok(true),
        None => Err(Error::config(
            "the request's URL must not carry a token: it is not https (or http to loopback), or it has user info",
        )),
    }
}

/// The headers of a request, but for those of its body.
pub(crate) fn head_of(headers: &HeaderMap) -> HeaderMap {
    let mut head = headers.clone();
    for of_body in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, EXPECT] {
        head.remove(of_body);
    }
    head
}

/// Removes cookies and credentials, which are for one origin alone, as reqwest does where a redirect leads to
/// another one.
pub(crate) fn remove_credentials(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE] {
        headers.remove(name);
    }
    headers.remove("cookie2");
}

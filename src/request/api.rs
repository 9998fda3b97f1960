//! `Api`: which origins a session's token goes to, and how it is sent there.

use std::fmt;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Request, Response};

use super::placement::Placement;
use super::request_error::RequestError;
use super::request_options::RequestOptions;
use super::send_request::SendRequest;
use super::verdict::Verdict;
use crate::error::Error;
use crate::origin::Origins;
use crate::resource::ResourceSession;
use crate::session::Session;
use crate::sessions::UserSessions;

/// An API that takes a session's token: which origins it has, and the request path to it. From
/// [`Session::api`](crate::Session::api), or from [`UserSessions::api`](crate::UserSessions::api) for many
/// users. [`execute`](Self::execute) sends a request with any client; the layer for a `reqwest_middleware`
/// client is `OAuthMiddleware`.
///
/// For a request to a listed origin, unless it already has something in the token's place, such as
/// its own `Authorization` header, it
///
/// - sends `Authorization: Bearer …` ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1))
///   with a token that has not expired; an expired one is renewed first;
/// - after a 401 that a new token may cure
///   ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)), renews and sends the
///   request again, once. A request whose body is a stream is sent once and its 401 is returned,
///   unless it has a [`ReplayBody`](crate::ReplayBody);
/// - after a redirect to another listed origin, which reqwest follows without the token, sends the
///   request there with it, and so after redirects that lead away and back. Cookies and credentials of the
///   request's own stay behind, as with reqwest. Give the client
///   [`redirect_policy`](crate::redirect_policy).
///
/// A request's own timeout ([`reqwest::RequestBuilder::timeout`]) limits all of this together. The
/// client's ([`reqwest::ClientBuilder::timeout`]) limits each sending, but not the wait for a
/// renewal.
///
/// Any other request passes unchanged. Requests over plain http to loopback go through the
/// application's client, and so through its proxy, if it has one.
///
/// ```no_run
/// # async fn f(session: reqwest_oauth2::Session) -> Result<(), Box<dyn std::error::Error>> {
/// let http = reqwest::Client::builder().redirect(reqwest_oauth2::redirect_policy()).build()?;
/// let api = session.api(["https://api.example"])?;
/// let response = api.execute(&http, http.get("https://api.example/me").build()?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Api {
    pub(super) source: Source,
    /// `None`: each request's own.
    pub(super) origins: Option<Origins>,
    /// Whether a request may have to wait although there is a fresh token.
    pub(super) is_foreground: bool,
    pub(super) verdict: Verdict,
    pub(super) placement: Placement,
}

/// Whose token requests carry.
#[derive(Clone)]
pub(super) enum Source {
    One(Session),
    Many(UserSessions),
    Resource(ResourceSession),
}

impl Api {
    #[cfg(feature = "tower")]
    pub(crate) fn origins(&self) -> Option<&Origins> {
        self.origins.as_ref()
    }

    /// The session whose token requests carry, for [`Session::token`] or [`Session::shutdown`], say; `None`
    /// for an API of [`UserSessions`] or of a [`ResourceSession`].
    pub fn session(&self) -> Option<&Session> {
        match &self.source {
            Source::One(session) => Some(session),
            Source::Many(_) | Source::Resource(_) => None,
        }
    }

    /// Waits for running renewals and saves, of all users.
    #[cfg(feature = "blocking")]
    pub(crate) async fn shutdown(&self) -> Result<(), Error> {
        match &self.source {
            Source::One(session) => session.shutdown().await,
            Source::Many(sessions) => sessions.shutdown().await,
            Source::Resource(session) => session.shutdown().await,
        }
    }

    /// Sends the request. `http` is a `&reqwest::Client`, or another [`SendRequest`].
    ///
    /// # Errors
    ///
    /// [`RequestError::Token`] for errors of the renewal, [`RequestError::Send`] for errors of
    /// `http`.
    ///
    /// # Cancellation
    ///
    /// As for any request; a renewal goes on without the caller.
    pub async fn execute<S: SendRequest>(
        &self,
        http: S,
        request: Request,
    ) -> Result<Response, RequestError<S::Error>> {
        Self::run(self, request, Extensions::new(), http, |error| error).await
    }

    /// As [`execute`](Self::execute), for a request that is different.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    ///
    /// # Cancellation
    ///
    /// As [`execute`](Self::execute).
    pub async fn execute_with<S: SendRequest>(
        &self,
        http: S,
        request: Request,
        options: RequestOptions,
    ) -> Result<Response, RequestError<S::Error>> {
        let mut extensions = Extensions::new();
        extensions.insert(options);
        Self::run(self, request, extensions, http, |error| error).await
    }

    /// As [`execute`](Self::execute), for a layer of a stack whose requests have extensions. Those choose, as
    /// they do for `OAuthMiddleware`: [`RequestOptions`], [`UserId`](crate::UserId),
    /// [`ReplayBody`](crate::ReplayBody). `http` gets them with each sending.
    ///
    /// With an [`Api`] and `next`, what is below it in the stack, a layer is this line:
    ///
    /// ```
    /// # use reqwest::{Request, Response};
    /// # use reqwest_oauth2::{Api, RequestError, SendRequest, http::Extensions};
    /// # struct Layer(Api);
    /// # impl Layer {
    /// async fn handle<N: SendRequest>(
    ///     &self,
    ///     request: Request,
    ///     extensions: &mut Extensions,
    ///     next: N,
    /// ) -> Result<Response, RequestError<N::Error>> {
    ///     self.0.execute_with_extensions(next, request, extensions).await
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    ///
    /// # Cancellation
    ///
    /// As [`execute`](Self::execute).
    pub async fn execute_with_extensions<S: SendRequest>(
        &self,
        http: S,
        request: Request,
        extensions: &mut Extensions,
    ) -> Result<Response, RequestError<S::Error>> {
        Self::run(self, request, extensions, http, |error| error).await
    }

    /// A rule for which other responses reject the token, for an API that answers 403 or 400 to an
    /// expired or revoked token. After such a response the session renews and the request is sent again,
    /// as after a 401 ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
    ///
    /// The rule gets the status and headers of each response to a request with the token, perhaps more than
    /// once. It runs in the request's task, so it must not block. If it panics, the response does not
    /// reject the token.
    ///
    /// ```
    /// # fn f(session: reqwest_oauth2::Session) -> Result<(), reqwest_oauth2::Error> {
    /// use reqwest_oauth2::OAuthMiddleware;
    ///
    /// let api = session.api(["https://api.example"])?.rejected_when(|status, headers| {
    ///     status == 403 && headers.get("x-error").is_some_and(|error| error == "token_expired")
    /// });
    /// let layer = OAuthMiddleware::from(api);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn rejected_when(
        mut self,
        rule: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.verdict = Verdict::new(rule);
        self
    }

    /// Sends the token in this header, without a scheme: `X-Shopify-Access-Token`, `x-amz-access-token`.
    /// [`scheme`](Self::scheme) puts a word before it. The header is marked sensitive. A request that
    /// already has the header passes unchanged.
    ///
    /// reqwest removes `Authorization` if a redirect leads to another origin, but no other header. So give
    /// the client [`redirect_policy_within_origin`](crate::redirect_policy_within_origin), or a server that
    /// the API redirects to gets the token
    /// ([RFC 6750 §5.2](https://www.rfc-editor.org/rfc/rfc6750#section-5.2)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it is no name of a header.
    pub fn header(mut self, name: impl AsRef<str>) -> Result<Self, Error> {
        let name = HeaderName::from_bytes(name.as_ref().as_bytes()).map_err(|_| {
            Error::config("the name for the token's header is not a valid header name")
        })?;
        self.placement = self.placement.in_header(name);
        Ok(self)
    }

    /// The word before the token instead of `Bearer`: `Zoho-oauthtoken`, `token`
    /// ([RFC 9110 §11.4](https://www.rfc-editor.org/rfc/rfc9110#section-11.4)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it is empty or has characters that are not allowed in a header.
    pub fn scheme(mut self, scheme: impl AsRef<str>) -> Result<Self, Error> {
        let scheme = scheme.as_ref();
        if scheme.is_empty() || HeaderValue::from_str(scheme).is_err() || !scheme.is_ascii() {
            return Err(Error::config(
                "the token's scheme is empty or has characters that are not allowed in a header",
            ));
        }
        self.placement = self.placement.with_scheme(scheme);
        Ok(self)
    }

    /// Sends the token in this parameter of the URL's query, such as `access_token`. Only for an API that
    /// accepts it nowhere else: servers, proxies and layers below this one log URLs, and the token with
    /// them, so it "SHOULD NOT be used unless it is impossible to transport the access token" otherwise
    /// ([RFC 6750 §2.3](https://www.rfc-editor.org/rfc/rfc6750#section-2.3)). The request gets
    /// `Cache-Control: no-store`, unless it has that header already.
    ///
    /// The parameter is removed from [`Response::url`] and from the errors of `reqwest` and
    /// `reqwest_middleware`. An error of another client, or one wrapped by a layer below, may show it. The
    /// URL's memory is not wiped. A request that has the parameter already passes unchanged.
    ///
    /// reqwest sends the URL as `Referer` if a redirect leads elsewhere. So give the client
    /// [`redirect_policy_within_origin`](crate::redirect_policy_within_origin).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the name is empty.
    pub fn query_parameter(mut self, name: impl Into<Box<str>>) -> Result<Self, Error> {
        let name = name.into();
        if name.is_empty() {
            return Err(Error::config("the token's query parameter has no name"));
        }
        self.placement = Placement::Query(name);
        Ok(self)
    }
}

impl Session {
    /// Sends the request with this session's token, as described at [`Api`], for programs without
    /// `reqwest_middleware`. `http` is a `&reqwest::Client`, or another [`SendRequest`].
    ///
    /// The token goes to the origin of the request's URL, and nowhere else, over TLS (loopback excepted).
    /// So only use URLs that you trust: a URL from elsewhere (such as a link in a response) gets the token
    /// wherever it leads. For those list the origins with [`api`](Self::api)
    /// ([RFC 6750 §5.2](https://www.rfc-editor.org/rfc/rfc6750#section-5.2)).
    ///
    /// ```no_run
    /// # async fn f(session: reqwest_oauth2::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// let http = reqwest::Client::builder().redirect(reqwest_oauth2::redirect_policy()).build()?;
    /// let request = http.get("https://api.example/me").build()?;
    /// let response = session.execute(&http, request).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RequestError::Token`] for errors of the renewal, and with [`Error::is_config`] for a URL that
    /// must not carry a token: plain http, user info. [`RequestError::Send`] for errors of `http`.
    ///
    /// # Cancellation
    ///
    /// As for any request; a renewal goes on without the caller.
    pub async fn execute<S: SendRequest>(
        &self,
        http: S,
        request: Request,
    ) -> Result<Response, RequestError<S::Error>> {
        self.with_origins(None).execute(http, request).await
    }

    /// As [`execute`](Self::execute), for a request that is different.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    ///
    /// # Cancellation
    ///
    /// As [`execute`](Self::execute).
    pub async fn execute_with<S: SendRequest>(
        &self,
        http: S,
        request: Request,
        options: RequestOptions,
    ) -> Result<Response, RequestError<S::Error>> {
        self.with_origins(None).execute_with(http, request, options).await
    }

    /// An API that takes this session's token: the listed origins (`"https://api.example"`), and no
    /// others. See [`Origins`] ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if an origin is no origin, or is plain http and not loopback.
    pub fn api<O>(&self, origins: O) -> Result<Api, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        Ok(self.with_origins(Some(origins.try_into()?)))
    }

    pub(crate) fn with_origins(&self, origins: Option<Origins>) -> Api {
        let is_foreground = self.0.config().is_foreground();
        Api {
            source: Source::One(self.clone()),
            origins,
            is_foreground,
            verdict: Verdict::default(),
            placement: Placement::default(),
        }
    }
}

impl ResourceSession {
    /// The resource, as an API: requests to its URL and below it carry the current token, or none until the
    /// resource asks for one. See [`Api`] for the details
    /// ([RFC 9728 §5](https://www.rfc-editor.org/rfc/rfc9728#section-5)).
    pub fn api(&self) -> Api {
        Api {
            source: Source::Resource(self.clone()),
            origins: Some(self.origins().clone()),
            is_foreground: self.is_foreground(),
            verdict: Verdict::default(),
            placement: Placement::default(),
        }
    }

    /// Sends the request, with the token if it goes to the resource, as described at
    /// [`api`](Self::api). `http` is a `&reqwest::Client`, or another [`SendRequest`].
    ///
    /// # Errors
    ///
    /// [`RequestError::Token`] for errors of a renewal or a login; [`RequestError::Send`] for errors of
    /// `http`.
    ///
    /// # Cancellation
    ///
    /// As for any request; a renewal or a login goes on without the caller.
    pub async fn execute<S: SendRequest>(
        &self,
        http: S,
        request: Request,
    ) -> Result<Response, RequestError<S::Error>> {
        self.api().execute(http, request).await
    }
}

impl UserSessions {
    /// An API that takes the users' tokens: the listed origins (`"https://api.example"`), and no others.
    /// For single requests of one user see [`for_user`](Self::for_user) and [`Session::execute`]
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if an origin is no origin, or is plain http and not loopback.
    pub fn api<O>(&self, origins: O) -> Result<Api, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        let is_foreground = self.config().is_foreground();
        let origins = Some(origins.try_into()?);
        Ok(Api {
            source: Source::Many(self.clone()),
            origins,
            is_foreground,
            verdict: Verdict::default(),
            placement: Placement::default(),
        })
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("origins", &self.origins)
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}

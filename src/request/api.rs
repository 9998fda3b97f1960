//! `Api`: inject, send, and on a 401 renew and send again.
//!
//! With many users the request's user decides whose session it is: one look into the cache more.
//!
//! Hot path, per request: compare the URL with the origins, look for an `Authorization` header,
//! load the snapshot, read the clock, clone the request for a replay (a buffered body is a
//! reference count), clone the header value (another), insert it. No lock, no allocation of our
//! own, no formatting. Everything rarer is in futures that are boxed when they are needed.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Request, Response};
use url::{Position, Url};

use super::deadline::Deadline;
use super::exchange::{Exchange, send_bare};
use super::placement::Placement;
use super::request_error::RequestError;
use super::request_options::{Handling, RequestOptions, TokenUse, user};
use super::send_request::SendRequest;
use super::sent::Sent;
use super::verdict::Verdict;
use crate::error::Error;
use crate::origin::{Origins, may_carry_token};
use crate::session::{Driver, Provenance, Session, Snapshot, offer_update};
use crate::sessions::UserSessions;

/// An API that takes a session's token: which origins it has, and the request path to it. From
/// [`Session::api`](crate::Session::api), or from [`UserSessions::api`](crate::UserSessions::api) for many
/// users. [`execute`](Self::execute) sends a request with any client; the layer for a `reqwest_middleware`
/// client is `OAuthMiddleware`.
///
/// For a request to a listed origin that carries nothing of its own in the token's place, it
///
/// - sends `Authorization: Bearer …` ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1))
///   with a token that has not expired, renewing it first where it has;
/// - after a 401 that a new token may cure
///   ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)), renews and sends the
///   request again, once. A request whose body is a stream is sent once, and its 401 is returned,
///   unless it has a [`ReplayBody`](crate::ReplayBody);
/// - after a redirect to another listed origin, which reqwest follows without the token, sends the
///   request there with it. Give the client [`redirect_policy`](crate::redirect_policy).
///
/// A request's own timeout ([`reqwest::RequestBuilder::timeout`]) bounds all of this together. The
/// client's ([`reqwest::ClientBuilder::timeout`]) bounds each sending, and no wait for a renewal.
///
/// Any other request passes unchanged. A token for plain http on loopback goes through the
/// application's own client, and so through its proxy, if it has one.
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
    source: Source,
    /// `None`: each request's own.
    origins: Option<Origins>,
    /// Whether a fresh token is no reason to go on at once.
    is_foreground: bool,
    verdict: Verdict,
    placement: Placement,
}

/// Whose token requests carry.
#[derive(Clone)]
enum Source {
    One(Session),
    Many(UserSessions),
}

impl Api {
    /// Sends the request. `http` is a `&reqwest::Client`, or another [`SendRequest`].
    ///
    /// # Errors
    ///
    /// [`RequestError::Token`] for those of the renewal, [`RequestError::Send`] for those of `http`.
    ///
    /// # Cancellation
    ///
    /// As for any request; a renewal goes on without the caller.
    pub async fn execute<S: SendRequest>(
        &self,
        http: S,
        request: Request,
    ) -> Result<Response, RequestError<S::Error>> {
        self.run(request, &mut Extensions::new(), http).await
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
        self.run(request, &mut extensions, http).await
    }

    /// An application's own rule for which responses reject the token, for an API that says 403 or 400 to
    /// one that has expired or was revoked. A 401 that a new token may cure
    /// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)) does so in any case. The
    /// session then renews, and the request is sent again, as after a 401.
    ///
    /// The rule sees status and headers of each response to a request with the token, perhaps more than
    /// once. It runs within the request's task, so it must not block: the request would wait as long. If it
    /// panics, the response does not reject the token.
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

    /// The token goes into this header, alone: `X-Shopify-Access-Token`, `x-amz-access-token`. With
    /// [`scheme`](Self::scheme) there is a word before it. The header is marked sensitive, and a request
    /// that has it already passes unchanged.
    ///
    /// reqwest takes `Authorization` off where a redirect leads to another origin, and no other header. So
    /// give the client [`redirect_policy_within_origin`](crate::redirect_policy_within_origin), or a server
    /// that the API redirects to gets the token
    /// ([RFC 6750 §5.2](https://www.rfc-editor.org/rfc/rfc6750#section-5.2)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] where it is no name of a header.
    pub fn header(mut self, name: impl AsRef<str>) -> Result<Self, Error> {
        let name = HeaderName::from_bytes(name.as_ref().as_bytes())
            .map_err(|_| Error::config("the name of the token's header is no name of a header"))?;
        self.placement = self.placement.in_header(name);
        Ok(self)
    }

    /// The word before the token in place of `Bearer`: `Zoho-oauthtoken`, `token`
    /// ([RFC 9110 §11.4](https://www.rfc-editor.org/rfc/rfc9110#section-11.4)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] where it is empty or has characters that cannot stand in a header.
    pub fn scheme(mut self, scheme: impl AsRef<str>) -> Result<Self, Error> {
        let scheme = scheme.as_ref();
        if scheme.is_empty() || HeaderValue::from_str(scheme).is_err() || !scheme.is_ascii() {
            return Err(Error::config(
                "the token's scheme is empty or has characters that cannot stand in a header",
            ));
        }
        self.placement = self.placement.with_scheme(scheme);
        Ok(self)
    }

    /// The token goes into this parameter of the URL's query, such as `access_token`. Only for an API that
    /// takes it nowhere else: servers, proxies and layers below this one log URLs, and the token with them,
    /// so it "SHOULD NOT be used unless it is impossible to transport the access token" otherwise
    /// ([RFC 6750 §2.3](https://www.rfc-editor.org/rfc/rfc6750#section-2.3)). The request gets
    /// `Cache-Control: no-store`, unless it has that header already.
    ///
    /// The parameter is taken out of [`Response::url`] and of the errors of `reqwest` and
    /// `reqwest_middleware`; an error of another client, or one that a layer below has wrapped, may show it.
    /// The URL's memory is not wiped. A request that has the parameter already passes unchanged.
    ///
    /// reqwest sends the URL on as `Referer` where a redirect leads elsewhere. So give the client
    /// [`redirect_policy_within_origin`](crate::redirect_policy_within_origin).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] where the name is empty.
    pub fn query_parameter(mut self, name: impl Into<Box<str>>) -> Result<Self, Error> {
        let name = name.into();
        if name.is_empty() {
            return Err(Error::config("the token's query parameter has no name"));
        }
        self.placement = Placement::Query(name);
        Ok(self)
    }

    /// One request, under any stack.
    #[inline]
    pub(crate) async fn run<S: SendRequest>(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        mut send: S,
    ) -> Result<Response, RequestError<S::Error>> {
        let handling = Handling::of(extensions);
        if handling.token == TokenUse::Never || !self.allows(&request)? {
            return send.send(request, extensions).await.map_err(RequestError::Send);
        }
        let deadline = Deadline::of(&request, &handling);
        let names_no_user = || matches!(self.source, Source::Many(_)) && user(extensions).is_none();
        if handling.token == TokenUse::IfAny && names_no_user() {
            return Box::pin(send_bare(request, extensions, &mut send)).await;
        }
        let ready = match self.ready(extensions) {
            Some(ready) => ready,
            None => {
                let timeouts = [request.timeout().copied(), handling.longest_wait];
                let limit = timeouts.into_iter().flatten().min();
                let ready = Box::pin(self.wait(extensions, limit)).await;
                // None is left if a token that is good was waited for in vain: then it has its time anew.
                if let Some(left) = deadline.left().filter(|left| !left.is_zero()) {
                    *request.timeout_mut() = Some(left);
                }
                match ready {
                    Ok(ready) => ready,
                    Err(error) if handling.goes_bare_after(&error) => {
                        return Box::pin(send_bare(request, extensions, &mut send)).await;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let sent = Sent::of(&mut request, extensions, handling.is_sent_once);
        self.placement.put(&mut request, &ready.snapshot);
        let sending = send.send(request, extensions).await;
        let response = self.placement.hide(sending).map_err(RequestError::Send)?;
        if !self.verdict.is_refusal(&response) {
            return Ok(annotate(response, &ready.snapshot, extensions, true));
        }
        let waits = (handling, deadline);
        Box::pin(self.after_refusal(response, ready, sent, waits, extensions, send)).await
    }

    /// Whether the request gets a token.
    #[inline]
    fn allows(&self, request: &Request) -> Result<bool, Error> {
        let has_own = || self.placement.is_taken(request);
        match &self.origins {
            Some(origins) => Ok(origins.allow(request.url()) && !has_own()),
            None if has_own() => Ok(false),
            None if may_carry_token(request.url()) => Ok(true),
            None => Err(Error::config(
                "the request's URL must not carry a token: it is not https (or http to loopback), or it has user info",
            )),
        }
    }

    /// The hot path: a fresh token, at once.
    #[inline]
    fn ready(&self, extensions: &Extensions) -> Option<SelectedToken> {
        if self.is_foreground {
            return None;
        }
        match &self.source {
            Source::One(session) => {
                Some(SelectedToken { snapshot: session.0.fresh()?, session: None })
            }
            Source::Many(sessions) => {
                let session = sessions.cached(user(extensions)?)?;
                Some(SelectedToken { snapshot: session.fresh()?, session: Some(session) })
            }
        }
    }

    /// The token for a request that has none ready: of a user who is not in memory, or renewed first.
    async fn wait(
        &self,
        extensions: &Extensions,
        limit: Option<Duration>,
    ) -> Result<SelectedToken, Error> {
        let sessions = match &self.source {
            Source::One(session) => {
                let snapshot = session.0.usable(limit).await?;
                return Ok(SelectedToken { snapshot, session: None });
            }
            Source::Many(sessions) => sessions,
        };
        let user = user(extensions).ok_or_else(|| {
            Error::config(
                "the request names no user; add one with .with_extension(UserId::from(id)), or with RequestOptions::user",
            )
        })?;
        let (session, snapshot) = sessions.usable(user, limit).await?;
        Ok(SelectedToken { snapshot, session: Some(session) })
    }

    /// After a response that does not say that the token is good: sends the request again where that may help.
    async fn after_refusal<S: SendRequest>(
        &self,
        response: Response,
        SelectedToken { snapshot, session }: SelectedToken,
        sent: Sent,
        (handling, deadline): (Handling, Deadline),
        extensions: &mut Extensions,
        send: S,
    ) -> Result<Response, RequestError<S::Error>> {
        let driver = match (&session, &self.source) {
            (Some(driver), _) => driver,
            (None, Source::One(session)) => &session.0,
            (None, Source::Many(_)) => return Ok(annotate(response, &snapshot, extensions, false)),
        };
        let (asked, replay) = sent.into_parts();
        let (origins, verdict, redirects) = (self.origins.as_ref(), &self.verdict, 0);
        let mut exchange = Exchange {
            origins,
            verdict,
            placement: &self.placement,
            asked,
            replay,
            snapshot,
            deadline,
            extensions,
            send,
            redirects,
        };
        let mut response = exchange.follow(response).await?;
        // What the store brings may have been rejected before; what a renewal brings is tried once.
        let mut is_last = false;
        while exchange.is_token_rejected(&response) {
            if is_last {
                break;
            }
            let path = path_of(response.url());
            let (sent, can_replay) = (&exchange.snapshot, exchange.replay.is_some());
            let limit = deadline.left_to_wait();
            let another = match driver.rejected(sent, path, can_replay, limit).await {
                Err(error) if handling.goes_bare_after(&error) => {
                    return exchange.replay_bare(response).await;
                }
                another => another?,
            };
            let Some(another) = another else { break };
            is_last = another.provenance != Provenance::Adopted;
            exchange.snapshot = another;
            response = exchange.replay(response).await?;
            let is_rejected = exchange.is_token_rejected(&response);
            if is_rejected || !self.verdict.is_refusal(&response) {
                driver.replayed(&exchange.snapshot, path_of(response.url()), is_rejected);
            }
        }
        let is_accepted = !self.verdict.is_refusal(&response);
        Ok(annotate(response, &exchange.snapshot, exchange.extensions, is_accepted))
    }
}

impl Session {
    /// Sends the request with this session's token, and does for it all that [`Api`] says: for programs
    /// without `reqwest_middleware`. `http` is a `&reqwest::Client`, or another [`SendRequest`].
    ///
    /// The token goes to the origin of the request's URL, and nowhere else, over TLS (loopback excepted).
    /// So the URL has to be yours: one that came from elsewhere (a link in a response, say) gets the token
    /// wherever it leads. For those list the origins, with [`api`](Self::api)
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
    /// [`RequestError::Token`] for those of the renewal, and with [`Error::is_config`] for a URL that must
    /// not carry a token: plain http, user info. [`RequestError::Send`] for those of `http`.
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
    /// [`Error::is_config`] where an origin is no origin, or is plain http and not loopback.
    pub fn api<O>(&self, origins: O) -> Result<Api, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        Ok(self.with_origins(Some(origins.try_into()?)))
    }

    fn with_origins(&self, origins: Option<Origins>) -> Api {
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

impl UserSessions {
    /// An API that takes the users' tokens: the listed origins (`"https://api.example"`), and no others.
    /// For one user's requests without it, see [`for_user`](Self::for_user) and [`Session::execute`]
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] where an origin is no origin, or is plain http and not loopback.
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

/// A token to send.
struct SelectedToken {
    snapshot: Arc<Snapshot>,
    /// Whose it is; `None`: the one session's.
    session: Option<Arc<Driver>>,
}

/// Leaves the marks of an answer: the token was accepted, its update is offered.
#[inline(always)]
fn annotate(
    mut response: Response,
    snapshot: &Arc<Snapshot>,
    extensions: &mut Extensions,
    is_accepted: bool,
) -> Response {
    if is_accepted {
        snapshot.mark_accepted(|| path_of(response.url()));
    }
    if snapshot.has_update() {
        offer_update(&mut response, snapshot, extensions);
    }
    response
}

/// What a session remembers of a path: a hash of origin and path. Nobody can choose paths that collide.
#[cold]
fn path_of(url: &Url) -> NonZeroU64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let hash = KEYS.hash_one(&url[..Position::AfterPath]);
    NonZeroU64::new(hash).unwrap_or(NonZeroU64::MIN)
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("origins", &self.origins)
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}

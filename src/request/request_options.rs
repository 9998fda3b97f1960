//! `RequestOptions`: options for one request.

use std::time::Duration;

use http::Extensions;

use super::replay_body::ReplayBody;
use crate::error::Error;
use crate::session::Target;
use crate::sessions::UserId;

/// Options for one request: an extension of requests through `OAuthMiddleware`, and an argument of
/// [`Session::execute_with`](crate::Session::execute_with) and
/// [`Api::execute_with`](crate::Api::execute_with).
///
/// ```no_run
/// # async fn f(http: reqwest_middleware::ClientWithMiddleware) -> reqwest_middleware::Result<()> {
/// use reqwest_oauth2::{RequestOptions, SentWithoutToken};
///
/// let options = RequestOptions::new().token_if_any();
/// let response = http.get("https://api.example/posts").with_extension(options).send().await?;
/// let is_anonymous = response.extensions().get::<SentWithoutToken>().is_some();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct RequestOptions {
    user: Option<UserId>,
    replay_body: Option<ReplayBody>,
    target: Option<Target>,
    handling: Handling,
}

/// What a request's path needs to know from its beginning.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Handling {
    pub(super) token: TokenUse,
    pub(super) is_sent_once: bool,
    pub(super) longest_wait: Option<Duration>,
    /// Whether the token is for another target than that of the session's handle.
    pub(super) has_target: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum TokenUse {
    #[default]
    Always,
    IfAny,
    Never,
}

/// The extension of a response to a request with [`RequestOptions::token_if_any`] that went out without a
/// token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentWithoutToken;

impl RequestOptions {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The request gets no token, and passes unchanged.
    #[must_use]
    pub fn no_token(mut self) -> Self {
        self.handling.token = TokenUse::Never;
        self
    }

    /// The request gets a token if there is one. If there is none (nobody is logged in, the login has ended,
    /// or the request names no user), it goes out without one, and its response carries
    /// [`SentWithoutToken`].
    ///
    /// If a renewal or the store fails for another reason, that is still an error, because there may be a
    /// login.
    #[must_use]
    pub fn token_if_any(mut self) -> Self {
        self.handling.token = TokenUse::IfAny;
        self
    }

    /// The request is sent only once, whatever the response. After a 401 that a new token may cure, the
    /// next request renews.
    #[must_use]
    pub fn send_once(mut self) -> Self {
        self.handling.is_sent_once = true;
        self
    }

    /// How long the request waits for a token, all its waits together: for the first token, and for another
    /// after a 401. After that the error is [`Error::is_timeout`](crate::Error::is_timeout); the renewal
    /// goes on. By default, and at most, as long as the request's own timeout and the session allow.
    #[must_use]
    pub fn wait_at_most(mut self, wait: Duration) -> Self {
        self.handling.longest_wait = Some(wait);
        self
    }

    /// Whose token the request carries, through [`UserSessions`](crate::UserSessions). A [`UserId`]
    /// extension of the request takes precedence.
    #[must_use]
    pub fn user(mut self, user: impl Into<UserId>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The request carries a token for this resource
    /// ([RFC 8707 §2.2](https://www.rfc-editor.org/rfc/rfc8707#section-2.2)), from the same login, as
    /// through [`Session::for_resource`](crate::Session::for_resource). It replaces the resource of the
    /// session's handle; the scope of the handle stays.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it is no absolute URI or has a fragment. In a session with a grant the
    /// request's own error says so.
    pub fn resource(mut self, resource: impl AsRef<str>) -> Result<Self, Error> {
        self.handling.has_target = true;
        self.target = Some(self.target.unwrap_or_default().with_resources([resource])?);
        Ok(self)
    }

    /// The request carries a token with this scope: names separated by spaces
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)). As
    /// [`Session::with_scope`](crate::Session::with_scope): it replaces the scope of the session's handle;
    /// the resource of the handle stays. May be combined with [`resource`](Self::resource).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it is empty or has characters that no scope has.
    pub fn scope(mut self, scope: impl AsRef<str>) -> Result<Self, Error> {
        self.handling.has_target = true;
        self.target = Some(self.target.unwrap_or_default().with_scope(scope.as_ref())?);
        Ok(self)
    }

    /// How the request's body is made again. A [`ReplayBody`] extension of the request takes precedence.
    #[must_use]
    pub fn replay_body(mut self, body: ReplayBody) -> Self {
        self.replay_body = Some(body);
        self
    }
}

impl Handling {
    #[inline]
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get().map_or_else(Self::default, |options: &RequestOptions| options.handling)
    }

    /// Whether the request goes out without a token, since there is none.
    pub(super) fn goes_bare_after(&self, error: &Error) -> bool {
        self.token == TokenUse::IfAny && error.is_reauthorization_required()
    }
}

/// Whose token the request carries.
#[inline]
pub(super) fn user(extensions: &Extensions) -> Option<&UserId> {
    extensions.get().or_else(|| extensions.get::<RequestOptions>()?.user.as_ref())
}

/// What the request's token is to be for.
pub(super) fn target(extensions: &Extensions) -> Option<&Target> {
    extensions.get::<RequestOptions>()?.target.as_ref()
}

pub(super) fn replay_body(extensions: &Extensions) -> Option<&ReplayBody> {
    extensions.get().or_else(|| extensions.get::<RequestOptions>()?.replay_body.as_ref())
}

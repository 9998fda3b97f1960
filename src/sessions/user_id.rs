//! `UserId`.

use std::fmt;
use std::sync::Arc;

/// Whose token a request carries: an extension of requests through
/// [`UserSessions::middleware`](crate::UserSessions::middleware).
///
/// The application's own name for the user: an id that never changes. Cheap to clone.
///
/// ```no_run
/// # async fn f(http: reqwest_middleware::ClientWithMiddleware) -> reqwest_middleware::Result<()> {
/// use reqwest_oauth2::UserId;
///
/// http.get("https://api.example/me").with_extension(UserId::from("alice")).send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserId(pub(crate) Arc<str>);

impl UserId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for UserId {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UserId").field(&self.as_str()).finish()
    }
}

//! `User`.

use std::fmt;
use std::sync::Arc;

/// Whose token a request carries: an extension of requests through
/// [`Sessions::middleware`](crate::Sessions::middleware).
///
/// The application's own name for the user: an id that never changes. Cheap to clone.
///
/// ```no_run
/// # async fn f(http: reqwest_middleware::ClientWithMiddleware) -> reqwest_middleware::Result<()> {
/// use reqwest_oauth2::User;
///
/// http.get("https://api.example/me").with_extension(User::from("alice")).send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct User(pub(crate) Arc<str>);

impl User {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for User {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("User").field(&self.as_str()).finish()
    }
}

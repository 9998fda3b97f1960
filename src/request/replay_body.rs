//! `ReplayBody`: a stream that can be made again.

use std::fmt;
use std::sync::Arc;

use reqwest::Body;

/// Makes a request's body again, so that a request with a stream can be sent again after a 401. Add it to
/// the request as an extension.
///
/// A stream can be read only once, so without this the caller gets the 401. This can also happen to a
/// request that is running while the token is renewed, if the provider ends the old access token at once.
///
/// ```no_run
/// # async fn f(http: reqwest_middleware::ClientWithMiddleware) -> reqwest_middleware::Result<()> {
/// use reqwest::Body;
/// use reqwest_oauth2::ReplayBody;
///
/// # fn upload() -> Body { Body::from("") }
/// // `upload` makes the stream: it opens the file, say.
/// let body = ReplayBody::new(upload);
/// http.post("https://api.example/files").body(body.make()).with_extension(body).send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReplayBody(Arc<dyn Fn() -> Body + Send + Sync>);

impl ReplayBody {
    /// `make` makes the body. It is called each time that the request is sent again, in the request's
    /// task, so it must not block.
    pub fn new(make: impl Fn() -> Body + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    /// The body, from its beginning.
    pub fn make(&self) -> Body {
        (self.0)()
    }
}

impl fmt::Debug for ReplayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody").finish_non_exhaustive()
    }
}

//! New tokens for applications that save them by themselves (requests-oauthlib's second way).

use std::fmt;
use std::sync::Arc;

use http::Extensions;
use tokio::sync::watch;

use super::snapshot::Snapshot;
use crate::token::Token;

/// New tokens of a session, as they come into use; from
/// [`Session::subscribe`](crate::Session::subscribe).
pub struct TokenUpdates(pub(super) watch::Receiver<Option<Arc<Token>>>);

impl TokenUpdates {
    /// Waits for the next new token; `None` once the session is gone. If several came since the
    /// last call, only the newest is returned.
    ///
    /// # Cancellation
    ///
    /// Safe: nothing is missed by dropping the future.
    pub async fn next(&mut self) -> Option<Token> {
        loop {
            self.0.changed().await.ok()?;
            if let Some(token) = &*self.0.borrow_and_update() {
                return Some(Token::clone(token));
            }
        }
    }
}

impl fmt::Debug for TokenUpdates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenUpdates").finish_non_exhaustive()
    }
}

/// The new token, as an extension of the first response after a renewal, for applications that save
/// it without a saver (requests-oauthlib's `TokenUpdated`).
///
/// Only one request gets it. If a retrying layer outside sends that request again with the same
/// extensions, each of its responses carries it.
///
/// ```no_run
/// # async fn f(http: reqwest_middleware::ClientWithMiddleware) -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest_oauth2::TokenUpdated;
///
/// let response = http.get("https://provider.com/secret").send().await?;
/// if let Some(TokenUpdated(token)) = response.extensions().get() {
///     std::fs::write("token.json", serde_json::to_vec(token)?)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TokenUpdated(pub Token);

/// Shows the update on the response, if the request is the first one that could, or one that has done so
/// before: a retrying layer may have dropped that response. A request is known by its extensions, which are
/// there until it is over.
#[cold]
pub(crate) fn offer_update(
    of_response: &mut Extensions,
    snapshot: &Arc<Snapshot>,
    extensions: &mut Extensions,
) {
    if snapshot.take_update() {
        extensions.insert(Offer(Arc::new(Offered(snapshot.clone()))));
    }
    let is_offered = extensions.get().is_some_and(|Offer(offer)| offer.0.is_of(snapshot));
    if let Some(token) = snapshot.token().filter(|_| is_offered) {
        of_response.insert(TokenUpdated((**token).clone()));
    }
}

/// In the extensions of the request whose responses show the update.
#[derive(Clone)]
struct Offer(Arc<Offered>);

struct Offered(Arc<Snapshot>);

impl Drop for Offered {
    /// The request is over.
    fn drop(&mut self) {
        self.0.end_update();
    }
}

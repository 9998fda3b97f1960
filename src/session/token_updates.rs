//! New tokens for applications that save them by themselves (requests-oauthlib's second way).

use std::fmt;
use std::sync::Arc;

use http::Extensions;
use tokio::sync::watch;

use super::snapshot::Snapshot;
use crate::token::Token;

/// Sends new tokens to subscribers.
///
/// A token is numbered under the session's lock, and sent after operators have been told of it, without the
/// lock. By then another thread may have sent a newer one, which stays.
#[derive(Clone)]
pub(super) struct UpdateSender(watch::Sender<Newest>);

/// The newest token that was sent.
#[derive(Default)]
pub(super) struct Newest {
    token: Option<Arc<Token>>,
    number: u64,
    /// The last number that was given to a token.
    last: u64,
}

impl UpdateSender {
    pub(super) fn new() -> Self {
        Self(watch::Sender::default())
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Newest> {
        self.0.subscribe()
    }

    /// The number of a token that has just come into use.
    pub(super) fn number(&self) -> u64 {
        let mut number = 0;
        self.0.send_if_modified(|newest| {
            newest.last += 1;
            number = newest.last;
            false
        });
        number
    }

    pub(super) fn send(&self, number: u64, token: Arc<Token>) {
        self.0.send_if_modified(|newest| {
            let is_newer = number > newest.number;
            if is_newer {
                (newest.token, newest.number) = (Some(token), number);
            }
            is_newer
        });
    }
}

/// New tokens of a session, as they come into use; from
/// [`Session::subscribe`](crate::Session::subscribe).
pub struct TokenUpdates(pub(super) watch::Receiver<Newest>);

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
            if let Some(token) = &self.0.borrow_and_update().token {
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
/// A request for [another resource](crate::Session::for_resource) gets the login's token too, with the access
/// tokens of all resources in it: it is what is to be saved.
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

//! `BrowserLogin`: a person's login in a browser, under way.

use std::fmt;

use crate::client::OAuthClient;
use crate::error::Error;
use crate::login::PendingLogin;
use crate::token::Token;

/// A person's login in a browser, under way; see [`ResourceLogin::in_browser`](super::ResourceLogin::in_browser)
/// ([RFC 6749 §4.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1)).
#[derive(Clone)]
pub struct BrowserLogin {
    pub(super) pending: PendingLogin,
    pub(super) client: OAuthClient,
}

impl BrowserLogin {
    /// Where to send the browser. It holds the state: do not log it.
    pub fn url(&self) -> &str {
        self.pending.url()
    }

    /// Finishes the login with the callback URL: see [`PendingLogin::finish`]. After
    /// [`Error::is_callback`] wait for another callback: anybody can have sent that one.
    ///
    /// # Errors
    ///
    /// As [`PendingLogin::finish`].
    pub async fn finish(&self, callback: impl AsRef<str>) -> Result<Token, Error> {
        self.pending.clone().finish(&self.client, callback).await
    }
}

impl fmt::Debug for BrowserLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserLogin").field("client", &self.client).finish_non_exhaustive()
    }
}

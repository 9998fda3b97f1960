//! `Session`: the handle that applications hold.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::HeaderValue;

use super::driver::Driver;
use super::machine::Target;
use super::operations::runtime;
use super::{KeepFreshGuard, Snapshot, TokenUpdates};
use crate::error::Error;
use crate::token::Token;

/// One login, or a service's own access: it renews and saves its token by itself
/// ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
///
/// Cheap to clone; clones are the same session. Nothing runs in the background until the first
/// renewal (or [`keep_fresh`](Self::keep_fresh)). Dropping the last handle does not stop a running
/// renewal or save.
#[derive(Clone)]
pub struct Session(pub(crate) Arc<Driver>, pub(crate) Target);

impl Session {
    /// A token that may be used now, for WebSockets, gRPC metadata and the like. Returns at once
    /// while the token is valid, and after a renewal if it has expired
    /// ([RFC 6749 §1.4](https://www.rfc-editor.org/rfc/rfc6749#section-1.4)).
    ///
    /// # Errors
    ///
    /// Those of the renewal; [`Error::is_expired`] in a [`manual_refresh`](crate::SessionBuilder::manual_refresh) session.
    ///
    /// # Cancellation
    ///
    /// Safe: a renewal goes on without the caller.
    pub async fn token(&self) -> Result<Token, Error> {
        token_of(&*self.0.usable(&self.1, None).await?)
    }

    /// The `Authorization` header of a token that is neither expired nor due, ready to send and marked
    /// sensitive; `None` otherwise. For code that cannot await, such as a gRPC interceptor. Use it
    /// together with [`keep_fresh`](Self::keep_fresh), or fall back to [`token`](Self::token)
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    #[inline]
    pub fn header(&self) -> Option<HeaderValue> {
        if self.1.is_own() {
            return self.0.fresh_header();
        }
        self.0.fresh_for(&self.1)?.header.clone()
    }

    /// The current token, expired or not, without any renewal. `None` if there is none yet.
    pub fn current_token(&self) -> Option<Token> {
        let snapshot = self.0.present(&self.1)?;
        snapshot.header.as_ref().and(snapshot.token()).map(|token| Token::clone(token))
    }

    /// When the login ends by itself, which is when its refresh token expires, if the provider says so
    /// (`refresh_token_expires_in`, `refresh_expires_in`, `x_refresh_token_expires_in`, or a date:
    /// [`Token::refresh_token_expires_at`]). Otherwise `None`. A provider may move it with each renewal.
    ///
    /// From then on the session asks for reauthorization ([`Error::is_reauthorization_required`]) once the
    /// access token has expired, without a request to the provider. With a
    /// [grant](crate::SessionBuilder::grant) it asks that instead. The session does not treat the login as
    /// ended for good: this machine's clock may be wrong, and the session continues when the clock is
    /// corrected.
    pub fn login_expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.published.load().token()?.refresh_token_expires_at()
    }

    /// Renews now, or joins the renewal under way, and returns the new token
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)). During the wait after a failed
    /// attempt it returns that failure at once. With a [store](crate::SessionBuilder::store), it takes a
    /// token that another process has stored since this session last looked.
    ///
    /// # Errors
    ///
    /// Those of the renewal: [`Error::is_reauthorization_required`], [`Error::is_transient`].
    ///
    /// # Cancellation
    ///
    /// Safe: the renewal goes on without the caller.
    pub async fn refresh(&self) -> Result<Token, Error> {
        let than = self.0.served(&self.1);
        token_of(&*self.0.another(&self.1, than.as_ref()).await?)
    }

    /// For applications that send requests themselves: call it when a response rejects this token (a 401, or
    /// what the API says instead), to get another token to try again with. The first call renews; later
    /// calls for the same token get the token that the first one brought
    /// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
    ///
    /// `None` if another renewal would not help: this token itself came from a renewal after a
    /// rejection, within the last minute (up to an hour if that goes on), so the token is not the
    /// reason. Also `None` if nothing renews this token and the [store](crate::SessionBuilder::store) has
    /// no other one, and in a [`manual_refresh`](crate::SessionBuilder::manual_refresh) session.
    ///
    /// # Errors
    ///
    /// Those of the renewal.
    ///
    /// # Cancellation
    ///
    /// Safe: the renewal goes on without the caller.
    pub async fn renew_rejected(&self, rejected: &Token) -> Result<Option<Token>, Error> {
        let another = self.0.renew_rejected(&self.1, rejected).await?;
        another.map(|snapshot| token_of(&snapshot)).transpose()
    }

    /// As [`renew_rejected`](Self::renew_rejected), but nothing is asked for now: this token is out of use,
    /// and the next request that needs one gets another
    /// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)). A token that is not the
    /// present one any more, however late the call, takes nothing out of use.
    ///
    /// False if no other token is to be had, as `None` there, or since nothing renews this one: then it stays
    /// in use. With a [store](crate::SessionBuilder::store) another process may have stored another one; if
    /// the next request finds none there, a token that nothing renews is used again. So is one that an API
    /// has accepted from the session's clients, while renewals fail. To renew whatever became of the token,
    /// call [`refresh`](Self::refresh).
    ///
    /// It takes no time, and needs no runtime. Nothing is saved or stored: sessions in other processes go on
    /// with the token, and so does this one after a restart. What is under way goes on.
    ///
    /// ```
    /// # async fn f(session: reqwest_oauth2::Session) -> Result<(), reqwest_oauth2::Error> {
    /// let token = session.token().await?;
    /// // The API says in a message of its own that the token is not good any more.
    /// if !session.mark_rejected(&token) {
    ///     println!("a new token does not help");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn mark_rejected(&self, rejected: &Token) -> bool {
        self.0.mark_rejected(&self.1, rejected)
    }

    /// Starts a new login with this token: saves it, then uses it
    /// ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)). An earlier failure no
    /// longer counts. A renewal of the earlier login that is still running has no effect on the new
    /// one. The same token again changes nothing while it is being renewed, also by another session that shares
    /// the [store](crate::SessionBuilder::store), or while the token that its renewal has brought is not saved
    /// yet: what was saved before may have been read.
    ///
    /// With a [store](crate::SessionBuilder::store) all processes get the new login. Of two calls at the
    /// same time, the one that reaches the store last wins.
    ///
    /// # Errors
    ///
    /// [`Error::is_save`] in a session with [`strict_saving`](crate::SessionBuilder::strict_saving), if the
    /// token is not saved yet: saving is tried again, and the token is used once it is saved. Outside a
    /// Tokio runtime the call fails and changes nothing.
    ///
    /// # Cancellation
    ///
    /// The login begins when the future is first polled. If it is dropped before that, nothing changes.
    /// After that it is safe to drop: saving goes on without the caller.
    pub async fn set_token(&self, token: Token) -> Result<(), Error> {
        self.0.set_token(token).await
    }

    /// The new tokens from now on, as they come into use. Includes tokens in which only the refresh
    /// token is new (see [`TokenSaver`](crate::TokenSaver)).
    pub fn subscribe(&self) -> TokenUpdates {
        TokenUpdates(self.0.subscribe())
    }

    /// Renews the token when it is due even if no request is made, until the returned guard is
    /// dropped. This is one task, and it does not keep the session alive. Once the login has ended, it looks into
    /// the [store](crate::SessionBuilder::store) for the next one every half minute.
    ///
    /// # Errors
    ///
    /// Outside a Tokio runtime.
    pub fn keep_fresh(&self) -> Result<KeepFreshGuard, Error> {
        Ok(KeepFreshGuard::start(&self.0, &self.1, &runtime()?))
    }

    /// The last save error while the newest token is unsaved, or an error that says that saving takes
    /// longer than [`save_wait_timeout`](crate::SessionBuilder::save_wait_timeout). `None` if the
    /// token is saved, if the first attempt is running, or without a saver or store.
    pub fn save_error(&self) -> Option<Error> {
        self.0.save_error()
    }

    /// Ends the login: requests get an error that asks for reauthorization, until
    /// [`set_token`](Self::set_token). Deletes what was saved
    /// ([`on_sign_out`](crate::SessionBuilder::on_sign_out)), then revokes the refresh token and the access
    /// token at the provider ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)), if a
    /// [`revocation_endpoint`](crate::OAuthClient::revocation_endpoint) is known. Tokens that a renewal brings
    /// meanwhile are revoked too. A provider that does not revoke access tokens (`unsupported_token_type`) is
    /// no error: they expire by themselves.
    ///
    /// With a [store](crate::SessionBuilder::store) the login ends for all processes, and the stored token
    /// is revoked. The record stays, without a token, and tells the other processes that the login has
    /// ended. They find out when they next look into the store: when their token is due, expired or rejected
    /// (after the revocation the provider rejects it).
    ///
    /// [`sign_out_locally`](Self::sign_out_locally) does the same whatever the provider answers.
    ///
    /// # Errors
    ///
    /// The login has ended here in any case. [`Error::is_save`] if what was saved is not deleted yet: it
    /// is tried again, and with a store the tokens are revoked then, also if the next login has begun
    /// meanwhile. An error of the provider if it did not revoke a token, which is then still
    /// valid there: call this again, after [`Error::retry_after`] if the provider named it.
    ///
    /// # Cancellation
    ///
    /// The sign-out begins when the future is first polled. From then on it goes on without the caller.
    pub async fn sign_out(&self) -> Result<(), Error> {
        self.0.sign_out().await
    }

    /// As [`sign_out`](Self::sign_out), but does not wait for the revocation, and does not fail if the
    /// provider cannot be reached or refuses to revoke. The tokens are revoked in the background, with one
    /// attempt ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)); with
    /// [`foreground`](crate::SessionBuilder::foreground) the call waits for that attempt.
    ///
    /// If the attempt fails, the tokens stay valid at the provider until they expire. The event
    /// `sign_out_failed` says so, and [`sign_out`](Self::sign_out), called later, tries again. Before the
    /// process ends, [`shutdown`](Self::shutdown) waits for the attempt.
    ///
    /// # Errors
    ///
    /// [`Error::is_save`] if what was saved is not deleted yet: it is tried again. The login has ended here
    /// all the same.
    ///
    /// # Cancellation
    ///
    /// The sign-out begins when the future is first polled. From then on it goes on without the caller.
    pub async fn sign_out_locally(&self) -> Result<(), Error> {
        self.0.sign_out_locally().await
    }

    /// Waits for renewals and saves that are running, and tries once more to save what is not saved
    /// yet. Call it before the runtime ends: a renewal that is cut off after the provider has
    /// answered loses the login.
    ///
    /// Waits no longer than one renewal may take, even if no thread drives the runtime that the
    /// renewal runs on.
    ///
    /// # Errors
    ///
    /// [`Error::is_save`] if the newest token could still not be saved.
    ///
    /// # Cancellation
    ///
    /// Safe: renewal and save go on while the runtime lives.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.0.shut_down().await
    }
}

fn token_of(snapshot: &Snapshot) -> Result<Token, Error> {
    let token = snapshot.token().map(|token| Token::clone(token));
    token.ok_or_else(|| Error::config("the session has no usable access token"))
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.0.published.load();
        f.debug_struct("Session")
            .field("client", &self.0.config.client)
            .field("token", &snapshot.token())
            .finish_non_exhaustive()
    }
}

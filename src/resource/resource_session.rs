//! `ResourceSession`: bare until the API asks, then one login at a time.
//!
//! Each login is a [`Session`] of its own, with its own client: what one authorization server issued is
//! never shown to another.
//!
//! # Concurrency
//!
//! Requests read the present login behind an `ArcSwap`: no lock, no wait. A login replaces it at its end, so
//! others go on with the present one meanwhile. Who goes away takes nothing with it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::flights::Flight;
use super::need::Need;
use super::present_login::{Usable, differ};
use super::shared_session::SharedSession;
use crate::error::{Error, Kind};
use crate::origin::Origins;
use crate::session::{Driver, Provenance, Session, Snapshot, Target};

/// A session for an API that says by itself who may issue its tokens
/// ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)). From
/// [`OAuthClient::for_resource`], or from [`Session::on_challenge`].
///
/// Requests go to the API bare until it asks for a token. Then somebody logs in, and the request is sent
/// again; one login at a time, whatever the number of requests. From then on it is a [`Session`], which
/// renews and saves its token. When the API asks for more (a wider scope, a stronger login), or when only a
/// new login helps, that begins again; other requests go on with the current token meanwhile. A request
/// has somebody log in three times at most, and not twice for the same.
///
/// The token goes to the resource's URL, and to what is below it. Cheap to clone; clones are the same
/// session.
#[derive(Clone)]
pub struct ResourceSession(Arc<SharedSession>);

impl ResourceSession {
    pub(super) fn new(shared: SharedSession) -> Self {
        Self(Arc::new(shared))
    }

    /// The present login, also one in the store; `None` if nobody is logged in.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn session(&self) -> Result<Option<Session>, Error> {
        Ok(self.0.login().await?.map(|login| login.session.clone()))
    }

    /// Logs in now, as if the API had asked for a token; returns at once where somebody is logged in.
    ///
    /// # Errors
    ///
    /// Those of the login.
    ///
    /// # Cancellation
    ///
    /// Safe: the login goes on without the caller.
    pub async fn log_in(&self) -> Result<Session, Error> {
        if self.usable(self.target(), None).await?.is_none() {
            self.authorize(&Need::login(), &Arc::new(Snapshot::empty()), None).await?;
        }
        let session = self.session().await?;
        session.ok_or_else(|| Error::config("the login was replaced by none"))
    }

    /// Ends the login: see [`Session::sign_out`]. The next request is sent bare.
    ///
    /// # Errors
    ///
    /// As [`Session::sign_out`]; those of the store.
    pub async fn sign_out(&self) -> Result<(), Error> {
        match self.session().await? {
            Some(session) => session.sign_out().await,
            None => Ok(()),
        }
    }

    /// Waits for what is under way: see [`Session::shutdown`]. A login that is under way is not waited for.
    ///
    /// # Errors
    ///
    /// As [`Session::shutdown`].
    pub async fn shutdown(&self) -> Result<(), Error> {
        match &*self.0.present.load() {
            Some(login) => login.session.shutdown().await,
            None => Ok(()),
        }
    }

    /// Where its token goes: the resource's URL, and what is below it. For
    /// [`redirect_policy_within`](crate::redirect_policy_within).
    pub fn origins(&self) -> &Origins {
        &self.0.origins
    }

    pub(crate) fn is_foreground(&self) -> bool {
        self.0.is_foreground
    }

    /// The present login, if it is in memory.
    pub(crate) fn present(&self) -> Option<Arc<Driver>> {
        self.0.present.load().as_ref().map(|login| login.session.0.clone())
    }

    /// A token that may be used; `None` if only a new login brings one.
    pub(crate) async fn usable(
        &self,
        target: &Target,
        limit: Option<Duration>,
    ) -> Result<Option<Usable>, Error> {
        let Some(login) = self.0.login().await? else { return Ok(None) };
        login.usable(target, limit).await
    }

    /// Whether only a new login helps after this error of the current one.
    pub(crate) fn is_over(&self, error: &Error) -> bool {
        match &*self.0.present.load() {
            Some(login) => login.is_over(error),
            None => error.is_reauthorization_required(),
        }
    }

    /// What tokens are for, unless a request says otherwise: what the login is for.
    pub(crate) fn target(&self) -> &Target {
        &self.0.target
    }

    /// What a response to this token asks for that somebody could log in for.
    pub(crate) fn asked_by(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        sent: &Snapshot,
    ) -> Option<Need> {
        let need = Need::of_response(status, headers, sent.token().map(|token| &**token))?;
        (!self.0.flights.is_in_vain(&need.aim)).then_some(need)
    }

    /// A login for this did not help.
    pub(crate) fn was_in_vain(&self, need: Need) {
        self.0.flights.was_in_vain(need.aim);
    }

    /// Another token than the one that was sent: of a login that somebody else has made meanwhile, or of a
    /// new one. And whether that login was for this very need: then another one for it would not help.
    pub(crate) async fn authorize(
        &self,
        need: &Need,
        sent: &Arc<Snapshot>,
        limit: Option<Duration>,
    ) -> Result<Option<(Usable, bool)>, Error> {
        let waiting = self.authorized(need, sent);
        match limit {
            None => waiting.await,
            Some(limit) => tokio::time::timeout(limit, waiting)
                .await
                .unwrap_or_else(|_| Err(Error::new(Kind::WaitTimeout(limit)))),
        }
    }

    async fn authorized(
        &self,
        need: &Need,
        sent: &Arc<Snapshot>,
    ) -> Result<Option<(Usable, bool)>, Error> {
        loop {
            // A login for the very same is waited for: its token may be in use before it has ended.
            if let Some(flight) = self.0.flights.under_way(&need.aim) {
                return self.landed(flight).await;
            }
            if let Some(other) = self.other_than(sent).await? {
                let (_, snapshot) = &other;
                let is_of_login = snapshot.provenance == Provenance::Given;
                let is_for_this = is_of_login && self.0.flights.was_for(&need.aim);
                return Ok(Some((other, is_for_this)));
            }
            let flight = self.0.flight(need, sent)?;
            if flight.aim == need.aim {
                return self.landed(flight).await;
            }
            // What another request wanted may fail for reasons of its own.
            let _ = flight.outcome.await;
        }
    }

    /// The token that a login brings, and whether somebody was asked for it.
    async fn landed(&self, flight: Flight) -> Result<Option<(Usable, bool)>, Error> {
        let was_asked = flight.outcome.await?;
        let usable = self.usable(self.target(), None).await?;
        Ok(usable.map(|usable| (usable, was_asked)))
    }

    /// The present token, if it is another one than this.
    async fn other_than(&self, sent: &Snapshot) -> Result<Option<Usable>, Error> {
        let Some(login) = self.0.present.load_full() else { return Ok(None) };
        let usable = login.usable(self.target(), None).await?;
        Ok(usable.filter(|(_, snapshot)| differ(snapshot, sent)))
    }
}

impl fmt::Debug for ResourceSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = self.0.present.load();
        f.debug_struct("ResourceSession")
            .field("origins", &self.0.origins)
            .field("session", &present.as_ref().map(|login| &login.session))
            .finish_non_exhaustive()
    }
}

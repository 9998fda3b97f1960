//! `ResourceSession`: no token until the API asks for one, then one login at a time.
//!
//! Each login is a [`Session`] of its own, with its own client: what one authorization server issued is
//! never shown to another.
//!
//! # Concurrency
//!
//! - Requests read the current login behind an `ArcSwap`: no lock, no wait.
//! - A request that goes away does not stop a login ([`flights`](super::flights)).
//! - A new login replaces the current one when it is complete. Until then other requests use the
//!   current one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::need::Need;
use super::present_login::{Usable, differ, is_over};
use super::shared_session::SharedSession;
use crate::error::{Error, Kind};
use crate::origin::Origins;
use crate::session::{Driver, Provenance, Session, Snapshot, Target, runtime};

/// How often a request begins a login again that was lost with its runtime.
const MOST_LOSSES: usize = 8;

/// A session for an API that names its authorization server
/// ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)). From [`OAuthClient::for_resource`](crate::OAuthClient::for_resource), or
/// from [`Session::on_challenge`].
///
/// Requests go to the API without a token until it asks for one. Then a login begins, and the request is
/// sent again; there is one login at a time, however many requests wait. From then on a [`Session`] renews
/// and saves the token. When the API asks for more (a wider scope, a stronger login), or only a new login
/// helps, another login begins; other requests use the current token meanwhile. A request causes at most
/// three logins, and never two for the same demand. If what is stored of a login cannot be read, it is as if
/// nobody had logged in, and a new login replaces it.
///
/// The token goes to the resource's URL, and to URLs below it. Cheap to clone; clones are the same
/// session.
#[derive(Clone)]
pub struct ResourceSession(Arc<SharedSession>);

impl ResourceSession {
    pub(super) fn new(shared: SharedSession) -> Self {
        Self(Arc::new(shared))
    }

    /// The current login, from memory or the store; `None` if nobody is logged in.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn session(&self) -> Result<Option<Session>, Error> {
        Ok(self.0.login().await?.map(|login| login.session.clone()))
    }

    /// Logs in now, as if the API had asked for a token, also if a login has failed within the last minute.
    /// Returns at once if somebody is logged in, and what is stored of the login can be read. The API's metadata
    /// is read where an earlier challenge said, else at the well-known locations: for an API that only says it
    /// in its challenge, send a request instead.
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
            let (need, none) = (Need::login(), Arc::new(Snapshot::empty()));
            self.0.flights.forget(&need.aim);
            self.authorize(&need, self.target(), &none, None).await?;
        }
        let session = self.session().await?;
        session.ok_or_else(|| Error::config("the login is gone, and there is no new one"))
    }

    /// Ends the login: see [`Session::sign_out`]. The next request is sent without a token.
    ///
    /// # Errors
    ///
    /// As [`Session::sign_out`]; those of the store. If what is stored does not say which client the login belongs
    /// to, nothing can be revoked: this is an error, and nothing changes.
    pub async fn sign_out(&self) -> Result<(), Error> {
        match self.session().await? {
            Some(session) => session.sign_out().await,
            None => Ok(()),
        }
    }

    /// Waits for running renewals and saves: see [`Session::shutdown`]. Does not wait for a login.
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

    /// Where its token goes: the resource's URL, and URLs below it. For
    /// [`redirect_policy_within`](crate::redirect_policy_within).
    pub fn origins(&self) -> &Origins {
        &self.0.origins
    }

    pub(crate) fn is_foreground(&self) -> bool {
        self.0.is_foreground
    }

    /// The current login, if it is in memory.
    pub(crate) fn present(&self) -> Option<Arc<Driver>> {
        self.0.present.load().as_ref().map(|login| login.session.0.clone())
    }

    /// A token that may be used; `None` if only a new login brings one.
    pub(crate) async fn usable(
        &self,
        target: &Target,
        limit: Option<Duration>,
    ) -> Result<Option<Usable>, Error> {
        let began = Instant::now();
        match within(limit, self.0.login()).await {
            Ok(Some(login)) => {
                let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
                login.usable(target, left).await
            }
            Ok(None) => Ok(None),
            Err(error) if is_over(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether only another login helps after this error of one, which may have been replaced meanwhile.
    pub(crate) fn is_over(&self, login: &Arc<Driver>, error: &Error) -> bool {
        match &*self.0.present.load() {
            Some(present) if Arc::ptr_eq(&present.session.0, login) => present.is_over(error),
            Some(_) => true,
            None => is_over(error),
        }
    }

    /// What tokens are for, unless a request says otherwise: what the login is for.
    pub(crate) fn target(&self) -> &Target {
        &self.0.target
    }

    /// What a response to this token for this target asks for that somebody could log in for.
    pub(crate) fn asked_by(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        target: &Target,
        sent: &Snapshot,
    ) -> Option<Need> {
        let need = Need::of_response(status, headers, sent.token().map(|token| &**token))?;
        // No login changes the scope that a request names itself.
        let may_help = !need.is_for_scope() || !target.names_scope();
        (may_help && !self.0.flights.is_in_vain(&need.aim)).then_some(need)
    }

    /// A login for this did not help.
    pub(crate) fn was_in_vain(&self, need: Need) {
        self.0.flights.was_in_vain(need.aim);
    }

    /// Another token for this target than the one that was sent: from a login that another request made
    /// meanwhile, or from a new login. And whether that login was for this same need: then another one would not
    /// help. `None`: the login has brought no such token.
    pub(crate) async fn authorize(
        &self,
        need: &Need,
        target: &Target,
        sent: &Arc<Snapshot>,
        limit: Option<Duration>,
    ) -> Result<Option<(Usable, bool)>, Error> {
        runtime()?;
        within(limit, self.authorized(need, target, sent)).await
    }

    async fn authorized(
        &self,
        need: &Need,
        target: &Target,
        sent: &Arc<Snapshot>,
    ) -> Result<Option<(Usable, bool)>, Error> {
        let mut losses = 0;
        loop {
            // Wait for a login for the same need: its token may be in use before the login has ended.
            let flight = match self.0.flights.under_way(&need.aim) {
                Some(flight) => flight,
                None => {
                    if let Some(other) = self.other_than(sent, target).await? {
                        let (_, snapshot) = &other;
                        let is_of_login = snapshot.provenance == Provenance::Given;
                        let is_for_this = is_of_login && self.0.flights.was_for(&need.aim);
                        return Ok(Some((other, is_for_this)));
                    }
                    self.0.flight(need, sent)?
                }
            };
            let is_for_this = flight.aim == need.aim;
            match self.0.flights.outcome(flight).await {
                Some(outcome) if is_for_this => return self.landed(need, target, outcome?).await,
                // The login of another request may fail for a reason that does not concern this one.
                Some(_) => {}
                None if losses == MOST_LOSSES => return Err(Error::new(Kind::Runtime)),
                None => losses += 1,
            }
        }
    }

    /// The token that a login brings, and whether somebody was asked for it.
    async fn landed(
        &self,
        need: &Need,
        target: &Target,
        was_asked: bool,
    ) -> Result<Option<(Usable, bool)>, Error> {
        let usable = self.usable(target, None).await?;
        if usable.is_none() && was_asked {
            // Otherwise each request would ask again.
            self.0.flights.was_in_vain(need.aim.clone());
        }
        Ok(usable.map(|usable| (usable, was_asked)))
    }

    /// The current token for this target, if it is another one than this.
    async fn other_than(&self, sent: &Snapshot, target: &Target) -> Result<Option<Usable>, Error> {
        let Some(login) = self.0.present.load_full() else { return Ok(None) };
        let usable = login.usable(target, None).await?;
        Ok(usable.filter(|(_, snapshot)| differ(snapshot, sent)))
    }
}

/// What it comes to, or an error if that takes longer than the caller waits.
async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let Some(limit) = limit else { return work.await };
    runtime()?;
    let late = || Err(Error::new(Kind::WaitTimeout(limit)));
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| late())
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

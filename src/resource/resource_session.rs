//! `ResourceSession`: bare until the API asks, then one login at a time.
//!
//! Each login is a [`Session`] of its own, with its own client: what one authorization server issued is
//! never shown to another.
//!
//! # Concurrency
//!
//! - Requests read the current login behind an `ArcSwap`: no lock, no wait.
//! - One login is under way at a time, in a task of its own that all who want one wait for. Who goes away
//!   takes nothing with it. The lock is held for looks only, never across an await.
//! - A login replaces the current one at its end, so others go on with that meanwhile.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::asked::{Asked, Authorize, Authorized};
use super::builder::SetUp;
use super::kept::{Keeper, KeptClient};
use crate::challenge::{Challenge, may_new_token_help};
use crate::client::{HttpClient, OAuthClient, Provider};
use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::origin::Origins;
use crate::session::{Driver, Session, Snapshot, Target};
use crate::step_up::{StepUp, scope_union};
use crate::store::TokenStore;

/// How long a person may take, everything around it included.
const LONGEST_LOGIN: Duration = Duration::from_secs(15 * 60);
/// How long the same is not asked again after a login that failed or did not help.
const QUIET: Duration = Duration::from_secs(60);

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
pub struct ResourceSession(Arc<Inner>);

pub(super) struct Inner {
    pub(super) url: Url,
    pub(super) origins: Origins,
    pub(super) authorize: Arc<dyn Authorize>,
    pub(super) store: Option<Arc<dyn TokenStore>>,
    pub(super) user: Arc<str>,
    pub(super) set_up: SetUp,
    pub(super) http: Option<HttpClient>,
    pub(super) clock: Clock,
    pub(super) is_foreground: bool,
    pub(super) target: Target,
    pub(super) keeper: Keeper,
    pub(super) present: ArcSwapOption<Login>,
    /// Whether it was looked for in the store. Held while somebody looks.
    pub(super) restored: tokio::sync::Mutex<bool>,
    pub(super) state: Mutex<State>,
}

/// A login, and the client that it was issued to.
pub(super) struct Login {
    session: Session,
    client: OAuthClient,
    /// The provider does not know the client any more.
    is_unknown: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    flight: Option<Flight>,
    /// What was asked, and what came of it: an error, or nothing that helped.
    quiet: Option<(Aim, Option<Error>, Instant)>,
}

#[derive(Clone)]
struct Flight {
    aim: Aim,
    outcome: Shared<BoxFuture<'static, Result<(), Error>>>,
}

/// What a response asks for. Two are the same if their aims are.
#[derive(Clone)]
pub(crate) struct Need {
    aim: Aim,
    challenge: Option<Challenge>,
    scope: Option<String>,
}

impl PartialEq for Need {
    fn eq(&self, other: &Self) -> bool {
        self.aim == other.aim
    }
}

#[derive(Clone, PartialEq)]
enum Aim {
    /// A token that is accepted.
    Login,
    Scope(Option<String>),
    /// `acr_values` and `max_age`.
    Authentication(Option<String>, Option<Duration>),
}

/// A token of the current login.
pub(crate) type Usable = (Arc<Driver>, Arc<Snapshot>);

impl ResourceSession {
    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
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
            let need = Need { aim: Aim::Login, challenge: None, scope: None };
            self.authorize(&need, &Arc::new(Snapshot::empty()), None).await?;
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
        usable(&login, target, limit).await
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
        let granted = sent.token().and_then(|token| token.scope());
        let need = match StepUp::asked_by(status, headers, granted) {
            Some(asked) => Need::of(&asked, granted)?,
            // A 401 that is not about the token is nobody's to log in for.
            None if status == StatusCode::UNAUTHORIZED
                && (sent.token().is_none() || may_new_token_help(headers)) =>
            {
                let mut challenges = Challenge::all(headers);
                let is_ours = |one: &Challenge| {
                    ["bearer", "dpop"].iter().any(|ours| one.scheme().eq_ignore_ascii_case(ours))
                };
                let ours = challenges.iter().position(is_ours).map(|at| challenges.swap_remove(at));
                let scope = ours.as_ref().and_then(Challenge::scope);
                let scope = scope_union([granted, scope]);
                Need { aim: Aim::Login, challenge: ours, scope }
            }
            None => return None,
        };
        let in_vain = self.0.state().is_quiet(&need.aim).is_some_and(|error| error.is_none());
        (!in_vain).then_some(need)
    }

    /// A login for this did not help.
    pub(crate) fn was_in_vain(&self, need: Need) {
        self.0.state().quiet = Some((need.aim, None, Instant::now()));
    }

    /// Another token than the one that was sent: of a login that somebody else has made meanwhile, or of a
    /// new one.
    pub(crate) async fn authorize(
        &self,
        need: &Need,
        sent: &Arc<Snapshot>,
        limit: Option<Duration>,
    ) -> Result<Option<Usable>, Error> {
        let waiting = self.authorized(need, sent);
        match limit {
            None => waiting.await,
            Some(limit) => tokio::time::timeout(limit, waiting)
                .await
                .unwrap_or_else(|_| Err(Error::new(Kind::WaitTimeout(limit)))),
        }
    }

    async fn authorized(&self, need: &Need, sent: &Arc<Snapshot>) -> Result<Option<Usable>, Error> {
        loop {
            if let Some(other) = self.other_than(sent).await? {
                return Ok(Some(other));
            }
            let flight = self.flight(need)?;
            let outcome = flight.outcome.clone().await;
            // What another request wanted may have failed for reasons of its own.
            if flight.aim == need.aim {
                outcome?;
                return self.usable(self.target(), None).await;
            }
        }
    }

    /// The current token, if it is another one than this.
    async fn other_than(&self, sent: &Snapshot) -> Result<Option<Usable>, Error> {
        let present = self.0.present.load_full();
        let Some(login) = present else { return Ok(None) };
        let text = |snapshot: &Snapshot| snapshot.token().map(|one| one.access_token().to_owned());
        let usable = usable(&login, self.target(), None).await?;
        Ok(usable.filter(|(_, snapshot)| text(snapshot) != text(sent)))
    }

    /// The login under way, or a new one for this.
    fn flight(&self, need: &Need) -> Result<Flight, Error> {
        let mut state = self.0.state();
        if let Some(flight) = &state.flight {
            return Ok(flight.clone());
        }
        if let Some(Some(error)) = state.is_quiet(&need.aim) {
            return Err(error.clone());
        }
        let (inner, for_what) = (self.0.clone(), need.clone());
        let work = async move {
            let aim = for_what.aim.clone();
            let outcome = inner.log_in(for_what).await;
            let mut state = inner.state();
            state.flight = None;
            state.quiet =
                outcome.as_ref().err().map(|error| (aim, Some(error.clone()), Instant::now()));
            outcome
        };
        let flight = Flight { aim: need.aim.clone(), outcome: work.boxed().shared() };
        state.flight = Some(flight.clone());
        drop(state);
        let runtime = tokio::runtime::Handle::try_current();
        runtime.map_err(|_| Error::new(Kind::Runtime))?.spawn(flight.outcome.clone());
        Ok(flight)
    }
}

impl Need {
    /// `None`: nothing is asked for that was not granted.
    fn of(asked: &StepUp, granted: Option<&str>) -> Option<Self> {
        let challenge = asked.challenge();
        let aim = match challenge.error() {
            Some(error) if error.eq_ignore_ascii_case("insufficient_scope") => {
                let wanted = challenge.scope();
                if wanted.is_some()
                    && granted.is_some()
                    && asked.scope() == scope_union([granted]).as_deref()
                {
                    return None;
                }
                Aim::Scope(wanted.map(str::to_owned))
            }
            _ => {
                Aim::Authentication(challenge.acr_values().map(str::to_owned), challenge.max_age())
            }
        };
        Some(Self {
            aim,
            challenge: Some(challenge.clone()),
            scope: asked.scope().map(str::to_owned),
        })
    }
}

impl State {
    /// What came of the same a short while ago.
    fn is_quiet(&self, aim: &Aim) -> Option<&Option<Error>> {
        let (_, error, _) = self
            .quiet
            .as_ref()
            .filter(|(quiet, _, since)| quiet == aim && since.elapsed() < QUIET)?;
        Some(error)
    }
}

async fn usable(
    login: &Login,
    target: &Target,
    limit: Option<Duration>,
) -> Result<Option<Usable>, Error> {
    let driver = &login.session.0;
    match driver.usable(target, limit).await {
        Ok(snapshot) => Ok(Some((driver.clone(), snapshot))),
        Err(error) if login.is_over(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Login {
    /// Whether only a new login helps after this error. One is that the provider does not know a client any
    /// more that registered itself: its secret has expired, or the registration is gone.
    fn is_over(&self, error: &Error) -> bool {
        let is_unknown = self.client.registration().is_some() && error.has_code("invalid_client");
        if is_unknown {
            self.is_unknown.store(true, Ordering::Relaxed);
        }
        is_unknown || error.is_reauthorization_required()
    }
}

impl Inner {
    /// No invariant spans the fields, so a poisoned lock is no harm.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present login; the one in the store, if nobody has looked there yet.
    async fn login(&self) -> Result<Option<Arc<Login>>, Error> {
        if let Some(login) = self.present.load_full() {
            return Ok(Some(login));
        }
        let mut restored = self.restored.lock().await;
        if !*restored {
            self.restore().await?;
            *restored = true;
        }
        Ok(self.present.load_full())
    }

    async fn restore(&self) -> Result<(), Error> {
        let Some(kept) = self.keeper.client(self.url.as_str(), &self.user).await? else {
            return Ok(());
        };
        let client = self.client_of(kept).and_then(|client| self.authorize.restore(client));
        // What cannot be used any more is asked for anew.
        if let Ok(client) = client {
            self.present.store(Some(Arc::new(self.login_of(client))));
        }
        Ok(())
    }

    fn client_of(&self, kept: KeptClient) -> Result<OAuthClient, Error> {
        let provider = Provider::of_kept(kept.provider, self.http.clone())?;
        let client = match kept.registration {
            Some(registration) => provider.registered_client(&registration)?,
            None => provider.client(kept.client_id),
        };
        Ok(kept.resources.into_iter().fold(client, OAuthClient::resource))
    }

    fn login_of(&self, client: OAuthClient) -> Login {
        let client = client.with_clock(self.clock.clone());
        let mut builder = (self.set_up)(Session::builder(client.clone()));
        if self.is_foreground {
            builder = builder.foreground();
        }
        if let Some(store) = &self.store {
            builder = builder.store(store.clone(), self.user.clone());
        }
        Login { session: builder.build(), client, is_unknown: AtomicBool::new(false) }
    }

    /// Has somebody log in, and goes on with that.
    async fn log_in(&self, need: Need) -> Result<(), Error> {
        let before = self.present.load_full();
        let asked = Asked {
            url: self.url.clone(),
            challenge: need.challenge,
            scope: need.scope,
            client: before.as_ref().map(|login| login.client.clone()),
            is_client_unknown: before
                .as_ref()
                .is_some_and(|login| login.is_unknown.load(Ordering::Relaxed)),
            http: self.http.clone(),
            clock: self.clock.clone(),
            keeper: self.keeper.clone(),
        };
        let call = AssertUnwindSafe(async { self.authorize.authorize(asked).await }).catch_unwind();
        let Authorized { client, token } = match tokio::time::timeout(LONGEST_LOGIN, call).await {
            Ok(Ok(outcome)) => outcome?,
            Ok(Err(_)) => return Err(Error::new(Kind::Panicked("the login for a resource"))),
            Err(_) => return Err(Error::new(Kind::GrantTimeout(LONGEST_LOGIN))),
        };
        // A store that is down costs the next process a login, not this one.
        match self.keep(&client).await {
            Err(error) if !error.is_store() => return Err(error),
            _ => {}
        }
        let login = match before.filter(|login| is_same(&login.client, &client)) {
            Some(same) => same,
            None => Arc::new(self.login_of(client)),
        };
        // A token that cannot be saved is used from memory, and saving goes on.
        let saved = login.session.set_token(token).await;
        if let Err(error) = saved
            && !error.is_save()
            && !error.is_store()
        {
            return Err(error);
        }
        self.present.store(Some(login));
        Ok(())
    }

    /// Keeps which client the login belongs to, before its token is stored.
    async fn keep(&self, client: &OAuthClient) -> Result<(), Error> {
        let Some(provider) = client.provider() else { return Ok(()) };
        let kept = KeptClient {
            client_id: client.client_id().to_owned(),
            registration: client.registration().cloned(),
            resources: client.resources(),
            provider: provider.kept(),
        };
        self.keeper.keep_client(self.url.as_str(), &self.user, &kept).await
    }
}

/// Whether the same provider knows both as the same application.
fn is_same(one: &OAuthClient, other: &OAuthClient) -> bool {
    one.identity() == other.identity()
        && one.client_id() == other.client_id()
        && one.resources() == other.resources()
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

//! `SharedSession`: what the clones of a [`ResourceSession`](super::ResourceSession) share: how it was set up,
//! and the current login.
//!
//! # Concurrency
//!
//! One request searches the store for a login; the others wait, but not longer than a search takes: no thread may
//! drive the runtime of the one that searches. A login that was made meanwhile is never replaced by a stored one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::asked::{Asked, Authorize, Authorized};
use super::builder::SetUp;
use super::flights::{Flight, Flights, Outcome};
use super::kept::{Keeper, KeptClient};
use super::need::{Aim, Need, names};
use super::present_login::{PresentLogin, differ};
use crate::client::{HttpClient, OAuthClient, Provider};
use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::grant::Grant;
use crate::origin::Origins;
use crate::session::{Session, Snapshot, Target, runtime};
use crate::store::TokenStore;

/// How long a person may take, everything around it included.
const LONGEST_LOGIN: Duration = Duration::from_secs(15 * 60);

/// No search of the store takes longer, unless no thread drives its runtime.
const LONGEST_SEARCH: Duration = Duration::from_secs(10);

pub(super) struct SharedSession {
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
    pub(super) present: ArcSwapOption<PresentLogin>,
    /// Whether the store was searched for it.
    pub(super) is_restored: AtomicBool,
    /// Held during the search.
    pub(super) restoring: tokio::sync::Mutex<()>,
    pub(super) flights: Flights,
}

impl SharedSession {
    /// The current login, or the stored one if the store was not searched yet.
    pub(super) async fn login(&self) -> Result<Option<Arc<PresentLogin>>, Error> {
        if let Some(login) = self.present.load_full() {
            return Ok(Some(login));
        }
        if !self.is_restored.load(Ordering::Acquire) {
            runtime()?;
            let _restoring = timeout(LONGEST_SEARCH, self.restoring.lock()).await;
            if !self.is_restored.load(Ordering::Acquire)
                && let Some(login) = self.kept_login().await?
            {
                self.present.compare_and_swap(&None::<Arc<PresentLogin>>, Some(Arc::new(login)));
            }
            self.is_restored.store(true, Ordering::Release);
        }
        Ok(self.present.load_full())
    }

    /// The stored login; none if it cannot be used any more.
    async fn kept_login(&self) -> Result<Option<PresentLogin>, Error> {
        let Some(kept) = self.keeper.client(self.url.as_str(), &self.user).await? else {
            return Ok(None);
        };
        let (metadata, issued_for) = (kept.resource_metadata.clone(), kept.issued_for.clone());
        let client = self.client_of(kept).and_then(|client| self.authorize.restore(client));
        let login = |client| self.login_of(client, None, issued_for, metadata).restored();
        Ok(client.ok().map(login))
    }

    fn client_of(&self, kept: KeptClient) -> Result<OAuthClient, Error> {
        let provider = Provider::of_kept(kept.provider, self.http.clone())?;
        let client = match kept.registration {
            Some(registration) => provider.registered_client(&registration)?,
            None => provider.client(kept.client_id),
        };
        Ok(kept.resources.into_iter().fold(client, OAuthClient::resource))
    }

    fn login_of(
        &self,
        client: OAuthClient,
        grant: Option<Arc<dyn Grant>>,
        issued_for: Vec<(String, String)>,
        metadata: Option<String>,
    ) -> PresentLogin {
        let client = client.with_clock(self.clock.clone());
        let mut builder = (self.set_up)(Session::builder(client.clone()));
        builder = builder.issued_for(issued_for.clone());
        if let Some(grant) = grant {
            builder = builder.shared_grant(grant);
        }
        if self.is_foreground {
            builder = builder.foreground();
        }
        if let Some(store) = &self.store {
            builder = builder.store(store.clone(), self.user.clone());
        }
        PresentLogin::new(builder.build(), client, issued_for, metadata)
    }

    /// The login under way, or a new one for this. `sent`: the token that is not enough.
    pub(super) fn flight(
        self: &Arc<Self>,
        need: &Need,
        sent: &Arc<Snapshot>,
    ) -> Result<Flight, Error> {
        self.flights.join_or_begin(&need.aim, || {
            let (shared, need, sent) = (self.clone(), need.clone(), sent.clone());
            async move { shared.log_in(need, &sent).await }
        })
    }

    /// Logs in, and uses that login from then on. Whether somebody was asked.
    async fn log_in(&self, need: Need, sent: &Snapshot) -> Outcome {
        if let Some(login) = self.made_elsewhere(&need.aim, sent).await {
            self.present.store(Some(Arc::new(login)));
            return Ok(false);
        }
        let before = self.present.load_full();
        let named = need.challenge.as_ref().and_then(|challenge| challenge.resource_metadata());
        let known_metadata = before.as_ref().and_then(|login| login.metadata.clone());
        let metadata = named.map(str::to_owned).or_else(|| known_metadata.clone());
        let asked = Asked {
            url: self.url.clone(),
            challenge: need.challenge,
            known_metadata,
            scope: need.scope,
            client: before.as_ref().map(|login| login.client.clone()),
            unknown_client: before.as_ref().and_then(|login| login.unknown_client()),
            stored_client: Arc::default(),
            http: self.http.clone(),
            clock: self.clock.clone(),
            keeper: self.keeper.clone(),
        };
        let until = Instant::now() + LONGEST_LOGIN;
        let again = asked.clone();
        let outcome = self.authorized(asked, metadata.clone(), before.clone(), sent, until).await;
        let is_refused = outcome.as_ref().is_err_and(Error::names_client);
        match again.registering_anew().filter(|_| is_refused) {
            // The provider may have forgotten what was registered long ago.
            Some(asked) => self.authorized(asked, metadata, before, sent, until).await,
            None => outcome,
        }
    }

    /// Has somebody log in for what is asked, and uses that login from then on.
    async fn authorized(
        &self,
        asked: Asked,
        metadata: Option<String>,
        before: Option<Arc<PresentLogin>>,
        sent: &Snapshot,
        until: Instant,
    ) -> Outcome {
        let authorized = timeout_at(until, self.authorize.authorize(asked)).await;
        let Authorized { client, token, grant } =
            authorized.unwrap_or_else(|_| Err(Error::new(Kind::GrantTimeout(LONGEST_LOGIN))))?;
        // If the store is down, the next process needs a new login; this one does not.
        let issued_for = grant.as_ref().map(|grant| grant.issued_for()).unwrap_or_default();
        match self.keep(&client, issued_for.clone(), metadata.clone()).await {
            Err(error) if !error.is_store() => return Err(error),
            _ => {}
        }
        let same = before.filter(|login| {
            let is_known = login.unknown_client().is_none();
            grant.is_none() && is_known && login.is_of(&client, &issued_for)
        });
        let login = match same {
            Some(same) => {
                let (session, client) = (same.session.clone(), same.client.clone());
                PresentLogin::new(session, client, issued_for, metadata)
            }
            None => self.login_of(client, grant, issued_for, metadata),
        };
        // A token that cannot be saved is used from memory, and saving goes on.
        let saved = match token {
            Some(token) => login.session.set_token(token).await,
            None => first_token(&login.session, sent).await,
        };
        if let Err(error) = saved
            && !error.is_save()
            && !error.is_store()
        {
            return Err(error);
        }
        self.present.store(Some(Arc::new(login)));
        Ok(true)
    }

    /// A login that another process made meanwhile, if it is known to be enough: then nobody is asked.
    async fn made_elsewhere(&self, aim: &Aim, sent: &Snapshot) -> Option<PresentLogin> {
        self.store.as_ref()?;
        let login = self.kept_login().await.ok()??;
        let before = self.present.load_full();
        let same = before.filter(|before| before.is_of(&login.client, &login.issued_for));
        let found = login.session.0.stored_token().await?;
        let is_enough = match aim {
            // A session looks for a newer token by itself after a 401.
            Aim::Login => same.is_none(),
            Aim::Scope(wanted) => {
                let granted = found.token().and_then(|token| token.scope())?;
                wanted.as_ref()?.is_subset(&names(granted))
            }
            Aim::Authentication(..) => false,
        };
        // The client in memory has what the application has added to it.
        let login = match same {
            Some(same) => {
                let client = same.client.clone();
                self.login_of(client, None, login.issued_for, login.metadata).restored()
            }
            None => login,
        };
        // One that has expired, and that nothing renews, is none.
        let is_login = is_enough
            && differ(&found, sent)
            && !matches!(login.usable(&self.target, None).await, Ok(None));
        is_login.then_some(login)
    }

    /// Keeps which client the login belongs to, before its token is stored.
    async fn keep(
        &self,
        client: &OAuthClient,
        issued_for: Vec<(String, String)>,
        metadata: Option<String>,
    ) -> Result<(), Error> {
        let Some(provider) = client.provider() else { return Ok(()) };
        let kept = KeptClient {
            client_id: client.client_id().to_owned(),
            registration: client.registration().cloned(),
            resources: client.resources(),
            issued_for,
            resource_metadata: metadata,
            provider: provider.kept(),
        };
        self.keeper.keep_client(self.url.as_str(), &self.user, &kept).await
    }
}

/// Gets the first token of a session with a grant. The store may have one that the session could use, but the
/// one that was sent is not enough.
async fn first_token(session: &Session, sent: &Snapshot) -> Result<(), Error> {
    let token = session.token().await?;
    if sent.token().is_some_and(|sent| sent.access_token() == token.access_token()) {
        session.refresh().await?;
    }
    Ok(())
}

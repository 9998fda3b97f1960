//! `ResourceSessionBuilder`.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use url::Url;

use super::asked::Authorize;
use super::kept::Keeper;
use super::resource_session::ResourceSession;
use super::shared_session::SharedSession;
use crate::client::HttpClient;
use crate::clock::Clock;
use crate::error::Error;
use crate::origin::Origins;
use crate::session::{Session, SessionBuilder, Target};
use crate::store::TokenStore;

impl Session {
    /// A session for an API that names its authorization server. It sends requests without a token until
    /// the API asks for one, then calls `authorize` to log in, and uses that login from then on. See
    /// [`ResourceSession`].
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the URL is not https (loopback excepted), or has user info or a fragment.
    pub fn on_challenge(
        resource: impl AsRef<str>,
        authorize: impl Authorize,
    ) -> Result<ResourceSessionBuilder, Error> {
        ResourceSessionBuilder::new(resource.as_ref(), Arc::new(authorize))
    }
}

/// What each login's session is set up with.
pub(super) type SetUp = Arc<dyn Fn(SessionBuilder) -> SessionBuilder + Send + Sync>;

/// Sets a [`ResourceSession`] up.
#[must_use = "a builder does nothing until `build`"]
pub struct ResourceSessionBuilder {
    url: Url,
    origins: Origins,
    authorize: Arc<dyn Authorize>,
    store: Option<Arc<dyn TokenStore>>,
    user: Arc<str>,
    set_up: SetUp,
    http: Option<HttpClient>,
    clock: Clock,
    is_foreground: bool,
}

impl ResourceSessionBuilder {
    fn new(resource: &str, authorize: Arc<dyn Authorize>) -> Result<Self, Error> {
        let url = Url::parse(resource).map_err(|error| {
            Error::config(format!(
                "the resource is not an absolute URL ({error}); give one such as https://api.example/x"
            ))
        })?;
        if url.fragment().is_some() {
            return Err(Error::config("the resource has a fragment; leave it out"));
        }
        let mut listed = url.clone();
        listed.set_query(None);
        Ok(Self {
            origins: Origins::new([listed.as_str()])?,
            url,
            authorize,
            store: None,
            user: "".into(),
            set_up: Arc::new(|session| session),
            http: None,
            clock: Clock::default(),
            is_foreground: false,
        })
    }

    /// Keeps the login in a [store](crate::store), together with its client and the application's
    /// registrations, so that another process can continue without a new login. `user` is the
    /// application's own id for the user, which must never change. By default everything is only in
    /// memory.
    ///
    /// A client is stored only if it was made from the provider's metadata
    /// ([`Provider::client`](crate::Provider::client)). After a login with another one the next process asks
    /// `authorize` again.
    ///
    /// Each of these is a record of its own, so `FileStore::file`, which holds one, is not enough.
    pub fn store(mut self, store: impl TokenStore, user: impl Into<Arc<str>>) -> Self {
        self.store = Some(Arc::new(store));
        self.user = user.into();
        self
    }

    /// Settings for each login's session, such as `|session| session.refresh_lead(lead)`. Set no token, store,
    /// user or grant there: those of the login apply.
    pub fn configure_sessions(
        mut self,
        set_up: impl Fn(SessionBuilder) -> SessionBuilder + Send + Sync + 'static,
    ) -> Self {
        self.set_up = Arc::new(set_up);
        self
    }

    /// As [`SessionBuilder::foreground`], for command-line tools.
    pub fn foreground(mut self) -> Self {
        self.is_foreground = true;
        self
    }

    /// The HTTP client for metadata, registration and tokens; see
    /// [`Provider::discover_with`](crate::Provider::discover_with).
    pub fn http_client(mut self, http: impl Into<HttpClient>) -> Self {
        self.http = Some(http.into());
        self
    }

    /// The wall clock, for tests. By default the system's.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// The session. Nothing is sent and nothing is spawned.
    pub fn build(self) -> ResourceSession {
        let keeper = Keeper::new(self.store.clone());
        ResourceSession::new(SharedSession {
            url: self.url,
            origins: self.origins,
            authorize: self.authorize,
            store: self.store,
            user: self.user,
            set_up: self.set_up,
            http: self.http,
            clock: self.clock,
            is_foreground: self.is_foreground,
            target: Target::default(),
            keeper,
            present: Default::default(),
            is_restored: Default::default(),
            restoring: Default::default(),
            flights: Default::default(),
        })
    }
}

impl fmt::Debug for ResourceSessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceSessionBuilder")
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

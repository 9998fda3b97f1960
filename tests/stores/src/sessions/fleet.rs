//! `Fleet`: a provider that rotates refresh tokens, and the processes whose users log in with it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_oauth2::store::TokenStore;
use reqwest_oauth2::testing::{Counts, Provider};
use reqwest_oauth2::{Error, OAuthClient, SessionBuilder, Token, UserId, UserSessions};
use tokio::task::JoinHandle;

use crate::support::PATIENCE;

/// Long enough for a machine that is busy: a holder extends its lease after a third of it.
pub(super) const LEASE: Duration = Duration::from_secs(3);

/// A wall clock that only a test moves.
#[derive(Clone)]
pub(super) struct WallClock(Arc<Mutex<SystemTime>>);

impl WallClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }

    pub(super) fn forward(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }
}

pub(super) struct Fleet {
    pub(super) provider: Provider,
    pub(super) clock: WallClock,
    users: u128,
}

impl Fleet {
    pub(super) async fn new() -> Self {
        Self::of(Duration::from_secs(3600)).await
    }

    /// With tokens of another lifetime.
    pub(super) async fn of(lifetime: Duration) -> Self {
        let clock = WallClock(Arc::new(Mutex::new(SystemTime::now())));
        let builder = Provider::builder().lifetime(lifetime).rotation(true).reuse_detection(true);
        let providers = clock.clone();
        let provider = builder.clock(move || providers.now()).start().await.unwrap();
        Self { provider, clock, users: rand::random() }
    }

    /// Nobody else's user, also in a store that other tests have.
    pub(super) fn user(&self, name: &str) -> UserId {
        UserId::from(format!("{name} {:032x}", self.users))
    }

    pub(super) fn process(&self, store: impl TokenStore) -> Process {
        self.process_with(store, |session| session)
    }

    pub(super) fn process_with(
        &self,
        store: impl TokenStore,
        set_up: impl FnOnce(SessionBuilder) -> SessionBuilder,
    ) -> Process {
        self.process_ahead(store, Duration::ZERO, set_up)
    }

    /// One whose clock goes ahead.
    pub(super) fn process_ahead(
        &self,
        store: impl TokenStore,
        ahead: Duration,
        set_up: impl FnOnce(SessionBuilder) -> SessionBuilder,
    ) -> Process {
        let app = OAuthClient::new("foo", self.provider.token_url()).unwrap().secret("potato");
        let clock = self.clock.clone();
        let quick = |session: SessionBuilder| {
            let session = session
                .clock(move || clock.now() + ahead)
                .backoff(Duration::from_millis(20), Duration::from_millis(100))
                .save_wait_timeout(Duration::from_secs(1))
                .store_timeout(Duration::from_secs(1))
                .lease_ttl(LEASE);
            set_up(session)
        };
        let sessions = UserSessions::builder(app).store(store).configure_sessions(quick).build();
        let http = ClientBuilder::new(reqwest::Client::builder().no_proxy().build().unwrap())
            .with(sessions.middleware([self.provider.origin()]).unwrap())
            .build();
        Process { sessions, http, api: self.provider.api_url() }
    }

    /// A token of a new login, with all of its lifetime left.
    pub(super) fn token(&self, lifetime: u64) -> Token {
        let token: Token = serde_json::from_value(self.provider.log_in()).unwrap();
        token.with_expires_at((self.clock.now() + Duration::from_secs(lifetime)).into())
    }

    /// A user who has logged in, and whom all the processes have in memory.
    pub(super) async fn signed_in(&self, name: &str, processes: &[&Process]) -> UserId {
        let user = self.user(name);
        processes[0].sessions.sign_in(user.clone(), self.token(3600)).await.unwrap();
        for process in processes {
            process.get(&user).await.unwrap();
        }
        user
    }

    pub(super) fn counts(&self) -> Counts {
        self.provider.counts()
    }

    /// Every process serves every user in the end, asks nobody to log in again meanwhile, and all
    /// have the same token.
    pub(super) async fn all_is_well(&self, processes: &[&Process], users: &[&UserId]) {
        for user in users {
            for process in processes {
                process.served(user).await;
            }
            self.agree(processes, user).await;
        }
        self.nothing_twice().await;
    }

    /// Waits until all have the same token.
    async fn agree(&self, processes: &[&Process], user: &UserId) {
        until(async || {
            let mut tokens = vec![];
            for process in processes {
                tokens.push(process.served(user).await);
            }
            tokens.iter().all(|token| *token == tokens[0])
        })
        .await;
    }

    /// No refresh token was presented twice, and none was refused.
    pub(super) async fn nothing_twice(&self) {
        let counts = || self.counts();
        until(async || {
            counts().token_requests == counts().refreshes || counts().reuse_detected > 0
        })
        .await;
        assert_eq!(counts().reuse_detected, 0, "a refresh token was presented twice");
    }
}

#[derive(Clone)]
pub(super) struct Process {
    pub(super) sessions: UserSessions,
    http: ClientWithMiddleware,
    api: String,
}

impl Process {
    /// One request of the user's; it is answered with 200, or not sent.
    pub(super) async fn get(&self, user: &UserId) -> Result<(), Error> {
        match self.http.get(&self.api).with_extension(user.clone()).send().await {
            Ok(response) => {
                assert_eq!(response.status(), 200);
                Ok(())
            }
            Err(error) => Err(Error::find_in(&error).expect("ours").clone()),
        }
    }

    pub(super) fn getting(&self, user: &UserId) -> JoinHandle<Result<(), Error>> {
        let (process, user) = (self.clone(), user.clone());
        tokio::spawn(async move { process.get(&user).await })
    }

    /// Asks until there is an answer; the access token that it came for.
    pub(super) async fn served(&self, user: &UserId) -> String {
        let began = Instant::now();
        while let Err(error) = self.get(user).await {
            assert!(!error.is_reauthorization_required(), "a user is lost: {error:?}");
            assert!(error.is_transient(), "{error:?}");
            assert!(began.elapsed() < PATIENCE, "it does not heal: {error:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.uses(user)
    }

    /// The access token in memory.
    pub(super) fn uses(&self, user: &UserId) -> String {
        self.sessions.for_user(user.clone()).current_token().unwrap().access_token().to_owned()
    }

    pub(super) fn is_unsaved(&self, user: &UserId) -> bool {
        let error = self.sessions.for_user(user.clone()).save_error();
        assert!(error.as_ref().is_none_or(Error::is_save), "{error:?}");
        error.is_some()
    }

    pub(super) async fn saved(&self, user: &UserId) {
        until(async || !self.is_unsaved(user)).await;
    }
}

/// Asks until it is so.
pub(super) async fn until(is_so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "it does not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

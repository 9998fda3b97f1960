//! `Fleet`: a provider, and a store that the sessions of its clients share, as those of several
//! processes do.

use std::time::Duration;

use reqwest_oauth2::store::TokenKey;
use reqwest_oauth2::{Error, OAuthClient, Session, SessionBuilder, Token};
use serde_json::{Map, Value};
use tokio::task::JoinHandle;

use crate::faulty_store::FaultyStore;
use crate::support::World;

pub struct Fleet {
    pub world: World,
    pub store: FaultyStore,
}

impl Fleet {
    pub async fn new() -> Self {
        Self::of(World::new().await)
    }

    pub fn of(world: World) -> Self {
        Self { world, store: FaultyStore::default() }
    }

    pub fn key(&self) -> TokenKey {
        TokenKey::new(&self.world.provider.token_url(), "foo", "alice")
    }

    /// The session of another process: it knows what the store holds, and nothing else.
    pub fn sibling(&self) -> Session {
        self.builder().build()
    }

    pub fn builder(&self) -> SessionBuilder {
        self.world.session().store(self.store.clone(), "alice")
    }

    /// As [`builder`](Self::builder), of a client that can revoke tokens.
    pub fn revoking(&self) -> SessionBuilder {
        let url = self.world.provider.revocation_url();
        let app: OAuthClient = self.world.app().revocation_endpoint(url).unwrap();
        let session = Session::builder(app).clock(self.world.clock.reader());
        session.store(self.store.clone(), "alice")
    }

    /// Puts the token into the store, as after a login.
    pub async fn signed_in(&self, token: Token) {
        self.sibling().set_token(token).await.unwrap();
    }

    /// The stored token; `None` where there is no record, or one without a token.
    pub fn stored(&self) -> Option<Token> {
        let record = self.store.stored(&self.key())?;
        let members: Map<String, Value> = serde_json::from_str(record.json()).unwrap();
        members.contains_key("access_token").then(|| serde_json::from_str(record.json()).unwrap())
    }

    /// The stored record as JSON.
    pub fn document(&self) -> Value {
        serde_json::from_str(self.store.stored(&self.key()).unwrap().json()).unwrap()
    }

    /// What is stored beside the token.
    pub fn bookkeeping(&self) -> Value {
        self.document()["reqwest_oauth2"].clone()
    }

    /// Changes what is stored beside the token, as a session of another process might.
    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut document = self.document();
        change(&mut document["reqwest_oauth2"]);
        self.store.put(&self.key(), &document.to_string());
    }

    /// The milliseconds since 1970, by the test's wall clock.
    pub fn millis(&self) -> u64 {
        let since = self.world.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap();
        since.as_millis().try_into().unwrap()
    }

    pub fn token_requests(&self) -> u64 {
        self.world.provider.counts().token_requests
    }

    /// The provider was asked so often, and never with a refresh token that it had replaced.
    #[track_caller]
    pub fn assert_renewals(&self, expected: u64) {
        let counts = self.world.provider.counts();
        assert_eq!((counts.token_requests, counts.reuse_detected), (expected, 0));
    }

    /// The store holds this token, and the provider takes its refresh token.
    #[track_caller]
    pub fn assert_stored(&self, token: &Token) {
        let stored = self.stored().expect("no token is stored");
        assert_eq!(stored.access_token(), token.access_token());
        assert!(self.world.provider.accepts_refresh_token(stored.refresh_token().unwrap()));
    }

    /// The session's token, while the test goes on.
    pub fn ask(&self, session: &Session) -> JoinHandle<Result<Token, Error>> {
        let session = session.clone();
        tokio::spawn(async move { session.token().await })
    }

    /// Lets time pass, a little at a time, until the future is done.
    pub async fn meanwhile<F: Future>(&self, future: F) -> F::Output {
        let passing = async {
            loop {
                self.world.round_trips().await;
                tokio::time::advance(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            output = future => output,
            () = passing => unreachable!(),
        }
    }

    /// Lets time pass, a little at a time, so that each wait ends when it should.
    pub async fn pass_slowly(&self, seconds: f64) {
        let step = Duration::from_millis(50);
        let mut left = Duration::from_secs_f64(seconds);
        while !left.is_zero() {
            let step = step.min(left);
            tokio::time::advance(step).await;
            left -= step;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        self.world.round_trips().await;
    }
}

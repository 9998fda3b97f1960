//! `UserSessionsBuilder`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::UserSessions;
use super::cache::Cache;
use crate::client::OAuthClient;
use crate::session::{Session, SessionBuilder};
use crate::store::{MemoryStore, TokenStore};

/// How many users are in memory, unless the application says otherwise.
const CAPACITY: usize = 100_000;
/// How long an unused session stays in memory, unless the application says otherwise.
const IDLE: Duration = Duration::from_secs(3600);

/// Sets [`UserSessions`] up.
#[must_use = "a builder does nothing until `build`"]
pub struct UserSessionsBuilder {
    session: SessionBuilder,
    capacity: usize,
    idle: Duration,
}

impl UserSessionsBuilder {
    pub(super) fn new(client: OAuthClient) -> Self {
        let session = Session::builder(client).store(MemoryStore::new(), "");
        Self { session, capacity: CAPACITY, idle: IDLE }
    }

    /// Where the users' tokens are kept, and shared with other processes
    /// ([RFC 9700 §4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)). By default in this
    /// process's memory only.
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.session = self.session.store(store, "");
        self
    }

    /// Settings for each user's session, such as `|session|
    /// session.refresh_lead(lead).lease_ttl(time)`. A token, user or saver that the closure sets is
    /// ignored.
    pub fn configure_sessions(
        mut self,
        set_up: impl FnOnce(SessionBuilder) -> SessionBuilder,
    ) -> Self {
        self.session = set_up(self.session);
        self
    }

    /// How many users' sessions are in memory at most. When there are more, the least used ones are
    /// evicted, but never a session that renews, has an unsaved token, is held by the application, or is kept
    /// fresh ([`Session::keep_fresh`]).
    /// 100,000 by default; at least 1.
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.capacity = sessions.max(1);
        self
    }

    /// An unused session is dropped from memory after one to two times this duration, when another user is
    /// loaded. An hour by default.
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.idle = time;
        self
    }

    /// The sessions. Nothing is loaded and nothing is spawned.
    pub fn build(self) -> UserSessions {
        let cache = Cache::new(self.capacity, self.idle);
        UserSessions::new(Arc::new(self.session.into_config()), cache)
    }
}

impl fmt::Debug for UserSessionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSessionsBuilder")
            .field("capacity", &self.capacity)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

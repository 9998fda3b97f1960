//! The sessions that are in memory: bounded in number, idle ones dropped.
//!
//! A session starts among the vacant ones, which have no token, and moves to the loaded ones when it has
//! one. So requests for users who do not exist take no room from those who do, and what is known of a user
//! without a token (that there is none, or that the store or the provider failed) is remembered for a
//! moment all the same.
//!
//! # Concurrency
//!
//! - A session is made without I/O, and loads its token by its own first renewal, which however many
//!   requests share. So the cache is never locked across an await.
//! - A session that is busy (renewing, or with a token that is not saved yet) is never dropped, nor is one
//!   that somebody holds or keeps fresh: it may become busy, and `busy` has to know of it. So there may be
//!   more of them than the bound for a while. If its runtime has ended, it goes on when room is needed, and at a sweep.
//! - Order of locks: the cache's, then a session's. Nothing of a session calls the cache.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache as Bounded;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use tokio::time::Instant;

use super::UserId;
use crate::session::Driver;

/// Users without a token that are remembered, at most.
const VACANT: usize = 10_000;

type Entries = Bounded<UserId, Arc<Driver>, UnitWeighter, DefaultHashBuilder, PinNeeded>;

pub(super) struct Cache {
    loaded: Entries,
    vacant: Entries,
    idle: Duration,
    last_sweep: Mutex<Instant>,
}

impl Cache {
    pub(super) fn new(capacity: usize, idle: Duration) -> Self {
        let bounded = |capacity: usize| {
            let hasher = DefaultHashBuilder::default();
            Bounded::with(capacity, capacity as u64, UnitWeighter, hasher, PinNeeded)
        };
        Self {
            loaded: bounded(capacity),
            vacant: bounded(VACANT),
            idle,
            last_sweep: Mutex::new(Instant::now()),
        }
    }

    /// The session of a user who has a token; the hot path.
    #[inline]
    pub(super) fn get(&self, user: &UserId) -> Option<Arc<Driver>> {
        let session = self.loaded.get(user)?;
        session.mark_used();
        Some(session)
    }

    /// The user's session, made where there is none.
    pub(super) fn get_or_make(
        &self,
        user: &UserId,
        make: impl FnOnce() -> Arc<Driver>,
    ) -> Arc<Driver> {
        if let Some(session) = self.get(user) {
            return session;
        }
        self.sweep();
        let session = insert(&self.vacant, user, make);
        // It may have moved between the two looks.
        if let Some(loaded) = self.get(user) {
            drop(session);
            self.vacant.remove_if(user, |vacant| !is_needed(vacant));
            return loaded;
        }
        session.mark_used();
        session
    }

    /// Moves the session to the loaded ones, if it has a token.
    pub(super) fn settle(&self, user: &UserId, session: &Arc<Driver>) {
        if !session.is_vacant() {
            self.keep(user, session);
        }
    }

    /// Moves the session to the loaded ones.
    pub(super) fn keep(&self, user: &UserId, session: &Arc<Driver>) {
        if self.loaded.get(user).is_some() {
            return;
        }
        insert(&self.loaded, user, || session.clone());
        self.vacant.remove_if(user, |vacant| Arc::ptr_eq(vacant, session));
    }

    /// Drops the user's session, unless it is needed.
    pub(super) fn remove(&self, user: &UserId) {
        for entries in [&self.loaded, &self.vacant] {
            entries.remove_if(user, |session| !is_needed(session));
        }
    }

    /// How many sessions have a token.
    pub(super) fn len(&self) -> usize {
        self.loaded.len()
    }

    pub(super) fn busy(&self) -> Vec<Arc<Driver>> {
        let all = self.loaded.iter().chain(self.vacant.iter());
        all.map(|(_, session)| session).filter(|session| session.is_busy()).collect()
    }

    /// Drops what nobody has used since the last sweep, if that was long enough ago: what is idle for
    /// once to twice the time that was set.
    fn sweep(&self) {
        {
            let mut last = self.last_sweep.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() < self.idle {
                return;
            }
            *last = Instant::now();
        }
        for entries in [&self.loaded, &self.vacant] {
            entries.retain(|_, session| session.was_used() || is_needed(session));
        }
    }
}

fn insert(entries: &Entries, user: &UserId, make: impl FnOnce() -> Arc<Driver>) -> Arc<Driver> {
    let made = || Ok::<_, Infallible>(make());
    let Ok(session) = entries.get_or_insert_with(user, made);
    session
}

/// Whether it is busy, or somebody besides the cache holds it, or keeps it fresh: such a guard holds it weakly.
fn is_needed(session: &Arc<Driver>) -> bool {
    session.resume() || Arc::strong_count(session) > 1 || Arc::weak_count(session) > 0
}

/// Keeps sessions that are needed from being dropped for room.
#[derive(Clone)]
struct PinNeeded;

impl Lifecycle<UserId, Arc<Driver>> for PinNeeded {
    type RequestState = ();

    fn is_pinned(&self, _: &UserId, session: &Arc<Driver>) -> bool {
        is_needed(session)
    }
}

//! The sessions that are in memory: bounded in number, idle ones dropped.
//!
//! # Concurrency
//!
//! - A session is made without I/O, and loads its token by its own first renewal, which however many
//!   requests share. So the cache is never locked across an await.
//! - A session that is busy (renewing, or with a token that is not saved yet) is never dropped. If all
//!   are busy, there are more of them than the bound for a while.
//! - Order of locks: the cache's, then a session's. Nothing of a session calls the cache.
//! - A session that was dropped while somebody still holds it goes on for them; the next request makes
//!   another, and the store keeps the two from presenting a refresh token twice.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache as Bounded;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use tokio::time::Instant;

use super::UserId;
use crate::session::Core;

pub(super) struct Cache {
    entries: Bounded<UserId, Arc<Core>, UnitWeighter, DefaultHashBuilder, KeepBusy>,
    idle: Duration,
    swept: Mutex<Instant>,
}

impl Cache {
    pub(super) fn new(capacity: usize, idle: Duration) -> Self {
        let hasher = DefaultHashBuilder::default();
        let entries = Bounded::with(capacity, capacity as u64, UnitWeighter, hasher, KeepBusy);
        Self { entries, idle, swept: Mutex::new(Instant::now()) }
    }

    /// The user's session; the hot path.
    #[inline]
    pub(super) fn get(&self, user: &UserId) -> Option<Arc<Core>> {
        let core = self.entries.get(user)?;
        core.mark_used();
        Some(core)
    }

    /// The user's session, made where there is none.
    pub(super) fn get_or_make(&self, user: &UserId, make: impl FnOnce() -> Arc<Core>) -> Arc<Core> {
        if let Some(core) = self.get(user) {
            return core;
        }
        self.sweep();
        let made = || Ok::<_, std::convert::Infallible>(make());
        let Ok(core) = self.entries.get_or_insert_with(user, made);
        core.mark_used();
        core
    }

    /// Drops the user's session, unless it is busy.
    pub(super) fn remove(&self, user: &UserId) {
        self.entries.remove_if(user, |core| !core.is_busy());
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Drops what nobody has used since the last sweep, if that was long enough ago: what is idle for
    /// once to twice the time that was set.
    fn sweep(&self) {
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.elapsed() < self.idle {
                return;
            }
            *swept = Instant::now();
        }
        self.entries.retain(|_, core| core.was_used() || core.is_busy());
    }
}

/// Keeps busy sessions from being dropped for room.
#[derive(Clone)]
struct KeepBusy;

impl Lifecycle<UserId, Arc<Core>> for KeepBusy {
    type RequestState = ();

    fn is_pinned(&self, _: &UserId, core: &Arc<Core>) -> bool {
        core.is_busy()
    }
}

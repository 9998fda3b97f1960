//! `Settings`, and what the driver tells the machine: the moment, and facts about the tokens.

use std::time::{Duration, SystemTime};

use super::{Backoff, Target};

/// The moment of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// The monotonic clock, since some fixed instant.
    pub(crate) at: Duration,
    /// The wall clock.
    pub(crate) wall: SystemTime,
    /// A random draw: where jittered waits lie between their bounds.
    pub(crate) jitter: u32,
}

/// Where a token is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Use it.
    Fresh,
    /// Use it, and renew it in the background.
    Due,
    /// Renew it first.
    Expired,
}

/// What the machine needs to know about the tokens of a login: the refresh token, and an access token for
/// each of its targets.
pub(crate) trait Credential: Clone {
    /// Expired where there is none.
    fn stage(&self, target: &Target, wall: SystemTime) -> Stage;
    /// Whether there is an access token for the target.
    fn has(&self, target: &Target) -> bool {
        self.is_same(target, self)
    }
    /// Whether it has a refresh token.
    fn can_refresh(&self) -> bool;
    /// When the refresh token expires, as far as that is known.
    fn login_expires_at(&self) -> Option<SystemTime> {
        None
    }
    /// Whether the refresh token has little left of its life, or will have expired when the access token
    /// is due.
    fn login_expires_soon(&self, _wall: SystemTime) -> bool {
        false
    }
    /// Whether both have the same access token for the target.
    fn is_same(&self, target: &Target, other: &Self) -> bool;
    /// Whether both have the same access token of the login's own, and the same refresh token.
    fn is_identical(&self, other: &Self) -> bool {
        self.is_same(&Target::OWN, other)
    }
    /// Whether a token request of this session brought the access token for the target.
    fn is_renewed(&self, _target: &Target) -> bool {
        false
    }
}

/// Where new tokens go before they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// Nowhere: they live in memory.
    Memory,
    /// To the application's saver.
    Saver,
    /// Into a store that other sessions share.
    Store,
}

/// What the application chose, as far as decisions depend on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) home: Home,
    /// Whether there is a client that can present refresh tokens.
    pub(crate) has_client: bool,
    pub(crate) has_grant: bool,
    /// Whether the provider has a revocation endpoint.
    pub(crate) can_revoke: bool,
    pub(crate) manual_refresh: bool,
    pub(crate) strict_saving: bool,
    pub(crate) foreground: bool,
    pub(crate) renew_without_store: bool,
    pub(crate) lease: Duration,
    pub(crate) save_wait: Duration,
    /// The longest time of a refresh at the provider, including the second try.
    pub(crate) refresh_limit: Duration,
    /// The longest time of the grant.
    pub(crate) grant_limit: Duration,
    pub(crate) backoff: Backoff,
    /// The first and the longest wait between reads of another session's mark.
    pub(crate) looks: (Duration, Duration),
}

impl Settings {
    /// The longest time of one renewal at the provider.
    pub(super) fn attempt_limit(&self) -> Duration {
        self.refresh_limit.max(self.grant_limit)
    }

    /// How long a session waits for a renewal that others prevent.
    pub(crate) fn patience(&self) -> Duration {
        let siblings = if self.home == Home::Store { self.lease * 3 } else { Duration::ZERO };
        self.attempt_limit() + self.save_wait + siblings
    }

    /// For how long a read of the store counts as its current state.
    pub(super) fn moment(&self) -> Duration {
        self.backoff.shortest
    }
}

//! `Snapshot`: one token with all that a request needs of it, immutable.
//!
//! The hot path loads it, compares the clock with `freshness`, and clones `header`. Its only
//! mutable parts are two marks that requests leave on it, each set at most once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use http::HeaderValue;
use sha2::{Digest, Sha256};

use super::freshness::{Freshness, Policy};
use crate::clock;
use crate::observe;
use crate::token::Token;

/// Where the token of a snapshot came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The application gave it.
    Given,
    /// A renewal brought it.
    Renewed,
    /// A renewal brought it after the one before was rejected with a 401.
    RenewedAfterRejection,
    /// Another process put it into the store.
    Adopted,
}

impl Origin {
    fn is_renewal(self) -> bool {
        matches!(self, Self::Renewed | Self::RenewedAfterRejection)
    }
}

pub(crate) struct Snapshot {
    /// What requests carry; `None` where there is no access token, and then `freshness` is expired.
    pub(crate) header: Option<HeaderValue>,
    token: Option<Arc<Token>>,
    pub(crate) freshness: Freshness,
    /// Counts the tokens of the session; the same for the same token.
    pub(crate) generation: u64,
    /// A resource server said 401 to this token.
    pub(crate) rejected: bool,
    pub(crate) origin: Origin,
    /// A resource server took this token.
    accepted: AtomicBool,
    /// The update has been shown on a response.
    offered: AtomicBool,
}

/// What decides when a token is due.
pub(crate) struct Terms {
    pub(crate) policy: Policy,
    /// Whether the session has a grant; a token with a refresh token needs none.
    pub(crate) has_grant: bool,
    pub(crate) now: SystemTime,
}

impl Snapshot {
    pub(crate) fn empty(generation: u64) -> Self {
        Self::build(None, None, Freshness::expired(), generation, Origin::Given)
    }

    pub(crate) fn new(token: Arc<Token>, generation: u64, origin: Origin, terms: &Terms) -> Self {
        let freshness = freshness(&token, origin, terms);
        let header = token.header().cloned();
        Self::build(header, Some(token), freshness, generation, origin)
    }

    /// The same token, not to be used again.
    pub(crate) fn reject(&self) -> Self {
        let (header, token) = (self.header.clone(), self.token.clone());
        let mut rejected =
            Self::build(header, token, Freshness::expired(), self.generation, self.origin);
        rejected.rejected = true;
        rejected.accepted = AtomicBool::new(self.is_accepted());
        rejected.offered = AtomicBool::new(self.offered.load(Ordering::Relaxed));
        rejected
    }

    fn build(
        header: Option<HeaderValue>,
        token: Option<Arc<Token>>,
        freshness: Freshness,
        generation: u64,
        origin: Origin,
    ) -> Self {
        Self {
            header,
            token,
            freshness,
            generation,
            rejected: false,
            origin,
            accepted: AtomicBool::new(false),
            offered: AtomicBool::new(!origin.is_renewal()),
        }
    }

    pub(crate) fn token(&self) -> Option<&Arc<Token>> {
        self.token.as_ref()
    }

    pub(crate) fn refresh_token(&self) -> Option<&str> {
        self.token().and_then(|token| token.refresh_token())
    }

    #[inline]
    pub(crate) fn accept(&self) {
        if !self.accepted.load(Ordering::Relaxed) {
            self.accepted.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }

    /// True once for a token that a renewal brought.
    #[inline]
    pub(crate) fn offer(&self) -> bool {
        !self.offered.load(Ordering::Relaxed) && !self.offered.swap(true, Ordering::Relaxed)
    }
}

fn freshness(token: &Token, origin: Origin, terms: &Terms) -> Freshness {
    let Some(deadline) = token.expires_at() else { return Freshness::unlimited() };
    if token.refresh_token().is_none() && !terms.has_grant {
        return Freshness::until(deadline);
    }
    // A token that a provider has just issued is not expired, whatever it says: taken at its word
    // it would be renewed for every request. It is used until a 401.
    let claims_the_past = token.lifetime().is_some_and(|seconds| seconds <= 0);
    if origin.is_renewal() && claims_the_past {
        observe::token_already_expired();
        return Freshness::unlimited();
    }
    Freshness::of(
        issued(token, deadline).unwrap_or(terms.now),
        deadline,
        terms.policy,
        jitter(token),
    )
}

/// Between -1 and 1, and the same for the same token wherever it is: were it drawn by each process
/// that shares the token, the earliest of them would decide, and tokens be renewed the sooner the
/// more processes there are.
fn jitter(token: &Token) -> f64 {
    let digest = Sha256::digest(token.access_token());
    let draw = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(draw) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// The moment the token's lifetime counts from, where it is known.
fn issued(token: &Token, deadline: DateTime<Utc>) -> Option<SystemTime> {
    let lifetime = token.lifetime().filter(|seconds| *seconds > 0)?;
    Some(clock::to_time(clock::add_seconds(deadline, -lifetime)))
}

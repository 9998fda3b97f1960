//! `Snapshot`: one token with everything that a request needs, immutable. The snapshot of a login holds
//! those for its other targets, so a request for any of them loads one snapshot.
//!
//! The hot path loads it, compares the clock with `freshness`, and clones `header`. Its only
//! mutable parts are two marks that requests set.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use http::HeaderValue;
use sha2::{Digest, Sha256};

#[cfg(feature = "keys")]
use super::binder::Binder;
use super::freshness::{self, Freshness, Policy};
use super::machine::{Credential, Machine, Stage, Target};
use crate::clock;
#[cfg(feature = "keys")]
use crate::dpop::BoundToken;
use crate::error::Error;
use crate::token::Token;

/// The machine of a session.
pub(super) type SessionMachine = Machine<Arc<Snapshot>, Error>;

/// Where the token of a snapshot came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provenance {
    /// The application gave it.
    Given,
    /// A renewal brought it.
    Renewed,
    /// It was found in the store.
    Adopted,
}

pub(crate) struct Snapshot {
    /// What requests carry; `None` where there is no access token, and then `freshness` is expired.
    pub(crate) header: Option<HeaderValue>,
    token: Option<Arc<Token>>,
    rare: Option<Box<Rare>>,
    pub(crate) freshness: Freshness,
    pub(crate) provenance: Provenance,
    /// A resource server said 401 to this token.
    is_rejected: bool,
    /// Nobody works for the session, though something is left to do: each request asks the machine.
    is_stranded: bool,
    /// The path that accepted this token first since it came into use, or since the last 401; zero: none.
    accepted_by: AtomicU64,
    /// No response needs to show the update any more.
    is_update_over: AtomicBool,
    /// A request's responses show the update.
    is_update_taken: AtomicBool,
}

/// What only some snapshots have.
#[derive(Clone, Default)]
struct Rare {
    /// What requests need beside a token that is bound to a key.
    #[cfg(feature = "keys")]
    bound: Option<Arc<BoundToken>>,
    /// What the access token is for.
    target: Target,
    /// In that of a login: those for other targets, without what is the login's.
    others: Vec<Arc<Snapshot>>,
}

impl Rare {
    /// `None` where there is nothing of it.
    fn boxed(self) -> Option<Box<Self>> {
        let is_there = !self.target.is_own() || !self.others.is_empty();
        #[cfg(feature = "keys")]
        let is_there = is_there || self.bound.is_some();
        is_there.then(|| Box::new(self))
    }
}

/// What decides when a token is due.
pub(crate) struct FreshnessInputs {
    pub(crate) policy: Policy,
    /// Whether the session has a grant; a token with a refresh token needs none.
    pub(crate) has_grant: bool,
    pub(crate) now: SystemTime,
    /// For tokens that are bound to a key.
    #[cfg(feature = "keys")]
    pub(super) binder: Binder,
}

impl Snapshot {
    pub(crate) fn empty() -> Self {
        Self {
            header: None,
            token: None,
            rare: None,
            freshness: Freshness::expired(),
            provenance: Provenance::Given,
            is_rejected: false,
            is_stranded: false,
            accepted_by: AtomicU64::new(0),
            is_update_over: AtomicBool::new(true),
            is_update_taken: AtomicBool::new(true),
        }
    }

    pub(crate) fn new(token: Arc<Token>, provenance: Provenance, inputs: &FreshnessInputs) -> Self {
        let can_renew = inputs.has_grant || token.refresh_token().is_some();
        #[cfg(feature = "keys")]
        let binding = token.binding().cloned();
        let bare = |token: Arc<Token>, target, others| {
            let rare = Rare {
                #[cfg(feature = "keys")]
                bound: inputs.binder.bound(&token, binding.as_ref()),
                target,
                others,
            };
            Self { rare: rare.boxed(), ..Self::bare(token, provenance, can_renew, inputs) }
        };
        let others = token.others().map(|(key, token)| {
            Arc::new(bare(Arc::new(token.clone()), Target::other(key.clone()), Vec::new()))
        });
        let others = others.collect();
        Self {
            is_update_over: AtomicBool::new(provenance != Provenance::Renewed),
            ..bare(token, Target::OWN, others)
        }
    }

    /// Without others, and without an update: what is to be saved is the login's.
    fn bare(
        token: Arc<Token>,
        provenance: Provenance,
        can_renew: bool,
        inputs: &FreshnessInputs,
    ) -> Self {
        Self {
            header: token.header().cloned(),
            freshness: freshness(&token, can_renew, inputs),
            token: Some(token),
            provenance,
            is_update_taken: AtomicBool::new(false),
            ..Self::empty()
        }
    }

    /// The snapshot after a renewal of this login: the one for `target` is new, the others are the same
    /// objects as before.
    pub(crate) fn renewed(&self, token: Token, target: &Target, inputs: &FreshnessInputs) -> Self {
        let token = Arc::new(token);
        let new = Self::new(token.clone(), Provenance::Renewed, inputs);
        let others = new.others().iter().map(|other| {
            let before = self.other(other.target()).filter(|_| other.target() != target);
            before.unwrap_or(other).clone()
        });
        let others = others.collect();
        if target.is_own() {
            return Self { rare: new.with_rare(|rare| rare.others = others), ..new };
        }
        Self { rare: self.with_rare(|rare| rare.others = others), ..self.copy(Some(token)) }
    }

    /// The same tokens; those that are rejected are not to be used again.
    pub(crate) fn marked(self: &Arc<Self>, rejected: &dyn Fn(&Target) -> bool) -> Arc<Self> {
        if self.is_marked(rejected) {
            return self.clone();
        }
        let others = self.others().iter().map(|other| other.marked(rejected)).collect();
        let is_rejected = rejected(self.target());
        Arc::new(Self {
            freshness: if is_rejected { Freshness::expired() } else { self.freshness },
            is_rejected,
            ..self.with_update(others)
        })
    }

    /// The same access tokens with another refresh token: an update for applications that save
    /// tokens.
    pub(crate) fn with_refresh_token(&self, token: Token) -> Self {
        self.copy(Some(Arc::new(token)))
    }

    /// The same tokens, which no request takes without asking the machine.
    pub(super) fn stranded(self: &Arc<Self>) -> Arc<Self> {
        let others = self.others().iter().map(Self::stranded).collect();
        let freshness = Freshness { due: Freshness::expired().due, ..self.freshness };
        Arc::new(Self {
            freshness,
            is_rejected: self.is_rejected,
            is_stranded: true,
            accepted_by: AtomicU64::new(self.accepted_by.load(Ordering::Relaxed)),
            ..self.with_update(others)
        })
    }

    /// The same token beside these others; its update is shown as often as before.
    fn with_update(&self, others: Vec<Arc<Self>>) -> Self {
        Self {
            rare: self.with_rare(|rare| rare.others = others),
            is_update_over: AtomicBool::new(self.is_update_over.load(Ordering::Relaxed)),
            is_update_taken: AtomicBool::new(self.is_update_taken.load(Ordering::Relaxed)),
            ..self.copy(self.token.clone())
        }
    }

    pub(super) fn is_stranded(&self) -> bool {
        self.is_stranded
    }

    pub(super) fn with_target(self, target: Target) -> Self {
        Self { rare: self.with_rare(|rare| rare.target = target), ..self }
    }

    /// The same access tokens, which nobody has rejected or accepted, with an update.
    fn copy(&self, token: Option<Arc<Token>>) -> Self {
        Self {
            header: self.header.clone(),
            token,
            rare: self.rare.clone(),
            freshness: self.freshness,
            provenance: self.provenance,
            is_update_over: AtomicBool::new(false),
            is_update_taken: AtomicBool::new(false),
            ..Self::empty()
        }
    }

    fn with_rare(&self, edit: impl FnOnce(&mut Rare)) -> Option<Box<Rare>> {
        let mut rare = self.rare.as_deref().cloned().unwrap_or_default();
        edit(&mut rare);
        rare.boxed()
    }

    /// What the access token is for.
    pub(crate) fn target(&self) -> &Target {
        static OWN: Target = Target::OWN;
        self.rare.as_ref().map_or(&OWN, |rare| &rare.target)
    }

    fn others(&self) -> &[Arc<Self>] {
        self.rare.as_ref().map_or(&[], |rare| &rare.others)
    }

    /// What requests need beside a token that is bound to a key.
    #[cfg(feature = "keys")]
    #[inline]
    pub(crate) fn bound(&self) -> Option<&Arc<BoundToken>> {
        self.rare.as_ref()?.bound.as_ref()
    }

    /// That for a target; `None`: there is none.
    #[inline]
    pub(crate) fn of<'a>(self: &'a Arc<Self>, target: &Target) -> Option<&'a Arc<Self>> {
        if self.target() == target { Some(self) } else { self.other(target) }
    }

    fn other(&self, target: &Target) -> Option<&Arc<Self>> {
        self.others().iter().find(|other| other.target() == target)
    }

    /// Whether each is rejected that is to be.
    pub(crate) fn is_marked(&self, is_rejected: &dyn Fn(&Target) -> bool) -> bool {
        let is_right = |snapshot: &Self| snapshot.is_rejected == is_rejected(snapshot.target());
        is_right(self) && self.others().iter().all(|other| is_right(other))
    }

    pub(crate) fn token(&self) -> Option<&Arc<Token>> {
        self.token.as_ref()
    }

    /// Whether both are of one token object.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        match (&self.token, &other.token) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// A resource server has accepted the token.
    #[inline]
    pub(crate) fn mark_accepted(&self, path: impl FnOnce() -> NonZeroU64) {
        if self.accepted_by.load(Ordering::Relaxed) == 0 {
            self.accepted_by.store(path().get(), Ordering::Relaxed);
        }
    }

    /// It takes the place of this one. What is known of the access token that both have is not lost.
    pub(super) fn keep_accepted(self: &Arc<Self>, before: &Arc<Self>) {
        if self.is_same(&Target::OWN, before) {
            self.accepted_by.store(before.accepted_by.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// The path that has accepted the token first since this was last asked.
    pub(super) fn take_accepted_by(&self) -> Option<u64> {
        NonZeroU64::new(self.accepted_by.swap(0, Ordering::Relaxed)).map(NonZeroU64::get)
    }

    /// Whether a renewal brought the token, and a response may still have to show it.
    #[inline]
    pub(crate) fn has_update(&self) -> bool {
        !self.is_update_over.load(Ordering::Relaxed)
    }

    /// True once: for the request whose responses show the update.
    pub(super) fn take_update(&self) -> bool {
        !self.is_update_taken.swap(true, Ordering::Relaxed)
    }

    pub(super) fn end_update(&self) {
        self.is_update_over.store(true, Ordering::Relaxed);
    }
}

impl Credential for Arc<Snapshot> {
    fn stage(&self, target: &Target, wall: SystemTime) -> Stage {
        self.of(target).map_or(Stage::Expired, |snapshot| snapshot.freshness.stage(wall))
    }

    fn can_refresh(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.refresh_token().is_some())
    }

    fn login_expires_at(&self) -> Option<SystemTime> {
        self.token.as_ref()?.refresh_token_expires_at().map(clock::to_time)
    }

    fn login_expires_soon(&self, wall: SystemTime) -> bool {
        let Some(token) = &self.token else { return false };
        self.login_expires_at().is_some_and(|deadline| {
            let lifetime = token.refresh_token_lifetime().and_then(|life| u64::try_from(life).ok());
            // The next renewal comes when the access token is due; without a deadline after a 401.
            let due = token.expires_at().map(|_| self.freshness.due);
            freshness::is_soon(deadline, lifetime.map(Duration::from_secs), due, wall)
        })
    }

    fn is_same(&self, target: &Target, other: &Self) -> bool {
        let token = |snapshot: &'_ Self| snapshot.of(target)?.token.clone();
        match (token(self), token(other)) {
            (Some(one), Some(other)) => {
                Arc::ptr_eq(&one, &other) || one.access_token() == other.access_token()
            }
            _ => false,
        }
    }

    fn is_identical(&self, other: &Self) -> bool {
        let refresh_token = |snapshot: &Self| {
            snapshot.token.as_ref().and_then(|token| token.refresh_token().map(str::to_owned))
        };
        self.is_same(&Target::OWN, other) && refresh_token(self) == refresh_token(other)
    }

    fn is_renewed(&self, target: &Target) -> bool {
        self.of(target).is_some_and(|snapshot| snapshot.provenance == Provenance::Renewed)
    }
}

fn freshness(token: &Token, can_renew: bool, inputs: &FreshnessInputs) -> Freshness {
    let Some(deadline) = token.expires_at() else { return Freshness::unlimited() };
    if !can_renew {
        return Freshness::until(deadline);
    }
    let issued = issued(token, deadline);
    Freshness::of(issued, inputs.now, deadline, inputs.policy, jitter(token))
}

/// Between -1 and 1, and the same for one token in every process. If each process drew its own, the
/// earliest would decide, and tokens would be renewed the earlier the more processes there are.
fn jitter(token: &Token) -> f64 {
    let digest = Sha256::digest(token.access_token());
    let draw = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(draw) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// The moment the token's lifetime counts from, where it is known.
fn issued(token: &Token, deadline: DateTime<Utc>) -> Option<SystemTime> {
    let lifetime = token.lifetime_s().filter(|seconds| *seconds > 0)?;
    Some(clock::to_time(clock::add_seconds(deadline, -lifetime)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs() -> FreshnessInputs {
        FreshnessInputs {
            policy: Policy::default(),
            has_grant: false,
            now: SystemTime::UNIX_EPOCH,
            #[cfg(feature = "keys")]
            binder: Binder {
                client: None,
                apis: Arc::default(),
                clock: crate::clock::Clock::default(),
            },
        }
    }

    fn target(name: &str) -> Target {
        Target::other(name)
    }

    /// A login that was stored with access tokens for `a` and `b`.
    fn login() -> Arc<Snapshot> {
        let token = |text: &str| Token::new(text).unwrap();
        let login = token("own").with_refresh_token("rt");
        let login =
            login.with_other("a".into(), token("at-a")).with_other("b".into(), token("at-b"));
        Arc::new(Snapshot::new(Arc::new(login), Provenance::Adopted, &inputs()))
    }

    #[test]
    fn a_renewal_keeps_the_snapshots_of_other_targets() {
        let before = login();
        let old = Token::clone(before.token().unwrap());
        let path = || NonZeroU64::MIN;
        before.of(&target("b")).unwrap().mark_accepted(path);
        let same = Token::new("at-a").unwrap();
        let a = Arc::new(before.renewed(
            old.clone().with_other("a".into(), same),
            &target("a"),
            &inputs(),
        ));
        let own = Token::new("new").unwrap().fill_missing_from(&old);
        let own = Arc::new(before.renewed(own, &Target::OWN, &inputs()));
        for (renewed, name) in [(&a, "a"), (&own, "")] {
            for other in ["a", "b"] {
                let (is, was) =
                    (renewed.of(&target(other)).unwrap(), before.of(&target(other)).unwrap());
                assert_eq!(Arc::ptr_eq(is, was), other != name, "{other} after {name}");
                assert_eq!(
                    renewed.is_renewed(&target(other)),
                    other == name,
                    "{other} after {name}"
                );
            }
        }
        assert_eq!((a.provenance, own.provenance), (Provenance::Adopted, Provenance::Renewed));
        assert_eq!(a.header, before.header);
        // What is to be saved is new, and shown with the login's own token alone.
        assert!(a.has_update() && own.has_update());
        assert!(!a.of(&target("a")).unwrap().has_update());
    }

    #[test]
    fn only_what_is_rejected_is_out_of_use() {
        let login = login();
        let of_a = |other: &Target| *other == target("a");
        assert!(Arc::ptr_eq(&login.marked(&|_| false), &login));
        let marked = login.marked(&of_a);
        assert!(marked.is_marked(&of_a) && !login.is_marked(&of_a));
        let stage = |name: &Target| marked.stage(name, SystemTime::UNIX_EPOCH);
        assert_eq!(stage(&target("a")), Stage::Expired);
        assert_eq!((stage(&target("b")), stage(&Target::OWN)), (Stage::Fresh, Stage::Fresh));
        assert_eq!(stage(&target("c")), Stage::Expired);
    }
}

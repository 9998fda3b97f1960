//! `Access`: what the machine remembers of the access token for one target.
//!
//! A login has one refresh token, and may have an access token for each of several targets. Record, mark,
//! backoff and saving belong to the login; what is here belongs to one target. There is one token request
//! at a time: where several targets want a renewal, the one that has wanted it for the longest is next.

use std::iter::once;
use std::time::{Duration, SystemTime};

use super::unauthorized::Paths;
use super::{Credential, Failure, FailureOf, Machine, Now, Reason, Settings, Stage, Target};
use super::{FailureClass, Note};

/// How many other targets are remembered, but for those that want a renewal.
const MOST_OTHERS: usize = 32;
/// How many beside them that keep a token request from being made.
const MOST_REFUSED: usize = 256;

/// The access token for one target, as far as decisions about it go.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Access<E> {
    pub(super) target: Target,
    /// The serial of the token in use; zero: none.
    pub(super) serial: u64,
    /// A resource server said 401 to it.
    pub(super) rejected: bool,
    /// A renewal brought it after the one before was rejected.
    pub(super) after_rejection: bool,
    /// A renewal is wanted, since then.
    pub(super) wanted: Option<Duration>,
    /// What 401s have taught about paths.
    pub(super) paths: Paths,
    /// The provider refuses this target, and has said nothing of the login.
    pub(super) refusal: Option<Failure<E>>,
    /// Counts refusals, so that waiters for this target notice.
    pub(super) refusals: u32,
}

impl<E> Access<E> {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            serial: 0,
            rejected: false,
            after_rejection: false,
            wanted: None,
            paths: Paths::default(),
            refusal: None,
            refusals: 0,
        }
    }

    /// Without it there would be another token request.
    fn prevents_request(&self) -> bool {
        self.refusal.is_some() || self.rejected
    }

    /// There is no token in use.
    fn clear(&mut self) {
        self.serial = 0;
        self.rejected = false;
        self.after_rejection = false;
        self.paths.trust();
    }
}

impl<T: Credential, E: Clone> Machine<T, E> {
    pub(super) fn each_access(&self) -> impl Iterator<Item = &Access<E>> {
        once(&self.own).chain(&self.others)
    }

    pub(super) fn each_access_mut(&mut self) -> impl Iterator<Item = &mut Access<E>> {
        once(&mut self.own).chain(&mut self.others)
    }

    /// The memory of a target; `None`: nothing yet.
    pub(super) fn access(&self, target: &Target) -> Option<&Access<E>> {
        if target.is_own() {
            return Some(&self.own);
        }
        self.others.iter().find(|access| access.target == *target)
    }

    /// The memory of a target, created if it is missing.
    pub(super) fn access_mut(&mut self, target: &Target) -> &mut Access<E> {
        if target.is_own() {
            return &mut self.own;
        }
        let at = self.others.iter().position(|access| access.target == *target);
        let at = at.unwrap_or_else(|| {
            if let Some(at) = self.least_needed() {
                self.others.remove(at);
            }
            let mut access = Access::new(target.clone());
            if self.served.as_ref().is_some_and(|served| served.token.has(target)) {
                self.serial += 1;
                access.serial = self.serial;
            }
            self.others.push(access);
            self.others.len() - 1
        });
        &mut self.others[at]
    }

    /// Which target to forget, if there is no room for another one.
    fn least_needed(&self) -> Option<usize> {
        let first = |most: usize, may_go: fn(&Access<E>) -> bool| {
            let idle = |access: &Access<E>| access.wanted.is_none() && may_go(access);
            let is_full = self.others.iter().filter(|access| may_go(access)).count() >= most;
            self.others.iter().position(idle).filter(|_| is_full)
        };
        first(MOST_OTHERS, |access| !access.prevents_request())
            .or_else(|| first(MOST_REFUSED, Access::prevents_request))
    }

    /// The serial of the token in use; zero: none.
    pub(super) fn serial_of(&self, target: &Target) -> u64 {
        self.access(target).map_or(0, |access| access.serial)
    }

    /// Whether a resource server said 401 to the token in use.
    pub(crate) fn is_rejected(&self, target: &Target) -> bool {
        self.access(target).is_some_and(|access| access.rejected)
    }

    /// The stage of the token in use.
    pub(super) fn stage(&self, target: &Target, now: &Now) -> Stage {
        match &self.served {
            Some(served) if !self.is_rejected(target) => served.token.stage(target, now.wall),
            _ => Stage::Expired,
        }
    }

    /// A renewal is wanted of any target, since then.
    pub(super) fn wanted(&self) -> Option<Duration> {
        self.each_access().filter_map(|access| access.wanted).min()
    }

    /// The target to renew next.
    pub(super) fn next_target(&self) -> Target {
        let wanted = self.each_access().filter(|access| access.wanted.is_some());
        // Of several the first one.
        let next = wanted.min_by_key(|access| access.wanted);
        next.map_or(Target::OWN, |access| access.target.clone())
    }

    /// What is renewed now, or next: whose token is asked for, or was brought and is not in use yet.
    pub(crate) fn target_under_way(&self) -> Target {
        let brought = self.renewed.as_ref().map(|(.., target)| target);
        let asked = self.request.as_ref().map(|request| &request.target);
        asked.or(brought).cloned().unwrap_or_else(|| self.next_target())
    }

    /// No renewal is wanted any more.
    pub(super) fn want_nothing(&mut self) {
        self.each_access_mut().for_each(|access| access.wanted = None);
    }

    /// A token request for this target has been answered. The other targets' waits start again.
    pub(super) fn want_others(&mut self, than: &Target, now: &Now) {
        for access in self.each_access_mut() {
            access.wanted = access.wanted.filter(|_| access.target != *than).map(|_| now.at);
        }
    }

    /// The provider refuses the target. That says nothing of the login, nor of other targets.
    pub(super) fn target_refused(
        &mut self,
        target: &Target,
        error: E,
        retry_after: Option<Duration>,
        settings: &Settings,
        now: &Now,
    ) {
        self.want_others(target, now);
        let access = self.access_mut(target);
        access.rejected &= !access.paths.is_doubtful();
        let before = access.refusal.as_ref().map_or(0, |refusal| refusal.attempts);
        let attempts = before.saturating_add(1);
        let class = FailureClass::Misconfigured(retry_after);
        let wait = settings.backoff.after(class, attempts, now.jitter);
        let (reason, retry_at) = (Reason::Error(error.clone()), Some(now.at + wait));
        access.refusals = access.refusals.wrapping_add(1);
        access.refusal = Some(Failure { reason, attempts, retry_at, of: FailureOf::Login });
        let (target, took) = (target.clone(), self.took(now));
        self.note(Note::TargetRefused { target, error, attempt: attempts, took });
        self.release(None, settings);
    }

    /// How long the renewal took that ends now. If another target wants one, that begins.
    pub(super) fn took(&mut self, now: &Now) -> Duration {
        let began = self.began.take();
        self.began = self.wanted().map(|_| now.at);
        began.map_or(Duration::ZERO, |at| now.at.saturating_sub(at))
    }

    /// No token is in use any more.
    pub(super) fn unserve(&mut self) {
        self.served = None;
        self.each_access_mut().for_each(Access::clear);
    }

    /// Puts these access tokens into use. The targets whose token is another one than before, or lives longer,
    /// and its serial.
    pub(super) fn serve(
        &mut self,
        login: u64,
        generation: u64,
        token: T,
        wall: SystemTime,
    ) -> Vec<(Target, u64)> {
        let renewed = self.renewed.take().filter(|(l, g, _)| (*l, *g) == (login, generation));
        let renewed = renewed.map(|(.., target)| target);
        let before = self.served.take();
        let mut new = Vec::new();
        for access in once(&mut self.own).chain(&mut self.others) {
            if !token.has(&access.target) {
                access.clear();
                continue;
            }
            let before = before.as_ref().filter(|_| access.serial != 0);
            let same_login = before.is_some_and(|before| before.login == login);
            let same = before.is_some_and(|before| before.token.is_same(&access.target, &token));
            let lives_longer = before.is_some_and(|before| {
                !access.rejected && is_fresh_again(&access.target, &before.token, &token, wall)
            });
            let is_renewed = renewed.as_ref() == Some(&access.target) || lives_longer;
            if same && same_login && !is_renewed {
                // Only the refresh token is new, or that of another target.
                continue;
            }
            self.serial += 1;
            access.serial = self.serial;
            // The same access token stays rejected even if it now counts as another login's. A renewal that
            // brought it again counts as a renewal. A token from another session may have been rejected before,
            // like the one that it replaces.
            access.after_rejection = is_renewed && access.rejected && same_login;
            access.rejected &= same && !same_login;
            access.paths.trust();
            new.push((access.target.clone(), access.serial));
        }
        self.served = Some(super::Served { login, generation, token });
        new
    }
}

/// Whether the token is fresh for the target where the one before it was due, or had expired.
pub(super) fn is_fresh_again<T: Credential>(
    target: &Target,
    before: &T,
    token: &T,
    wall: SystemTime,
) -> bool {
    before.stage(target, wall) != Stage::Fresh && token.stage(target, wall) == Stage::Fresh
}

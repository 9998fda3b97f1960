//! What a 401 does
//! ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
//!
//! The token decides, not the time: a 401 for a token that has since been replaced is retried with the
//! present one and renews nothing, so five late 401s cost no renewal.
//!
//! A path that says 401 whatever the token (a deleted account, a missing plan) must not cost a renewal per
//! request, nor keep other paths from renewing. One 401 does not say whether the token or the path is at
//! fault. So each path may try: its 401 renews once, and then the path is quiet for a minute, doubled each
//! time in a row, up to an hour. Renewals by deadline go on, and so do those of other paths.
//!
//! - A path is no longer quiet once it accepts the renewed token: then the token was at fault.
//! - A path that has rejected a renewed token is *futile*: it stays quiet even if it accepts a token now and
//!   then.
//! - A token from the store is not a renewal: if that one is rejected too, there may be a renewal at once.
//!
//! Paths may have ids in them, and there may be millions. Only a few quiet ones are remembered one by one.
//! All other paths together count as one path as soon as
//!
//! - the list is full, or
//! - several paths in a row have joined it, and none has accepted any token meanwhile: a server that says
//!   401 to everything costs a few renewals, then one in a minute to an hour.
//!
//! This never counts for a path that is known to have accepted a token: such a path may always try. Some are
//! known: those that accepted a token first after it came into use, or after a 401.
//!
//! A 401 takes the token out of use while another one is looked for. If that ends without one, the token is
//! used again by all but the sender, where it may well be good: nothing renews it, or another path has
//! accepted it (then the path is *doubted*). After two paths in a row that say 401 no path is doubted.

use std::time::Duration;

use super::backoff::doubled;
use super::{
    Credential, Home, Machine, Note, Now, Poll, Reason, Settings, Stage, State, Target, Ticket,
};

/// How many paths are remembered, of each kind.
const MOST_PATHS: usize = 16;
/// How many paths may try one after the other while none accepts a token.
const MOST_IN_A_ROW: u8 = 3;
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);

/// What 401s have taught about paths. A path is a hash of its URL.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Paths {
    quiet: Vec<(u64, Quiet)>,
    /// All paths that are not remembered one by one.
    others: Option<Quiet>,
    /// Those known to have accepted a token, the latest last.
    good: Vec<u64>,
    /// How many paths have tried since any accepted a token.
    in_a_row: u8,
    /// The path that has rejected the token in use last, if the token may be good all the same.
    doubted: Option<u64>,
}

/// Keeps the 401s of a path from renewing, after one has renewed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Quiet {
    pub(super) until: Duration,
    pub(super) times: u32,
    /// It has rejected a renewed token.
    pub(super) is_futile: bool,
}

/// A 401 that a new token may cure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rejection {
    pub(crate) path: u64,
    /// The path that accepted this token first since it came into use, or since the last 401 to it.
    pub(crate) accepted_by: Option<u64>,
}

impl<T: Credential, E: Clone> Machine<T, E> {
    /// A resource server said 401 to this token. Whether to send the request again, with a token other
    /// than this. Takes the token out of use, if it is the current one and a renewal may help.
    pub(crate) fn rejected(
        &mut self,
        target: &Target,
        sent: &T,
        rejection: Rejection,
        settings: &Settings,
        now: &Now,
    ) -> bool {
        let known = self.known.as_ref();
        let has_ended = known.is_some_and(|known| matches!(known.state, State::Ended(_)));
        let is_renewable = Self::is_renewable(known, settings, now);
        // The sender gets the error that the login has ended, or has expired.
        let is_told = has_ended || self.is_kept_by_expiry(settings, now);
        let can_renew = settings.home == Home::Store || is_renewable || is_told;
        let may_renew = can_renew && !settings.manual_refresh;
        let must_wait = self.must_wait(target, settings, now).is_some();
        let stage = self.stage(target, now);
        let is_in_use =
            self.served.as_ref().is_some_and(|served| served.token.is_same(target, sent));
        let access = self.access_mut(target);
        if let Some(path) = rejection.accepted_by {
            access.paths.accepted(path);
        }
        if !is_in_use {
            return stage != Stage::Expired || may_renew;
        }
        if !may_renew {
            return false;
        }
        let is_doubted = access.paths.doubts(rejection, is_renewable || has_ended);
        if access.rejected {
            return true;
        }
        let serial = access.serial;
        match access.paths.renews(rejection.path, access.after_rejection, now) {
            // The sender gets the reason.
            Renews::Yes if is_doubted && must_wait && !has_ended => true,
            Renews::Yes => {
                access.rejected = true;
                self.note(Note::TokenRejected { target: target.clone(), serial });
                true
            }
            Renews::No => false,
            Renews::NoMore => {
                self.note(Note::UnauthorizedAfterRenewal { target: target.clone(), serial });
                false
            }
        }
    }

    /// What the sender of a 401 gets: another token; `None`: there is none, and the 401 stands.
    pub(crate) fn poll_rejected(
        &mut self,
        ticket: &Ticket,
        settings: &Settings,
        now: &Now,
    ) -> Poll<Option<T>, E> {
        match self.poll(ticket, settings, now) {
            Poll::Ready(token) => Poll::Ready(Some(token)),
            Poll::Wait => Poll::Wait,
            Poll::Failed(Reason::NoOther) => Poll::Ready(None),
            Poll::Failed(reason) => Poll::Failed(reason),
        }
    }

    /// A renewal has failed for this reason: the tokens that may be good all the same are used again.
    pub(super) fn use_rejected(&mut self, reason: &Reason<E>) {
        let is_only_one = matches!(reason, Reason::NoOther | Reason::LoginExpired);
        let has_ended = matches!(reason, Reason::Ended { .. });
        for access in self.each_access_mut() {
            let may_be_good = is_only_one || (!has_ended && access.paths.is_doubtful());
            access.rejected &= !may_be_good;
        }
    }

    /// A request that was sent again after a 401 has been answered.
    pub(crate) fn replayed(
        &mut self,
        target: &Target,
        sent: &T,
        path: u64,
        rejected: bool,
        now: &Now,
    ) {
        if !self.served.as_ref().is_some_and(|served| served.token.is_same(target, sent)) {
            // It says nothing of the token that has taken its place.
            return;
        }
        let access = self.access_mut(target);
        if !access.after_rejection {
            return;
        }
        let serial = access.serial;
        if !rejected {
            access.paths.cured(path);
        } else if access.paths.found_futile(path, now) {
            self.note(Note::UnauthorizedAfterRenewal { target: target.clone(), serial });
        }
    }
}

/// Whether the 401 of a path renews.
enum Renews {
    Yes,
    No,
    /// The path has just turned out to be futile.
    NoMore,
}

impl Paths {
    pub(super) fn is_empty(&self) -> bool {
        self.quiet.is_empty()
            && self.others.is_none()
            && self.good.is_empty()
            && self.doubted.is_none()
    }

    /// Whether the token that was rejected may be good all the same: another path has accepted it, or
    /// nothing can replace it.
    fn doubts(&mut self, rejection: Rejection, is_replaceable: bool) -> bool {
        let is_doubted = match rejection.accepted_by {
            Some(path) => path != rejection.path,
            None => self.doubted == Some(rejection.path),
        };
        self.doubted = (is_doubted || !is_replaceable).then_some(rejection.path);
        self.doubted.is_some()
    }

    /// Whether the token that was rejected last may be good all the same.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubted.is_some()
    }

    /// Nobody has rejected the token that is in use now.
    pub(super) fn trust(&mut self) {
        self.doubted = None;
    }

    /// `renewed`: whether the rejected token came from a renewal that a 401 brought about.
    fn renews(&mut self, path: u64, renewed: bool, now: &Now) -> Renews {
        let is_among_others = self.is_among_others(path, now);
        let quiet = self.of(path, now);
        if quiet.is_futile && now.at < quiet.until {
            return Renews::No;
        }
        // It has tried before, and rejects the token that this brought, however late.
        if renewed && quiet.times > 0 && !quiet.is_futile {
            quiet.is_futile = true;
            quiet.begin(now);
            return Renews::NoMore;
        }
        if now.at >= quiet.until {
            quiet.times = quiet.times.saturating_add(1);
        }
        quiet.is_futile = false;
        quiet.begin(now);
        if !is_among_others {
            self.in_a_row = self.in_a_row.saturating_add(1);
        }
        Renews::Yes
    }

    /// A path has rejected a renewed token. Whether that is news.
    fn found_futile(&mut self, path: u64, now: &Now) -> bool {
        let quiet = self.of(path, now);
        let is_news = !quiet.is_futile;
        quiet.is_futile = true;
        quiet.times = quiet.times.max(1);
        quiet.begin(now);
        is_news
    }

    /// A path has accepted the token that its 401 renewed.
    fn cured(&mut self, path: u64) {
        self.quiet.retain(|(quiet, _)| *quiet != path);
        self.others = None;
        self.accepted(path);
    }

    fn accepted(&mut self, path: u64) {
        self.in_a_row = 0;
        if self.quiet.len() < MOST_PATHS {
            self.others = None;
        }
        self.quiet.retain(|(other, quiet)| *other != path || quiet.is_futile);
        self.good.retain(|good| *good != path);
        if self.good.len() == MOST_PATHS {
            self.good.remove(0);
        }
        self.good.push(path);
    }

    /// Whether the path counts as one with all that are not remembered one by one.
    fn is_among_others(&mut self, path: u64, now: &Now) -> bool {
        self.quiet.retain(|(_, quiet)| now.at < quiet.until + LONGEST);
        let is_full = self.quiet.len() == MOST_PATHS || self.in_a_row >= MOST_IN_A_ROW;
        let is_known = self.quiet.iter().any(|(quiet, _)| *quiet == path);
        is_full && !is_known && !self.good.contains(&path)
    }

    /// What is remembered of the path; something new, if nothing is.
    fn of(&mut self, path: u64, now: &Now) -> &mut Quiet {
        let new = Quiet { until: now.at, times: 0, is_futile: false };
        if self.is_among_others(path, now) {
            return self.others.get_or_insert(new);
        }
        let at = self.quiet.iter().position(|(quiet, _)| *quiet == path).unwrap_or_else(|| {
            if self.quiet.len() == MOST_PATHS {
                // A good path takes the place of the one that is quiet for the shortest.
                let until = |(_, (_, quiet)): &(usize, &(u64, Quiet))| quiet.until;
                let soonest = self.quiet.iter().enumerate().min_by_key(until);
                let soonest = soonest.map_or(0, |(at, _)| at);
                self.quiet.remove(soonest);
            }
            self.quiet.push((path, new));
            self.quiet.len() - 1
        });
        &mut self.quiet[at].1
    }

    /// Whether a path is quiet because a renewal has not helped it.
    #[cfg(test)]
    pub(super) fn are_quiet(&self, now: &Now) -> bool {
        let mut all = self.quiet.iter().map(|(_, quiet)| quiet).chain(&self.others);
        all.any(|quiet| quiet.is_futile && now.at < quiet.until)
    }

    #[cfg(test)]
    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Quiet> {
        self.quiet.iter_mut().map(|(_, quiet)| quiet).chain(&mut self.others)
    }
}

impl Quiet {
    fn begin(&mut self, now: &Now) {
        self.until = now.at + doubled(SHORTEST, LONGEST, self.times);
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64) -> Now {
        Now { at: Duration::from_secs(seconds), wall: UNIX_EPOCH, jitter: 0 }
    }

    /// A request to the path is answered with a 401, and so is the next one, if there is one. Whether
    /// there was a renewal between them.
    fn unauthorized(paths: &mut Paths, path: u64, seconds: u64) -> bool {
        let renews = matches!(paths.renews(path, false, &at(seconds)), Renews::Yes);
        if renews {
            paths.found_futile(path, &at(seconds));
        }
        renews
    }

    #[test]
    fn a_path_may_try_after_a_minute_doubled_up_to_an_hour() {
        let mut paths = Paths::default();
        let mut now = 0;
        assert!(unauthorized(&mut paths, 1, now));
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert!(!unauthorized(&mut paths, 1, now + minutes * 60 - 1), "{minutes}");
            now += minutes * 60;
            assert!(unauthorized(&mut paths, 1, now), "{minutes}");
        }
        // Nothing is remembered of a path that could have tried for an hour.
        now += 3600 + 3600;
        assert!(unauthorized(&mut paths, 1, now));
        assert!(unauthorized(&mut paths, 1, now + 60));
    }

    #[test]
    fn a_path_that_accepts_the_renewed_token_may_try_at_once() {
        let mut paths = Paths::default();
        for _ in 0..5 {
            assert!(matches!(paths.renews(1, false, &at(0)), Renews::Yes));
            paths.cured(1);
        }
        assert!(unauthorized(&mut paths, 1, 0));
        assert!(!unauthorized(&mut paths, 1, 59));
    }

    #[test]
    fn a_stream_is_not_sent_again_and_its_path_still_renews_once() {
        let mut paths = Paths::default();
        assert!(matches!(paths.renews(1, false, &at(0)), Renews::Yes));
        assert!(matches!(paths.renews(1, true, &at(30)), Renews::NoMore));
        assert!(matches!(paths.renews(1, true, &at(89)), Renews::No));
        assert!(matches!(paths.renews(1, true, &at(90)), Renews::Yes));
        // Unless the path is known to have accepted the token meanwhile.
        assert!(matches!(paths.renews(2, false, &at(0)), Renews::Yes));
        paths.accepted(2);
        assert!(matches!(paths.renews(2, true, &at(1)), Renews::Yes));
    }

    #[test]
    fn a_path_that_rejects_the_renewed_token_is_quiet_however_late_it_does() {
        let mut paths = Paths::default();
        assert!(matches!(paths.renews(1, false, &at(0)), Renews::Yes));
        assert!(matches!(paths.renews(1, true, &at(600)), Renews::NoMore));
        assert!(matches!(paths.renews(1, true, &at(659)), Renews::No));
        assert!(matches!(paths.renews(1, true, &at(660)), Renews::Yes));
    }

    #[test]
    fn after_a_token_from_the_store_a_path_may_try_at_once() {
        let mut paths = Paths::default();
        assert!(matches!(paths.renews(1, false, &at(0)), Renews::Yes));
        assert!(matches!(paths.renews(1, false, &at(0)), Renews::Yes));
        assert!(matches!(paths.renews(1, true, &at(0)), Renews::NoMore));
    }

    #[test]
    fn many_paths_that_reject_all_renew_and_remember_little() {
        let mut paths = Paths::default();
        let all: Vec<u64> = (0..100_000).filter(|n| unauthorized(&mut paths, *n, 0)).collect();
        assert_eq!(all, [0, 1, 2, 3]);
        assert_eq!((paths.quiet.len(), paths.good.len()), (3, 0));
        // The three that are remembered, and one in place of all others.
        let next = (0..100_000).filter(|n| unauthorized(&mut paths, *n, 60)).count();
        assert_eq!(next, 4);
        assert!(!unauthorized(&mut paths, 100_001, 179));
        assert!(unauthorized(&mut paths, 100_001, 180));
    }

    #[test]
    fn many_bad_paths_among_good_ones_renew_and_remember_little() {
        let mut paths = Paths::default();
        let mut renewals = 0;
        for n in 0..100_000 {
            paths.accepted(n);
            renewals += u32::from(unauthorized(&mut paths, 100_000 + n, 0));
        }
        assert_eq!(renewals, 17);
        assert_eq!((paths.quiet.len(), paths.good.len()), (MOST_PATHS, MOST_PATHS));
        // Paths that are known to accept tokens may try, each for itself.
        for good in 100_000 - 16..100_000 {
            assert!(unauthorized(&mut paths, good, 0), "{good}");
            assert!(!unauthorized(&mut paths, good, 0), "{good}");
        }
        assert_eq!(paths.quiet.len(), MOST_PATHS);
    }

    #[test]
    fn what_is_remembered_of_paths_is_not_empty() {
        assert!(Paths::default().is_empty());
        let quiet = Quiet { until: Duration::ZERO, times: 1, is_futile: false };
        for paths in [
            Paths { quiet: vec![(1, quiet.clone())], ..Paths::default() },
            Paths { others: Some(quiet), ..Paths::default() },
            Paths { good: vec![1], ..Paths::default() },
            Paths { doubted: Some(1), ..Paths::default() },
        ] {
            assert!(!paths.is_empty(), "{paths:?}");
        }
    }

    #[test]
    fn a_path_that_is_cured_is_forgotten_and_no_other() {
        let mut paths = Paths::default();
        assert!(unauthorized(&mut paths, 2, 0));
        assert!(matches!(paths.renews(1, false, &at(0)), Renews::Yes));
        paths.cured(1);
        assert!(!unauthorized(&mut paths, 2, 1));
        // It has not tried yet, as far as is known.
        assert!(matches!(paths.renews(1, true, &at(1)), Renews::Yes));
    }

    #[test]
    fn a_path_that_accepts_a_token_is_forgotten_unless_it_is_futile() {
        let mut paths = Paths::default();
        assert!(unauthorized(&mut paths, 1, 0));
        assert!(matches!(paths.renews(2, false, &at(0)), Renews::Yes));
        paths.accepted(3);
        assert!(matches!(paths.renews(2, true, &at(1)), Renews::NoMore));
        paths.accepted(1);
        assert!(!unauthorized(&mut paths, 1, 1));
    }

    #[test]
    fn once_a_path_accepts_a_token_others_may_try_again() {
        let mut paths = Paths::default();
        let tries = |paths: &mut Paths, from: u64| -> Vec<bool> {
            (from..from + 5).map(|path| unauthorized(paths, path, 0)).collect()
        };
        assert_eq!(tries(&mut paths, 0), [true, true, true, true, false]);
        paths.accepted(99);
        assert_eq!(tries(&mut paths, 10), [true, true, true, true, false]);
    }
}

//! `Record`: one login as a store holds it, and the order of records.
//!
//! One order decides every write. X is above Y if both are the same login and X's generation is
//! higher (or equal, and X has ended where Y is live), or if they are different logins and X's
//! number is higher. The mark and the pause do not count.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Two clocks are assumed to differ by no more than this.
const LARGEST_SKEW: Duration = Duration::from_secs(600);

/// One login: its token, and what sessions that share it tell each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Record<T, E> {
    /// Random; a new one for each sign-in and each sign-out.
    pub(crate) login: u64,
    /// Orders logins: above every number that was known when it was drawn, and never below the
    /// wall clock in milliseconds.
    pub(crate) number: u64,
    /// Zero at sign-in, one more with each rotation. Login and generation name the refresh token.
    pub(crate) generation: u64,
    pub(crate) state: State<T, E>,
    /// Who renews.
    pub(crate) mark: Option<Mark>,
    /// Nobody asks the provider before this is over.
    pub(crate) pause: Option<Pause<E>>,
}

/// The state of a login.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum State<T, E> {
    /// In use; `None` where a grant has not brought the first token yet.
    Live(Option<T>),
    /// The provider refused the refresh token of this generation.
    Ended(E),
    /// The application signed out.
    SignedOut,
}

/// A session's claim to renew. Not a lease with an end: an observer takes it for dead when the
/// record has not changed for [`Mark::lease`] on the observer's own clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Mark {
    /// The session's random name; `None`: nobody, since the record was written back from memory and
    /// its holder is not known.
    pub(crate) holder: Option<u64>,
    /// The holder's wall clock, in milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) lease: Duration,
}

/// The backoff after a failed attempt.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Pause<E> {
    /// Wall clock, in milliseconds since 1970.
    pub(crate) until: u64,
    /// The whole of the backoff. An observer whose clock is wrong waits no longer than this.
    pub(crate) wait: Duration,
    pub(crate) error: E,
    /// Failed attempts in a row.
    pub(crate) attempts: u32,
}

impl<T, E> Record<T, E> {
    /// Whether this record may be written over the other one.
    pub(crate) fn is_above(&self, other: &Self) -> bool {
        if self.login == other.login {
            self.rank() > other.rank()
        } else {
            self.number > other.number
        }
    }

    /// Whether both are the same login at the same point.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.login == other.login && self.rank() == other.rank()
    }

    fn rank(&self) -> (u64, u8) {
        (self.generation, u8::from(!matches!(self.state, State::Live(_))))
    }

    pub(crate) fn token(&self) -> Option<&T> {
        match &self.state {
            State::Live(token) => token.as_ref(),
            State::Ended(_) | State::SignedOut => None,
        }
    }

    pub(crate) fn is_marked_by(&self, name: u64) -> bool {
        self.mark.is_some_and(|mark| mark.holder == Some(name))
    }

    pub(crate) fn with_mark(self, mark: Option<Mark>) -> Self {
        Self { mark, ..self }
    }
}

impl Mark {
    /// Do not wait for a holder that crashed long ago: a live mark is never older than one lease, and
    /// clocks are assumed to differ by no more than this.
    pub(super) fn is_from_long_ago(&self, wall: SystemTime) -> bool {
        let longest = (self.lease * 10).max(LARGEST_SKEW);
        millis(wall).saturating_sub(self.at) > longest.as_millis().try_into().unwrap_or(u64::MAX)
    }
}

impl<E> Pause<E> {
    pub(super) fn new(wall: SystemTime, wait: Duration, error: E, attempts: u32) -> Self {
        let length = wait.as_millis().try_into().unwrap_or(u64::MAX);
        Self { until: millis(wall).saturating_add(length), wait, error, attempts }
    }

    /// What is left of it. Nothing, if the writer's clock was far ahead of this one: that time may be
    /// days away.
    pub(super) fn left(&self, wall: SystemTime) -> Duration {
        let left = Duration::from_millis(self.until.saturating_sub(millis(wall)));
        if left > self.wait + LARGEST_SKEW { Duration::ZERO } else { left.min(self.wait) }
    }
}

/// Milliseconds since 1970.
pub(super) fn millis(wall: SystemTime) -> u64 {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(login: u64, number: u64, generation: u64, state: State<u8, u8>) -> Record<u8, u8> {
        Record { login, number, generation, state, mark: None, pause: None }
    }

    #[test]
    fn one_order_decides_every_write() {
        let live = || State::Live(Some(1));
        let base = record(1, 5, 3, live());
        for (other, above) in [
            (record(1, 5, 3, live()), false),
            (record(1, 5, 3, State::Ended(0)), true),
            (record(1, 5, 2, State::Ended(0)), false),
            (record(1, 5, 4, live()), true),
            // One login has one number, in every copy of its record.
            (record(1, 4, 4, live()), true),
            (record(1, 9, 2, live()), false),
            (record(2, 6, 0, live()), true),
            (record(2, 6, 0, State::SignedOut), true),
            (record(2, 5, 9, live()), false),
            (record(2, 4, 9, live()), false),
        ] {
            assert_eq!(other.is_above(&base), above, "{other:?}");
            assert!(!(above && base.is_above(&other)), "{other:?}");
        }
        assert!(base.is_same(&record(1, 9, 3, State::Live(Some(2)))));
        assert!(!base.is_same(&record(2, 5, 3, live())));
        assert!(!base.is_same(&record(1, 5, 4, live())));
    }

    #[test]
    fn a_mark_is_that_of_its_holder_alone() {
        let mark = |holder| Some(Mark { holder, at: 0, lease: Duration::from_secs(10) });
        for (mark, is_marked) in
            [(mark(Some(7)), true), (mark(Some(8)), false), (mark(None), false), (None, false)]
        {
            let record = record(1, 5, 3, State::Live(None)).with_mark(mark);
            assert_eq!(record.is_marked_by(7), is_marked, "{mark:?}");
        }
    }

    #[test]
    fn a_mark_is_dead_at_once_after_ten_leases_and_ten_minutes() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let mark =
            |lease| Mark { holder: Some(1), at: 1_000_000, lease: Duration::from_secs(lease) };
        assert!(!mark(10).is_from_long_ago(at(1600)));
        assert!(mark(10).is_from_long_ago(at(1601)));
        assert!(!mark(120).is_from_long_ago(at(2200)));
        assert!(mark(120).is_from_long_ago(at(2201)));
        assert!(!mark(10).is_from_long_ago(at(0)), "a mark from the future is watched for a lease");
    }

    #[test]
    fn a_pause_is_never_longer_than_its_whole() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let pause = Pause::new(at(100), Duration::from_secs(30), 0, 1);
        assert_eq!(pause.left(at(100)), Duration::from_secs(30));
        assert_eq!(pause.left(at(110)), Duration::from_secs(20));
        assert_eq!(pause.left(at(131)), Duration::ZERO);
        assert_eq!(pause.left(at(0)), Duration::from_secs(30), "a clock that is behind");
        let pause = Pause::new(at(1000), Duration::from_secs(30), 0, 1);
        assert_eq!(pause.left(at(400)), Duration::from_secs(30));
        assert_eq!(pause.left(at(399)), Duration::ZERO, "a clock that was set back");
    }
}

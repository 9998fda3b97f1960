//! `Held`: a lease as the lock file has it.
//!
//! It is counted by the wall clock, for that is the one clock that all processes share and that goes
//! on over a restart. Wall clocks are set, however. Set forward, a lease ends early: a sibling may
//! then ask the provider as well, and one of the two loses its commit. Set back, a lease would last
//! as much longer as the clock went back, so one that has not begun is over too: whatever happens to
//! the clock, none lasts longer than its time and the slack.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::store::Lease;

/// What a clock may go back in its ordinary life, such as after a leap second, in milliseconds.
const SLACK: u64 = 5_000;

/// Who holds the lease, and its time in milliseconds since 1970.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    holder: String,
    begin: u64,
    end: u64,
}

impl Held {
    pub(super) fn now() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        milliseconds(since)
    }

    pub(super) fn new(lease: &Lease, now: u64) -> Self {
        let end = now.saturating_add(milliseconds(lease.ttl()));
        Self { holder: lease.holder().to_owned(), begin: now, end }
    }

    pub(super) fn is_by(&self, lease: &Lease) -> bool {
        self.holder == lease.holder()
    }

    pub(super) fn is_on(&self, now: u64) -> bool {
        self.begin.saturating_sub(SLACK) <= now && now < self.end
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn a_lease_is_on_until_its_end() {
        let held = Held::new(&Lease::new(Duration::from_secs(60)), NOW);
        assert!(held.is_on(NOW));
        assert!(held.is_on(NOW + 59_999));
        assert!(!held.is_on(NOW + 60_000));
    }

    #[test]
    fn a_lease_is_over_where_the_clock_went_back_behind_it() {
        let held = Held::new(&Lease::new(Duration::from_secs(60)), NOW);
        assert!(held.is_on(NOW - SLACK), "a little is ordinary");
        assert!(!held.is_on(NOW - SLACK - 1));
        assert!(!held.is_on(0));
    }

    #[test]
    fn the_longest_lease_does_not_overflow() {
        let held = Held::new(&Lease::new(Duration::MAX), NOW);
        assert!(held.is_on(NOW) && held.is_on(u64::MAX - 1));
    }
}

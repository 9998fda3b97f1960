use std::cell::RefCell;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

thread_local! {
    static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// Draws the waits between attempts from this seed, for all that runs on this thread from now on.
/// With paused time, and a [clock](crate::SessionBuilder::clock) of the test's own, what sessions do
/// then repeats itself.
pub fn seed_jitter(seed: u64) {
    SEEDED.set(Some(StdRng::seed_from_u64(seed)));
}

/// A wait from the seed of this thread, if it has one.
pub(crate) fn draw(shortest: Duration, longest: Duration) -> Option<Duration> {
    SEEDED.with_borrow_mut(|seeded| Some(seeded.as_mut()?.random_range(shortest..=longest)))
}

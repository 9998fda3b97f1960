//! Jitter: random waits, so that processes which fail together do not try again together.

use std::time::Duration;

/// A wait between the two, each as likely as another.
pub(crate) fn between(shortest: Duration, longest: Duration) -> Duration {
    #[cfg(feature = "testing")]
    if let Some(wait) = seeded::between(shortest, longest) {
        return wait;
    }
    rand::random_range(shortest..=longest)
}

#[cfg(feature = "testing")]
pub(crate) use seeded::seed;

/// For tests that repeat themselves: a seed for each thread.
#[cfg(feature = "testing")]
mod seeded {
    use std::cell::RefCell;
    use std::time::Duration;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    thread_local! {
        static GENERATOR: RefCell<Option<StdRng>> = const { RefCell::new(None) };
    }

    /// Draws every later wait on this thread from the seed.
    pub(crate) fn seed(seed: u64) {
        GENERATOR.set(Some(StdRng::seed_from_u64(seed)));
    }

    /// `None` on a thread without a seed.
    pub(super) fn between(shortest: Duration, longest: Duration) -> Option<Duration> {
        GENERATOR
            .with_borrow_mut(|generator| Some(generator.as_mut()?.random_range(shortest..=longest)))
    }
}

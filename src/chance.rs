//! Chance: what jittered waits are drawn from.

use std::time::Duration;

/// A wait between the two, each as likely as another.
pub(crate) fn between(shortest: Duration, longest: Duration) -> Duration {
    #[cfg(feature = "testing")]
    if let Some(drawn) = crate::testing::draw(shortest, longest) {
        return drawn;
    }
    rand::random_range(shortest..=longest)
}

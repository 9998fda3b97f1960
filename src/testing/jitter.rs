use crate::jitter;

/// Draws the waits between attempts from this seed, for all that runs on this thread from now on.
/// With paused time, and a [clock](crate::SessionBuilder::clock) of the test's own, what sessions do
/// then repeats itself.
pub fn seed_jitter(seed: u64) {
    jitter::seed(seed);
}

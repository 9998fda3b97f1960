//! `Chance`: numbers that are the same in each run.

use std::time::Duration;

/// A generator of its own for each user and each counterpart, so that none moves another's.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(0x9e37_79b9_7f4a_7c15))
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).unwrap()
    }

    /// In whole milliseconds.
    pub(crate) fn up_to(&mut self, longest: Duration) -> Duration {
        Duration::from_millis(self.next() % u64::try_from(longest.as_millis()).unwrap())
    }

    /// One of the faults, each in one case of a hundred.
    pub(crate) fn one_of<T: Copy>(&mut self, faults: &[T]) -> Option<T> {
        faults.get(self.below(100)).copied()
    }
}

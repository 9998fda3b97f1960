//! `Counted`: what is not saved yet, in the gauge for as long as it lives.

/// One entry that waits to be saved.
pub(crate) struct Counted(());

impl Counted {
    pub(crate) fn new() -> Self {
        #[cfg(feature = "metrics")]
        super::metrics::unsaved().increment(1);
        Self(())
    }
}

#[cfg(feature = "metrics")]
impl Drop for Counted {
    fn drop(&mut self) {
        super::metrics::unsaved().decrement(1);
    }
}

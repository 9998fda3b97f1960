//! `UnsavedGauge`.

/// Counts one token that is not saved yet in the gauge, for as long as it lives.
pub(crate) struct UnsavedGauge(());

impl UnsavedGauge {
    pub(crate) fn new() -> Self {
        #[cfg(feature = "metrics")]
        super::metrics::unsaved().increment(1);
        Self(())
    }
}

#[cfg(feature = "metrics")]
impl Drop for UnsavedGauge {
    fn drop(&mut self) {
        super::metrics::unsaved().decrement(1);
    }
}

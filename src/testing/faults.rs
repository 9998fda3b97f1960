use std::collections::VecDeque;

use super::fault::Fault;

/// The faults that token requests will take.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queued: VecDeque<Fault>,
    always: Option<Fault>,
}

impl Faults {
    pub(super) fn queue(&mut self, fault: Fault) {
        self.queued.push_back(fault);
    }

    pub(super) fn set_always(&mut self, fault: Fault) {
        self.always = Some(fault);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault for the request that has just arrived.
    pub(super) fn take(&mut self) -> Option<Fault> {
        self.queued.pop_front().or_else(|| self.always.clone())
    }
}

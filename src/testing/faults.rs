use std::collections::VecDeque;

use super::callback::Params;
use super::denial::Denial;
use super::fault::Fault;

/// Changes the parameters of a callback.
pub(super) type Tamper = Box<dyn FnOnce(&mut Params) + Send>;

/// Everything that is to go wrong, or to go differently.
#[derive(Default)]
pub(super) struct Faults {
    queued: VecDeque<Fault>,
    always: Option<Fault>,
    pub(super) denials: VecDeque<Denial>,
    pub(super) tampers: VecDeque<Tamper>,
    /// How many polls of the device flow are answered with `slow_down`.
    pub(super) slow_downs: u32,
    pub(super) revocations: VecDeque<RevocationFault>,
    pub(super) introspections: VecDeque<String>,
    pub(super) metadata: Option<Fault>,
}

/// How the revocation endpoint fails for one request (RFC 7009 §2.2.1).
pub(super) struct RevocationFault {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
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

    /// The fault for the token request that has just arrived.
    pub(super) fn take(&mut self) -> Option<Fault> {
        self.queued.pop_front().or_else(|| self.always.clone())
    }
}

use std::collections::VecDeque;

use super::Fault;
use crate::testing::provider::authorization::{AuthorizationError, Params};

/// Changes the parameters of a callback.
pub(crate) type Tamper = Box<dyn FnOnce(&mut Params) + Send>;

/// Everything that is to go wrong, or to go differently.
#[derive(Default)]
pub(crate) struct FaultQueue {
    queued: VecDeque<Fault>,
    always: Option<Fault>,
    pub(crate) denials: VecDeque<AuthorizationError>,
    pub(crate) tampers: VecDeque<Tamper>,
    /// How many polls of the device flow are answered with `slow_down`.
    pub(crate) slow_downs: u32,
    pub(crate) revocations: VecDeque<RevocationFault>,
    pub(crate) introspections: VecDeque<String>,
    pub(crate) pushed_requests: VecDeque<Fault>,
    pub(crate) metadata: Option<Fault>,
    pub(crate) resource_metadata: Option<Fault>,
}

/// How the revocation endpoint fails for one request (RFC 7009 §2.2.1).
pub(crate) struct RevocationFault {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    /// The code in the body; `None`: no body.
    pub(crate) error: Option<String>,
}

impl FaultQueue {
    pub(crate) fn queue(&mut self, fault: Fault) {
        self.queued.push_back(fault);
    }

    pub(crate) fn set_always(&mut self, fault: Fault) {
        self.always = Some(fault);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault for the token request that has just arrived.
    pub(crate) fn take(&mut self) -> Option<Fault> {
        self.queued.pop_front().or_else(|| self.always.clone())
    }
}

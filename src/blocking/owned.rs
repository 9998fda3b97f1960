//! `Owned`: what the last handle waits for.

use super::Runtime;
use crate::request;

/// The sessions of a [`Session`](super::Session) and of the [`Api`](super::Api)s made from it, which share it;
/// or of an `Api` of its own. Its drop waits for what they are doing, since the runtime may end with it.
pub(super) struct Owned {
    api: request::Api,
    pub(super) runtime: Runtime,
}

impl Owned {
    /// Those of this API.
    pub(super) fn new(api: request::Api, runtime: Runtime) -> Self {
        Self { api, runtime }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // To see the error, call `shutdown` before.
        let _ = self.runtime.block_on(self.api.shutdown());
    }
}

//! `Owned`: what the last handle waits for.

use std::thread;

use super::Runtime;
use super::runtime::{is_thread_ending, may_wait_for_threads};
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
        if !is_thread_ending() {
            let _ = self.runtime.block_on(self.api.shutdown());
        } else if self.runtime.expect_another_thread().is_ok() {
            let (api, runtime) = (self.api.clone(), self.runtime.clone());
            let wait = move || drop(runtime.block_on(api.shutdown()));
            let waiting = thread::Builder::new().spawn(wait);
            if may_wait_for_threads() {
                let _ = waiting.map(thread::JoinHandle::join);
            }
        }
    }
}

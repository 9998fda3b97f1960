//! `Rare`: what only some tokens have. Boxed, so that all others stay small: a process may hold a million.

use std::sync::Arc;

use serde_json::{Map, Value};

#[cfg(feature = "keys")]
use super::KeyBinding;
use super::OtherTokens;

#[derive(Clone, Default)]
pub(super) struct Rare {
    /// The members that this crate does not know.
    pub(super) extra: Map<String, Value>,
    /// The key that the login's tokens are bound to, whatever the type of this one.
    #[cfg(feature = "keys")]
    pub(super) binding: Option<KeyBinding>,
    /// The access tokens for other targets.
    pub(super) others: Option<Arc<OtherTokens>>,
    /// Whether a renewal named another scope than the token before had. A renewal may ask for less than was
    /// granted, so its scope does not say what that was.
    pub(super) scope_is_of_renewal: bool,
}

impl Rare {
    /// `None` where there is nothing of it.
    pub(super) fn boxed(mut self) -> Option<Box<Self>> {
        let has_extra = !self.extra.is_empty();
        if !has_extra {
            // An emptied map keeps its memory.
            self.extra = Map::new();
        }
        let is_there = has_extra || self.others.is_some() || self.scope_is_of_renewal;
        #[cfg(feature = "keys")]
        let is_there = is_there || self.binding.is_some();
        is_there.then(|| Box::new(self))
    }
}

//! The code of the pages that need more than the library, as tests. That of the others is tested in
//! the crate itself.
#![cfg(doctest)]

#[doc = include_str!("../../../docs/observability.md")]
mod observability {}
#[doc = include_str!("../../../docs/own-store.md")]
mod own_store {}
#[doc = include_str!("../../../docs/web-application.md")]
mod web_application {}

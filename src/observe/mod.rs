//! What an operator sees of a token's life: events, spans and metrics. Their names are here and nowhere
//! else; `docs/observability.md` says what each means.
//!
//! Nothing of it is on the hot path: a request with a fresh token has no event, span or metric. No user's
//! name is in any of it, for it may be personal data and has no bounds as a label.

mod events;
#[cfg(feature = "metrics")]
mod metrics;
mod spans;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use events::*;
#[cfg(feature = "metrics")]
pub use metrics::describe_metrics;
pub(crate) use spans::{ClientFields, TargetFields, provider_request, renewal, saving};

/// The target of every event and span.
const TARGET: &str = "reqwest_oauth2";

/// The subscriber and the recorder are the application's, and may panic: one that prints does where standard
/// error is a closed pipe. That must cost no refresh token that has just been received.
fn guarded(tell: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(tell));
}

#[cfg(test)]
mod docs_test;

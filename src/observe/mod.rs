//! What an operator sees of a token's life: events, spans and metrics. Their names are here and nowhere
//! else; `docs/observability.md` says what each means.
//!
//! Nothing of it is on the hot path: a request with a fresh token has no event, span or metric. No user's
//! name is in any of it, for it may be personal data and has no bounds as a label.

mod events;
#[cfg(feature = "metrics")]
mod metrics;
mod spans;
mod unsaved_gauge;

pub(crate) use events::*;
#[cfg(feature = "metrics")]
pub use metrics::describe_metrics;
pub(crate) use spans::{ClientFields, TargetFields, provider_request, renewal, saving};
pub(crate) use unsaved_gauge::UnsavedGauge;

/// The target of every event and span.
const TARGET: &str = "reqwest_oauth2";

#[cfg(test)]
mod docs_test;

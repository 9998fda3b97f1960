//! The metrics, through the `metrics` facade. Each label's values are few and fixed in the code.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

const RENEWALS: &str = "oauth2_renewals_total";
const RENEWAL_SECONDS: &str = "oauth2_renewal_duration_seconds";
const PROVIDER_REQUESTS: &str = "oauth2_provider_requests_total";
const PROVIDER_REQUEST_SECONDS: &str = "oauth2_provider_request_duration_seconds";
pub(super) const LOST_ANSWERS: &str = "oauth2_lost_answers_total";
const SAVES: &str = "oauth2_saves_total";
pub(super) const SLOW_SAVES: &str = "oauth2_slow_saves_total";
const UNSAVED: &str = "oauth2_unsaved_tokens";
const STORE_ERRORS: &str = "oauth2_store_errors_total";
pub(super) const LOST_LEASES: &str = "oauth2_lost_leases_total";
const REJECTIONS: &str = "oauth2_token_rejections_total";
const SIGN_OUTS: &str = "oauth2_sign_outs_total";
const ANOMALIES: &str = "oauth2_anomalies_total";

pub(super) const COUNTERS: [(&str, &str); 10] = [
    (RENEWALS, "renewals, by outcome"),
    (PROVIDER_REQUESTS, "requests to the provider, by endpoint and outcome"),
    (LOST_ANSWERS, "responses of the token endpoint that were lost"),
    (SAVES, "calls of the saver or the store to save or delete, by outcome"),
    (SLOW_SAVES, "saves that renewals stopped waiting for"),
    (STORE_ERRORS, "calls of the store that failed, by operation"),
    (LOST_LEASES, "leases that another process took during a renewal"),
    (REJECTIONS, "tokens that a resource server rejected with a 401, by outcome"),
    (SIGN_OUTS, "sign-outs, by outcome"),
    (ANOMALIES, "odd responses of the provider, by kind"),
];
pub(super) const HISTOGRAMS: [(&str, &str); 2] = [
    (RENEWAL_SECONDS, "how long renewals took, with waiting and saving"),
    (PROVIDER_REQUEST_SECONDS, "how long requests to the provider took, by endpoint"),
];
pub(super) const GAUGES: [(&str, &str); 1] = [(UNSAVED, "tokens that are not saved yet")];

/// Gives the recorder the units and descriptions of this crate's metrics. Call it once, after the recorder
/// is installed; what they are is in `docs/observability.md`.
pub fn describe_metrics() {
    for (name, text) in COUNTERS {
        describe_counter!(name, Unit::Count, text);
    }
    for (name, text) in HISTOGRAMS {
        describe_histogram!(name, Unit::Seconds, text);
    }
    for (name, text) in GAUGES {
        describe_gauge!(name, Unit::Count, text);
    }
}

pub(super) fn count(name: &'static str) {
    counter!(name).increment(1);
}

pub(super) fn renewal(outcome: &'static str, took: Duration) {
    counter!(RENEWALS, "outcome" => outcome).increment(1);
    metrics::histogram!(RENEWAL_SECONDS).record(took);
}

pub(super) fn provider_request(endpoint: &'static str, outcome: &'static str, took: Duration) {
    counter!(PROVIDER_REQUESTS, "endpoint" => endpoint, "outcome" => outcome).increment(1);
    metrics::histogram!(PROVIDER_REQUEST_SECONDS, "endpoint" => endpoint).record(took);
}

pub(super) fn save(outcome: &'static str) {
    counter!(SAVES, "outcome" => outcome).increment(1);
}

pub(super) fn unsaved(is_unsaved: bool) {
    let gauge = metrics::gauge!(UNSAVED);
    if is_unsaved { gauge.increment(1) } else { gauge.decrement(1) }
}

pub(super) fn store_error(operation: &'static str) {
    counter!(STORE_ERRORS, "operation" => operation).increment(1);
}

pub(super) fn rejection(outcome: &'static str) {
    counter!(REJECTIONS, "outcome" => outcome).increment(1);
}

pub(super) fn sign_out(outcome: &'static str) {
    counter!(SIGN_OUTS, "outcome" => outcome).increment(1);
}

pub(super) fn anomaly(kind: &'static str) {
    counter!(ANOMALIES, "kind" => kind).increment(1);
}

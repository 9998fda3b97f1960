//! The events: for each a function that emits it and counts it.
//!
//! The name is the field `event`, not tracing's own name of an event: tracing-subscriber prints fields,
//! in JSON too, and never that name. A filter takes the target, the level, and the span an event is in.

use std::error::Error as StdError;
use std::time::Duration;

#[cfg(feature = "metrics")]
use super::metrics;
use super::{TARGET, TargetFields, guarded};
use crate::error::Error;

/// `LEVEL name(arguments) "message" { fields } => what is counted;`
macro_rules! events {
    ($(
        $level:ident $name:ident($($argument:ident: $type:ty),*) $message:literal
        { $($field:ident = $value:expr),* } $(=> $counted:expr)?;
    )*) => {
        $(
            #[cfg_attr(not(all(feature = "file-store", feature = "keys")), allow(dead_code))]
            pub(crate) fn $name($($argument: $type),*) {
                guarded(|| tracing::event!(
                    target: TARGET,
                    tracing::Level::$level,
                    event = stringify!($name),
                    $($field = $value,)*
                    $message
                ));
                $(
                    #[cfg(feature = "metrics")]
                    guarded(|| $counted);
                )?
            }
        )*

        /// Name, level and fields of each.
        #[cfg(all(test, feature = "metrics"))]
        pub(super) const ALL: &[(&str, &str, &[&str])] =
            &[$((stringify!($name), stringify!($level), &[$(stringify!($field)),*])),*];
    };
}

events! {
    DEBUG renewal_started(of: &TargetFields, cause: &str, generation: u64)
        "renewing the token"
        { cause = cause, generation = generation, resource = of.resource(), scope = of.scope() };
    INFO renewal_finished(of: &TargetFields, generation: u64, lifetime: Option<i64>, took: Duration)
        "the token is renewed"
        { generation = generation, lifetime_s = lifetime, duration_ms = ms(took), resource = of.resource(), scope = of.scope() }
        => metrics::renewal("renewed", took);
    DEBUG token_adopted(of: &TargetFields, generation: u64, lifetime: Option<i64>, took: Duration)
        "another process has renewed the token"
        { generation = generation, lifetime_s = lifetime, duration_ms = ms(took), resource = of.resource(), scope = of.scope() }
        => metrics::renewal("adopted", took);
    WARN renewal_failed(of: &TargetFields, error: &Error, attempt: u32, took: Duration)
        "the token could not be renewed; it is tried again"
        { code = error.error_code(), attempt = attempt, duration_ms = ms(took), error = cause(error), resource = of.resource(), scope = of.scope() }
        => metrics::renewal("failed", took);
    ERROR reauthorization_required(error: &Error, took: Duration)
        "only a new login, or a corrected grant, helps"
        { code = error.error_code(), response_lost = error.is_response_lost(), duration_ms = ms(took), error = cause(error) }
        => metrics::renewal("reauthorization_required", took);
    DEBUG reauthorization_still_required(error: &Error)
        "there is no login yet, or it had ended before"
        { code = error.error_code() };
    WARN login_expires_soon(left: Duration)
        "the refresh token expires soon; then only a new login helps"
        { left_s = left.as_secs() };
    DEBUG renewal_discarded()
        "the application has set another token, or has signed out, meanwhile" {};
    DEBUG token_set(of: &TargetFields, generation: u64, lifetime: Option<i64>)
        "the application's token is in use"
        { generation = generation, lifetime_s = lifetime, resource = of.resource(), scope = of.scope() };

    DEBUG provider_answered(endpoint: &'static str, took: Duration)
        "the provider answered the request"
        { endpoint = endpoint, outcome = "ok", duration_ms = ms(took) }
        => metrics::provider_request(endpoint, "ok", took);
    DEBUG provider_failed(endpoint: &'static str, error: &Error, took: Duration)
        "the request to the provider failed"
        { endpoint = endpoint, outcome = error.outcome(), status = status(error), code = error.error_code(), duration_ms = ms(took) }
        => metrics::provider_request(endpoint, error.outcome(), took);
    WARN response_lost(error: &Error)
        "the response was lost; the refresh token is presented once more"
        { error = cause(error) }
        => metrics::count(metrics::LOST_ANSWERS);
    DEBUG refresh_token_refused(error: &Error)
        "the refresh token was refused; the grant is asked"
        { code = error.error_code() };

    DEBUG token_saved(took: Duration)
        "the token is saved"
        { duration_ms = ms(took) }
        => metrics::save("saved");
    DEBUG token_deleted(took: Duration)
        "what was saved is deleted"
        { duration_ms = ms(took) }
        => metrics::save("deleted");
    DEBUG save_conflict()
        "another process has saved another token to the store" {}
        => metrics::save("conflict");
    ERROR save_failed(error: &Error, attempt: u32)
        "the token could not be saved, or what was saved not deleted; it is tried again"
        { attempt = attempt, error = cause(error) }
        => metrics::save("failed");
    ERROR saver_gone()
        "the application has dropped its saver: the new token, or the sign-out, is not saved" {}
        => metrics::save("failed");
    WARN save_slow(waited: Duration)
        "the saver is slow; saving goes on"
        { waited_ms = ms(waited) }
        => metrics::count(metrics::SLOW_SAVES);

    WARN store_failed(operation: &'static str, error: &Error)
        "the store failed"
        { operation = operation, error = cause(error) }
        => metrics::store_error(operation);
    WARN token_file_exposed(path: &str, tightened: bool)
        "other users could read the token file"
        { path = path, tightened = tightened };
    WARN lease_lost()
        "another process holds the lease of a renewal that is under way here" {}
        => metrics::count(metrics::LOST_LEASES);
    WARN renewing_without_store(error: &Error)
        "renewing without the store"
        { error = cause(error) };

    INFO token_rejected(of: &TargetFields, generation: u64)
        "a resource server answered 401"
        { generation = generation, resource = of.resource(), scope = of.scope() }
        => metrics::rejection("renewed");
    DEBUG rejected_token_kept(of: &TargetFields)
        "nothing renews the token that was rejected, and the store has no other one: it stays in use"
        { resource = of.resource(), scope = of.scope() };
    WARN unauthorized_after_renewal(of: &TargetFields, generation: u64)
        "a token renewed because of a 401 was rejected too; the 401s of this path renew nothing for a while"
        { generation = generation, resource = of.resource(), scope = of.scope() }
        => metrics::rejection("not_fixed");

    INFO signed_out()
        "signed out" {}
        => metrics::sign_out("signed_out");
    WARN sign_out_failed(error: &Error)
        "the provider did not revoke the token; here the login has ended"
        { code = error.error_code(), error = cause(error) }
        => metrics::sign_out("failed");

    WARN token_already_expired()
        "the provider issued a token that had expired when it was issued: it is used until a 401" {}
        => metrics::anomaly("token_already_expired");
    WARN token_not_bound()
        "the provider issued a bearer token where one was asked for that is bound to a key" {}
        => metrics::anomaly("token_not_bound");
    WARN expires_in_invalid()
        "the token's expires_in is not a number: its lifetime counts as unknown" {}
        => metrics::anomaly("expires_in_invalid");
}

/// The session has something that is not saved, or has it no more. Called while no lock is held: the recorder
/// is the application's.
pub(crate) fn unsaved(is_unsaved: bool) {
    #[cfg(feature = "metrics")]
    guarded(|| metrics::unsaved(is_unsaved));
    #[cfg(not(feature = "metrics"))]
    let _ = is_unsaved;
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn cause(error: &Error) -> &(dyn StdError + 'static) {
    error
}

fn status(error: &Error) -> Option<u16> {
    error.status().map(|status| status.as_u16())
}

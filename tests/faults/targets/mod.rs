//! One login with access tokens for three targets: its own, a resource, and a scope. One session with a saver,
//! or two that share the login in a store.
//!
//! `schedule` is what is tried, `run` does it and sees to it that all heals, `world` is what surrounds the
//! sessions, `endpoints` are the provider and the API. `model` says what must not be: two token requests of
//! a login at once, a refresh token that was replaced, a token for one target at another, and a refusal of one
//! target that touches others.

mod endpoints;
mod model;
mod run;
mod schedule;
mod world;

pub use run::run;

/// What a run of the default length meets, beside what the others meet.
pub const EXPECTED: [&str; 14] = [
    "targets: a call is cancelled",
    "targets: a request fails with the provider",
    "targets: a saver fails",
    "targets: a target is refused",
    "targets: a target is refused to the end",
    "targets: a token is marked as rejected",
    "targets: a token is rejected",
    "targets: all three at once",
    "targets: asked again after a refusal",
    "targets: healed",
    "targets: reauthorization required",
    "targets: renewed",
    "targets: sign-in",
    "targets: sign-out",
];

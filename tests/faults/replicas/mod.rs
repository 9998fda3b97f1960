//! Sessions that share a store: two to four with one login, or many users in `UserSessions`, in several
//! processes and on several runtimes, all on one thread.
//!
//! `schedule` is what is tried, `fleet` the sessions and their calls, `world` what surrounds them,
//! `runtimes` what carries them. `model` says what must not be.

mod api;
mod clock;
mod endpoints;
mod fleet;
mod grant;
mod model;
mod recovery;
mod run;
mod runtimes;
mod schedule;
mod store;
mod world;

pub use run::run;

/// What a run of the default length meets, beside what one session meets.
pub const EXPECTED: [&str; 61] = [
    "grant: fails",
    "grant: hangs",
    "grant: panics",
    "grant: refused",
    "loss: a holder dies",
    "loss: a holder stands still",
    "loss: a holder's runtime ends",
    "loss: a request outlives its caller",
    "loss: an answer is lost after a rotation",
    "loss: nobody drives a holder's runtime",
    "loss: the store is emptied",
    "shared step: API in trouble",
    "shared step: a clock is put back",
    "shared step: a clock is put forward",
    "shared step: a process dies",
    "shared step: a process stands still",
    "shared step: a runtime ends",
    "shared step: access token revoked",
    "shared step: all callers go away",
    "shared step: all well again",
    "shared step: grant in trouble",
    "shared step: login revoked",
    "shared step: nobody drives a runtime",
    "shared step: outage",
    "shared step: refresh()",
    "shared step: request",
    "shared step: several requests",
    "shared step: shutdown()",
    "shared step: sign-in",
    "shared step: sign-out",
    "shared step: slow provider",
    "shared step: store in trouble",
    "shared step: store in trouble for one session",
    "shared step: the store is emptied",
    "shared step: time passes",
    "shared step: token()",
    "shared step: until expired",
    "shared: a call fails with store or provider",
    "shared: a caller goes away",
    "shared: a dead mark is taken over",
    "shared: a pause is recorded",
    "shared: a record is written back",
    "shared: a sign-in or sign-out amid a renewal",
    "shared: a sign-out is stored",
    "shared: a token request is given up",
    "shared: all serve one token at the end",
    "shared: asked again after a failure",
    "shared: nobody is signed in at the end",
    "shared: reauthorization required",
    "shared: the end of a login is stored",
    "store: a stale load",
    "store: fails after it has happened",
    "store: fails before it happens",
    "store: fails, and it happens later",
    "store: hangs after it has happened",
    "store: hangs before it happens",
    "store: panics after it has happened",
    "store: panics before it happens",
    "store: slow after it has happened",
    "store: slow before it happens",
    "users: a user whom nobody knows",
];

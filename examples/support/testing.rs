//! `reqwest_oauth2::testing`: the embedded provider.
//!
//! In the repository the crate's tests switch the feature `testing` on for the examples too. Nothing does
//! so in the published crate, whose examples compile the same source here.

#[cfg(feature = "testing")]
pub(crate) use reqwest_oauth2::testing::*;

#[cfg(not(feature = "testing"))]
#[allow(dead_code)]
#[path = "../../src/clock.rs"]
mod clock;
#[cfg(not(feature = "testing"))]
#[allow(dead_code, missing_debug_implementations, unreachable_pub, unused_imports)]
#[path = "../../src/testing/provider/mod.rs"]
mod provider;
#[cfg(not(feature = "testing"))]
pub(crate) use provider::*;

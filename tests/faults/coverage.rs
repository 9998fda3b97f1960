//! `Coverage`: how often each kind of step, and each state worth reaching, was met.

use std::collections::BTreeMap;
use std::fmt;

use crate::{replicas, targets};

#[derive(Default)]
pub struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    pub fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// What was never met, of what should be.
    pub fn missing(&self) -> Vec<&'static str> {
        let expected = EXPECTED.into_iter().chain(replicas::EXPECTED).chain(targets::EXPECTED);
        expected.filter(|what| !self.0.contains_key(what)).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.keys().map(|what| what.chars().count()).max().unwrap_or_default();
        self.0.iter().try_for_each(|(what, times)| writeln!(f, "  {what:width$} {times:>10}"))
    }
}

/// What a run of the default length meets: were one of these missing, the test would say nothing of it.
const EXPECTED: [&str; 67] = [
    "api: 401 whatever the token",
    "api: 5xx",
    "api: insufficient_scope",
    "api: lost",
    "api: redirected, and 401 from there",
    "end: healed",
    "end: login ended",
    "outage: 429",
    "outage: 5xx",
    "outage: cut off amid the answer",
    "outage: garbage",
    "outage: garbage after the token is issued",
    "outage: hang",
    "outage: hang after the token is issued",
    "outage: invalid_client",
    "outage: lost after the token is issued",
    "outage: lost before the token is issued",
    "outage: unreachable",
    "saver: error",
    "saver: error after it has written",
    "saver: hang",
    "saver: panic",
    "saver: slow",
    "state: a call of the saver is set aside",
    "state: a late 401",
    "state: a new login or a sign-out amid a renewal",
    "state: a request fails with the provider",
    "state: a save that was set aside writes late",
    "state: a token is rejected",
    "state: an old login is out of use, the new one is not saved",
    "state: an unsaved token serves",
    "state: answer to a renewal that is void",
    "state: cancelled",
    "state: cancelled amid a renewal",
    "state: cancelled amid a save",
    "state: reauthorization required",
    "state: renewal for a 401 alone",
    "state: renewed while the saver fails",
    "state: saved again after a failure",
    "state: second try after a lost answer",
    "state: the saver fails amid a renewal",
    "state: token request timed out",
    "step: API in trouble",
    "step: a caller goes away",
    "step: access token revoked",
    "step: all callers go away",
    "step: all well again",
    "step: keep_fresh()",
    "step: keep_fresh() dropped",
    "step: login revoked",
    "step: outage",
    "step: refresh()",
    "step: request",
    "step: request to another origin",
    "step: request with its own header",
    "step: saver in trouble",
    "step: set_token()",
    "step: several requests",
    "step: shutdown()",
    "step: sign_out()",
    "step: slow provider",
    "step: the clock is put back",
    "step: the clock is put forward",
    "step: time passes",
    "step: token()",
    "step: until due",
    "step: until expired",
];

//! What the application is told: in time, with no token older than before or of another user, and
//! with no error that nothing explains or that holds a secret.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest_oauth2::Error;

use super::Model;
use crate::token_serial::{SECRET, TokenSerial};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request,
    Token,
    Refresh,
    SetToken,
    SignOut,
    Shutdown,
}

#[derive(Debug)]
pub enum Outcome {
    Status(u16),
    Token(TokenSerial),
    Done,
    Failed(Error),
    /// The API's connection.
    Lost,
}

pub(super) struct Call {
    kind: Kind,
    slot: usize,
    user: u32,
    runtime: usize,
    began: Duration,
    /// Its runtime stood still for so long.
    stood_still: Duration,
    /// The newest token of each login that the session had sent when it began.
    floor: BTreeMap<u32, u32>,
}

/// All that one renewal may take at the provider, or at the grant, and the wait for the store.
const RENEWAL: Duration = Duration::from_secs(30 + 5);
const GRANT: Duration = Duration::from_secs(60 + 5);
/// The longest that the API takes.
const API: Duration = Duration::from_secs(5);
const SET_TOKEN: Duration = Duration::from_secs(15);
/// The pieces of time by which runtimes are driven.
const SLACK: Duration = Duration::from_secs(3);
/// For so long what a load has shown is taken for true; and the time that a load takes.
const LOOK: Duration = Duration::from_secs(2);
/// So many loads a call for a user who is not known.
const LOADS: u32 = 3;

impl Model {
    pub fn began(&mut self, id: u32, kind: Kind, slot: usize, user: u32, runtime: usize) {
        self.note(format_args!("call {id} of {slot} for user {user} begins: {kind:?}"));
        self.users.entry(user).or_default().calls += 1;
        let began = self.clock.now();
        let floor = self.floor(slot, user);
        let stood_still = Duration::ZERO;
        self.calls.insert(id, Call { kind, slot, user, runtime, began, stood_still, floor });
    }

    fn floor(&self, slot: usize, user: u32) -> BTreeMap<u32, u32> {
        self.sent.get(&(slot, user)).cloned().unwrap_or_default()
    }

    /// A token is used for the user's request, or given to the application.
    pub fn token_used(&mut self, id: u32, serial: TokenSerial) {
        let Some(call) = self.calls.get(&id) else {
            return self.violation(format!("request {id} is sent after it was cancelled"));
        };
        let (slot, user) = (call.slot, call.user);
        let floor = call.floor.get(&serial.login).copied().unwrap_or_default();
        if self.user_of(serial.login) != Some(user) {
            self.violation(format!("call {id} for user {user} is given {serial} of another"));
        }
        // Of many users there may be two sessions for a while: one that was evicted, and its successor.
        // Without the store, two sessions may both renew.
        if serial.n < floor && !self.terms.many && !self.terms.renew_without_store {
            self.violation(format!("call {id} is given {serial}, which is older than {floor}"));
        }
        let sent = self.sent.entry((slot, user)).or_default().entry(serial.login).or_default();
        *sent = serial.n.max(*sent);
        self.last_used.insert((slot, user), serial);
    }

    pub fn call_ended(&mut self, id: u32, outcome: Outcome) {
        match &outcome {
            Outcome::Failed(error) => self.note(format_args!("call {id} ends: {error}")),
            other => self.note(format_args!("call {id} ends: {other:?}")),
        }
        if let Outcome::Token(serial) = outcome {
            self.token_used(id, serial);
        }
        let Some(call) = self.calls.remove(&id) else { return };
        let (kind, user) = (call.kind, call.user);
        let why = match &outcome {
            Outcome::Failed(error) => {
                self.check_secrets(id, error);
                self.unaccountable(user, error)
            }
            Outcome::Lost if !self.has_failed => Some("nothing was lost"),
            _ => None,
        };
        if let Some(why) = why {
            self.violation(format!("call {id} ({kind:?}) ends so, and {why}"));
        }
        self.check_unknown(user);
        self.last = Some(outcome);
    }

    /// The token that the session has used last for the user.
    pub fn last_used(&self, slot: usize, user: u32) -> Option<TokenSerial> {
        self.last_used.get(&(slot, user)).copied()
    }

    fn unaccountable(&mut self, user: u32, error: &Error) -> Option<&'static str> {
        if error.is_reauthorization_required() {
            self.coverage.count("shared: reauthorization required");
            return self.still_signed_in(user).then_some("the login has not ended");
        }
        let text = error.to_string();
        if text.starts_with("no Tokio runtime") {
            return (!self.has_lost_runtime).then_some("no runtime was lost");
        }
        if error.is_save() {
            // Where the newest token has expired, and is not stored yet, that is what stands in the way.
            return self.last_trouble.is_none().then_some("saving has not failed");
        }
        let known = error.is_store() || error.is_transient() || error.error_code().is_some();
        if known || text.starts_with("the last renewal") {
            self.coverage.count("shared: a call fails with store or provider");
            return (!self.has_failed).then_some("nothing has failed");
        }
        Some("there is no such error")
    }

    /// Whether nothing explains that the user must sign in.
    fn still_signed_in(&self, user: u32) -> bool {
        let Some(facts) = self.users.get(&user) else { return false };
        let has_ended = self.logins.values().any(|login| login.user == user && login.ended);
        // A load may be stale, or not long ago: from before the first sign-in.
        let stored = facts.first_stored.filter(|at| *at + LOOK < self.clock.now());
        let may_be_unseen = stored.is_none() || self.last_trouble.is_some();
        !facts.signed_out
            && !has_ended
            && !self.is_grant_refused
            && !may_be_unseen
            && !self.has_lost_content
    }

    fn check_secrets(&mut self, id: u32, error: &Error) {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if format!("{error} {error:?}").contains(SECRET) {
                self.violation(format!("the error of call {id} tells a secret"));
            }
            cause = error.source();
        }
    }

    /// A user whom nobody knows costs a handful of loads.
    fn check_unknown(&mut self, user: u32) {
        let Some(facts) = self.users.get(&user) else { return };
        if facts.is_known || self.terms.grant || self.last_trouble.is_some() {
            return;
        }
        self.coverage.count("users: a user whom nobody knows");
        let (loads, calls) = (facts.loads, facts.calls);
        if loads > LOADS * calls {
            self.violation(format!("user {user} costs {loads} loads in {calls} calls"));
        }
    }

    /// The caller has gone away.
    pub fn call_dropped(&mut self, id: u32) {
        if self.calls.remove(&id).is_some() {
            self.note(format_args!("call {id} is cancelled"));
            self.coverage.count("shared: a caller goes away");
        }
    }

    /// The runtime is not driven for so long.
    pub fn runtime_stands_still(&mut self, runtime: usize, time: Duration) {
        let calls = self.calls.values_mut().filter(|call| call.runtime == runtime);
        calls.for_each(|call| call.stood_still += time);
    }

    /// No call takes longer than it may.
    pub fn check_waits(&mut self) {
        let now = self.clock.now();
        let renewal = if self.terms.grant { GRANT } else { RENEWAL };
        let patience = renewal + self.terms.lease * 3;
        let limit = |call: &Call| match call.kind {
            Kind::Request => (patience + API) * 2,
            Kind::Token | Kind::Refresh | Kind::SignOut | Kind::Shutdown => patience,
            Kind::SetToken => SET_TOKEN,
        };
        let hanging = self
            .calls
            .iter()
            .find(|(_, call)| now > call.began + limit(call) + call.stood_still + SLACK);
        if let Some((id, call)) = hanging {
            let (id, kind, since) = (*id, call.kind, now - call.began);
            self.violation(format!("call {id} ({kind:?}) has been waiting for {since:?}"));
            self.calls.remove(&id);
        }
    }

    pub fn waiting(&self) -> usize {
        self.calls.len()
    }
}

//! What is known of the login, and what must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use reqwest_oauth2::Error;

use super::schedule::{Aim, Handle};
use crate::clock::Clock;
use crate::coverage::Coverage;
use crate::provider::Issued;
use crate::token_serial::TokenSerial;

/// A target that was refused is left alone for that long.
const LEFT_ALONE: Duration = Duration::from_secs(60);
/// Any call has ended by then: two renewals, each with a wait for another session's.
const LONGEST_CALL: Duration = Duration::from_secs(300);

/// What the session is told of a token request.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Token(Issued),
    InvalidGrant,
    TargetRefused,
    /// Not now; not before that long.
    Later(Duration),
    /// Nothing that can be used, and perhaps issued.
    Lost {
        issued: bool,
    },
}

/// How a call has ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    Status(u16),
    Token(TokenSerial),
    Done,
    Failed(Error),
}

struct Call {
    handle: Handle,
    began: Duration,
}

pub struct Model {
    clock: Clock,
    pub trace: String,
    pub violation: Option<String>,
    pub coverage: Coverage,
    pub token_requests: u64,
    flights: Vec<TokenSerial>,
    /// Of each login, the refresh token that is to be presented.
    newest: BTreeMap<u32, TokenSerial>,
    /// Of these logins a refresh token was lost.
    in_doubt: BTreeSet<u32>,
    /// Nobody is to ask for the login before that.
    not_before: BTreeMap<u32, Duration>,
    /// When each target of a login was refused to a session.
    refused: BTreeMap<(usize, u32, Aim), Duration>,
    pub login: u32,
    login_since: Duration,
    pub is_signed_out: bool,
    calls: BTreeMap<u32, Call>,
}

impl Model {
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            trace: String::new(),
            violation: None,
            coverage: Coverage::default(),
            token_requests: 0,
            flights: Vec::new(),
            newest: BTreeMap::new(),
            in_doubt: BTreeSet::new(),
            not_before: BTreeMap::new(),
            refused: BTreeMap::new(),
            login: 0,
            login_since: Duration::ZERO,
            is_signed_out: false,
            calls: BTreeMap::new(),
        }
    }

    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.trace, "{:>12.3} {what}", self.clock.now().as_secs_f64());
    }

    /// What must not be. The first is kept: what follows may follow from it.
    pub fn violation(&mut self, what: String) {
        self.note(format_args!("VIOLATION {what}"));
        self.violation.get_or_insert(what);
    }

    pub fn logged_in(&mut self, serial: TokenSerial) {
        self.newest.insert(serial.login, serial);
        (self.login, self.login_since) = (serial.login, self.clock.now());
        self.is_signed_out = false;
    }

    pub fn signed_out(&mut self) {
        self.is_signed_out = true;
    }

    /// A session presents a refresh token for a target.
    pub fn presented(&mut self, session: usize, presented: TokenSerial, aim: Aim) {
        let now = self.clock.now();
        self.note(format_args!("{session} presents {presented} for {aim:?}"));
        self.token_requests += 1;
        let login = presented.login;
        if self.flights.iter().any(|other| other.login == login) {
            self.violation(format!("{presented} is presented beside another of its login"));
        }
        if self.newest.get(&login) != Some(&presented) {
            let newest = self.newest.get(&login).copied();
            self.violation(format!("{presented} is presented, and {newest:?} has replaced it"));
        }
        if self.not_before.get(&login).is_some_and(|until| now < *until) {
            self.violation(format!("{presented} is presented for {aim:?} amid a backoff"));
        }
        if let Some(at) = self.refused.get(&(session, login, aim)) {
            if now < *at + LEFT_ALONE {
                self.violation(format!("{aim:?} is asked for again soon after it was refused"));
            }
            self.coverage.count("targets: asked again after a refusal");
        }
        self.flights.push(presented);
    }

    /// The answer is on its way to the session, and arrives at once.
    pub fn answered(&mut self, session: usize, presented: TokenSerial, aim: Aim, answer: Answer) {
        self.note(format_args!("{session} with {presented} for {aim:?}: {answer:?}"));
        let (now, login) = (self.clock.now(), presented.login);
        self.flights.retain(|flight| *flight != presented);
        match answer {
            Answer::Token(issued) => {
                self.coverage.count("targets: renewed");
                self.newest.insert(login, issued.refresh.unwrap_or(presented));
                // The other session remembers its own refusal.
                self.refused.remove(&(session, login, aim));
            }
            Answer::InvalidGrant => {
                if !self.in_doubt.contains(&login) {
                    self.violation(format!("login {login} has ended, and nothing was lost"));
                }
            }
            Answer::TargetRefused => {
                self.coverage.count("targets: a target is refused");
                self.refused.insert((session, login, aim), now);
            }
            Answer::Later(wait) => {
                self.not_before.insert(login, now + wait);
            }
            Answer::Lost { issued } => {
                if issued {
                    self.in_doubt.insert(login);
                }
            }
        }
    }

    pub fn began(&mut self, id: u32, handle: Handle) {
        self.calls.insert(id, Call { handle, began: self.clock.now() });
    }

    /// The caller has gone away, if the call has not ended before.
    pub fn dropped(&mut self, id: u32) {
        if self.calls.remove(&id).is_some() {
            self.coverage.count("targets: a call is cancelled");
        }
    }

    pub fn ended(&mut self, id: u32, outcome: &Outcome, has_login_ended: bool) {
        let Some(Call { handle, began }) = self.calls.remove(&id) else { return };
        match outcome {
            Outcome::Failed(error) => self.note(format_args!("call {id} ends: {error}")),
            other => self.note(format_args!("call {id} ends: {other:?}")),
        }
        if let Outcome::Status(status) = outcome
            && ![200, 401].contains(status)
        {
            self.violation(format!("call {id} ends with {status}, and the API has not said so"));
        }
        let Outcome::Failed(error) = outcome else { return };
        let why = self.unaccountable(handle, began, error, has_login_ended);
        if let Some(why) = why {
            self.violation(format!("call {id} ({handle:?}) fails ({error}), and {why}"));
        }
    }

    /// Why the error should not be, if so.
    fn unaccountable(
        &mut self,
        Handle { aim, .. }: Handle,
        began: Duration,
        error: &Error,
        has_login_ended: bool,
    ) -> Option<&'static str> {
        let is_refusal = matches!(error.error_code(), Some("invalid_target" | "invalid_scope"));
        if is_refusal {
            let was_refused = self.refused.keys().any(|(.., other)| *other == aim);
            return (error.error_code() != Some(aim.refusal()) || !was_refused)
                .then_some("another target was refused");
        }
        if error.is_reauthorization_required() {
            self.coverage.count("targets: reauthorization required");
            // What was said of the login before is known for a while.
            let is_old = began < self.login_since + LONGEST_CALL;
            let is_over = has_login_ended || self.is_signed_out || (is_old && self.login > 1);
            return (!is_over).then_some("the login has not ended");
        }
        if error.is_transient()
            || error.is_timeout()
            || error.error_code() == Some("invalid_client")
        {
            self.coverage.count("targets: a request fails with the provider");
            return None;
        }
        Some("there is no such error")
    }

    /// No call waits for ever.
    pub fn check_waits(&mut self) {
        let now = self.clock.now();
        let hanging = self.calls.iter().find(|(_, call)| now > call.began + LONGEST_CALL);
        if let Some((id, call)) = hanging {
            let what = format!("call {id} ({:?}) waits since {:?}", call.handle, call.began);
            self.violation(what);
        }
    }
}

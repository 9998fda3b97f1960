//! Token requests: one at a time, none without a cause, no refresh token twice.

use std::time::{Duration, SystemTime};

use super::token::Facts;
use super::{BACKOFF, FORGOTTEN, Model, QUIET, TOKEN_REQUESTS};
use crate::provider::Issued;
use crate::token_serial::TokenSerial;

/// After a lost answer the refresh token is presented once more, after at least and at most that
/// long; timers have a grain of a millisecond.
const SECOND_TRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_millis(751));

/// A token request under way.
pub(super) struct Flight {
    presented: TokenSerial,
    sent: SystemTime,
    began: Duration,
    /// When the 401 came, if nothing else has led to it.
    only_401: Option<Duration>,
    is_second: bool,
}

/// How a refresh token was last answered.
pub(super) struct LastUse {
    at: Duration,
    answer: Answer,
    was_second: bool,
    /// How long it took.
    took: Duration,
}

/// What the session is told of a token request.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Token(Issued),
    InvalidGrant,
    /// Not now; not before that long.
    Later(Duration),
    /// Not what can be used, and perhaps issued.
    Garbage,
    /// The connection was cut, or the session did not wait any longer.
    Lost,
}

impl Model {
    /// A refresh token is presented.
    pub fn presented(&mut self, presented: TokenSerial) {
        let now = self.clock.now();
        self.token_requests += 1;
        self.expected = None;
        let is_second = self.check_use(presented, now);
        let mut only_401 = None;
        if let Some(other) =
            self.flights.iter().find(|other| other.presented.login == presented.login)
        {
            let other = other.presented;
            self.violation(format!("{other} and {presented} are presented at the same time"));
        }
        if presented.login != self.login {
            let login = self.login;
            self.violation(format!("{presented} is presented after login {login} was set"));
        } else if self.ended {
            self.violation(format!("{presented} is presented after the end of the login"));
        } else {
            only_401 = self.check_cause(presented, is_second, now);
        }
        let (sent, began) = (self.clock.wall(), now);
        self.flights.push(Flight { presented, sent, began, only_401, is_second });
    }

    /// Whether this is the second try after a lost answer.
    fn check_use(&mut self, presented: TokenSerial, now: Duration) -> bool {
        let newest = self.newest.get(&presented.login).and_then(|newest| self.tokens.get(newest));
        if newest.is_some_and(|newest| newest.refresh != presented) {
            let newest = newest.map(|newest| newest.refresh);
            self.violation(format!("{presented} is presented, and {newest:?} has replaced it"));
        }
        let Some(last) = self.uses.get(&presented) else { return false };
        let since = now - last.at;
        let (mut is_second, answer) = (false, last.answer);
        let allowed = match answer {
            // Kept by the provider, as is checked above.
            Answer::Token(_) => true,
            Answer::InvalidGrant => false,
            Answer::Later(wait) => since >= wait,
            Answer::Garbage => since >= BACKOFF,
            Answer::Lost if last.was_second => since >= BACKOFF,
            // There is no time for another one.
            Answer::Lost if last.took + SECOND_TRY.1 >= TOKEN_REQUESTS && since >= BACKOFF => true,
            Answer::Lost => {
                is_second = last.took + SECOND_TRY.0 < TOKEN_REQUESTS;
                is_second && (SECOND_TRY.0..=SECOND_TRY.1).contains(&since)
            }
        };
        if is_second {
            self.coverage.count("state: second try after a lost answer");
        }
        if !allowed {
            self.violation(format!("{presented} is presented {since:?} after {answer:?}"));
        }
        is_second
    }

    /// When the 401 came that is the only cause.
    fn check_cause(
        &mut self,
        presented: TokenSerial,
        is_second: bool,
        now: Duration,
    ) -> Option<Duration> {
        let live = self.live?;
        if self.newest() != Some(live) {
            let newest = self.newest();
            self.violation(format!("{presented} is presented with {newest:?} not in use yet"));
        }
        let facts = self.tokens.get(&live)?;
        if facts.was_due || facts.asked_by_hand {
            return None;
        }
        let Some(first_401) = facts.first_401 else {
            self.violation(format!("{presented} is presented without a cause: {live} is good"));
            return None;
        };
        self.coverage.count("state: renewal for a 401 alone");
        if let Some(before) = facts.after_401.filter(|_| !facts.accepted && !is_second) {
            self.coverage.count("state: renewal after one that did not help");
            // What is known of a path that has asked nothing for so long is forgotten.
            if now < first_401 + QUIET && first_401 < before + QUIET + FORGOTTEN {
                self.violation(format!("{presented} is presented although renewals do not help"));
            }
        }
        Some(first_401)
    }

    /// The answer is on its way to the session, and arrives at once.
    pub fn token_answered(&mut self, presented: TokenSerial, answer: Answer) {
        let now = self.clock.now();
        self.note(format_args!("token request with {presented}: {answer:?}"));
        let position = self.flights.iter().position(|flight| flight.presented == presented);
        let Some(flight) = position.map(|position| self.flights.remove(position)) else { return };
        let was_second = flight.is_second;
        let took = now - flight.began;
        self.uses.insert(presented, LastUse { at: now, answer, was_second, took });
        let is_void = presented.login != self.login;
        if is_void {
            self.coverage.count("state: answer to a renewal that is void");
        }
        match answer {
            Answer::Token(issued) if !is_void => self.received(issued, presented, &flight),
            Answer::Token(_) => {}
            Answer::InvalidGrant => {
                if !is_void {
                    self.refused_in_doubt = self.doubt.get(&presented.login) == Some(&true);
                    self.end();
                }
            }
            Answer::Garbage | Answer::Lost => {
                self.doubt.insert(presented.login, true);
                self.fail(is_void);
            }
            Answer::Later(_) => self.fail(is_void),
        }
    }

    fn received(&mut self, issued: Issued, presented: TokenSerial, flight: &Flight) {
        let mut facts = Facts::renewed(&self.clock, flight.sent, &issued, presented);
        facts.after_401 = flight.only_401;
        self.tokens.insert(issued.access, facts);
        self.newest.insert(presented.login, issued.access);
        self.doubt.insert(presented.login, false);
        self.failing = false;
        if self.saves.is_failing() {
            self.coverage.count("state: renewed while the saver fails");
        }
    }

    fn fail(&mut self, is_void: bool) {
        self.failing |= !is_void;
        self.failed_at = Some(self.clock.now());
    }

    /// The session has let go of the token request: its time was up.
    pub fn token_request_dropped(&mut self, presented: TokenSerial) {
        self.coverage.count("state: token request timed out");
        self.token_answered(presented, Answer::Lost);
    }

    pub fn is_renewing(&self) -> bool {
        !self.flights.is_empty()
    }

    /// The revocation endpoint has answered.
    pub fn revocation_answered(&mut self, presented: TokenSerial, done: bool) {
        self.note(format_args!("revocation of {presented}: {done}"));
        if !done {
            self.revocation_failed_at = Some(self.clock.now());
        } else if presented.login == self.login {
            self.end();
        }
    }

    /// Whether an answer to the login's refresh token may be lost.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt.get(&self.login) == Some(&true)
    }
}

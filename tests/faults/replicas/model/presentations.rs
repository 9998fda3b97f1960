//! Refresh tokens: each is presented once, by who holds the mark, and again only where nothing came of
//! it; and not before the provider wants to be asked again.

use std::time::Duration;

use super::Model;
use super::record::StoredRecord;
use crate::provider::Issued;
use crate::token_serial::TokenSerial;

/// The second try after a lost answer comes no sooner.
const SECOND_TRY: Duration = Duration::from_millis(250);
/// The shortest wait after a failure.
const BACKOFF: Duration = Duration::from_secs(1);
/// The wait after the client was refused.
const MISCONFIGURED: Duration = Duration::from_secs(60);

/// From a token request until the store has what came of it.
pub(super) struct Window {
    pub(super) slot: usize,
    presented: TokenSerial,
    /// The token that the provider gave.
    issued: Option<TokenSerial>,
}

pub(super) struct InFlight {
    pub(super) slot: usize,
    since: Duration,
}

/// What the session is told.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// The new token.
    Token(#[expect(dead_code, reason = "shown in traces")] TokenSerial),
    InvalidGrant,
    /// Not before that long.
    Later(Duration),
    InvalidClient,
    Garbage,
    Lost,
}

impl Model {
    /// The session presents the refresh token. `is_good`: the provider would take it.
    pub fn presented(&mut self, slot: usize, presented: TokenSerial, is_good: bool) {
        let now = self.clock.now();
        self.token_requests += 1;
        self.note(format_args!("{slot} presents {presented}"));
        let Some(login) = self.logins.get(&presented.login) else {
            return self.violation(format!("{presented} is presented, and nobody has it"));
        };
        let (user, has_loss, ended) = (login.user, login.loss.is_some(), login.ended);
        let others = login.in_flight.iter().any(|request| request.slot != slot);
        let twice = login.in_flight.iter().any(|request| request.slot == slot);
        let not_before = login.not_before;
        // Of many users, a session that was evicted goes on for whoever still holds it.
        if self.pending.contains_key(&(slot, user)) && !self.terms.many {
            self.violation(format!("{slot} presents {presented} after the login was replaced"));
        }
        // Against a provider that is strict; else it costs nothing.
        let excused = has_loss || self.terms.renew_without_store || self.terms.wild_clocks;
        if !is_good && !ended && !excused {
            self.violation(format!("{presented} is presented, and has been replaced"));
        }
        if (others || twice) && !excused {
            self.violation(format!("{presented} is presented while it is under way"));
        }
        if !excused {
            self.check_holder(slot, user, presented);
            self.check_renewed_mark(user, presented);
        }
        if let Some((until, sent)) = not_before {
            if now + self.terms.skew < until && self.is_calm_since(sent) && !self.has_skew {
                let early = until - now;
                self.violation(format!("{presented} is presented {early:?} too early"));
            }
            self.coverage.count("shared: asked again after a failure");
        }
        let Some(login) = self.logins.get_mut(&presented.login) else { return };
        login.in_flight.push(InFlight { slot, since: now });
        login.window = Some(Window { slot, presented, issued: None });
    }

    /// Whether the session holds the mark of what it presents.
    fn check_holder(&mut self, slot: usize, user: u32, presented: TokenSerial) {
        let Some(record) = self.records.get(&user).filter(|r| r.refresh == Some(presented)) else {
            return;
        };
        let holder = record.holder().and_then(|name| self.names.get(name)).copied();
        if holder != Some(slot) {
            self.violation(format!("{slot} presents {presented}, and {holder:?} has the mark"));
        }
    }

    /// After a lost answer the mark is renewed first: nobody has taken over meanwhile.
    fn check_renewed_mark(&mut self, user: u32, presented: TokenSerial) {
        let lost_at = self.logins.get(&presented.login).and_then(|login| login.lost_at);
        let record = self.records.get(&user).filter(|r| r.refresh == Some(presented));
        let (Some(at), Some(record)) = (lost_at, record) else { return };
        // The clocks of two runtimes differ.
        if record.changed + self.terms.skew < at {
            self.violation(format!("{presented} is presented again under an old mark"));
        }
        self.coverage.count("shared: presented again after a lost answer");
    }

    /// The provider has replaced the refresh token.
    pub fn issued(&mut self, presented: TokenSerial, issued: &Issued) {
        if let Some(login) = self.logins.get_mut(&presented.login)
            && let Some(window) = login.window.as_mut().filter(|w| w.presented == presented)
        {
            window.issued = Some(issued.access);
        }
    }

    /// The answer arrives at the session now.
    pub fn token_answered(&mut self, slot: usize, presented: TokenSerial, answer: Answer) {
        let now = self.clock.now();
        self.note(format_args!("{slot} presented {presented}: {answer:?}"));
        let Some(login) = self.logins.get_mut(&presented.login) else { return };
        let at = login.in_flight.iter().position(|request| request.slot == slot);
        let sent = at.map_or(now, |at| login.in_flight.remove(at).since);
        let wait = match answer {
            Answer::Token(_) | Answer::InvalidGrant => None,
            Answer::Later(wait) => Some(wait.max(BACKOFF)),
            Answer::InvalidClient => Some(MISCONFIGURED),
            Answer::Garbage => Some(BACKOFF),
            Answer::Lost => Some(SECOND_TRY),
        };
        login.not_before = wait.map(|wait| (now + wait, sent));
        login.lost_at = matches!(answer, Answer::Lost).then_some(now);
        let issued = login.window.as_ref().is_some_and(|window| window.issued.is_some());
        match answer {
            Answer::Token(_) => {}
            Answer::InvalidGrant => login.ended = true,
            _ => {
                login.window = None;
                self.has_failed = true;
                if issued {
                    self.lose(presented.login, "loss: an answer is lost after a rotation");
                }
            }
        }
    }

    /// The session has let go of the request. `late`: it will reach the provider all the same.
    pub fn token_request_dropped(&mut self, slot: usize, presented: TokenSerial, late: bool) {
        self.coverage.count("shared: a token request is given up");
        if late {
            self.lose(presented.login, "loss: a request outlives its caller");
        }
        self.token_answered(slot, presented, Answer::Lost);
    }

    /// What a token request brought may be in the store now.
    pub(super) fn close_windows(&mut self, record: &StoredRecord) {
        let stored = record.access;
        let ended = record.is_ended() || record.is_signed_out();
        for login in self.logins.values_mut() {
            let Some(window) = &login.window else { continue };
            let is_stored = window.issued.is_some() && window.issued == stored;
            if is_stored || ended && login.ended && login.in_flight.is_empty() {
                login.window = None;
            }
        }
    }
}

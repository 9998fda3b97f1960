//! Calls, and what they show to servers: no token too old, expired, unsaved, or to another origin.

use std::time::Duration;

use super::call::Call;
use super::{Kind, Model, RENEWAL, SAVE_WAIT_TIMEOUT};
use crate::token_serial::TokenSerial;

/// What the API has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiAnswer {
    Status(u16),
    /// A 401 that a new token may cure.
    Rejected,
    Lost,
}

/// The longest that the API takes.
const API: Duration = Duration::from_secs(5);

impl Model {
    pub fn began(&mut self, id: u32, kind: Kind) {
        let now = self.clock.now();
        match kind {
            Kind::SignOut => {
                self.sign_out_asked = true;
                self.expected = None;
                self.sign_out_began();
            }
            Kind::Refresh => {
                if let Some(facts) = self.live.and_then(|live| self.tokens.get_mut(&live)) {
                    facts.asked_by_hand = true;
                }
            }
            _ => {}
        }
        if matches!(kind, Kind::SetToken(_) | Kind::SignOut) {
            self.calls.values_mut().for_each(|call| call.disturbed += 1);
            if self.is_renewing() {
                self.coverage.count("state: a new login or a sign-out amid a renewal");
            }
        }
        if kind.hurries_saves() {
            self.saves.hurried = Some(now);
        }
        let call = Call {
            kind,
            began: now,
            waits_since: now,
            floor: self.floor,
            live: self.live,
            login: self.login,
            sends: 0,
            status: None,
            must_go_on: false,
            disturbed: 0,
        };
        self.calls.insert(id, call);
    }

    /// A request with the session's token has reached the API.
    pub fn arrived(&mut self, id: u32, serial: TokenSerial) {
        let Some(call) = self.calls.get_mut(&id) else {
            self.violation(format!("request {id} is sent after it was cancelled"));
            return;
        };
        call.sends += 1;
        let (sends, status) = (call.sends, call.status);
        if sends == 2 && status != Some(401) || sends > 2 {
            self.violation(format!("request {id} is sent again, {sends} times"));
        }
        self.check_token(id, serial);
        self.expect_renewal(id, serial);
    }

    /// A request with a token that is due has a renewal begin, if nothing stands in its way.
    fn expect_renewal(&mut self, id: u32, serial: TokenSerial) {
        let (Some(call), Some(facts)) = (self.calls.get(&id), self.tokens.get(&serial)) else {
            return;
        };
        let waited_for = facts.live_since.is_none_or(|since| call.waits_since <= since);
        let is_due = facts.surely_due_from.is_some_and(|from| from <= self.clock.wall());
        let may_begin = !self.setup.manual && !self.failing && !self.ended && !self.sign_out_asked;
        let is_last = self.live == Some(serial) && self.newest() == Some(serial);
        let is_first = call.sends == 1;
        if is_due && may_begin && is_first && !waited_for && is_last && !self.is_renewing() {
            self.expected.get_or_insert((serial, self.clock.now()));
        }
    }

    /// Whether the call may have this token now.
    pub(super) fn check_token(&mut self, id: u32, serial: TokenSerial) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let (Some(call), Some(facts)) = (self.calls.get(&id), self.tokens.get(&serial)) else {
            self.violation(format!("{serial} is shown, and nobody gave it"));
            return;
        };
        let floor = call.floor;
        let waited_for = facts.live_since.is_none_or(|since| call.waits_since <= since);
        let is_expired = facts.expired_from.is_some_and(|from| from <= wall)
            && !waited_for
            && self.last_jump != Some(now);
        let is_saved = facts.is_first
            || !self.setup.saver
            || facts.saved
            || !self.setup.strict_saving
                && (facts.save_tried || facts.received + SAVE_WAIT_TIMEOUT <= now);
        let is_unsaved = self.setup.saver && !facts.is_first && !facts.saved;
        if serial < floor {
            self.violation(format!("call {id} is given {serial}, which is older than {floor}"));
        }
        if is_expired {
            self.violation(format!("call {id} is given {serial}, which has expired"));
        }
        if !is_saved {
            self.violation(format!("call {id} is given {serial}, which is not saved"));
        }
        if is_unsaved {
            self.coverage.count("state: an unsaved token serves");
        }
    }

    /// The API's answer is on its way, and arrives at once.
    pub fn answered(&mut self, id: u32, serial: TokenSerial, answer: ApiAnswer) {
        self.note(format_args!("request {id} with {serial}: {answer:?}"));
        let (now, wall, live) = (self.clock.now(), self.clock.wall(), self.live);
        let (floor, manual) = (self.floor, self.setup.manual);
        let is_live = live == Some(serial);
        let renewed_after_401 =
            self.tokens.range(..serial).next_back().is_some_and(|(before, facts)| {
                before.login == serial.login && facts.first_401.is_some()
            });
        let live_serves = live.and_then(|live| self.tokens.get(&live)).is_some_and(|facts| {
            facts.expired_from.is_none_or(|from| wall < from)
                && facts.first_401.is_none()
                && !facts.was_due
        });
        if answer == ApiAnswer::Rejected {
            self.coverage.count("state: a token is rejected");
            if !is_live {
                self.coverage.count("state: a late 401");
            }
            self.quiet |= is_live && renewed_after_401;
        }
        let quiet = self.quiet;
        let facts = self.tokens.get_mut(&serial);
        match (answer, facts) {
            (ApiAnswer::Rejected, Some(facts)) => {
                facts.first_401.get_or_insert(now);
            }
            // A gateway that answers 500 has not looked at the token.
            (ApiAnswer::Status(status), Some(facts)) => {
                facts.accepted |= status != 401 && status < 500;
            }
            _ => {}
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.status = match answer {
            ApiAnswer::Status(status) => Some(status),
            ApiAnswer::Rejected => Some(401),
            ApiAnswer::Lost => None,
        };
        call.must_go_on = false;
        if answer == ApiAnswer::Rejected && call.sends == 1 {
            let helps = if is_live { !manual && !quiet } else { live_serves };
            call.must_go_on = helps && call.kind == Kind::Request { can_replay: true };
            call.waits_since = now;
            call.floor = floor.max(serial.next());
        }
    }

    /// The caller has gone away.
    pub fn dropped(&mut self, id: u32) {
        if let Some(call) = self.calls.remove(&id) {
            if call.kind.hurries_saves() {
                self.saves.hurried = Some(self.clock.now());
            }
            self.note(format_args!("call {id} is cancelled"));
            self.coverage.count("state: cancelled");
            if self.is_renewing() {
                self.coverage.count("state: cancelled amid a renewal");
            } else if self.saves.is_running() {
                self.coverage.count("state: cancelled amid a save");
            }
        }
    }

    /// No call waits for longer than renewals may take.
    pub fn check_waits(&mut self) {
        let now = self.clock.now();
        if let Some((serial, since)) = self.expected
            && since < now
        {
            self.violation(format!("{serial} is due, and nobody renews it"));
        }
        let limit = |call: &Call| match call.kind {
            Kind::Request { .. } | Kind::Foreign => {
                (RENEWAL + API) * 2 + (RENEWAL * 2) * call.disturbed
            }
            Kind::Token | Kind::Refresh => RENEWAL + (RENEWAL * 2) * call.disturbed,
            Kind::SetToken(_) => SAVE_WAIT_TIMEOUT,
            // They wait for whatever renewals others begin.
            Kind::SignOut | Kind::Shutdown => RENEWAL * 20,
        };
        let hanging = self
            .calls
            .iter()
            // Timers have a grain of a millisecond.
            .find(|(_, call)| now > call.began + limit(call) + Duration::from_millis(10))
            .map(|(id, call)| (*id, call.kind, now - call.began));
        if let Some((id, kind, since)) = hanging {
            self.violation(format!("call {id} ({kind:?}) has been waiting for {since:?}"));
            self.calls.remove(&id);
        }
    }

    pub fn waiting(&self) -> usize {
        self.calls.len()
    }
}

//! The ends of calls: each outcome can be accounted for.

use reqwest_oauth2::Error;

use super::call::Call;
use super::{CallError, CallOk, Kind, LastOutcome, Model};
use crate::token_serial::TokenSerial;

impl Model {
    pub fn ended(&mut self, id: u32, outcome: Result<CallOk, CallError>) {
        match &outcome {
            Ok(good) => self.note(format_args!("call {id} ends: {good:?}")),
            Err(CallError::Theirs) => self.note(format_args!("call {id} ends: connection lost")),
            Err(CallError::Ours(error)) => self.note(format_args!("call {id} ends: {error}")),
        }
        match &outcome {
            Ok(CallOk::Token(serial)) => self.check_token(id, *serial),
            Ok(CallOk::Status(_, Some(offered))) => self.offered(*offered),
            _ => {}
        }
        let Some(call) = self.calls.remove(&id) else { return };
        if call.kind.hurries_saves() {
            self.saves.hurried = Some(self.clock.now());
        }
        if matches!(call.kind, Kind::Request { .. } | Kind::Refresh) {
            self.last = Some(match &outcome {
                Ok(CallOk::Status(status, _)) => LastOutcome::Status(*status),
                Err(CallError::Ours(error)) if error.is_reauthorization_required() => {
                    LastOutcome::Reauthorization
                }
                _ => LastOutcome::Other,
            });
        }
        let why = match (call.kind, outcome) {
            (_, Err(CallError::Theirs)) => call.status.map(|_| "nothing was lost"),
            (_, Err(CallError::Ours(error))) => self.unaccountable(&call, &error),
            (Kind::Request { .. }, Ok(CallOk::Status(status, _))) => {
                if call.status != Some(status) {
                    Some("the API has not said so")
                } else if call.must_go_on {
                    Some("another token would have helped")
                } else {
                    None
                }
            }
            (Kind::Refresh, Ok(CallOk::Token(serial))) => {
                call.live.filter(|live| serial <= *live).map(|_| "it is not a new token")
            }
            (Kind::SetToken(serial), Ok(_)) => self.unset(serial),
            (Kind::SignOut, Ok(_)) => self.not_signed_out(&call),
            (Kind::Shutdown, Ok(_)) => self.unsaved_after(&call),
            _ => None,
        };
        if let Some(why) = why {
            let kind = call.kind;
            self.violation(format!("call {id} ({kind:?}) ends so, and {why}"));
        }
    }

    /// The update has been shown on a response.
    fn offered(&mut self, serial: TokenSerial) {
        let Some(facts) = self.tokens.get_mut(&serial) else { return };
        if facts.offered || !facts.is_renewal {
            self.violation(format!("{serial} is offered twice, or is no renewal"));
        } else {
            facts.offered = true;
        }
    }

    /// Why the error should not be, if so.
    fn unaccountable(&mut self, call: &Call, error: &Error) -> Option<&'static str> {
        let failed = self.failing
            || self.failed_at.is_some_and(|at| call.began <= at)
            || error.is_timeout() && self.is_renewing();
        let revocation = call.kind == Kind::SignOut
            && self.revocation_failed_at.is_some_and(|at| call.began <= at);
        if error.is_reauthorization_required() {
            if !self.has_ended_since(call.began) && !self.sign_out_asked {
                return Some("the login has not ended");
            }
            if self.ended
                && error.error_code().is_some()
                && error.is_response_lost() != self.refused_in_doubt
            {
                return Some("it is wrong about a lost answer");
            }
            self.coverage.count("state: reauthorization required");
            None
        } else if error.is_expired() {
            (!self.setup.manual).then_some("this session renews by itself")
        } else if error.is_save() {
            let may =
                self.setup.strict_saving || matches!(call.kind, Kind::SignOut | Kind::Shutdown);
            (!may || !self.saves.had_trouble()).then_some("saving has not failed")
        } else if error.is_transient() || error.error_code() == Some("invalid_client") {
            self.coverage.count("state: a request fails with the provider");
            (!failed && !revocation).then_some("the provider has not failed")
        } else {
            Some("there is no such error")
        }
    }

    /// After `set_token`.
    fn unset(&mut self, serial: TokenSerial) -> Option<&'static str> {
        let is_used = self.live.is_some_and(|live| serial <= live);
        let is_replaced = serial.login < self.login || self.sign_out_asked;
        (!is_used && !is_replaced).then_some("the token is not in use")
    }

    /// After `sign_out`.
    fn not_signed_out(&mut self, call: &Call) -> Option<&'static str> {
        if call.login != self.login {
            // Somebody has logged in meanwhile.
            return None;
        }
        self.end();
        self.live.map(|_| "a token is still in use")
    }

    /// After `shutdown`.
    fn unsaved_after(&mut self, call: &Call) -> Option<&'static str> {
        let live = call.live.filter(|_| self.setup.saver && call.login == self.login)?;
        let is_first = self.tokens.get(&live).is_some_and(|facts| facts.is_first);
        let is_saved = is_first || self.ended || self.saves.has(live);
        (!is_saved).then_some("the token is not saved")
    }
}

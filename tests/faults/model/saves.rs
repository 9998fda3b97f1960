//! What the saver is asked: one thing at a time, the newest, again after a failure, until it is done.

use std::time::Duration;

use super::{BACKOFF, Model};
use crate::serial::Serial;

/// What the saver has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Nothing,
    Token(Serial),
    Deleted,
}

pub struct Saves {
    pub written: Written,
    /// The greatest token that was ever written, or that login deleted.
    newest: Option<Serial>,
    running: bool,
    /// The login whose token is being deleted.
    deleting: u32,
    /// The last call failed: for which token (`None`: deleting), and when.
    failed: Option<(Option<Serial>, Duration)>,
    trouble: bool,
    /// When a call that has it tried once more was last begun or over.
    pub(super) hurried: Option<Duration>,
}

impl Default for Saves {
    fn default() -> Self {
        Self {
            written: Written::Nothing,
            newest: None,
            running: false,
            deleting: 0,
            failed: None,
            trouble: false,
            hurried: None,
        }
    }
}

impl Saves {
    pub fn is_running(&self) -> bool {
        self.running
    }

    pub fn is_failing(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether a call has failed, or taken too long, at any time.
    pub fn had_trouble(&self) -> bool {
        self.trouble
    }

    /// Whether this token is saved, or a newer one.
    pub fn has(&self, serial: Serial) -> bool {
        matches!(self.written, Written::Token(saved) if serial <= saved)
    }
}

impl Model {
    /// The saver is called; `None`: to delete.
    pub fn save_began(&mut self, token: Option<Serial>) {
        let now = self.clock.now();
        if self.saves.running {
            self.violation("the saver is called while it is at work".to_owned());
        }
        // What is deleted is of the login before the one that may come.
        (self.saves.running, self.saves.deleting) = (true, self.floor.login - 1);
        // One that has just come may not have been put in its place yet.
        let newest = self.newest().filter(|newest| self.tokens[newest].received < now);
        match token {
            Some(serial) => {
                if newest.is_some_and(|newest| serial < newest) {
                    let newest = self.newest();
                    self.violation(format!("{serial} is to be saved, and {newest:?} is newer"));
                }
                if self.ended && self.live.is_none() && self.sign_out_asked {
                    self.violation(format!("{serial} is to be saved after the sign-out"));
                }
            }
            None if !self.sign_out_asked && newest.is_some() => {
                self.violation("the token is to be deleted, and nobody signed out".to_owned());
            }
            None => {}
        }
        if let Some((same, at)) = self.saves.failed
            && same == token
        {
            self.tally.count("state: saved again after a failure");
            let since = now - at;
            // With strict saving each renewal begins with a save.
            let hurried = self.setup.strict_saving
                || self.saves.hurried.is_some_and(|hurried| at <= hurried)
                || self.calls.values().any(|call| call.kind.hurries_saves());
            if since < BACKOFF && !hurried {
                self.violation(format!("the saver is called again {since:?} after it failed"));
            }
        }
    }

    /// It has written what it was to write.
    pub fn wrote(&mut self, token: Option<Serial>) {
        let newest = self.saves.newest;
        match token {
            Some(serial) => {
                if newest.is_some_and(|newest| serial < newest) {
                    self.violation(format!("{serial} is saved over {newest:?}"));
                }
                self.saves.newest = Some(serial);
                self.saves.written = Written::Token(serial);
            }
            None => {
                self.saves.newest = Some(Serial { login: self.saves.deleting, n: u32::MAX });
                self.saves.written = Written::Deleted;
            }
        }
    }

    /// The call is over.
    pub fn save_ended(&mut self, token: Option<Serial>, well: bool) {
        let what = if well { "is done" } else { "has failed" };
        match token {
            Some(serial) => self.note(format_args!("saving {serial} {what}")),
            None => self.note(format_args!("deleting {what}")),
        }
        self.saves.running = false;
        self.saves.failed = (!well).then(|| (token, self.clock.now()));
        if let Some(facts) = token.and_then(|serial| self.tokens.get_mut(&serial)) {
            facts.save_tried = true;
            facts.saved |= well;
        }
    }

    /// The saver is in trouble, or takes its time.
    pub fn save_in_trouble(&mut self) {
        self.saves.trouble = true;
        if self.is_renewing() {
            self.tally.count("state: the saver fails amid a renewal");
        }
    }
}

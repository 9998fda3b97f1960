//! What the saver is asked: one thing at a time, the newest, again after a failure, until it is done.

use std::time::Duration;

use super::{BACKOFF, Model};
use crate::token_serial::TokenSerial;

/// A call that takes longer is set aside, and another one is made.
const LONGEST_SAVE: Duration = Duration::from_secs(60);
/// So many are set aside at most, beside the one that counts.
const MAX_SET_ASIDE: usize = 2;

/// What the saver has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Nothing,
    Token(TokenSerial),
    Deleted,
}

/// A call of the saver under way; `None`: to delete.
struct Running {
    id: u32,
    token: Option<TokenSerial>,
    since: Duration,
    /// The login whose token is being deleted.
    deleting: u32,
    /// Another call was made meanwhile.
    is_set_aside: bool,
    /// A sign-out came since; it has a call of its own.
    replaced: bool,
}

pub struct Saves {
    pub written: Written,
    /// The greatest token that was ever written, or that login deleted.
    newest: Option<TokenSerial>,
    running: Vec<Running>,
    /// Counts the calls.
    count: u32,
    /// The last call failed: for which token (`None`: deleting), and when.
    failed: Option<(Option<TokenSerial>, Duration)>,
    trouble: bool,
    /// When a call that has it tried once more was last begun or over.
    pub(super) hurried: Option<Duration>,
}

impl Default for Saves {
    fn default() -> Self {
        Self {
            written: Written::Nothing,
            newest: None,
            running: Vec::new(),
            count: 0,
            failed: None,
            trouble: false,
            hurried: None,
        }
    }
}

impl Saves {
    pub fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    pub fn is_failing(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether a call has failed, or taken too long, at any time.
    pub fn had_trouble(&self) -> bool {
        self.trouble
    }

    /// A token that is saved although a newer one was, or was deleted.
    pub fn left_over(&self) -> Option<TokenSerial> {
        match self.written {
            Written::Token(saved) if Some(saved) < self.newest => Some(saved),
            _ => None,
        }
    }

    /// Whether this token is saved, or a newer one.
    pub fn has(&self, serial: TokenSerial) -> bool {
        matches!(self.written, Written::Token(saved) if serial <= saved)
    }
}

impl Model {
    /// The saver is called; `None`: to delete. The id of the call.
    pub fn save_began(&mut self, token: Option<TokenSerial>) -> u32 {
        let now = self.clock.now();
        self.saves.count += 1;
        let id = self.saves.count;
        if let Some(last) = self.saves.running.last() {
            if now < last.since + LONGEST_SAVE {
                self.violation("the saver is called while it is at work".to_owned());
            } else if self.saves.running.len() > MAX_SET_ASIDE {
                self.violation("too many calls of the saver are set aside".to_owned());
            }
            self.coverage.count("state: a call of the saver is set aside");
        }
        self.saves.running.iter_mut().for_each(|call| call.is_set_aside = true);
        // What is deleted is of the login before the one that may come.
        let deleting = self.floor.login - 1;
        self.saves.running.push(Running {
            id,
            token,
            since: now,
            deleting,
            is_set_aside: false,
            replaced: false,
        });
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
            self.coverage.count("state: saved again after a failure");
            let since = now - at;
            // With strict saving each renewal begins with a save.
            let hurried = self.setup.strict_saving
                || self.saves.hurried.is_some_and(|hurried| at <= hurried)
                || self.calls.values().any(|call| call.kind.hurries_saves());
            if since < BACKOFF && !hurried {
                self.violation(format!("the saver is called again {since:?} after it failed"));
            }
        }
        id
    }

    /// The application signs out.
    pub(super) fn sign_out_began(&mut self) {
        self.saves.running.iter_mut().for_each(|call| call.replaced = true);
    }

    /// The call has written what it was to write.
    pub fn wrote(&mut self, id: u32) {
        let newest = self.saves.newest;
        let Some(at) = self.saves.running.iter().position(|call| call.id == id) else { return };
        // A call that was set aside may write late; then the newest token is saved once more.
        let Running { token, deleting, is_set_aside, .. } = self.saves.running[at];
        match token {
            Some(serial) => {
                if newest.is_some_and(|newest| serial < newest) {
                    if !is_set_aside {
                        self.violation(format!("{serial} is saved over {newest:?}"));
                    }
                    self.coverage.count("state: a save that was set aside writes late");
                }
                self.saves.newest = newest.max(Some(serial));
                self.saves.written = Written::Token(serial);
            }
            None => {
                self.saves.newest = newest.max(Some(TokenSerial { login: deleting, n: u32::MAX }));
                self.saves.written = Written::Deleted;
            }
        }
    }

    /// The call is over.
    pub fn save_ended(&mut self, id: u32, well: bool) {
        let Some(at) = self.saves.running.iter().position(|call| call.id == id) else { return };
        let Running { token, is_set_aside, replaced, .. } = self.saves.running.remove(at);
        let what = if well { "is done" } else { "has failed" };
        match token {
            Some(serial) => self.note(format_args!("saving {serial} {what}")),
            None => self.note(format_args!("deleting {what}")),
        }
        if is_set_aside {
            return;
        }
        self.saves.failed = (!well && !replaced).then(|| (token, self.clock.now()));
        if let Some(facts) = token.and_then(|serial| self.tokens.get_mut(&serial)) {
            facts.save_tried = true;
            facts.saved |= well;
        }
    }

    /// The saver is in trouble, or takes its time.
    pub fn save_in_trouble(&mut self) {
        self.saves.trouble = true;
        if self.is_renewing() {
            self.coverage.count("state: the saver fails amid a renewal");
        }
    }
}

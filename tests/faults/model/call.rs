//! A call of the application's: a request, or one of the session's own functions.

use std::time::Duration;

use reqwest_oauth2::Error;

use crate::token_serial::TokenSerial;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request {
        can_replay: bool,
    },
    /// It does not concern the session.
    Foreign,
    Token,
    Refresh,
    SetToken(TokenSerial),
    SignOut,
    Shutdown,
}

impl Kind {
    /// It has the saver called once more, at once.
    pub(super) fn hurries_saves(self) -> bool {
        matches!(self, Self::Shutdown | Self::SignOut)
    }
}

/// What a call may end with.
#[derive(Debug)]
pub enum CallOk {
    /// And the new token, where one is offered.
    Status(u16, Option<TokenSerial>),
    Token(TokenSerial),
    Done,
}

#[derive(Debug)]
pub enum CallError {
    Ours(Error),
    /// Of the API's connection.
    Theirs,
}

/// How a request to the API, or a refresh by hand, has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastOutcome {
    Status(u16),
    Reauthorization,
    Other,
}

pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) began: Duration,
    /// When its present wait for a token began.
    pub(super) waits_since: Duration,
    /// It must not carry a token that is older.
    pub(super) floor: TokenSerial,
    pub(super) live: Option<TokenSerial>,
    pub(super) login: u32,
    pub(super) sends: u32,
    /// What the API has answered last; `None`: a lost connection.
    pub(super) status: Option<u16>,
    /// It was answered with a 401 that must lead to more than that.
    pub(super) must_go_on: bool,
    /// Calls begun since that may have it wait again.
    pub(super) disturbed: u32,
}

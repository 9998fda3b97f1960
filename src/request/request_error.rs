//! `RequestError`: why a request has no response.

use std::fmt;

use crate::error::Error;

/// Why a request through [`Session::execute`](crate::Session::execute) has no response. `E` is the
/// error of the client below.
#[derive(Debug)]
pub enum RequestError<E = reqwest::Error> {
    /// There was no token for it, at first or after a 401; its URL must not carry one; or the API wants
    /// more than the token gives ([`Error::step_up`]).
    Token(Error),
    /// It could not be sent, or there was no response.
    Send(E),
}

impl<E> fmt::Display for RequestError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "no access token for the request",
            Self::Send(_) => "the request failed",
        })
    }
}

impl<E: std::error::Error + 'static> std::error::Error for RequestError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Token(error) => Some(error),
            Self::Send(error) => Some(error),
        }
    }
}

impl<E> From<Error> for RequestError<E> {
    fn from(error: Error) -> Self {
        Self::Token(error)
    }
}

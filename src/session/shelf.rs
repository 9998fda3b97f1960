//! `Shelf`: one session's place in a store that others share.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::observe;
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};
use crate::token::Token;

/// What stands in the place of a token after a sign-out, or after the provider has refused the
/// refresh token. Without it siblings could not tell a login that has ended from a store that has
/// lost its content, and would put the token in their memory back.
const ENDED: &str = "null";

/// How often the application's own token is put in place while others write too.
const ATTEMPTS: u32 = 16;

#[derive(Clone)]
pub(crate) struct Shelf {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) key: TokenKey,
    /// How long one call may take.
    pub(super) patience: Duration,
}

/// What is on the shelf.
#[derive(Clone)]
pub(crate) enum Stored {
    Nothing,
    /// The login has ended.
    Ended(Version),
    Token(Arc<Token>, Version),
}

impl Stored {
    pub(crate) fn version(&self) -> Option<Version> {
        match self {
            Self::Nothing => None,
            Self::Ended(version) | Self::Token(_, version) => Some(*version),
        }
    }
}

/// The end of a save.
pub(crate) enum Shelved {
    Saved(Version),
    /// Somebody else's is there.
    Lost(Stored),
}

impl Shelf {
    pub(crate) async fn load(&self) -> Result<Stored, Error> {
        read(self.call("load", self.store.load(&self.key)).await?)
    }

    /// A placeholder: the store has no leases any more.
    pub(crate) async fn lease(&self) -> Result<bool, Error> {
        Ok(true)
    }

    /// A placeholder: the store deletes nothing any more.
    pub(crate) async fn delete(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Saves the token (`None`: that the login has ended) in the place of that version. Where
    /// another is there, `anyway` replaces it too. A store that has lost its content gets it all the
    /// same.
    pub(crate) async fn save(
        &self,
        token: Option<&Token>,
        mut replaces: Option<Version>,
        anyway: bool,
    ) -> Result<Shelved, Error> {
        let json = match token {
            // A token always becomes JSON: its members are text and numbers.
            Some(token) => serde_json::to_string(token).map_err(StoreError::corrupt)?,
            None => ENDED.to_owned(),
        };
        let record = Record::new(json);
        for _ in 0..ATTEMPTS {
            let committed = self.store.compare_and_swap(&self.key, replaces, &record);
            match self.call("commit", committed).await? {
                SwapOutcome::Stored(version) => return Ok(Shelved::Saved(version)),
                // Lost: whoever ends a login leaves a mark.
                SwapOutcome::Conflict(None) => replaces = None,
                // It may be our own, by a commit whose answer was lost: then it is adopted.
                SwapOutcome::Conflict(present) if !anyway => {
                    return Ok(Shelved::Lost(read(present)?));
                }
                SwapOutcome::Conflict(present) => {
                    replaces = present.map(|present| present.version());
                }
            }
        }
        Err(StoreError::unavailable("others write to it all the time").into())
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Error> {
        let outcome = match tokio::time::timeout(self.patience, call).await {
            Ok(outcome) => outcome.map_err(Into::into),
            Err(_) => {
                let late = format!("no answer within {:?}", self.patience);
                Err(StoreError::unavailable(late).into())
            }
        };
        if let Err(error) = &outcome {
            observe::store_failed(operation, error);
        }
        outcome
    }
}

fn read(record: Option<Record>) -> Result<Stored, Error> {
    let Some(record) = record else { return Ok(Stored::Nothing) };
    if record.json() == ENDED {
        return Ok(Stored::Ended(record.version()));
    }
    match serde_json::from_str(record.json()) {
        Ok(token) => Ok(Stored::Token(Arc::new(token), record.version())),
        // Where, and no more: the text of the error may repeat what is stored.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let what = format!("it is no token in JSON (line {line}, column {column})");
            Err(StoreError::corrupt(what).into())
        }
    }
}

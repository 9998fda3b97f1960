//! A record of the machine as the JSON text that a store keeps, and back.
//!
//! The text is a token as requests-oauthlib writes it, with one more member, `reqwest_oauth2`: the
//! bookkeeping. A token file without it is a record too, of a login that has just begun; so is one whose
//! token was replaced by a program that left the bookkeeping as it was, which a digest of the token shows.
//! After a sign-out, and after the end of a login, there is the bookkeeping alone.

use std::sync::Arc;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::machine::{Mark, Pause, Record, State, UNNUMBERED};
use super::snapshot::Snapshot;
use crate::error::{Error, RecordedError};
use crate::lenient_json;
use crate::store::{self, StoreError, TokenKey};
use crate::token::{BOOKKEEPING, Token};

/// The longest lease and the longest pause that are believed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// No login was renewed so often: somebody wrote that number by hand. It leaves room for more.
const LARGEST_GENERATION: u64 = u64::MAX / 2;

/// What is stored beside the token.
#[derive(Serialize, Deserialize)]
struct Bookkeeping {
    /// A digest of the key, so that no record serves another login.
    key: Hex,
    login: Hex,
    number: u64,
    generation: u64,
    state: StoredState,
    /// A digest of the token's secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Hex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<StoredMark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pause: Option<StoredPause>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<RecordedError>,
    /// Makes every document different.
    nonce: Hex,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredState {
    Live,
    Ended,
    SignedOut,
}

#[derive(Serialize, Deserialize)]
struct StoredMark {
    /// `null`: nobody.
    holder: Option<Hex>,
    at_ms: u64,
    lease_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredPause {
    until_ms: u64,
    wait_ms: u64,
    attempts: u32,
    error: RecordedError,
}

/// A random number or a digest, as 16 hexadecimal digits: not every reader of JSON has 64 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Hex(u64);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)?;
        Ok(Self(number))
    }
}

/// The record as a store keeps it.
pub(super) fn encode(
    record: &Record<Arc<Snapshot>, Error>,
    key: &TokenKey,
) -> Result<store::Record, StoreError> {
    encode_with(record, key, record.token().and_then(|snapshot| snapshot.token()))
}

/// The same without the access tokens for other targets.
pub(super) fn encode_without_others(
    record: &Record<Arc<Snapshot>, Error>,
    key: &TokenKey,
) -> Result<store::Record, StoreError> {
    let token = record.token().and_then(|snapshot| snapshot.token());
    let token = token.map(|token| Arc::new(Token::clone(token).without_others()));
    encode_with(record, key, token.as_ref())
}

fn encode_with(
    record: &Record<Arc<Snapshot>, Error>,
    key: &TokenKey,
    token: Option<&Arc<Token>>,
) -> Result<store::Record, StoreError> {
    let state = match &record.state {
        State::Live(_) => StoredState::Live,
        State::Ended(_) => StoredState::Ended,
        State::SignedOut => StoredState::SignedOut,
    };
    let error = match &record.state {
        State::Ended(error) => Some(error.to_recorded()),
        State::Live(_) | State::SignedOut => None,
    };
    let bookkeeping = Bookkeeping {
        key: digest(&[key.as_str()]),
        login: Hex(record.login),
        number: record.number,
        generation: record.generation,
        state,
        token: token.map(|token| fingerprint(token)),
        mark: record.mark.map(|mark| StoredMark {
            holder: mark.holder.map(Hex),
            at_ms: mark.at,
            lease_ms: millis(mark.lease),
        }),
        pause: record.pause.as_ref().map(|pause| StoredPause {
            until_ms: pause.until,
            wait_ms: millis(pause.wait),
            attempts: pause.attempts,
            error: pause.error.to_recorded(),
        }),
        error,
        nonce: Hex(rand::random()),
    };
    let mut members = match token {
        // A token always becomes a JSON object: its members are text and numbers.
        Some(token) => match serde_json::to_value(&**token).map_err(StoreError::corrupt)? {
            Value::Object(members) => members,
            _ => Map::new(),
        },
        None => Map::new(),
    };
    let bookkeeping = serde_json::to_value(bookkeeping).map_err(StoreError::corrupt)?;
    members.insert(BOOKKEEPING.to_owned(), bookkeeping);
    let json = Zeroizing::new(serde_json::to_string(&members).map_err(StoreError::corrupt)?);
    Ok(store::Record::new(json.as_str()))
}

/// The record that a store has kept. `snapshot` makes what requests need of its token.
pub(super) fn decode(
    stored: &store::Record,
    key: &TokenKey,
    snapshot: impl FnOnce(Token) -> Snapshot,
) -> Result<Record<Arc<Snapshot>, Error>, StoreError> {
    // Only the position: the text of the error may repeat what is stored.
    let mut members: Map<String, Value> = lenient_json::read(stored.json()).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        StoreError::corrupt(format!("it is not a token in JSON (line {line}, column {column})"))
    })?;
    let bookkeeping = match members.remove(BOOKKEEPING) {
        Some(value) => {
            let unknown = |_| StoreError::corrupt("its member reqwest_oauth2 has an unknown form");
            Some(serde_json::from_value::<Bookkeeping>(value).map_err(unknown)?)
        }
        None => None,
    };
    if bookkeeping.as_ref().is_some_and(|kept| kept.key != digest(&[key.as_str()])) {
        return Err(StoreError::config(
            "the stored record belongs to another login: another user, client, provider or scope; keep each login under a key or in a file of its own",
        ));
    }
    let is_empty = members.is_empty();
    let token = if is_empty { None } else { Some(token(members)?) };
    let Some(kept) = bookkeeping else {
        let token = token.ok_or_else(|| StoreError::corrupt("it is no token in JSON"))?;
        return Ok(foreign(token, snapshot));
    };
    let is_strange = |token: &Token| {
        kept.token != Some(fingerprint(token)) || kept.generation > LARGEST_GENERATION
    };
    if let Some(token) = token.as_ref().filter(|token| is_strange(token)) {
        return Ok(foreign(token.clone(), snapshot));
    }
    let is_strange = kept.generation > LARGEST_GENERATION;
    let state = match (kept.state, token) {
        (StoredState::Live, token) => State::Live(token.map(|token| Arc::new(snapshot(token)))),
        (StoredState::Ended, _) => State::Ended(Error::recorded(kept.error.unwrap_or_default())),
        (StoredState::SignedOut, _) => State::SignedOut,
    };
    Ok(Record {
        login: kept.login.0,
        // Kept for records without one.
        number: kept.number.min(UNNUMBERED - 1),
        generation: if is_strange { LARGEST_GENERATION / 2 } else { kept.generation },
        state,
        mark: kept.mark.map(|mark| Mark {
            holder: mark.holder.map(|holder| holder.0),
            at: mark.at_ms,
            lease: Duration::from_millis(mark.lease_ms).min(LONGEST),
        }),
        pause: kept.pause.map(|pause| Pause {
            until: pause.until_ms,
            wait: Duration::from_millis(pause.wait_ms).min(LONGEST),
            error: Error::recorded(pause.error),
            attempts: pause.attempts,
        }),
    })
}

/// The token of a record that another program wrote: a sign-in that happens now.
fn foreign(token: Token, snapshot: impl FnOnce(Token) -> Snapshot) -> Record<Arc<Snapshot>, Error> {
    let login = login_of(&token);
    let state = State::Live(Some(Arc::new(snapshot(token))));
    Record { login, number: UNNUMBERED, generation: 0, state, mark: None, pause: None }
}

/// The login id of a token that no session has numbered: the same for every session that sees it.
pub(super) fn login_of(token: &Token) -> u64 {
    fingerprint(token).0
}

fn token(members: Map<String, Value>) -> Result<Token, StoreError> {
    Token::of_stored(members)
        .map_err(|_: serde_json::Error| StoreError::corrupt("it is no token in JSON"))
}

fn fingerprint(token: &Token) -> Hex {
    digest(&[token.access_token(), token.refresh_token().unwrap_or_default()])
}

fn digest(parts: &[&str]) -> Hex {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut number = [0; 8];
    number.copy_from_slice(&hash.finalize()[..8]);
    Hex(u64::from_be_bytes(number))
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

//! Reads an HTTP response as a token, or as the error that it is.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{HttpResponse, ResponseRules, malformed, read_members};
use crate::clock;
use crate::error::Error;
use crate::observe;
use crate::redact::{redact, redact_name};
use crate::token::{self, AccessToken, Lifetime, Parts, Token};

/// Reads the response of a token endpoint
/// ([RFC 6749 §5](https://www.rfc-editor.org/rfc/rfc6749#section-5)).
pub(crate) fn read_token(
    response: &HttpResponse<'_>,
    rules: &ResponseRules,
) -> Result<Token, Error> {
    let members = read_members(response, rules)?;
    token(response, rules, members)
}

/// Makes a token of the members of a response; also of an implicit grant's fragment.
pub(crate) fn token(
    response: &HttpResponse<'_>,
    rules: &ResponseRules,
    mut members: Map<String, Value>,
) -> Result<Token, Error> {
    let names = || {
        let names: Vec<String> =
            members.keys().take(8).map(|name| redact(name, 30, response.secrets)).collect();
        names.join(", ")
    };
    let access_token = match members.get("access_token") {
        None => Err(format!("access_token is missing; its members are: {}", names())),
        Some(Value::String(text)) if !text.is_empty() => AccessToken::new(text)
            .ok_or_else(|| "access_token has characters that cannot stand in a header".to_owned()),
        Some(_) => Err("access_token is empty or not a string".to_owned()),
    };
    let access_token = access_token.map_err(|reason| malformed(response, reason))?;
    let token_type = match members.get("token_type") {
        None | Some(Value::Null) => Cow::Borrowed("Bearer"),
        Some(Value::String(text)) if text.is_empty() => Cow::Borrowed("Bearer"),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("bearer") => {
            Cow::Borrowed(text.as_str())
        }
        Some(Value::String(text)) if rules.bearer_types.contains(text) => Cow::Borrowed("Bearer"),
        // "The client MUST NOT use an access token if it does not understand the token type."
        // https://www.rfc-editor.org/rfc/rfc6749#section-7.1
        Some(other) => {
            let text = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            let reason = format!(
                "its token type is {:?}, not Bearer (OAuthClient::accept_token_type if it means that)",
                redact_name(&text, response.secrets)
            );
            return Err(malformed(response, reason));
        }
    };
    let refresh_token = match members.get("refresh_token") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) if !text.contains(['\u{fffd}', '\0']) => {
            Some(SecretString::from(text.as_str()))
        }
        Some(_) => {
            return Err(malformed(response, "refresh_token is not a valid string".to_owned()));
        }
    };
    let token_type = token_type.into_owned();
    let (expires_at, lifetime) = deadline(response.sent_at, &members);
    let scope = token::scope(members.remove("scope"));
    for known in [
        "access_token",
        "token_type",
        "refresh_token",
        "expires_in",
        "expires",
        "expires_at",
        "expiry",
        "error",
    ] {
        members.remove(known);
    }
    Token::checked(Parts {
        access_token,
        token_type: token_type.into(),
        refresh_token,
        scope: scope.map(String::into_boxed_str),
        expires_at,
        lifetime,
        extra: members,
    })
}

/// `expires_in`; else its alias `expires` (old Facebook); else an absolute `expires_at`, or `expiry`
/// (what Go's x/oauth2 stores, passed on by a proxy).
fn deadline(
    sent_at: DateTime<Utc>,
    members: &Map<String, Value>,
) -> (Option<DateTime<Utc>>, Option<i64>) {
    let relative = ["expires_in", "expires"].into_iter().find_map(|name| members.get(name));
    let Some(relative) = relative else {
        let date = |name| members.get(name).and_then(token::date);
        return (["expires_at", "expiry"].into_iter().find_map(date), None);
    };
    let lifetime = Lifetime::read(relative);
    if lifetime == Lifetime::NotANumber {
        observe::expires_in_invalid();
    }
    let expires_at = lifetime.seconds().map(|seconds| clock::add_seconds(sent_at, seconds));
    (expires_at, lifetime.seconds())
}

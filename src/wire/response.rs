//! Status, body and time of the request, read as a token.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::body::{self, Body};
use super::{masked, named};
use crate::clock;
use crate::error::{Error, Kind, Rejection};
use crate::observe;
use crate::token::{self, AccessToken, Lifetime, Parts, Token};

/// Longest `error` code, description and excerpt that an error carries, in characters.
const CODE: usize = 60;
const DESCRIPTION: usize = 300;
const EXCERPT: usize = 120;

/// An answer of an endpoint.
pub(crate) struct Reply<'a> {
    /// Such as "token endpoint", for errors.
    pub(crate) endpoint: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: &'a [u8],
    /// The moment before the request was sent: `expires_in` counts from here.
    pub(crate) sent_at: DateTime<Utc>,
    /// What was sent, and so may be echoed, and must not be shown.
    pub(crate) secrets: &'a [&'a str],
}

type Hook = Arc<dyn Fn(Map<String, Value>) -> Map<String, Value> + Send + Sync>;

/// What the application knows of its provider.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    /// Token types that mean Bearer.
    pub(crate) bearer_types: Vec<String>,
    /// Maps the members of an answer before they are read.
    pub(crate) hook: Option<Hook>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("bearer_types", &self.bearer_types)
            .field("hook", &self.hook.is_some())
            .finish()
    }
}

/// Reads the answer of a token endpoint
/// ([RFC 6749 §5](https://www.rfc-editor.org/rfc/rfc6749#section-5)).
pub(crate) fn read_token(reply: &Reply<'_>, rules: &Rules) -> Result<Token, Error> {
    let members = read_members(reply, rules)?;
    token(reply, rules, members)
}

/// Reads an answer as members of a JSON object or a form; a refusal is its error.
pub(crate) fn read_members(reply: &Reply<'_>, rules: &Rules) -> Result<Map<String, Value>, Error> {
    let body = match (body::read(reply.body), &rules.hook) {
        (Body::Members(members), Some(hook)) => Body::Members(hook(members)),
        (body, _) => body,
    };
    let members = match &body {
        Body::Members(members) => Some(members),
        Body::Empty | Body::Other(_) => None,
    };
    if let Some(rejection) = rejection(reply, members) {
        return Err(Error::new(Kind::Rejected(rejection)));
    }
    match body {
        Body::Members(members) if reply.status.is_success() => Ok(members),
        Body::Members(_) => Err(malformed(
            reply,
            "these requests follow no redirect; configure the endpoint's final URL".to_owned(),
        )),
        Body::Empty => Err(malformed(reply, "it is empty".to_owned())),
        // Broken JSON may hold half a token.
        Body::Other(text) if text.starts_with(['{', '[', '"']) => {
            Err(malformed(reply, "it is not a JSON object, or not a whole one".to_owned()))
        }
        Body::Other(text) => {
            let excerpt = masked(&text, EXCERPT, reply.secrets);
            Err(malformed(reply, format!("it is neither JSON nor a form; it begins {excerpt:?}")))
        }
    }
}

/// Whether the answer is a refusal, whatever its status
/// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
pub(crate) fn rejection(
    reply: &Reply<'_>,
    members: Option<&Map<String, Value>>,
) -> Option<Rejection> {
    let text = |name: &str| match members?.get(name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.as_str()),
        _ => None,
    };
    let by_status = reply.status.is_client_error() || reply.status.is_server_error();
    // Facebook's and Google's APIs put an object where the code belongs.
    let object = members.and_then(|members| members.get("error")).is_some_and(Value::is_object);
    let code = match text("error") {
        Some(code) => Some(masked(code, CODE, reply.secrets)),
        None if by_status || object => {
            (reply.status == StatusCode::UNAUTHORIZED).then(|| "invalid_client".to_owned())
        }
        None => return None,
    };
    Some(Rejection {
        endpoint: reply.endpoint,
        status: Some(reply.status),
        code,
        description: text("error_description").map(|text| masked(text, DESCRIPTION, reply.secrets)),
        uri: text("error_uri").map(|text| masked(text, DESCRIPTION, reply.secrets)),
        retry_after: reply.retry_after,
    })
}

/// Makes a token of the members of an answer; also of an implicit grant's fragment.
pub(crate) fn token(
    reply: &Reply<'_>,
    rules: &Rules,
    mut members: Map<String, Value>,
) -> Result<Token, Error> {
    let names = || {
        let names: Vec<String> =
            members.keys().take(8).map(|name| masked(name, 30, reply.secrets)).collect();
        names.join(", ")
    };
    let access_token = match members.get("access_token") {
        None => Err(format!("access_token is missing; its members are: {}", names())),
        Some(Value::String(text)) if !text.is_empty() => AccessToken::new(text)
            .ok_or_else(|| "access_token has characters that cannot stand in a header".to_owned()),
        Some(_) => Err("access_token is not a string with text in it".to_owned()),
    };
    let access_token = access_token.map_err(|reason| malformed(reply, reason))?;
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
                named(&text, reply.secrets)
            );
            return Err(malformed(reply, reason));
        }
    };
    let refresh_token = match members.get("refresh_token") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) if !text.contains(['\u{fffd}', '\0']) => {
            Some(SecretString::from(text.as_str()))
        }
        Some(_) => {
            return Err(malformed(reply, "refresh_token is not a legible string".to_owned()));
        }
    };
    let token_type = token_type.into_owned();
    let (expires_at, lifetime) = deadline(reply.sent_at, &members);
    let scope = scope(members.remove("scope"));
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

/// Scope names separated by spaces; an array is joined, commas are left alone
/// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
pub(crate) fn scope(value: Option<Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text,
        Value::Array(names) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            names.join(" ")
        }
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

pub(crate) fn malformed(reply: &Reply<'_>, reason: String) -> Error {
    Error::new(Kind::Malformed { endpoint: reply.endpoint, status: reply.status, reason })
}

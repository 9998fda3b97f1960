//! Reads an HTTP response as a token, or as the error that it is.

use std::borrow::Cow;
use std::iter::once;

use http::StatusCode;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::body::{self, Body};
use super::response_members::{mapped, members, unusable_token};
use super::{HttpResponse, ResponseRules, malformed};
use crate::error::Error;
use crate::observe;
use crate::token::{AccessToken, DPOP, Deadline, Parts, Token, is_dpop, take_scope};

/// Where a token may be that is not among the members of the response itself, or has another name.
const ELSEWHERE: [&str; 10] = [
    "accessToken",
    "authed_user",
    "body",
    "data",
    "errors",
    "id_token",
    "response",
    "result",
    "token",
    "tokens",
];

/// Reads the response of a token endpoint
/// ([RFC 6749 §5](https://www.rfc-editor.org/rfc/rfc6749#section-5)). Whatever error it is, it has the refresh
/// token that a success brings.
pub(crate) fn read_token(
    response: &HttpResponse<'_>,
    rules: &ResponseRules,
) -> Result<Token, Error> {
    let body = mapped(response, rules)?;
    let issued = issued(response.status, &body);
    let token = members(response, rules, body).and_then(|members| token(response, rules, members));
    token.map_err(|error| error.with_refresh_token(issued))
}

/// Makes a token of the members of a response; also of an implicit grant's fragment.
pub(crate) fn token(
    response: &HttpResponse<'_>,
    rules: &ResponseRules,
    mut members: Map<String, Value>,
) -> Result<Token, Error> {
    let unusable = |reason| unusable_token(response, reason);
    let access_token = access_token(&members).map_err(unusable)?;
    let token_type = token_type(response, rules, &members).map_err(unusable)?;
    let refresh_token = refresh_token(members.get("refresh_token")).map_err(unusable)?;
    let deadline = Deadline::of_response(&members, response.sent_at);
    if deadline == Deadline::Unreadable {
        observe::expires_in_invalid();
    }
    let scope = take_scope(&mut members);
    for known in ["access_token", "token_type", "refresh_token", "error"] {
        members.remove(known);
    }
    members.retain(|name, _| !Deadline::is_member(name));
    Token::settle_login_deadline(&mut members, response.sent_at);
    let token = Token::of(Parts {
        access_token,
        token_type,
        refresh_token,
        scope,
        expires_at: deadline.from(response.sent_at),
        lifetime: None,
        extra: members,
        #[cfg(feature = "keys")]
        binding: None,
    });
    let (token, claims_the_past) = token.issued(response.sent_at);
    if claims_the_past {
        observe::token_already_expired();
    }
    Ok(token)
}

/// A closure of the application's panicked over a response, so it cannot be used; a refresh token in it is
/// kept.
pub(crate) fn panicked(response: &HttpResponse<'_>, closure: &'static str) -> Error {
    let body = body::read(&response.body);
    let issued = issued(response.status, &body);
    let reason = format!("{closure} panicked; see the panic message on stderr");
    let error = match body {
        Body::Members(members) if response.status.is_success() && has_token(&members) => {
            unusable_token(response, reason)
        }
        _ => malformed(response, reason),
    };
    error.with_refresh_token(issued)
}

/// Whether there is an access token, maybe nested or under another name.
fn has_token(members: &Map<String, Value>) -> bool {
    with_nested(members)
        .any(|members| ["access_token", "accessToken"].iter().any(|name| has_text(members, name)))
}

/// The members, and those of them that are objects where a token may be.
fn with_nested(members: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    once(members).chain(ELSEWHERE.iter().filter_map(|name| members.get(*name)?.as_object()))
}

/// Whether these bytes are a JSON object that nothing is missing of.
pub(crate) fn is_whole_object(bytes: &[u8]) -> bool {
    matches!(body::read_part(bytes), Body::Members(_))
}

/// The refresh token of a response of which only this has arrived.
pub(crate) fn issued_in_part(status: StatusCode, bytes: &[u8]) -> Option<SecretString> {
    issued(status, &body::read_part(bytes))
}

/// The refresh token that a success brings, whatever else is in it. If the application has not mapped what
/// the provider nests or names otherwise, it is the one beside the access token there.
fn issued(status: StatusCode, body: &Body) -> Option<SecretString> {
    if !status.is_success() {
        return None;
    }
    let members = match body {
        Body::Members(members) | Body::BrokenJson(members) => members,
        Body::Other(members) => return beside_access_token(members),
        Body::Empty => return None,
    };
    let own = refresh_token(members.get("refresh_token")).unwrap_or_default();
    if own.is_some() || has_text(members, "access_token") {
        return own;
    }
    with_nested(members).find_map(beside_access_token)
}

/// The refresh token, where there is an access token too.
fn beside_access_token(members: &Map<String, Value>) -> Option<SecretString> {
    let pairs = [("access_token", "refresh_token"), ("accessToken", "refreshToken")];
    let (_, name) = pairs.iter().find(|(access_token, _)| has_text(members, access_token))?;
    refresh_token(members.get(*name)).unwrap_or_default()
}

fn has_text(members: &Map<String, Value>, name: &str) -> bool {
    members.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

fn refresh_token(value: Option<&Value>) -> Result<Option<SecretString>, String> {
    match value {
        // PHP has `false` or an empty array for what is not there.
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::Array(list)) if list.is_empty() => Ok(None),
        Some(Value::Object(members)) if members.is_empty() => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if !text.contains(['\u{fffd}', '\0']) => {
            Ok(Some(SecretString::from(text.as_str())))
        }
        Some(_) => Err("refresh_token is not a valid string".to_owned()),
    }
}

fn access_token(members: &Map<String, Value>) -> Result<AccessToken, String> {
    match members.get("access_token") {
        None => Err(missing(members)),
        Some(Value::String(text)) if !text.is_empty() => AccessToken::new(text).ok_or_else(|| {
            "access_token has characters that are not allowed in a header".to_owned()
        }),
        Some(_) => Err("access_token is empty or not a string".to_owned()),
    }
}

fn token_type(
    response: &HttpResponse<'_>,
    rules: &ResponseRules,
    members: &Map<String, Value>,
) -> Result<Cow<'static, str>, String> {
    const BEARER: Cow<'static, str> = Cow::Borrowed("Bearer");
    let text = match members.get("token_type") {
        None | Some(Value::Null) => return Ok(BEARER),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(other) => other.to_string(),
    };
    if text.is_empty() || rules.means_bearer(&text) {
        Ok(BEARER)
    } else if text.eq_ignore_ascii_case("bearer") {
        Ok(Cow::Owned(text))
    } else if response.may_be_bound && is_dpop(&text) {
        Ok(Cow::Borrowed(DPOP))
    } else {
        // "The client MUST NOT use an access token if it does not understand the token type."
        // https://www.rfc-editor.org/rfc/rfc6749#section-7.1
        Err(format!(
            "its token type is {}, not Bearer (OAuthClient::accept_token_type if it means that)",
            shown_type(&text)
        ))
    }
}

/// That there is no access token, and where it may be. Any text of the response may be a token, so only names
/// that are known here are shown.
fn missing(members: &Map<String, Value>) -> String {
    let there: Vec<_> = ELSEWHERE.into_iter().filter(|name| members.contains_key(*name)).collect();
    if there.is_empty() {
        return "access_token is missing".to_owned();
    }
    format!(
        "access_token is missing; among its members: {} (OAuthClient::map_response maps what a provider nests or names otherwise)",
        there.join(", ")
    )
}

/// The type, where it is one that is known here.
fn shown_type(text: &str) -> String {
    const TYPES: [&str; 13] = [
        "mac",
        "N_A",
        "User Access Token",
        "Application Access Token",
        "example",
        "DPoP",
        "PoP",
        "bot",
        "user",
        "jwt",
        "jwt-bearer",
        "BearerToken",
        "access_token",
    ];
    match TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(text)) {
        Some(known) => format!("{known:?}"),
        None => "one that is not known here".to_owned(),
    }
}

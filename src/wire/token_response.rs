//! Reads an HTTP response as a token, or as the error that it is.

use std::borrow::Cow;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{HttpResponse, ResponseRules, read_members};
use crate::error::{Error, Kind};
use crate::observe;
use crate::redact::{redact, redact_name};
use crate::token::{AccessToken, Deadline, Parts, Token, take_scope};

/// Reads the response of a token endpoint
/// ([RFC 6749 §5](https://www.rfc-editor.org/rfc/rfc6749#section-5)).
pub(crate) fn read_token(
    response: &HttpResponse<'_>,
    rules: &ResponseRules,
) -> Result<Token, Error> {
    let members = read_members(response, rules)?;
    token(response, rules, members)
}

/// Makes a token of the members of a response; also of an implicit grant's fragment. The error keeps a
/// refresh token that can be read.
pub(crate) fn token(
    response: &HttpResponse<'_>,
    rules: &ResponseRules,
    mut members: Map<String, Value>,
) -> Result<Token, Error> {
    let refresh_token = match members.get("refresh_token") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if !text.contains(['\u{fffd}', '\0']) => {
            Ok(Some(SecretString::from(text.as_str())))
        }
        Some(_) => Err("refresh_token is not a valid string".to_owned()),
    };
    let unusable = |reason, refresh_token| {
        let HttpResponse { endpoint, status, .. } = *response;
        Error::new(Kind::Malformed { endpoint, status, reason, refresh_token })
    };
    let access_token = match access_token(response, &members) {
        Ok(access_token) => access_token,
        Err(reason) => return Err(unusable(reason, refresh_token.unwrap_or_default())),
    };
    let token_type = match token_type(response, rules, &members) {
        Ok(token_type) => token_type,
        Err(reason) => return Err(unusable(reason, refresh_token.unwrap_or_default())),
    };
    let refresh_token = refresh_token.map_err(|reason| unusable(reason, None))?;
    let deadline = Deadline::of_response(&members, response.sent_at);
    if deadline == Deadline::Unreadable {
        observe::expires_in_invalid();
    }
    let scope = take_scope(&mut members);
    for known in ["access_token", "token_type", "refresh_token", "error"] {
        members.remove(known);
    }
    members.retain(|name, _| !Deadline::is_member(name));
    let token = Token::of(Parts {
        access_token,
        token_type,
        refresh_token,
        scope,
        expires_at: deadline.from(response.sent_at),
        lifetime: None,
        extra: members,
    });
    let (token, claims_the_past) = token.issued(response.sent_at);
    if claims_the_past {
        observe::token_already_expired();
    }
    Ok(token)
}

fn access_token(
    response: &HttpResponse<'_>,
    members: &Map<String, Value>,
) -> Result<AccessToken, String> {
    match members.get("access_token") {
        None => {
            let names: Vec<String> =
                members.keys().take(8).map(|name| redact(name, 30, response.secrets)).collect();
            Err(format!("access_token is missing; its members are: {}", names.join(", ")))
        }
        Some(Value::String(text)) if !text.is_empty() => AccessToken::new(text)
            .ok_or_else(|| "access_token has characters that cannot stand in a header".to_owned()),
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
    } else {
        // "The client MUST NOT use an access token if it does not understand the token type."
        // https://www.rfc-editor.org/rfc/rfc6749#section-7.1
        Err(format!(
            "its token type is {:?}, not Bearer (OAuthClient::accept_token_type if it means that)",
            redact_name(&text, response.secrets)
        ))
    }
}

//! Reads a response as members, or as the error that it is.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value};
use url::{Position, Url};

use super::body::{self, Body};
use super::{HttpResponse, ResponseRules, error_response, panicked};
use crate::error::{Content, Error, Kind};
use crate::redact::{redact, redact_secrets};

/// Reads a response as the members of a JSON object or a form; an error response is an error.
///
/// Of a success that cannot be read nothing is shown but its type and its length: it may be a token.
pub(crate) fn read_members(
    response: &HttpResponse<'_>,
    rules: &ResponseRules,
) -> Result<Map<String, Value>, Error> {
    members(response, rules, mapped(response, rules)?)
}

/// What the body is, as the application maps it.
pub(super) fn mapped(response: &HttpResponse<'_>, rules: &ResponseRules) -> Result<Body, Error> {
    match (body::read(&response.body), &rules.map_response) {
        (Body::Members(members), Some(map)) => {
            let mapped = catch_unwind(AssertUnwindSafe(|| map(members)));
            let closure = "the closure of OAuthClient::map_response";
            Ok(Body::Members(mapped.map_err(|_| panicked(response, closure))?))
        }
        (body, _) => Ok(body),
    }
}

/// The members of a body, unless the response is an error.
pub(super) fn members(
    response: &HttpResponse<'_>,
    rules: &ResponseRules,
    body: Body,
) -> Result<Map<String, Value>, Error> {
    let members = match &body {
        Body::Members(members) | Body::BrokenJson(members) => Some(members),
        Body::Empty | Body::Other(_) => None,
    };
    if let Some(refusal) = error_response(response, members, rules) {
        return Err(Error::new(Kind::Refused(refusal)));
    }
    let reason = match body {
        _ if response.status.is_redirection() => moved(response),
        _ if !response.status.is_success() => {
            "its status is not that of a complete response".to_owned()
        }
        Body::Members(members) => return Ok(members),
        Body::Empty => "it is empty".to_owned(),
        Body::BrokenJson(_) => {
            format!("it is not a JSON object, or not a whole one ({})", content(response))
        }
        Body::Other(_) => {
            let content = content(response);
            let likely = if content.is_page {
                "a proxy, a firewall or a captive portal may have answered instead of the provider, or the endpoint's URL is wrong"
            } else {
                "check the endpoint's URL"
            };
            format!("it is neither JSON nor a form ({content}); {likely}")
        }
    };
    Err(malformed(response, reason))
}

/// The requests follow no redirect: it would lead a secret elsewhere.
fn moved(response: &HttpResponse<'_>) -> String {
    match &response.location {
        Some(to) => format!(
            "it redirects to {}, and no redirect is followed; if the endpoint has moved, configure that URL, else a proxy or a captive portal has answered instead of the provider",
            shown_location(to, response.secrets)
        ),
        None => "no redirect is followed; configure the endpoint's final URL".to_owned(),
    }
}

/// Neither user info, query nor fragment: they may hold anything. The rest may repeat a secret.
fn shown_location(to: &Url, secrets: &[&str]) -> String {
    let host = &to[Position::BeforeHost..Position::BeforePath];
    let origin = redact_secrets(&format!("{}://{host}", to.scheme()), secrets);
    origin + &redact(to.path(), 120, secrets)
}

pub(super) fn content(response: &HttpResponse<'_>) -> Content {
    Content::new(response.content_type.as_deref(), &response.body, response.secrets)
}

pub(crate) fn malformed(response: &HttpResponse<'_>, reason: String) -> Error {
    unusable(response, reason, false)
}

/// The provider has issued a token, and it cannot be used.
pub(crate) fn unusable_token(response: &HttpResponse<'_>, reason: String) -> Error {
    unusable(response, reason, true)
}

fn unusable(response: &HttpResponse<'_>, reason: String, of_token: bool) -> Error {
    let HttpResponse { endpoint, status, retry_after, .. } = *response;
    Error::new(Kind::Malformed { endpoint, status, reason, retry_after, of_token })
}

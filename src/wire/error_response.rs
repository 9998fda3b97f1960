//! Reads an error response: the code and the description, wherever the provider puts them.

use http::StatusCode;
use serde_json::{Map, Value};

use super::response_members::content;
use super::{HttpResponse, ResponseRules};
use crate::error::{ErrorCode, ErrorResponse, RetryClass, is_known_code};
use crate::redact::{redact, redact_words};

/// The longest description that an error carries, in characters.
const DESCRIPTION: usize = 300;
/// The longest text that may be a code, in bytes.
const LONGEST_CODE: usize = 60;

/// Members that hold a code, or an object or a list that does. Google's APIs have `error.status`, Facebook's
/// `error.type`, OpenAI `error.code`, Fitbit `errors[0].errorType`, HubSpot `status`.
const CODES: [&str; 11] = [
    "error",
    "code",
    "errorCode",
    "error_code",
    "errcode",
    "type",
    "errorType",
    "error_type",
    "status",
    "name",
    "errors",
];
/// Members whose objects hold codes and descriptions: FastAPI, Apigee and others. A text in them is for people.
const NESTS: [&str; 4] = ["detail", "fault", "data", "meta"];
/// Members that say more than the code beside them. Only the application knows what is in them: Microsoft,
/// Facebook.
const MORE_CODES: [&str; 3] = ["suberror", "error_codes", "error_subcode"];
/// Members that hold a description.
const DESCRIPTIONS: [&str; 15] = [
    "error_description",
    "errorDescription",
    "description",
    "message",
    "error_message",
    "errorMessage",
    "error_msg",
    "msg",
    "detail",
    "title",
    "reason",
    "errorSummary",
    "errmsg",
    "faultstring",
    "error",
];

/// The error response, whatever its status
/// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
///
/// A response with the status of an error is one. So is a success with an `error`: GitHub and Slack send
/// that; an empty one, or one that says ok, is none. A code that the application names makes an error of a
/// success without a token, wherever it is.
pub(crate) fn error_response(
    response: &HttpResponse<'_>,
    members: Option<&Map<String, Value>>,
    rules: &ResponseRules,
) -> Option<ErrorResponse> {
    let is_error = response.status >= StatusCode::BAD_REQUEST;
    let found = match members {
        Some(members) if is_error => Found::anywhere(members, response, rules),
        Some(members) => Found::in_success(members, response, rules)?,
        None if is_error => Found::default(),
        None => return None,
    };
    let of_success = !is_error;
    let suberror = members.and_then(|members| text(members.get("suberror")?));
    let code = found
        .code
        .map(|code| ErrorCode::new(code, response.secrets, of_success).with_suberror(suberror));
    let shown = |text: &str| {
        let redact = if of_success { redact_words } else { redact };
        redact(text, DESCRIPTION, response.secrets)
    };
    let uri = members.and_then(|members| text(members.get("error_uri")?));
    let status = Some(response.status);
    Some(ErrorResponse {
        endpoint: response.endpoint,
        status,
        class: RetryClass::of(status, code.as_ref(), found.description, &rules.ends_login),
        code,
        description: found.description.map(shown),
        uri: uri.map(shown),
        retry_after: response.retry_after,
        content: Some(content(response)),
        of_refresh: response.of_refresh,
    })
}

/// What a response says of its error, as received.
#[derive(Default)]
struct Found<'a> {
    code: Option<&'a str>,
    description: Option<&'a str>,
}

impl<'a> Found<'a> {
    /// In a response with the status of an error. A code that the application names goes before one that
    /// this crate knows, and that before others.
    fn anywhere(
        members: &'a Map<String, Value>,
        response: &HttpResponse<'_>,
        rules: &'a ResponseRules,
    ) -> Self {
        let mut codes = codes(members, rules);
        let phrase = response.status.canonical_reason().unwrap_or_default();
        // Frameworks put the status there: `{"status":404,"error":"Not Found"}`.
        codes.retain(|code| rules.names(code) || !code.eq_ignore_ascii_case(phrase));
        let named = codes.iter().find(|code| rules.names(code));
        let known = || codes.iter().find(|code| is_known_code(code));
        let code = named.or_else(known).or(codes.first()).copied();
        Self { code, description: description(members, 0).filter(|text| Some(*text) != code) }
    }

    /// In a success, unless it says that there was none.
    fn in_success(
        members: &'a Map<String, Value>,
        response: &HttpResponse<'_>,
        rules: &'a ResponseRules,
    ) -> Option<Self> {
        // A token that is not active is no failed request, whatever a server adds to that
        // (https://www.rfc-editor.org/rfc/rfc7662#section-2.2).
        let is_verdict = members.get("active").is_some_and(Value::is_boolean);
        if is_verdict && response.endpoint == "introspection endpoint" {
            return None;
        }
        let has_token = members.get("access_token").and_then(text).is_some();
        let named = || codes(members, rules).into_iter().find(|code| rules.names(code));
        let code = match members.get("error") {
            Some(Value::String(error)) if !(says_ok(error) || (has_token && is_none(error))) => {
                named().unwrap_or(error.trim())
            }
            Some(Value::Object(error)) => {
                let found = Self::anywhere(error, response, rules);
                // `{"code":"ok"}` (TikTok), or nothing at all.
                let is_empty = found.code.is_none() && (has_token || error.is_empty());
                return (!is_empty).then_some(found);
            }
            _ if has_token || response.endpoint != "token endpoint" => return None,
            _ => named()?,
        };
        let description = description(members, 0).filter(|text| *text != code);
        Some(Self { code: Some(code), description })
    }
}

/// What may be a code, in the order of [`CODES`]; the form of OAuth, text in `error`, first.
fn codes<'a>(members: &'a Map<String, Value>, rules: &'a ResponseRules) -> Vec<&'a str> {
    let mut codes = Vec::new();
    collect_codes(members, 0, rules, &mut codes);
    codes
}

fn collect_codes<'a>(
    members: &'a Map<String, Value>,
    depth: u8,
    rules: &'a ResponseRules,
    codes: &mut Vec<&'a str>,
) {
    for name in CODES {
        match first(member(members, name)) {
            Some(Value::Object(nested)) if depth < 2 => {
                collect_codes(nested, depth + 1, rules, codes);
            }
            Some(Value::String(text)) => {
                // RFC 6749 permits spaces in a code, and there are some (Zoho).
                let is_code =
                    if depth == 0 && name == "error" { is_phrase(text) } else { is_code(text) };
                if (is_code && !says_ok(text)) || rules.names(text) {
                    codes.push(text.trim());
                }
            }
            // Facebook, WeChat. A number says something only to who knows it.
            Some(Value::Number(number)) => codes.extend(rules.name_of(number)),
            _ => {}
        }
    }
    for name in NESTS {
        if let Some(Value::Object(nested)) = first(member(members, name))
            && depth < 2
        {
            collect_codes(nested, depth + 1, rules, codes);
        }
    }
    for name in MORE_CODES {
        let values = match member(members, name) {
            Some(Value::Array(list)) => list.as_slice(),
            value => value.map(std::slice::from_ref).unwrap_or_default(),
        };
        codes.extend(values.iter().filter_map(|value| match value {
            Value::String(text) => Some(text.trim()).filter(|text| rules.names(text)),
            Value::Number(number) => rules.name_of(number),
            _ => None,
        }));
    }
    // What is for people may be a code, too.
    for name in ["message", "error_description", "reason"] {
        let is_code = |text: &&str| is_known_code(text) || rules.names(text);
        codes.extend(member(members, name).and_then(text).filter(is_code));
    }
}

/// The member with this name; .NET and others write it in another case of letters.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let in_other_case = || {
        let mut all = members.iter();
        all.find_map(|(other, value)| other.eq_ignore_ascii_case(name).then_some(value))
    };
    members.get(name).or_else(in_other_case)
}

/// The value, or the first one of a list.
fn first(value: Option<&Value>) -> Option<&Value> {
    match value {
        Some(Value::Array(list)) => list.first(),
        value => value,
    }
}

/// Whether it has the form that codes have, and tells more than that there is an error.
fn is_code(text: &str) -> bool {
    const TELL_NOTHING: [&str; 8] =
        ["error", "err", "fail", "failed", "failure", "false", "true", "unsuccessful"];
    let text = text.trim();
    text.len() <= LONGEST_CODE
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        && !TELL_NOTHING.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether it may be a code of OAuth: short, and not a sentence.
fn is_phrase(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.len() <= 2 * LONGEST_CODE && text.split_whitespace().count() <= 4
}

fn says_ok(text: &str) -> bool {
    const OK: [&str; 8] = ["", "ok", "success", "succeeded", "none", "no_error", "0", "200"];
    OK.iter().any(|ok| text.trim().eq_ignore_ascii_case(ok))
}

/// Whether a form, which has nothing but text, says that there is none.
fn is_none(text: &str) -> bool {
    ["false", "null"].iter().any(|none| text.trim().eq_ignore_ascii_case(none))
}

/// The first description that there is.
fn description(members: &Map<String, Value>, depth: u8) -> Option<&str> {
    let own = DESCRIPTIONS.iter().find_map(|name| text(member(members, name)?));
    let nested = || {
        ["error", "errors"].iter().chain(&NESTS).find_map(|name| {
            match first(member(members, name))? {
                Value::Object(nested) if depth < 2 => description(nested, depth + 1),
                value => text(value),
            }
        })
    };
    own.or_else(nested)
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty())
}

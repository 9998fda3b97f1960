//! The answer of a token endpoint: status, headers and body.

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use chrono::DateTime;
use http::StatusCode;
use reqwest_oauth2::{Error, OAuthClient, Token};
use serde_json::Value;

use super::message::Message;
use super::provider::{Provider, outcome};
use super::{error, token};

/// When the request is sent.
const SENT_AT: i64 = 1_700_000_000;

/// What we send, and a provider may echo anywhere.
const SENT: [&str; 2] = ["s3cr3t-of-the-client", "s3cr3t-refresh-token"];

/// A secret of the answer's own.
const RECEIVED: &str = "s3cr3t-of-the-answer";

pub fn holds(input: &[u8]) {
    let answer = Message::read(input);
    let (status, body) = (answer.status, answer.body.clone());
    let members = serde_json::from_slice(&body).ok();
    let is_in_header = answer.has_in_header(RECEIVED);
    match read(answer) {
        Ok(token) => {
            assert!(status.is_success(), "{status}");
            token::issued(&token, received(members.as_ref()));
            if let Some(members) = &members {
                is_what_the_answer_says(&token, members);
            }
        }
        Err(error) => {
            error::holds(&error, &SENT);
            if !is_in_header {
                error::holds(&error, received(members.as_ref()));
            }
            assert_eq!(error.status(), Some(status));
            // A description may say that the refresh token was not judged.
            if error.error_code() == Some("invalid_grant")
                && status == StatusCode::BAD_REQUEST
                && error.error_description().is_none()
            {
                assert!(!error.is_transient());
            }
        }
    }
}

fn read(answer: Message) -> Result<Token, Error> {
    static APP: LazyLock<OAuthClient> = LazyLock::new(|| {
        OAuthClient::new("foo", "https://accounts.example/token")
            .unwrap()
            .secret(SENT[0])
            .clock(|| UNIX_EPOCH + Duration::from_secs(SENT_AT as u64))
    });
    let provider = Provider::new(answer);
    let app = APP.clone().http_client(provider.http(|http| http));
    let request = app.token_request("refresh_token").param("refresh_token", SENT[1]);
    let result = outcome(request.send());
    assert_eq!(provider.asked().len(), 1);
    result
}

fn is_what_the_answer_says(token: &Token, members: &Value) {
    assert_eq!(members["access_token"], token.access_token());
    let text = |name: &str| members[name].as_str().filter(|text| !text.is_empty());
    assert_eq!(token.refresh_token(), text("refresh_token"));
    const OK: [&str; 8] = ["", "ok", "success", "succeeded", "none", "no_error", "0", "200"];
    let is_ok = |code: &str| OK.iter().any(|ok| code.trim().eq_ignore_ascii_case(ok));
    assert!(text("error").is_none_or(is_ok), "it is an error");
    assert!(members["token_type"].is_null() || members["token_type"].is_string());
    let token_type = text("token_type").unwrap_or_default().trim();
    assert!(token_type.is_empty() || token_type.eq_ignore_ascii_case("bearer"), "{token_type}");
    if let Some(scope) = text("scope") {
        assert_eq!(token.scope(), Some(scope));
    }
    deadline_is_what_the_answer_says(token, members);
}

fn deadline_is_what_the_answer_says(token: &Token, members: &Value) {
    let sent_at = DateTime::from_timestamp(SENT_AT, 0).unwrap();
    assert!(
        token.expires_at().is_none_or(|date| date > sent_at),
        "it expired before it was issued"
    );
    let deadline = token.expires_at().map(|date| date.timestamp());
    let is_said = |name: &&str| !members[name].is_null();
    let others = ["expires_in_sec", "expires", "expires_at", "expires_on", "expiry", "expiry_date"];
    let is_alone = !others.iter().any(is_said);
    let number = &members["expires_in"];
    let Some(number) = number.as_i64().or(number.as_u64().map(|_| i64::MAX)) else {
        assert!(deadline.is_none() || !is_alone || is_said(&"expires_in"));
        return;
    };
    let named = match number {
        ..=0 => None,
        1..1_000_000_000 => Some(SENT_AT + number),
        // No token lives for decades: the seconds since 1970, or the milliseconds.
        1_000_000_000..=token::LATEST => Some(number),
        _ => Some((number / 1_000).min(token::LATEST)),
    };
    match named.filter(|named| *named > SENT_AT) {
        Some(named) if !is_said(&"expires_in_sec") => assert_eq!(deadline, Some(named)),
        None if is_alone => assert_eq!(deadline, None),
        _ => {}
    }
}

/// The answer's own secret, unless it also stands where no secret does.
fn received(members: Option<&Value>) -> &'static [&'static str] {
    let Some(Value::Object(members)) = members else { return &[] };
    let mut others = members.clone();
    for secret in ["access_token", "refresh_token"] {
        others.remove(secret);
    }
    if Value::Object(others).to_string().contains(RECEIVED) { &[] } else { &[RECEIVED] }
}

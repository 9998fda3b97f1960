//! The answer of a token endpoint: status, headers and body.

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use chrono::DateTime;
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
    match read(answer) {
        Ok(token) => {
            assert!(status.is_success(), "{status}");
            token::holds(&token, received(members.as_ref()));
            if let Some(members) = &members {
                is_what_the_answer_says(&token, members);
            }
        }
        Err(error) => {
            error::holds(&error, &SENT);
            error::holds(&error, received(members.as_ref()));
            assert_eq!(error.status(), Some(status));
            if error.error_code() == Some("invalid_grant") {
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
    assert!(text("token_type").is_none_or(|name| name.eq_ignore_ascii_case("bearer")));
    assert!(members["token_type"].is_null() || members["token_type"].is_string());
    let seconds = &members["expires_in"];
    if let Some(seconds) = seconds.as_i64().or(seconds.as_u64().map(|_| i64::MAX)) {
        let deadline = SENT_AT.saturating_add(seconds).clamp(0, token::LATEST);
        let deadline = (seconds != 0).then(|| DateTime::from_timestamp(deadline, 0).unwrap());
        assert_eq!(token.expires_at(), deadline);
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

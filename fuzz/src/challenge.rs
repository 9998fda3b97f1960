//! The `WWW-Authenticate` challenges of a 401, a field a line.
//!
//! The verdict is seen in a session: a 401 to a request that cannot be sent again (its body is a
//! stream) takes the token out of use where a new one may help, and sends nothing.

use std::sync::LazyLock;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest_oauth2::{OAuthClient, Origins, Session, Token};

use super::message::Message;
use super::provider::{Provider, outcome};

const INSUFFICIENT: &[u8] = br#"Bearer error="insufficient_scope""#;
const INVALID: &[u8] = br#"Bearer error="invalid_token""#;

pub fn holds(input: &[u8]) {
    let fields: Vec<&[u8]> = input.split(|b| *b == b'\n').collect();
    if !a_new_token_may_help(&fields) {
        assert!(mentions(input, "bearer") && mentions(input, "error"), "who says so?");
    }
    // Whatever other fields say, before it (if they say nothing of Bearer) or after it.
    assert!(!a_new_token_may_help(&[&[INSUFFICIENT], &fields[..]].concat()));
    assert!(a_new_token_may_help(&[&[INVALID], &fields[..]].concat()));
    if !mentions(input, "bearer") {
        assert!(!a_new_token_may_help(&[&fields[..], &[INSUFFICIENT]].concat()));
    }
    // Whatever text is quoted around it, in the same field.
    let text = quoted(input);
    for (code, renews) in [("insufficient_scope", false), ("invalid_token", true)] {
        let field = [
            b"Negotiate YWJj==, Basic error=its_own, realm=",
            &text[..],
            b" ,, bEARER realm=",
            &text,
            b" , Error = ",
            code.as_bytes(),
            b",scope=",
            &text,
            b", Digest nonce=",
            &text,
        ]
        .concat();
        // Longer ones are not looked into.
        if field.len() <= 8 * 1024 {
            let shown = String::from_utf8_lossy(&field);
            assert_eq!(a_new_token_may_help(&[&field]), renews, "{shown}");
        }
    }
}

/// The text as a quoted string, without what no header may have.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for b in text.iter().filter(|b| **b == b'\t' || (**b >= b' ' && **b != 0x7f)) {
        if matches!(b, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*b);
    }
    quoted.push(b'"');
    quoted
}

/// Whether a session renews after a 401 with these fields; those that cannot be a header are left
/// out.
fn a_new_token_may_help(fields: &[&[u8]]) -> bool {
    static SESSION: LazyLock<(OAuthClient, Token, Origins)> = LazyLock::new(|| {
        (
            OAuthClient::new("foo", "https://accounts.example/token").unwrap(),
            Token::new("at").unwrap().with_refresh_token("rt"),
            Origins::new(["https://api.example"]).unwrap(),
        )
    });
    let (app, token, origins) = &*SESSION;
    let values = fields.iter().filter_map(|field| HeaderValue::from_bytes(field).ok());
    let headers: HeaderMap = values.map(|value| (WWW_AUTHENTICATE, value)).collect();
    let api =
        Provider::new(Message { status: StatusCode::UNAUTHORIZED, headers, body: Vec::new() });
    let session = Session::builder(app.clone()).token(token.clone()).build();
    let layer = session.middleware(origins.clone()).unwrap();
    let stream = reqwest::Body::wrap(String::new());
    let request = api.http(|http| http.with(layer)).post("https://api.example/").body(stream);
    let response = outcome(request.send()).unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(api.asked().len(), 1);
    session.header().is_none()
}

fn mentions(input: &[u8], word: &str) -> bool {
    input.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

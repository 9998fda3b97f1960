//! The `WWW-Authenticate` challenges of a 401, a field a line.
//!
//! The verdict is seen in a session: a 401 to a request that cannot be sent again (its body is a
//! stream) takes the token out of use where a new one may help, and sends nothing.

use std::sync::LazyLock;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest_oauth2::{Error, OAuthClient, Origins, Session, Token};

use super::message::Message;
use super::provider::{Provider, outcome};

/// Codes that are not about the token, in the ways that servers write them.
const NOT_THE_TOKEN: [(&str, &str); 5] = [
    ("insufficient_scope", "insufficient_scope"),
    ("insufficient_user_authentication", r#""Insufficient_User_Authentication""#),
    ("invalid_request", "'invalid_request'"),
    ("use_dpop_nonce", r#"" USE_DPOP_NONCE ""#),
    ("invalid_dpop_proof", "Invalid_DPoP_Proof"),
];
const INSUFFICIENT: &[u8] = br#"Bearer error="insufficient_scope""#;
const INVALID: &[u8] = br#"Bearer error="invalid_token""#;

pub fn holds(input: &[u8]) {
    let fields: Vec<&[u8]> = input.split(|b| *b == b'\n').collect();
    let renews = a_new_token_may_help(&fields);
    let may_say_no = |field: &&[u8]| {
        mentions(field, "error") && NOT_THE_TOKEN.iter().any(|(code, _)| mentions(field, code))
    };
    assert!(renews || fields.iter().any(may_say_no), "who says so?");
    // Each field counts, wherever it stands.
    for fields in [[&[INVALID], &fields[..]].concat(), [&fields[..], &[INVALID]].concat()] {
        assert!(a_new_token_may_help(&fields));
    }
    for fields in [[&[INSUFFICIENT], &fields[..]].concat(), [&fields[..], &[INSUFFICIENT]].concat()]
    {
        let with = a_new_token_may_help(&fields);
        assert!(renews || !with, "one more field that says no");
        assert!(mentions(input, "error") || !with, "nobody says otherwise");
    }
    whatever_is_quoted_around_it(input);
    any_other_code_renews(input);
}

/// In the same field, whatever the scheme.
fn whatever_is_quoted_around_it(text: &[u8]) {
    let (text, single) = (quoted(text), single_quoted(text));
    let codes = NOT_THE_TOKEN.iter().map(|(_, code)| (*code, false));
    for (code, renews) in codes.chain([("invalid_token", true)]) {
        let field = [
            b"Negotiate YWJj==, Basic realm=",
            &text[..],
            b" ,, bEARER realm=",
            &single,
            b" , Error = ",
            code.as_bytes(),
            b",scope=",
            &text,
            b" error_description=",
            &single,
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

/// Also one that nobody has registered, and none at all.
fn any_other_code_renews(text: &[u8]) {
    let quoted = quoted(text);
    let code = quoted[1..quoted.len() - 1].trim_ascii();
    let field = [b"Bearer error=", &quoted[..]].concat();
    let is_other = |(other, _): &(&str, _)| !code.eq_ignore_ascii_case(other.as_bytes());
    if NOT_THE_TOKEN.iter().all(is_other) {
        assert!(a_new_token_may_help(&[&field]), "{}", String::from_utf8_lossy(&field));
    }
}

/// The text as a quoted string, without what no header may have.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for b in text.iter().filter(|b| may_be_in_a_header(**b)) {
        if matches!(b, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*b);
    }
    quoted.push(b'"');
    quoted
}

/// The same in single quotes, which have no escape.
fn single_quoted(text: &[u8]) -> Vec<u8> {
    let inner = text.iter().copied().filter(|b| may_be_in_a_header(*b) && *b != b'\'');
    std::iter::once(b'\'').chain(inner).chain(std::iter::once(b'\'')).collect()
}

fn may_be_in_a_header(b: u8) -> bool {
    b == b'\t' || (b >= b' ' && b != 0x7f)
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
    match outcome(request.send()) {
        Ok(response) => assert_eq!(response.status(), StatusCode::UNAUTHORIZED),
        // It asks for more than a token of this login gives.
        Err(error) => assert!(Error::find_in(&error).and_then(Error::step_up).is_some(), "{error}"),
    }
    assert_eq!(api.asked().len(), 1);
    session.header().is_none()
}

fn mentions(input: &[u8], word: &str) -> bool {
    input.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

//! What the browser brings back to an authorization code login, and to an implicit one.

use std::sync::LazyLock;

use http::{HeaderMap, StatusCode};
use reqwest_oauth2::{Error, OAuthClient, PendingImplicitLogin, PendingLogin, Token};
use serde_json::json;
use url::Url;

use super::message::Message;
use super::provider::{Provider, outcome};
use super::{error, token};

const STATE: &str = "s3cr3t-state";
const VERIFIER: &str = "s3cr3t-verifier";
const ISSUER: &str = "https://accounts.example";
const TOKEN_URL: &str = "https://accounts.example/token";
const REDIRECT_URI: &str = "https://me.example/cb";
/// A state that no input has.
const ANOTHER_STATE: &str = "J7c0w1Yk3nQ-another-4vXr8T_s2Zb";
/// A secret of the callback's own.
const CODE: &str = "s3cr3t-code";

static PROVIDER: LazyLock<Provider> = LazyLock::new(|| {
    let body = br#"{"access_token":"at"}"#.to_vec();
    Provider::new(Message { status: StatusCode::OK, headers: HeaderMap::new(), body })
});

static APP: LazyLock<OAuthClient> = LazyLock::new(|| {
    OAuthClient::new("foo", TOKEN_URL)
        .unwrap()
        .authorization_endpoint("https://accounts.example/authorize")
        .unwrap()
        .issuer(ISSUER)
        .http_client(PROVIDER.http(|http| http))
});

pub fn holds(input: &[u8]) {
    let Ok(callback) = std::str::from_utf8(input) else { return };
    by_code(callback, false);
    by_code(callback, true);
    implicit(callback);
    every_code_arrives(callback);
    // Nothing of a callback with another state is believed, not even its error.
    let error = finish(login(ANOTHER_STATE, false), callback).expect_err("another state");
    assert!(error.is_callback(), "{error}");
    let another: PendingImplicitLogin = login(ANOTHER_STATE, true);
    let error = another.finish(&APP, callback).expect_err("another state");
    assert!(error.is_callback(), "{error}");
}

fn by_code(callback: &str, iss_required: bool) {
    let (path, query, _) = parts(callback);
    match finish(login(STATE, iss_required), callback) {
        Ok((code, token)) => {
            token::issued(&token, &[]);
            assert!(is_ours(path), "{path}");
            assert_eq!(values(query, "state"), [STATE]);
            assert_eq!(values(query, "code"), [code]);
            assert!(values(query, "error").is_empty());
            let iss = values(query, "iss");
            assert!(iss == [ISSUER] || (iss.is_empty() && !iss_required), "{iss:?}");
        }
        Err(error) => {
            error::holds(&error, &[STATE]);
            // What the provider itself has put into its error may be shown.
            let pairs = || url::form_urlencoded::parse(query.as_bytes());
            let told = |secret: &str| {
                pairs().any(|(name, value)| name.starts_with("error") && value.contains(secret))
            };
            for secret in [CODE, VERIFIER] {
                if !told(secret) {
                    error::holds(&error, &[secret]);
                }
            }
        }
    }
}

fn implicit(callback: &str) {
    let (path, query, fragment) = parts(callback);
    let parameters = if fragment.is_empty() { query } else { fragment };
    let login: PendingImplicitLogin = login(STATE, true);
    match login.finish(&APP, callback) {
        Ok(token) => {
            token::issued(&token, &[]);
            assert!(is_ours(path), "{path}");
            assert_eq!(token.refresh_token(), None);
            assert_eq!(values(parameters, "access_token"), [token.access_token()]);
            assert_eq!(values(parameters, "state"), [STATE]);
            assert_eq!(values(parameters, "iss"), [ISSUER]);
            assert!(values(parameters, "error").is_empty());
        }
        Err(error) => error::holds(&error, &[STATE]),
    }
}

/// Any text is a code.
fn every_code_arrives(text: &str) {
    let mut callback = url::form_urlencoded::Serializer::new("?".to_owned());
    callback.extend_pairs([("code", text), ("iss", ISSUER), ("state", STATE)]);
    let callback = callback.finish();
    // Longer ones are refused.
    if !text.is_empty() && callback.len() <= 64 * 1024 {
        let (code, _) = finish(login(STATE, true), &callback).unwrap();
        assert_eq!(code, text);
    }
}

/// A login that waits for its callback.
fn login<L: serde::de::DeserializeOwned>(state: &str, iss_required: bool) -> L {
    let login = json!({
        "url": "https://accounts.example/authorize",
        "client_id": "foo",
        "token_endpoint": TOKEN_URL,
        "redirect_uri": REDIRECT_URI,
        "state": state,
        "verifier": VERIFIER,
        "issuer": ISSUER,
        "iss_required": iss_required,
        "expires_at": i64::MAX,
    });
    serde_json::from_value(login).unwrap()
}

/// Finishes a login: the code that was exchanged, and the token.
fn finish(login: PendingLogin, callback: &str) -> Result<(String, Token), Error> {
    let result = outcome(login.clone().finish(&APP, callback));
    let asked = PROVIDER.asked();
    assert_eq!(asked.len(), usize::from(result.is_ok()), "a code is sent once, or not at all");
    let again = outcome(login.finish(&APP, callback));
    assert!(again.is_err() && PROVIDER.asked().is_empty(), "a login is finished once");
    let token = result?;
    assert_eq!(asked[0].url().as_str(), TOKEN_URL);
    let body = asked[0].body().and_then(|body| body.as_bytes()).unwrap();
    let body = std::str::from_utf8(body).unwrap();
    assert_eq!(values(body, "grant_type"), ["authorization_code"]);
    assert_eq!(values(body, "redirect_uri"), [REDIRECT_URI]);
    assert_eq!(values(body, "code_verifier"), [VERIFIER]);
    let code = <[String; 1]>::try_from(values(body, "code")).expect("one code");
    Ok((code.concat(), token))
}

/// The path (with what stands before it), the query and the fragment of a callback, or of the end
/// of one.
fn parts(callback: &str) -> (&str, &str, &str) {
    let (callback, fragment) = callback.split_once('#').unwrap_or((callback, ""));
    let whole = if callback.contains('=') { ("", callback) } else { (callback, "") };
    let (path, query) = callback.split_once('?').unwrap_or(whole);
    (path, query, fragment)
}

/// Whether it leads to the redirect URI's path, if anywhere.
fn is_ours(path: &str) -> bool {
    let joined = || Url::parse(REDIRECT_URI).unwrap().join(path);
    let url = Url::parse(path).or_else(|_| joined()).unwrap();
    url.path().trim_end_matches('/') == "/cb"
}

/// The values of that name which are not empty.
fn values(form: &str, name: &str) -> Vec<String> {
    let pairs = url::form_urlencoded::parse(form.as_bytes());
    let values = pairs.filter(|(of, value)| of == name && !value.is_empty());
    values.map(|(_, value)| value.into_owned()).collect()
}

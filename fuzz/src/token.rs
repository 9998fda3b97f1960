//! What holds for every token that an input from outside was accepted as.

use chrono::DateTime;
use http::HeaderValue;
use reqwest_oauth2::Token;
use serde_json::Value;

/// 9999-12-31T23:59:59Z.
pub const LATEST: i64 = 253_402_300_799;

/// What a provider has issued: it can be sent.
pub fn issued(token: &Token, secrets: &[&str]) {
    assert!(!token.access_token().is_empty());
    assert!(token.token_type().eq_ignore_ascii_case("bearer"), "{:?}", token.token_type());
    holds(token, secrets);
}

/// It can be sent or renewed, its deadline can be written by everyone, and it is the same after it was
/// stored and loaded. What it shows has none of the secrets.
pub fn holds(token: &Token, secrets: &[&str]) {
    let access_token = token.access_token();
    assert!(access_token.bytes().all(|b| (0x20..=0x7e).contains(&b)), "{access_token:?}");
    assert!(HeaderValue::from_str(&format!("Bearer {access_token}")).is_ok());
    if access_token.is_empty() {
        assert!(token.refresh_token().is_some(), "nothing to renew it with");
        assert_eq!(token.expires_at(), Some(DateTime::UNIX_EPOCH));
    }
    assert_ne!(token.token_type(), "");
    assert_ne!(token.refresh_token(), Some(""));
    if let Some(deadline) = token.expires_at() {
        assert!((0..=LATEST).contains(&deadline.timestamp()), "{deadline}");
    }
    let stored = serde_json::to_string(token).unwrap();
    let loaded = match serde_json::from_str::<Token>(&stored) {
        Ok(loaded) => loaded,
        Err(error) => panic!("what was stored does not load: {error}: {stored}"),
    };
    same(&loaded, token);
    let shown = format!("{token:?}");
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}

/// Equal; the deadline to the microsecond, and after 2241 to the second.
fn same(one: &Token, other: &Token) {
    assert_eq!(one.access_token(), other.access_token());
    assert_eq!(one.refresh_token(), other.refresh_token());
    assert_eq!(one.token_type(), other.token_type());
    assert_eq!(one.scope(), other.scope());
    let extra = |token: &Token| without_floats(Value::Object(token.extra().clone()));
    assert_eq!(extra(one), extra(other));
    let deadline = |token: &Token| {
        let micros = token.expires_at()?.timestamp_micros();
        Some(if micros < (1 << 33) * 1_000_000 { micros } else { micros / 1_000_000 })
    };
    assert_eq!(deadline(one), deadline(other));
}

/// serde_json reads floats to the last digit but one.
fn without_floats(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => Value::Null,
        Value::Array(values) => values.into_iter().map(without_floats).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, without_floats(value))).collect()
        }
        other => other,
    }
}

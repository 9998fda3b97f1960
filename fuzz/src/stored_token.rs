//! A stored token: the JSON that this crate, requests-oauthlib, Authlib or x/oauth2 wrote, or what
//! became of it.

use chrono::DateTime;
use reqwest_oauth2::Token;
use serde_json::Value;

use super::token;

/// A secret, where the input has it.
const SECRET: &str = "s3cr3t-of-the-store";

pub fn holds(input: &[u8]) {
    let secrets = secrets(input);
    match serde_json::from_slice::<Token>(input) {
        Ok(token) => {
            // What else is in it may be more than a strict reader takes. Then nobody knows where the secret stands.
            match serde_json::from_slice(input) {
                Ok(members) => {
                    token::holds(&token, secrets);
                    is_what_was_stored(&token, &members);
                }
                Err(_) => token::holds(&token, &[]),
            }
        }
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(!error.to_string().contains(char::is_control), "{shown}");
            for secret in secrets {
                assert!(!shown.contains(secret), "{secret} is in {shown}");
            }
        }
    }
}

fn is_what_was_stored(token: &Token, members: &Value) {
    let text = |name: &str| members[name].as_str().unwrap_or_default();
    assert_eq!(token.access_token(), text("access_token"));
    assert_eq!(token.refresh_token().unwrap_or_default(), text("refresh_token"));
    // Whatever its type: it was accepted before it was stored.
    let token_type = text("token_type").trim();
    assert_eq!(token.token_type(), if token_type.is_empty() { "Bearer" } else { token_type });
    if let Some(seconds) = members["expires_at"].as_i64()
        && (0..=token::LATEST).contains(&seconds)
        && !token.access_token().is_empty()
    {
        assert_eq!(token.expires_at(), DateTime::from_timestamp(seconds, 0));
    }
}

/// The secret, unless it stands where none belongs: in what is shown of a token.
fn secrets(input: &[u8]) -> &'static [&'static str] {
    // What stands after the document is found too late.
    let first = serde_json::Deserializer::from_slice(input).into_iter().next();
    let Some(Ok(Value::Object(members))) = first else { return &[SECRET] };
    let shown = |(name, value): (&String, &Value)| match name.as_str() {
        "token_type" | "scope" | "scopes" => value.to_string().contains(SECRET),
        name => name.contains(SECRET),
    };
    if members.iter().any(shown) { &[] } else { &[SECRET] }
}

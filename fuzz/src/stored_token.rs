//! A stored token: the JSON that this crate, requests-oauthlib, Authlib or x/oauth2 wrote, or what
//! became of it.

use reqwest_oauth2::Token;
use serde_json::Value;

use super::token;

/// A secret, where the input has it.
const SECRET: &str = "s3cr3t-of-the-store";

pub fn holds(input: &[u8]) {
    let secrets = secrets(input);
    match serde_json::from_slice::<Token>(input) {
        Ok(token) => token::holds(&token, secrets),
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(!error.to_string().contains(char::is_control), "{shown}");
            for secret in secrets {
                assert!(!shown.contains(secret), "{secret} is in {shown}");
            }
        }
    }
}

/// The secret, unless it stands where none belongs: in what is shown of a token.
fn secrets(input: &[u8]) -> &'static [&'static str] {
    // What stands after the document is found too late.
    let first = serde_json::Deserializer::from_slice(input).into_iter().next();
    let Some(Ok(Value::Object(members))) = first else { return &[SECRET] };
    let shown = |(name, value): (&String, &Value)| match name.as_str() {
        "token_type" | "scope" => value.to_string().contains(SECRET),
        name => name.contains(SECRET),
    };
    if members.iter().any(shown) { &[] } else { &[SECRET] }
}

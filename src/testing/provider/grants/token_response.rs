use serde_json::{Value, json};

use super::Issued;
use crate::testing::provider::config::Config;
use crate::testing::provider::http::response::seconds;

/// The members of a successful token response (RFC 6749 §5.1).
pub(crate) fn token_json(issued: Issued, config: &Config) -> Value {
    let mut members = json!({
        "access_token": issued.access_token,
        "token_type": if issued.jkt.is_some() { "DPoP" } else { "Bearer" },
        "scope": issued.scope,
    });
    if config.send_expires_in {
        members["expires_in"] = seconds(config.lifetime);
    }
    if issued.exchanged {
        members["issued_token_type"] = json!("urn:ietf:params:oauth:token-type:access_token");
    }
    if let Some(jkt) = issued.jkt.filter(|_| issued.shows_key) {
        members["cnf"] = json!({ "jkt": jkt });
    }
    if let Some(refresh_token) = issued.refresh_token {
        members["refresh_token"] = json!(refresh_token);
    }
    members
}

//! A client that signs (RFC 7523 §2.2, §3).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::OAuthError;
use crate::testing::keys::{PublicKey, SigningAlgorithm, verifies_hs256};
use crate::testing::provider::config::{AuthMethod, Client};
use crate::testing::provider::recorded::RecordedTokenRequest;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion may live, in seconds.
const LONGEST_LIFE: u64 = 300;

impl Client {
    /// Checks the form of a request with an assertion, then the assertion; gives its `jti`.
    pub(crate) fn admit_assertion(
        &self,
        request: &RecordedTokenRequest,
        audiences: &[String],
        now: SystemTime,
    ) -> Result<String, OAuthError> {
        self.admit_form(request)?;
        // RFC 7521 §4.2: no second method.
        if request.authorization.is_some() || request.given("client_secret").is_some() {
            return Err(OAuthError::InvalidRequest);
        }
        if request.given("client_assertion_type") != Some(JWT_BEARER) {
            return Err(OAuthError::InvalidClient);
        }
        let assertion = request.required("client_assertion")?;
        let claims = self.verified(assertion).ok_or(OAuthError::InvalidClient)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let is_of_client = [text("iss"), text("sub")] == [Some(&*self.id); 2]
            && request.given("client_id").is_none_or(|id| id == self.id);
        let is_for_us = text("aud").is_some_and(|aud| audiences.iter().any(|own| own == aud));
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let expires = claims.get("exp").and_then(Value::as_u64).unwrap_or_default();
        let is_alive = expires > now && expires - now <= LONGEST_LIFE;
        match text("jti") {
            Some(id) if is_of_client && is_for_us && is_alive => Ok(id.to_owned()),
            _ => Err(OAuthError::InvalidClient),
        }
    }

    /// The claims, where the signature is this client's.
    fn verified(&self, jwt: &str) -> Option<Map<String, Value>> {
        let (message, signature) = jwt.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header = object(header)?;
        let name = |name: &str| header.get(name).and_then(Value::as_str);
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let is_good = match name("alg")? {
            "HS256" => {
                let secret = self.secret.as_ref()?.as_bytes();
                self.allows(AuthMethod::ClientSecretJwt)
                    && verifies_hs256(secret, message.as_bytes(), &signature)
            }
            algorithm => {
                let jwk = self.key.as_ref()?;
                let key_id = jwk.get("kid").and_then(Value::as_str);
                self.allows(AuthMethod::PrivateKeyJwt)
                    && key_id == name("kid")
                    && PublicKey::of_jwk(jwk).ok()?.verifies(
                        SigningAlgorithm::from_name(algorithm)?,
                        message.as_bytes(),
                        &signature,
                    )
            }
        };
        if is_good { object(claims) } else { None }
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

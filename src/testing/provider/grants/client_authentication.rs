//! How a client proves who it is (RFC 6749 §2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::OAuthError;
use crate::testing::provider::config::{AuthMethod, Client};
use crate::testing::provider::recorded::RecordedTokenRequest;

impl Client {
    /// Checks the form of `request`, then who sent it.
    pub(crate) fn admit(&self, request: &RecordedTokenRequest) -> Result<(), OAuthError> {
        self.admit_form(request)?;
        self.authenticate(request)
    }

    pub(super) fn admit_form(&self, request: &RecordedTokenRequest) -> Result<(), OAuthError> {
        let is_readable = request.is_form() || (self.takes_json && request.is_json());
        if !is_readable || request.has_repeated_param() {
            return Err(OAuthError::InvalidRequest);
        }
        Ok(())
    }

    pub(super) fn allows(&self, method: AuthMethod) -> bool {
        self.auth_methods.contains(&method)
    }

    fn authenticate(&self, request: &RecordedTokenRequest) -> Result<(), OAuthError> {
        let id = request.given("client_id");
        let secret = request.given("client_secret");
        if let Some(header) = &request.authorization {
            let (basic_id, basic_secret) = basic(header).ok_or(OAuthError::InvalidClient)?;
            // RFC 6749 §2.3: one authentication method in each request.
            if secret.is_some() || id.is_some_and(|id| id != basic_id) {
                return Err(OAuthError::InvalidRequest);
            }
            let known = self.id == basic_id && self.secret.as_ref() == Some(&basic_secret);
            return accept(self.allows(AuthMethod::ClientSecretBasic) && known);
        }
        let known = id == Some(self.id.as_str());
        accept(match &self.secret {
            Some(expected) => {
                let right = known && secret.unwrap_or_default() == expected;
                self.allows(AuthMethod::ClientSecretPost) && right
            }
            None => known && self.is_public() && secret.is_none(),
        })
    }
}

/// The client that the request says it is of.
pub(crate) fn named_client(request: &RecordedTokenRequest) -> Option<String> {
    let of_header = request.authorization.as_deref().and_then(basic).map(|(id, _)| id);
    of_header.or_else(|| request.given("client_id").map(str::to_owned))
}

fn accept(ok: bool) -> Result<(), OAuthError> {
    if ok { Ok(()) } else { Err(OAuthError::InvalidClient) }
}

/// Reads HTTP Basic credentials, form-decoded as RFC 6749 §2.3.1 has it.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(credentials.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decode(id), form_decode(secret)))
}

fn form_decode(text: &str) -> String {
    // A stray separator must not split the value.
    let whole = text.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(whole.as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_form_decoded() {
        let header = format!("bAsIc {}", STANDARD.encode("a%3Ab+c:p%26%25=&%2B"));
        let expected = ("a:b c".to_owned(), "p&%=&+".to_owned());
        assert_eq!(basic(&header), Some(expected));
    }

    #[test]
    fn other_headers_are_no_basic_credentials() {
        for header in ["", "Basic", "Basic !", "Bearer Zm9vOnBvdGF0bw==", "Basic Zm9v"] {
            assert_eq!(basic(header), None, "{header}");
        }
    }
}

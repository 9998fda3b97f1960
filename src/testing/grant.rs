use std::time::SystemTime;

use super::config::Config;
use super::refusal::Refusal;
use super::request::TokenRequest;
use super::store::{Issued, Store};

/// The scope of a grant that asked for none.
pub(super) const SCOPE: &str = "read write";

const USER: &str = "johndoe";
const PASSWORD: &str = "A3ddj3w";

/// Serves a token request: checks its form, then the client, then the grant.
pub(super) fn serve(
    request: &TokenRequest,
    store: &mut Store,
    config: &Config,
    now: SystemTime,
) -> Result<Issued, Refusal> {
    if !request.is_form() || request.has_repeated_param() {
        return Err(Refusal::InvalidRequest);
    }
    config.client.authenticate(request)?;
    let scope = request.given("scope");
    match request.given("grant_type") {
        Some("refresh_token") => {
            let token = required(request, "refresh_token")?;
            store.refresh(token, scope, config, now)
        }
        Some("client_credentials") => {
            // RFC 6749 §4.4: only for confidential clients.
            if config.client.is_public() {
                return Err(Refusal::UnauthorizedClient);
            }
            let with_refresh = config.client_credentials_refresh;
            Ok(store.begin(scope.unwrap_or(SCOPE), with_refresh, config, now))
        }
        Some("password") => {
            let user = required(request, "username")?;
            let password = required(request, "password")?;
            if (user, password) != (USER, PASSWORD) {
                return Err(Refusal::InvalidGrant);
            }
            Ok(store.begin(scope.unwrap_or(SCOPE), true, config, now))
        }
        Some(_) => Err(Refusal::UnsupportedGrantType),
        None => Err(Refusal::InvalidRequest),
    }
}

/// Whether this is the grant that [`Counts::refreshes`](super::Counts) counts.
pub(super) fn is_refresh(request: &TokenRequest) -> bool {
    request.given("grant_type") == Some("refresh_token")
}

fn required<'a>(request: &'a TokenRequest, name: &str) -> Result<&'a str, Refusal> {
    request.given(name).ok_or(Refusal::InvalidRequest)
}

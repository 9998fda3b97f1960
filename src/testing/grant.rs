use std::time::SystemTime;

use super::codes::Presented;
use super::config::Config;
use super::exchange::Exchange;
use super::owner::Owner;
use super::refusal::Refusal;
use super::request::RecordedTokenRequest;
use super::shared::State;
use super::store::Issued;
use super::user;

/// The scope of a grant that asked for none.
pub(super) const SCOPE: &str = "read write";

pub(super) const AUTHORIZATION_CODE: &str = "authorization_code";
pub(super) const CLIENT_CREDENTIALS: &str = "client_credentials";
pub(super) const PASSWORD: &str = "password";
pub(super) const REFRESH_TOKEN: &str = "refresh_token";
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// What a token request presents.
pub(super) enum Grant<'a> {
    AuthorizationCode(Presented<'a>),
    DeviceCode(&'a str),
    RefreshToken {
        token: &'a str,
        scope: Option<&'a str>,
    },
    Exchange(Exchange<'a>),
    /// What is settled without looking at earlier tokens.
    New {
        scope: &'a str,
        owner: Owner,
        with_refresh: bool,
    },
}

impl<'a> Grant<'a> {
    /// Reads a token request: checks its form, then the client, then what can be
    /// told of the grant without the state.
    pub(super) fn read(
        request: &'a RecordedTokenRequest,
        config: &Config,
    ) -> Result<Self, Refusal> {
        config.client.admit(request)?;
        let scope = request.given("scope");
        let new = |owner, with_refresh| {
            Ok(Self::New { scope: scope.unwrap_or(SCOPE), owner, with_refresh })
        };
        match request.required("grant_type")? {
            AUTHORIZATION_CODE => Ok(Self::AuthorizationCode(Presented {
                code: request.required("code")?,
                redirect_uri: request.given("redirect_uri"),
                verifier: request.given("code_verifier"),
            })),
            DEVICE_CODE => Ok(Self::DeviceCode(request.required("device_code")?)),
            REFRESH_TOKEN => {
                Ok(Self::RefreshToken { token: request.required("refresh_token")?, scope })
            }
            // RFC 6749 §4.4: only for confidential clients.
            CLIENT_CREDENTIALS if config.client.is_public() => Err(Refusal::UnauthorizedClient),
            CLIENT_CREDENTIALS => new(Owner::Client, config.client_credentials_refresh),
            PASSWORD => {
                let name = request.required("username")?;
                let password = request.required("password")?;
                if !user::is_user(name, password) {
                    return Err(Refusal::InvalidGrant);
                }
                new(Owner::User, true)
            }
            JWT_BEARER => {
                let assertion = request.required("assertion")?;
                let assertions = config.assertions.as_ref();
                if !assertions.is_none_or(|assertions| assertions.accept(assertion)) {
                    return Err(Refusal::InvalidGrant);
                }
                // RFC 7521 §4.1: no refresh token, the assertion does.
                new(Owner::Client, false)
            }
            TOKEN_EXCHANGE => Exchange::read(request, config).map(Self::Exchange),
            _ => Err(Refusal::UnsupportedGrantType),
        }
    }

    /// Issues what is granted.
    pub(super) fn serve(
        self,
        state: &mut State,
        config: &Config,
        now: SystemTime,
    ) -> Result<Issued, Refusal> {
        let State { store, codes, devices, faults, .. } = state;
        match self {
            Self::AuthorizationCode(presented) => codes.redeem(&presented, store, config, now),
            Self::DeviceCode(code) => {
                let scope = devices.poll(code, &mut faults.slow_downs, &config.device, now)?;
                Ok(store.begin(scope, Owner::User, true, config, now))
            }
            Self::RefreshToken { token, scope } => store.refresh(token, scope, config, now),
            Self::Exchange(exchange) => exchange.serve(store, config, now),
            Self::New { scope, owner, with_refresh } => {
                Ok(store.begin(scope, owner, with_refresh, config, now))
            }
        }
    }
}

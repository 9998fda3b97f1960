use std::time::SystemTime;

use super::{
    Asked, Credentials, Issued, OAuthError, Owner, PresentedCode, TokenExchange, grant_type, user,
};
use crate::testing::provider::config::{Client, Config, DEFAULT_SCOPE};
use crate::testing::provider::recorded::RecordedTokenRequest;

/// What a token request presents.
pub(crate) enum Grant<'a> {
    AuthorizationCode(PresentedCode<'a>),
    DeviceCode(&'a str),
    RefreshToken {
        token: &'a str,
        asked: Asked<'a>,
    },
    TokenExchange(TokenExchange<'a>),
    /// What is settled without looking at earlier tokens.
    New {
        scope: &'a str,
        owner: Owner,
        with_refresh: bool,
    },
}

impl<'a> Grant<'a> {
    /// The thumbprint of the key that what is presented is bound to.
    pub(crate) fn key<'b>(&self, credentials: &'b Credentials, client: &Client) -> Option<&'b str> {
        match self {
            Self::AuthorizationCode(presented) => credentials.codes.key_of(presented.code),
            // RFC 9449 §5: the refresh tokens of confidential clients are bound to the client already.
            Self::RefreshToken { token, .. } if client.is_public() => {
                credentials.families.key_of_refresh(token)
            }
            _ => None,
        }
    }

    /// Reads what can be told of a token request of this client without the state.
    pub(crate) fn read(
        request: &'a RecordedTokenRequest,
        client: &'a Client,
        config: &Config,
    ) -> Result<Self, OAuthError> {
        let scope = request.given("scope");
        let new = |owner, with_refresh| {
            Ok(Self::New { scope: scope.unwrap_or(DEFAULT_SCOPE), owner, with_refresh })
        };
        match request.required("grant_type")? {
            grant_type::AUTHORIZATION_CODE => Ok(Self::AuthorizationCode(PresentedCode {
                client_id: &client.id,
                code: request.required("code")?,
                redirect_uri: request.given("redirect_uri"),
                verifier: request.given("code_verifier"),
            })),
            grant_type::DEVICE_CODE => Ok(Self::DeviceCode(request.required("device_code")?)),
            grant_type::REFRESH_TOKEN => {
                let asked = Asked { scope, resources: request.resources().collect() };
                Ok(Self::RefreshToken { token: request.required("refresh_token")?, asked })
            }
            // RFC 6749 §4.4: only for confidential clients.
            grant_type::CLIENT_CREDENTIALS if client.is_public() => {
                Err(OAuthError::UnauthorizedClient)
            }
            grant_type::CLIENT_CREDENTIALS => new(Owner::Client, config.client_credentials_refresh),
            grant_type::PASSWORD => {
                let name = request.required("username")?;
                let password = request.required("password")?;
                if !user::is_user(name, password) {
                    return Err(OAuthError::InvalidGrant);
                }
                new(Owner::User, true)
            }
            grant_type::JWT_BEARER => {
                let assertion = request.required("assertion")?;
                let assertions = config.assertions.as_ref();
                if !assertions.is_none_or(|assertions| assertions.accept(assertion)) {
                    return Err(OAuthError::InvalidGrant);
                }
                // RFC 7521 §4.1: no refresh token, the assertion does.
                new(Owner::Client, false)
            }
            grant_type::TOKEN_EXCHANGE => {
                TokenExchange::read(request, config).map(Self::TokenExchange)
            }
            _ => Err(OAuthError::UnsupportedGrantType),
        }
    }

    /// Issues what is granted to this client.
    pub(crate) fn serve(
        self,
        client_id: &str,
        credentials: &mut Credentials,
        slow_downs: &mut u32,
        config: &Config,
        now: SystemTime,
    ) -> Result<Issued, OAuthError> {
        let Credentials { families, codes, devices, .. } = credentials;
        match self {
            Self::AuthorizationCode(presented) => codes.redeem(&presented, families, config, now),
            Self::DeviceCode(code) => {
                let scope = devices.poll(code, client_id, slow_downs, &config.device, now)?;
                Ok(families.begin(client_id, scope, Owner::User, true, config, now))
            }
            Self::RefreshToken { token, asked } => {
                families.refresh(client_id, token, &asked, config, now)
            }
            Self::TokenExchange(exchange) => exchange.serve(client_id, families, config, now),
            Self::New { scope, owner, with_refresh } => {
                Ok(families.begin(client_id, scope, owner, with_refresh, config, now))
            }
        }
    }
}

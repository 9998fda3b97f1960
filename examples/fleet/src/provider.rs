//! The provider: the embedded one, or a real server that tests/interop/run has started.

use std::ops::Sub;
use std::time::Duration;

use reqwest_oauth2::testing::{DpopNonces, DpopRules, Fault, Provider, RecordedTokenRequest};
use reqwest_oauth2::{BoxError, ClientAuthentication, OAuthClient, Token};
use serde_json::Value;

/// How long the embedded provider's tokens live.
const LIFETIME: Duration = Duration::from_secs(2);
/// The clients of the real server, with a count of its own for each.
const CLIENTS: [(&str, &str); 2] =
    [("web", "web-secret-for-tests-only"), ("web-post", "web-post-secret-for-tests-only")];

pub(crate) struct FleetProvider {
    provider: Option<Provider>,
    issuer: String,
    pub(crate) token_url: String,
    pub(crate) api_url: String,
    pub(crate) client_id: String,
    pub(crate) secret: String,
    /// Whether each login is bound to a key.
    pub(crate) dpop: bool,
}

/// What it has counted.
#[derive(Clone, Copy)]
pub(crate) struct TokenCounts {
    /// With a refresh token.
    pub(crate) requests: u64,
    /// Of these, answered with a token.
    pub(crate) tokens: u64,
    /// Refresh tokens that were presented again.
    pub(crate) reuse: u64,
    /// Proofs that came twice.
    pub(crate) replayed: u64,
}

impl FleetProvider {
    /// One for the fleet and one for the process by itself.
    pub(crate) async fn embedded(delay: Duration, dpop: bool) -> Result<[Self; 2], BoxError> {
        let one = async || -> Result<Self, BoxError> {
            let provider = Provider::builder().lifetime(LIFETIME).token_delay(delay);
            let provider = provider.dpop(rules(dpop)).start().await?;
            Ok(Self {
                issuer: provider.origin(),
                token_url: provider.token_url(),
                api_url: provider.api_url(),
                client_id: "foo".to_owned(),
                secret: "potato".to_owned(),
                dpop,
                provider: Some(provider),
            })
        };
        Ok([one().await?, one().await?])
    }

    /// The real server, twice: with a client for the fleet and one for the process by itself.
    pub(crate) fn real(issuer: &str, dpop: bool) -> [Self; 2] {
        CLIENTS.map(|(client_id, secret)| Self {
            provider: None,
            issuer: issuer.to_owned(),
            token_url: format!("{issuer}/token"),
            api_url: format!("{issuer}/api"),
            client_id: client_id.to_owned(),
            secret: secret.to_owned(),
            dpop,
        })
    }

    pub(crate) fn app(&self) -> Result<OAuthClient, BoxError> {
        app(&self.client_id, &self.secret, &self.token_url, self.dpop)
    }

    /// A token of a new login.
    pub(crate) async fn log_in(&self) -> Result<Token, BoxError> {
        if let Some(provider) = &self.provider {
            if self.dpop {
                // Bound from the beginning.
                return Ok(self.app()?.password("johndoe", "A3ddj3w").send().await?);
            }
            return Ok(serde_json::from_value(provider.log_in())?);
        }
        let app =
            self.app()?.device_authorization_endpoint(format!("{}/device/auth", self.issuer))?;
        let mut login =
            app.device_authorization().scope("openid offline_access api:read").begin().await?;
        let decision = format!("{}/device-decision?user_code={}", self.issuer, login.user_code());
        plain_http()?.post(decision).send().await?.error_for_status()?;
        Ok(login.wait().await?)
    }

    pub(crate) async fn counts(&self) -> Result<TokenCounts, BoxError> {
        if let Some(provider) = &self.provider {
            let counts = provider.counts();
            // A process that has no nonce asks for one without the refresh token.
            let requests = provider.token_requests();
            let has_no_token = |one: &RecordedTokenRequest| {
                one.param("refresh_token").is_none_or(|token| token == "asking-for-a-nonce")
            };
            let others = requests.iter().filter(|one| has_no_token(one)).count();
            return Ok(TokenCounts {
                requests: counts.token_requests - u64::try_from(others)?,
                tokens: counts.refreshes,
                reuse: counts.reuse_detected,
                replayed: counts.replayed_proofs,
            });
        }
        let all = self.get("/stats").await?;
        let stats = &all["by_client"][&self.client_id];
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let errors = &stats["errors_by_grant"]["refresh_token"];
        // Asked for a nonce, before the refresh token was looked at.
        let unread = number(&errors["use_dpop_nonce"]) + number(&errors["invalid_request"]);
        let requests = number(&stats["by_grant"]["refresh_token"]) - unread;
        let tokens = requests - number(&errors["invalid_grant"]);
        let reuse = number(&stats["reuse_detected"]);
        Ok(TokenCounts { requests, tokens, reuse, replayed: number(&all["proofs_replayed"]) })
    }

    /// Answers every token request with 503, or no longer. The embedded provider only.
    pub(crate) fn set_down(&self, down: bool) {
        match &self.provider {
            Some(provider) if down => provider.fail_always(Fault::Status(503)),
            Some(provider) => provider.clear_faults(),
            None => {}
        }
    }

    /// Whether the provider would still take this refresh token.
    pub(crate) async fn takes(&self, refresh_token: &str) -> Result<bool, BoxError> {
        match &self.provider {
            Some(provider) => Ok(provider.accepts_refresh_token(refresh_token)),
            None => Ok(self.get(&format!("/valid?token={refresh_token}")).await?["active"] == true),
        }
    }

    async fn get(&self, path: &str) -> Result<Value, BoxError> {
        let answer = plain_http()?.get(format!("{}{path}", self.issuer)).send().await?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }
}

/// Each answer has a new nonce. Those of many processes are under way at a time.
fn rules(dpop: bool) -> DpopRules {
    let mut rules = DpopRules::default();
    rules.required = dpop;
    if dpop {
        rules.nonces = DpopNonces::EachAnswer { window: 100_000 };
    }
    rules
}

pub(crate) fn app(
    client_id: &str,
    secret: &str,
    token_url: &str,
    dpop: bool,
) -> Result<OAuthClient, BoxError> {
    let mut app =
        OAuthClient::new(client_id, token_url)?.secret(secret).timeout(Duration::from_secs(5));
    if dpop {
        app = app.dpop();
    }
    Ok(match client_id {
        "web-post" => app.authentication(ClientAuthentication::ClientSecretPost),
        _ => app,
    })
}

pub(crate) fn plain_http() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().redirect(reqwest_oauth2::redirect_policy()).build()
}

impl Sub for TokenCounts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            requests: self.requests - before.requests,
            tokens: self.tokens - before.tokens,
            reuse: self.reuse - before.reuse,
            replayed: self.replayed - before.replayed,
        }
    }
}

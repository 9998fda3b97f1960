//! Client assertions ([RFC 7521 §4.2](https://www.rfc-editor.org/rfc/rfc7521#section-4.2),
//! [RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)): who makes them, and what they say.
//!
//! Invariant: each attempt has an assertion of its own.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
#[cfg(feature = "keys")]
use secrecy::ExposeSecret;
use secrecy::SecretString;

use super::limit::Limit;
use super::settings::Settings;
use super::{ClientAuthentication, OAuthClient};
use crate::error::{BoxError, Error};
#[cfg(feature = "keys")]
use crate::keys::SigningKey;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

type Closure = dyn Fn() -> BoxFuture<'static, Result<String, BoxError>> + Send + Sync;

/// What the application chose for its assertions.
#[derive(Clone, Default)]
pub(super) struct AssertionSettings {
    pub(super) closure: Option<Arc<Closure>>,
    assertion_type: Option<String>,
    #[cfg(feature = "keys")]
    audience: Option<String>,
    #[cfg(feature = "keys")]
    pub(super) key: Option<SigningKey>,
}

impl OAuthClient {
    /// The client authenticates with assertions from this closure, such as the token of a workload identity:
    /// a file of the platform (Kubernetes, SPIFFE), or a token of another cloud
    /// ([RFC 7521 §4.2](https://www.rfc-editor.org/rfc/rfc7521#section-4.2)). They go to every endpoint that
    /// authenticates the client.
    ///
    /// The closure is called for each attempt, within the request's [`timeout`](Self::timeout). If it
    /// fails, panics or takes too long, nothing is sent; the login stays, and a session tries again later.
    ///
    /// ```
    /// # fn f() -> Result<(), reqwest_oauth2::Error> {
    /// use reqwest_oauth2::OAuthClient;
    ///
    /// let app = OAuthClient::new("foo", "https://provider.com/token")?
    ///     .client_assertion(|| async { Ok(std::fs::read_to_string("/var/run/secrets/token")?) });
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_assertion<F, Fut>(self, closure: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, BoxError>> + Send + 'static,
    {
        let closure: Arc<Closure> = Arc::new(move || closure().boxed());
        self.with(|settings| settings.assertions.closure = Some(closure))
    }

    /// The type of the assertions of the [`client_assertion`](Self::client_assertion) closure, as a URI, if
    /// they are not JWTs for `jwt-bearer`
    /// ([RFC 7521 §4.2](https://www.rfc-editor.org/rfc/rfc7521#section-4.2)).
    pub fn client_assertion_type(self, uri: impl Into<String>) -> Self {
        let uri = uri.into();
        self.with(|settings| settings.assertions.assertion_type = Some(uri))
    }
}

#[cfg(feature = "keys")]
#[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
impl OAuthClient {
    /// The client authenticates with assertions that this key signs:
    /// [`PrivateKeyJwt`](ClientAuthentication::PrivateKeyJwt). The provider has the
    /// [`public_jwk`](SigningKey::public_jwk). Each attempt has its own assertion, with a new `jti` and a
    /// lifetime of one minute by the client's clock
    /// ([RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3)).
    ///
    /// If the client has a secret too, the key is used if the provider's metadata permits that.
    pub fn signing_key(self, key: SigningKey) -> Self {
        self.with(|settings| settings.assertions.key = Some(key))
    }

    /// The audience of signed assertions. By default the provider's issuer, or its token endpoint if
    /// the issuer is not known. Some servers require the token endpoint's URL in any case
    /// ([RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3)).
    pub fn assertion_audience(self, audience: impl Into<String>) -> Self {
        let audience = audience.into();
        self.with(|settings| settings.assertions.audience = Some(audience))
    }
}

/// An assertion for one attempt, with its type.
pub(super) async fn assertion(
    settings: &Settings,
    method: ClientAuthentication,
    limit: Limit,
) -> Result<(SecretString, &str), Error> {
    #[cfg(feature = "keys")]
    match method {
        ClientAuthentication::PrivateKeyJwt => {
            let Some(key) = &settings.assertions.key else {
                return Err(Error::config(
                    "private_key_jwt needs a key; set one with OAuthClient::signing_key",
                ));
            };
            let signing = async { key.sign_jwt(claims(settings)).await.map_err(Into::into) };
            return Ok((limit.closure("the signing key", signing).await?.into(), JWT_BEARER));
        }
        ClientAuthentication::ClientSecretJwt => {
            let Some(secret) = &settings.secret else {
                return Err(super::authenticate::needs_secret());
            };
            if !can_sign(secret) {
                return Err(Error::config(
                    "client_secret_jwt needs a secret of at least 32 bytes; another is too easy to guess from one assertion",
                ));
            }
            let secret = secret.expose_secret().as_bytes();
            return Ok((crate::keys::sign_hs256(secret, claims(settings)).into(), JWT_BEARER));
        }
        _ => {}
    }
    let _ = method;
    let Some(closure) = &settings.assertions.closure else {
        return Err(Error::config(
            "the client authentication method needs assertions; give OAuthClient::client_assertion a closure",
        ));
    };
    // The closure may panic before it has made its future.
    let asked = async { closure().await };
    let assertion = limit.closure("the closure of OAuthClient::client_assertion", asked).await?;
    // Files end with a line feed.
    let assertion = SecretString::from(assertion.trim());
    Ok((assertion, settings.assertions.assertion_type.as_deref().unwrap_or(JWT_BEARER)))
}

/// Whether the secret is long enough for HS256.
#[cfg(feature = "keys")]
pub(super) fn can_sign(secret: &SecretString) -> bool {
    secret.expose_secret().len() >= crate::keys::LEAST_SECRET
}

/// How long an assertion lives, in seconds: servers keep its `jti` so long.
#[cfg(feature = "keys")]
const LIFE: i64 = 60;

/// "The JWT MUST contain an "iss" […] "sub" […] "aud" […] "exp""; "For client authentication, the subject
/// MUST be the "client_id" of the OAuth client."
/// ([RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3))
#[cfg(feature = "keys")]
fn claims(settings: &Settings) -> serde_json::Map<String, serde_json::Value> {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    let endpoints = &settings.endpoints;
    let issuer = endpoints.issuer.as_ref().map(|issuer| issuer.text.as_str());
    let audience = settings.assertions.audience.as_deref().or(issuer);
    let now = crate::clock::to_date(settings.clock.now()).timestamp();
    let id: [u8; 16] = rand::random();
    [
        ("iss", settings.id.as_str().into()),
        ("sub", settings.id.as_str().into()),
        ("aud", audience.unwrap_or(endpoints.token.as_str()).into()),
        ("jti", BASE64_URL_SAFE_NO_PAD.encode(id).into()),
        ("iat", now.into()),
        ("exp", now.saturating_add(LIFE).into()),
    ]
    .into_iter()
    .map(|(name, value): (&str, serde_json::Value)| (name.to_owned(), value))
    .collect()
}

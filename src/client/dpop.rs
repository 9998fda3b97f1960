//! Proofs at the token endpoint ([RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449#section-5),
//! [§8](https://www.rfc-editor.org/rfc/rfc9449#section-8)).
//!
//! Invariants: each sending of a request has a proof of its own; a server that asks for a nonce costs a
//! request one second sending, whatever it answers to that.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use reqwest::Request;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use url::Url;

use super::post::{Endpoint, post};
use super::settings::Settings;
use super::{Form, OAuthClient, RequestKind};
use crate::dpop::{PROOF, Prover, Servers, Subject};
use crate::error::{BoxError, Error, Kind};
use crate::keys::SigningKey;
use crate::observe;
use crate::token::{KeyBinding, Token};
use crate::wire::{HttpResponse, unusable_token};

/// What asks for a nonce in the place of a refresh token. No provider has issued it. Servers that look at the
/// parameters first (oidc-provider) answer a request without one before they look at its proof, and so
/// without a nonce.
const NO_REFRESH_TOKEN: &str = "asking-for-a-nonce";

/// What the client binds its tokens to.
#[derive(Clone, Default)]
pub(super) struct Dpop {
    keys: Keys,
    accepts_bearer: bool,
    /// What is known of the token endpoint. One server may have other nonces for its API.
    servers: Arc<Servers>,
    /// Held while the token endpoint is asked for a nonce: other callers wait for that nonce, for a while.
    asking: Arc<Mutex<()>>,
    apis: Arc<Servers>,
}

#[derive(Clone, Default)]
enum Keys {
    /// Tokens are bearer tokens.
    #[default]
    None,
    /// Each login has a key of its own.
    OfLogin,
    /// One key for all logins.
    OfClient(SigningKey),
}

impl Dpop {
    /// The key for a new login.
    fn new_key(&self) -> Result<Option<SigningKey>, Error> {
        match &self.keys {
            Keys::None => Ok(None),
            Keys::OfLogin => SigningKey::generate().map(Some),
            Keys::OfClient(key) => Ok(Some(key.clone())),
        }
    }

    /// The client's key, where it has that thumbprint.
    fn key(&self, thumbprint: &str) -> Option<&SigningKey> {
        match &self.keys {
            Keys::OfClient(key) => Some(key).filter(|key| key.thumbprint() == thumbprint),
            Keys::None | Keys::OfLogin => None,
        }
    }

    /// A login's binding to the key: the client's own is kept elsewhere.
    fn binding(&self, key: &SigningKey) -> KeyBinding {
        match self.key(key.thumbprint()) {
            Some(key) => KeyBinding::Named(key.thumbprint().into()),
            None => KeyBinding::Own(key.clone()),
        }
    }
}

/// Tokens that are bound to a key.
#[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
impl OAuthClient {
    /// Binds the tokens of each login to a new key (ES256), which is saved with the token
    /// ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)): a stolen access token is useless without the
    /// key, and so is the refresh token of a client without a secret. Each request to the provider's token
    /// endpoint and to the API then carries its own proof. A login with bearer tokens gets a key when it is
    /// renewed.
    ///
    /// A bearer token in the response is an error, unless [`or_bearer`](Self::or_bearer) is set. Give the
    /// HTTP client for the API [`redirect_policy_within_origin`](crate::redirect_policy_within_origin).
    pub fn dpop(self) -> Self {
        self.with(|settings| settings.dpop.keys = Keys::OfLogin)
    }

    /// As [`dpop`](Self::dpop), with one key for all logins of this client. The tokens name its thumbprint,
    /// but the key is not saved with them: the application or the [`Signer`](crate::Signer) keeps it. For a
    /// key of one login only, set it on a clone of the client
    /// ([RFC 9449 §4.1](https://www.rfc-editor.org/rfc/rfc9449#section-4.1)).
    pub fn dpop_key(self, key: SigningKey) -> Self {
        self.with(|settings| settings.dpop.keys = Keys::OfClient(key))
    }

    /// Accepts a bearer token although a bound token was asked for, for providers without DPoP. Each one
    /// is reported by the event `token_not_bound`
    /// ([RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449#section-5)).
    pub fn or_bearer(self) -> Self {
        self.with(|settings| settings.dpop.accepts_bearer = true)
    }

    /// The key for a new login, where its tokens are to be bound.
    pub(crate) fn new_login_key(&self) -> Result<Option<SigningKey>, Error> {
        self.settings().dpop.new_key()
    }

    /// The key of a login that has begun, to be stored until it ends; `None` where it is kept elsewhere.
    pub(crate) fn login_key_as_pem(&self, key: &SigningKey) -> Result<Option<SecretString>, Error> {
        match self.settings().dpop.binding(key) {
            KeyBinding::Own(key) => Ok(key.to_pem()?.map(Into::into)),
            KeyBinding::Named(_) => Ok(None),
        }
    }

    /// The key of the token's login; a new one, where the login has none yet and is to have one.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the key is not there.
    pub(crate) fn key_of(&self, token: &Token) -> Result<Option<SigningKey>, Error> {
        match token.binding() {
            Some(binding) => self.bound_key(binding).map(Some),
            None => self.new_login_key(),
        }
    }

    /// The key that the binding is to.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it is not there.
    pub(crate) fn bound_key(&self, binding: &KeyBinding) -> Result<SigningKey, Error> {
        match binding {
            KeyBinding::Own(key) => Ok(key.clone()),
            KeyBinding::Named(thumbprint) => {
                let key = self.settings().dpop.key(thumbprint);
                key.cloned().ok_or_else(|| key_missing(thumbprint))
            }
        }
    }

    /// What is known of APIs, for proofs.
    pub(crate) fn known_apis(&self) -> &Arc<Servers> {
        &self.settings().dpop.apis
    }

    /// Gets a nonce of the token endpoint, where there is none or it is old. Some servers consume a refresh
    /// token before they look at the nonce of the proof; so this request presents one that is none, and is
    /// refused.
    ///
    /// # Errors
    ///
    /// Where the provider does not answer: then nothing was presented.
    pub(crate) async fn get_nonce(&self, key: &SigningKey, left: Duration) -> Result<(), Error> {
        let settings = self.settings();
        let url = &settings.endpoints.token;
        let has_one = || !settings.dpop.servers.should_ask(url, settings.clock.now());
        if has_one() {
            return Ok(());
        }
        let began = Instant::now();
        let not_asked = |source: BoxError| {
            Error::new(Kind::Unreachable { endpoint: RequestKind::Refresh.endpoint(), source })
        };
        // Nobody may drive the runtime of the one that asks, so this asks too after half of the time.
        let _asking = timeout(left / 2, settings.dpop.asking.lock()).await;
        if has_one() {
            return Ok(());
        }
        let left = left.saturating_sub(began.elapsed());
        let mut form = Form::default();
        form.own("grant_type", "refresh_token");
        form.own("refresh_token", NO_REFRESH_TOKEN);
        form.bind_to(key.clone());
        let endpoint = Endpoint { kind: RequestKind::Refresh, url };
        let answered = post(settings, endpoint, &form, left, |_| Ok(())).await;
        answered.map_err(|error| match error.kind() {
            Kind::ResponseLost { .. } | Kind::Timeout { .. } => not_asked(error.into()),
            _ => error,
        })?;
        settings.dpop.servers.asked(url, settings.clock.now());
        Ok(())
    }
}

/// The error of a token whose key is kept elsewhere.
pub(crate) fn key_missing(thumbprint: &str) -> Error {
    let thumbprint = crate::redact::escape_and_truncate(thumbprint, 60);
    Error::config(format!(
        "the token is bound to the key with the thumbprint {thumbprint}, which is not here; pass that key to OAuthClient::dpop_key"
    ))
}

impl Form {
    /// Each sending has a proof by this key.
    pub(crate) fn bind_to(&mut self, key: SigningKey) {
        self.prover = Some(Arc::new(Prover::new(key)));
    }

    /// As [`bind_to`](Self::bind_to), with the key for a new login, if there is to be one and none is set.
    pub(super) fn bind_to_new_login(&mut self, settings: &Settings) -> Result<(), Error> {
        if self.prover.is_none()
            && let Some(key) = settings.dpop.new_key()?
        {
            self.bind_to(key);
        }
        Ok(())
    }

    /// The token of the response, with the key that it is bound to.
    pub(super) fn bound(
        &self,
        token: Token,
        response: &HttpResponse<'_>,
        settings: &Settings,
    ) -> Result<Token, Error> {
        let Some(prover) = &self.prover else { return Ok(token) };
        let key = prover.key();
        let unusable = |reason: &str| {
            let refresh_token = token.refresh_token().map(SecretString::from);
            unusable_token(response, reason.to_owned()).with_refresh_token(refresh_token)
        };
        // "If the token_type is not DPoP […] the client MUST discard the response, if this protection is
        // deemed important for the security of the application."
        if !token.is_dpop() {
            if !settings.dpop.accepts_bearer {
                return Err(unusable(
                    "its token is a bearer token, not bound to the key (OAuthClient::or_bearer accepts that)",
                ));
            }
            observe::token_not_bound();
        }
        let confirmed = token.extra().get("cnf").and_then(|confirmed| confirmed.get("jkt"));
        if confirmed.and_then(Value::as_str).is_some_and(|named| named != key.thumbprint()) {
            return Err(unusable("its token is bound to another key (cnf.jkt)"));
        }
        Ok(token.with_binding(settings.dpop.binding(key)))
    }
}

/// Adds a proof, where the form is bound to a key. `url`: the endpoint's, which stands for the one that
/// clients with a certificate use.
pub(super) async fn prove(
    settings: &Settings,
    form: &Form,
    url: &Url,
    request: &mut Request,
) -> Result<(), Error> {
    let Some(prover) = &form.prover else { return Ok(()) };
    let subject = Subject { method: request.method(), url: request.url(), ath: None };
    let server = (&*settings.dpop.servers, url);
    let (proof, _) = prover.prove(subject, server, &settings.clock).await?;
    request.headers_mut().insert(PROOF, proof);
    Ok(())
}

/// Takes what the response says to a form that is bound to a key.
pub(super) fn hear(
    settings: &Settings,
    form: &Form,
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) {
    if form.prover.is_none() {
        return;
    }
    let (servers, now) = (&settings.dpop.servers, settings.clock.now());
    let is_refusal = !status.is_success();
    servers.hear(url, headers, is_refusal, now);
    if !is_refusal {
        servers.accepted(url, now);
    }
}

/// Makes the attempt once more, if the server did not accept the proof and has said what it lacked. Nothing
/// of the request was consumed.
pub(super) async fn with_second_proof<T, F>(
    settings: &Settings,
    form: &Form,
    url: &Url,
    attempt: impl Fn() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    if form.prover.is_none() {
        return attempt().await;
    }
    let before = settings.dpop.servers.basis(url);
    match attempt().await {
        Err(error) if lacks_something(&error) && settings.dpop.servers.basis(url) != before => {
            attempt().await
        }
        outcome => outcome,
    }
}

fn lacks_something(error: &Error) -> bool {
    error.has_code("use_dpop_nonce") || error.has_code("invalid_dpop_proof")
}

//! The one function that POSTs to the token endpoint.
//!
//! Invariants: one total time limit from connecting to the last byte; never more than the limit of
//! bytes held; no redirect; no parameter twice but those of the application's own; the protocol's
//! own parameters win over the application's. The deadline of the token counts from before the
//! request is sent.

use std::fmt;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Request, Response};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::ClientAuthentication;
use super::registration::Settings;
use crate::clock;
use crate::error::{BoxError, Error, Kind};
use crate::secret;
use crate::token::Token;
use crate::wire::{Reply, read_token};

/// A request to the token endpoint
/// ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
///
/// Every grant of this crate goes through it, and so can a grant of your own.
#[must_use = "a token request does nothing until `send` is awaited"]
pub struct TokenRequest<'a> {
    settings: &'a Settings,
    extra: Vec<(String, String)>,
    own: Vec<(&'static str, SecretString)>,
}

impl<'a> TokenRequest<'a> {
    pub(super) fn new(settings: &'a Settings, grant_type: String) -> Self {
        let own = vec![("grant_type", SecretString::from(grant_type))];
        Self { settings, extra: Vec::new(), own }
    }

    /// A parameter of the grant. It wins over [`extra`](Self::extra) ones of the same name.
    pub fn param(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.own.push((name, SecretString::from(value.into())));
        self
    }

    /// An extra parameter, dropped where the protocol sends one of that name itself. The same name
    /// may be given again (`resource`,
    /// [RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra.push((name.into(), value.into()));
        self
    }

    /// Sends the request and reads the token from the answer.
    ///
    /// # Errors
    ///
    /// A refusal of the provider with its [`code`](Error::code) and [`status`](Error::status);
    /// [`Error::is_malformed_response`] for an answer that is no token, or is longer than
    /// [`response_limit`](crate::OAuthClient::response_limit); [`Error::is_timeout`];
    /// [`Error::is_transient`] where it may work later.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the request; the provider may have answered it, and a rotated
    /// refresh token be lost. A [`Session`](crate::Session) never does that: its renewals finish
    /// whoever goes away.
    pub async fn send(self) -> Result<Token, Error> {
        let limit = self.settings.timeout;
        match tokio::time::timeout(limit, self.detect()).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(Kind::Timeout(limit))),
        }
    }

    /// Basic, then the body where Basic was answered with `invalid_client`: a client that was not
    /// let in has had nothing consumed.
    async fn detect(&self) -> Result<Token, Error> {
        use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, Detect};
        match self.settings.method() {
            Detect if self.settings.wants_post() => self.post(ClientSecretPost).await,
            Detect => match self.post(ClientSecretBasic).await {
                Err(error) if error.code() == Some("invalid_client") => {
                    let second = self.post(ClientSecretPost).await;
                    let authenticated = !second.as_ref().is_err_and(|error| {
                        error.code() == Some("invalid_client") || error.code().is_none()
                    });
                    if authenticated {
                        self.settings.remember_post();
                    }
                    second
                }
                result => result,
            },
            method => self.post(method).await,
        }
    }

    async fn post(&self, method: ClientAuthentication) -> Result<Token, Error> {
        let request = self.request(method)?;
        let http = self.settings.http()?;
        let asked = request.url().clone();
        let sent_at = clock::to_date(self.settings.clock.now());
        let response = http.execute(request).await.map_err(send_error)?;
        // An application's own HTTP client may follow redirects; what lies behind one is not the
        // endpoint that was configured.
        if *response.url() != asked {
            let reason = "the request was redirected; give OAuthClient::http a client with reqwest::redirect::Policy::none()";
            return Err(Error::new(Kind::Malformed {
                status: response.status(),
                reason: reason.to_owned(),
            }));
        }
        let status = response.status();
        let retry_after = retry_after(response.headers(), sent_at);
        let body = read_body(response, self.settings.response_limit).await?;
        let secrets: Vec<&str> = self
            .settings
            .secret
            .iter()
            .chain(
                self.own.iter().filter(|(name, _)| !PUBLIC.contains(name)).map(|(_, value)| value),
            )
            .map(ExposeSecret::expose_secret)
            .collect();
        let reply = Reply { status, retry_after, body: &body, sent_at, secrets: &secrets };
        read_token(&reply, &self.settings.rules)
    }

    fn request(&self, method: ClientAuthentication) -> Result<Request, Error> {
        use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, Detect, None};
        let settings = self.settings;
        let mut own: Vec<(&str, &str)> =
            self.own.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        let mut authorization = Option::None;
        match (method, &settings.secret) {
            (ClientSecretBasic | Detect, Some(client_secret)) => {
                if self.extra.iter().any(|(name, _)| name == "client_secret") {
                    return Err(Error::config(
                        "client_secret is given as an extra parameter and with HTTP Basic; one way of client authentication is allowed: OAuthClient::secret, with ClientAuthentication::ClientSecretPost if the provider wants it in the body",
                    ));
                }
                authorization = settings.basic_encoding.header(&settings.id, client_secret);
            }
            (ClientSecretPost, Some(client_secret)) => {
                own.push(("client_id", &settings.id));
                own.push(("client_secret", client_secret.expose_secret()));
            }
            (None, _) => own.push(("client_id", &settings.id)),
            (_, Option::None) => {
                return Err(Error::config(
                    "the client authentication method needs a secret; set one with OAuthClient::secret",
                ));
            }
        }
        let mut request = Request::new(Method::POST, settings.token_url.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        *request.body_mut() = Some(secret::wiped(self.form(&own)).into());
        Ok(request)
    }

    /// The body: the application's parameters first, then the protocol's own.
    fn form(&self, own: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
        // With Basic the id is in the header; a client_id among the extra parameters is the habit
        // of those who come from requests-oauthlib, and is the same id.
        let extra = self
            .extra
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !own.iter().any(|(own, _)| own == name));
        let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(1024));
        form.extend_pairs(extra).extend_pairs(own.iter().copied());
        Zeroizing::new(form.finish().into_bytes())
    }
}

/// Parameters of the protocol whose values are no secrets.
const PUBLIC: [&str; 3] = ["grant_type", "scope", "resource"];

/// Reads the body up to the limit.
async fn read_body(mut response: Response, limit: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let status = response.status();
    let mut body = Zeroizing::new(Vec::new());
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| Error::new(Kind::Lost(error.without_url().into())))?;
        match chunk {
            None => return Ok(body),
            Some(chunk) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
            Some(_) => {
                let reason =
                    format!("it is longer than {limit} bytes (OAuthClient::response_limit)");
                return Err(Error::new(Kind::Malformed { status, reason }));
            }
        }
    }
}

/// Tells a request that was never sent from one whose answer was lost.
fn send_error(error: reqwest_middleware::Error) -> Error {
    let error = error.without_url();
    let of_reqwest = match &error {
        reqwest_middleware::Error::Reqwest(error) => Some(error),
        reqwest_middleware::Error::Middleware(error) => {
            error.chain().find_map(|cause| cause.downcast_ref())
        }
    };
    let Some(of_reqwest) = of_reqwest else { return Error::new(Kind::Lost(error.into())) };
    if of_reqwest.is_builder() || no_tls(of_reqwest) {
        return Error::config(
            "reqwest cannot send to the token endpoint; for https enable one of its TLS features, such as `rustls`, in your Cargo.toml",
        );
    }
    let sent = !of_reqwest.is_connect();
    let source: BoxError = error.into();
    Error::new(if sent { Kind::Lost(source) } else { Kind::Unreachable(source) })
}

/// reqwest without a TLS feature finds https no scheme it knows.
fn no_tls(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.to_string().contains("scheme is not http") {
            return true;
        }
        source = error.source();
    }
    false
}

/// `Retry-After`: seconds, or a date
/// ([RFC 9110 §10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)).
fn retry_after(headers: &HeaderMap, now: chrono::DateTime<chrono::Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some((date.to_utc() - now).to_std().unwrap_or_default())
}

impl fmt::Debug for TokenRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.own.iter().map(|(name, _)| *name);
        f.debug_struct("TokenRequest")
            .field(
                "params",
                &names.chain(self.extra.iter().map(|(name, _)| name.as_str())).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_seconds_and_as_a_date() {
        let now = chrono::DateTime::from_timestamp(784_111_717, 0).unwrap();
        for (text, expected) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:47:37 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("99999999999999999999999999", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}

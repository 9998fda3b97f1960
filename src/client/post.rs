//! The one function that POSTs to the provider: token requests, and what else authenticates itself
//! in the same way (revocation, introspection, device authorization).
//!
//! Invariants: one total time limit from connecting to the last byte; never more than the limit of
//! bytes held; no redirect; no parameter twice but those of the application's own; the protocol's
//! own parameters win over the application's. The deadline of a token counts from before the
//! request is sent.

use std::fmt;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Request, Response};
use reqwest_middleware::ClientWithMiddleware;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::ClientAuthentication;
use super::registration::Settings;
use crate::clock::{self, Clock};
use crate::error::{BoxError, Error, Kind};
use crate::secret;
use crate::wire::Reply;

/// Parameters of the protocol whose values are no secrets.
const PUBLIC: [&str; 5] = ["grant_type", "scope", "resource", "token_type_hint", "redirect_uri"];

/// The parameters of a request.
#[derive(Default)]
pub(crate) struct Form {
    extra: Vec<(String, String)>,
    own: Vec<(&'static str, SecretString)>,
}

impl Form {
    /// A parameter of the protocol.
    pub(crate) fn own(&mut self, name: &'static str, value: impl Into<String>) {
        self.own.push((name, SecretString::from(value.into())));
    }

    /// A parameter of the application.
    pub(crate) fn extra(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.extra.push((name.into(), value.into()));
    }

    /// The body: the application's parameters first, then the protocol's own.
    fn body(&self, own: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
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

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.own.iter().map(|(name, _)| *name);
        f.debug_list()
            .entries(names.chain(self.extra.iter().map(|(name, _)| name.as_str())))
            .finish()
    }
}

/// Where a request goes, and what errors call it.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint<'a> {
    pub(crate) name: &'static str,
    pub(crate) url: &'a Url,
}

/// POSTs the form, authenticated as the settings say, and reads the answer.
pub(super) async fn post<T>(
    settings: &Settings,
    endpoint: Endpoint<'_>,
    form: &Form,
    read: impl Fn(&Reply<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let limit = settings.timeout;
    match tokio::time::timeout(limit, detect(settings, endpoint, form, read)).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(Kind::Timeout { endpoint: endpoint.name, limit })),
    }
}

/// Basic, then the body where Basic was answered with `invalid_client`: a client that was not let
/// in has had nothing consumed.
async fn detect<T>(
    settings: &Settings,
    endpoint: Endpoint<'_>,
    form: &Form,
    read: impl Fn(&Reply<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, Detect};
    let send = |method| send(settings, endpoint, form, method, &read);
    match settings.method() {
        Detect if settings.wants_post() => send(ClientSecretPost).await,
        Detect => match send(ClientSecretBasic).await {
            Err(error) if error.code() == Some("invalid_client") => {
                let second = send(ClientSecretPost).await;
                // Any other code comes from behind the door.
                let let_in = match &second {
                    Ok(_) => true,
                    Err(error) => error.code().is_some_and(|code| code != "invalid_client"),
                };
                if let_in {
                    settings.remember_post();
                }
                second
            }
            result => result,
        },
        method => send(method).await,
    }
}

async fn send<T>(
    settings: &Settings,
    endpoint: Endpoint<'_>,
    form: &Form,
    method: ClientAuthentication,
    read: &impl Fn(&Reply<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let request = request(settings, endpoint.url, form, method)?;
    let answer =
        answer(settings.http()?, request, endpoint.name, settings.response_limit, &settings.clock)
            .await?;
    let own = form.own.iter().filter(|(name, _)| !PUBLIC.contains(name)).map(|(_, value)| value);
    let secrets: Vec<&str> =
        settings.secret.iter().chain(own).map(ExposeSecret::expose_secret).collect();
    read(&answer.reply(endpoint.name, &secrets))
}

fn request(
    settings: &Settings,
    url: &Url,
    form: &Form,
    method: ClientAuthentication,
) -> Result<Request, Error> {
    use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, Detect, None};
    let mut own: Vec<(&str, &str)> =
        form.own.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
    let mut authorization = Option::None;
    match (method, &settings.secret) {
        (ClientSecretBasic | Detect, Some(client_secret)) => {
            if form.extra.iter().any(|(name, _)| name == "client_secret") {
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
    let mut request = Request::new(Method::POST, url.clone());
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization);
    }
    *request.body_mut() = Some(secret::wiped(form.body(&own)).into());
    Ok(request)
}

/// A whole answer.
pub(super) struct Answer {
    status: http::StatusCode,
    retry_after: Option<Duration>,
    body: Zeroizing<Vec<u8>>,
    sent_at: chrono::DateTime<chrono::Utc>,
}

impl Answer {
    pub(super) fn reply<'a>(&'a self, endpoint: &'static str, secrets: &'a [&'a str]) -> Reply<'a> {
        Reply {
            endpoint,
            status: self.status,
            retry_after: self.retry_after,
            body: &self.body,
            sent_at: self.sent_at,
            secrets,
        }
    }
}

/// Sends the request and reads the answer up to the limit. The caller bounds the time.
pub(super) async fn answer(
    http: &ClientWithMiddleware,
    request: Request,
    endpoint: &'static str,
    limit: usize,
    clock: &Clock,
) -> Result<Answer, Error> {
    let asked = request.url().clone();
    let sent_at = clock::to_date(clock.now());
    let response = http.execute(request).await.map_err(|error| send_error(error, endpoint))?;
    let status = response.status();
    // An application's own HTTP client may follow redirects; what lies behind one is not the
    // endpoint that was configured.
    if *response.url() != asked {
        let reason = "the request was redirected; give OAuthClient::http a client with reqwest::redirect::Policy::none()";
        return Err(Error::new(Kind::Malformed { endpoint, status, reason: reason.to_owned() }));
    }
    let retry_after = retry_after(response.headers(), sent_at);
    let body = read_body(response, endpoint, limit).await?;
    Ok(Answer { status, retry_after, body, sent_at })
}

/// Reads the body up to the limit.
async fn read_body(
    mut response: Response,
    endpoint: &'static str,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let status = response.status();
    let mut body = Zeroizing::new(Vec::new());
    loop {
        let chunk = response.chunk().await.map_err(|error| {
            Error::new(Kind::Lost { endpoint, source: error.without_url().into() })
        })?;
        match chunk {
            None => return Ok(body),
            Some(chunk) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
            Some(_) => {
                let reason =
                    format!("it is longer than {limit} bytes (OAuthClient::response_limit)");
                return Err(Error::new(Kind::Malformed { endpoint, status, reason }));
            }
        }
    }
}

/// Tells a request that was never sent from one whose answer was lost.
fn send_error(error: reqwest_middleware::Error, endpoint: &'static str) -> Error {
    let error = error.without_url();
    let of_reqwest = match &error {
        reqwest_middleware::Error::Reqwest(error) => Some(error),
        reqwest_middleware::Error::Middleware(error) => {
            error.chain().find_map(|cause| cause.downcast_ref())
        }
    };
    let Some(of_reqwest) = of_reqwest else {
        return Error::new(Kind::Lost { endpoint, source: error.into() });
    };
    if of_reqwest.is_builder() || no_tls(of_reqwest) {
        return Error::config(format!(
            "reqwest cannot send to the {endpoint}; for https enable one of its TLS features, such as `rustls`, in your Cargo.toml",
        ));
    }
    let sent = !of_reqwest.is_connect();
    let source: BoxError = error.into();
    Error::new(if sent {
        Kind::Lost { endpoint, source }
    } else {
        Kind::Unreachable { endpoint, source }
    })
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

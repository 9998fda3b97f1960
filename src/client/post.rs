//! The one function that POSTs to the provider: token requests, and all other requests with client
//! authentication (revocation, introspection, device authorization).
//!
//! Invariant: one total time limit from connecting to the last byte.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::Request;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use tokio::time::Instant;
use tracing::Instrument;
use url::Url;

#[cfg(feature = "keys")]
use super::dpop;
use super::send::send_and;
use super::settings::Settings;
use super::{ClientAuthentication, Form};
use crate::error::{Error, Kind};
use crate::observe;
use crate::secret;
use crate::wire::HttpResponse;

/// Parameters whose values are no secrets.
const PUBLIC: [&str; 8] = [
    "grant_type",
    "scope",
    "resource",
    "audience",
    "client_id",
    "token_type_hint",
    "redirect_uri",
    "requested_token_type",
];

/// Where a request goes, and what errors call it.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint<'a> {
    pub(crate) name: &'static str,
    pub(crate) url: &'a Url,
}

/// POSTs the form, authenticated as the settings say, and reads the response.
pub(super) async fn post<T>(
    settings: &Settings,
    endpoint: Endpoint<'_>,
    form: &Form,
    read: impl Fn(&HttpResponse<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let grant_type = form.own.iter().find(|(name, _)| *name == "grant_type");
    let span = observe::provider_request(
        endpoint.name,
        endpoint.url.host_str(),
        &settings.id,
        grant_type.map(|(_, value)| value.expose_secret()),
    );
    let work = async {
        let began = Instant::now();
        let outcome = bounded(settings, endpoint, form, read).await;
        match &outcome {
            Ok(_) => observe::provider_answered(endpoint.name, began.elapsed()),
            Err(error) => observe::provider_failed(endpoint.name, error, began.elapsed()),
        }
        outcome
    };
    work.instrument(span).await
}

async fn bounded<T>(
    settings: &Settings,
    endpoint: Endpoint<'_>,
    form: &Form,
    read: impl Fn(&HttpResponse<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let limit = settings.timeout;
    match tokio::time::timeout(limit, detect(settings, endpoint, form, read)).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(Kind::Timeout { endpoint: endpoint.name, limit })),
    }
}

/// Where the server did not accept the client, tries again with the secret in the body. This is safe: it has
/// not consumed the code or refresh token.
async fn detect<T>(
    settings: &Settings,
    endpoint: Endpoint<'_>,
    form: &Form,
    read: impl Fn(&HttpResponse<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, Detect};
    let attempt = |method| attempt(settings, endpoint, form, method, &read);
    match settings.method() {
        Detect if settings.wants_post() => attempt(ClientSecretPost).await,
        Detect => match attempt(ClientSecretBasic).await {
            Err(error) if error.rejects_client() => {
                let second = attempt(ClientSecretPost).await;
                // Any other code means that the server has accepted the client.
                let accepted = match &second {
                    Ok(_) => true,
                    Err(error) => error.error_code().is_some() && !error.rejects_client(),
                };
                if accepted {
                    settings.remember_post();
                }
                second
            }
            result => result,
        },
        method => attempt(method).await,
    }
}

async fn attempt<T>(
    settings: &Settings,
    endpoint: Endpoint<'_>,
    form: &Form,
    method: ClientAuthentication,
    read: &impl Fn(&HttpResponse<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let attempt = || send_once(settings, endpoint, form, method, read);
    #[cfg(feature = "keys")]
    return dpop::with_second_proof(settings, form, endpoint.url, attempt).await;
    #[cfg(not(feature = "keys"))]
    attempt().await
}

async fn send_once<T>(
    settings: &Settings,
    endpoint: Endpoint<'_>,
    form: &Form,
    method: ClientAuthentication,
    read: &impl Fn(&HttpResponse<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    #[cfg_attr(not(feature = "keys"), expect(unused_mut))]
    let mut request = request(settings, endpoint.url, form, method)?;
    let basic = request.headers().get(AUTHORIZATION).map(basic_credentials);
    #[cfg(feature = "keys")]
    dpop::prove(settings, form, &mut request).await?;
    let limit = settings.max_response_bytes;
    let hear = |_status, _headers: &HeaderMap| {
        #[cfg(feature = "keys")]
        dpop::hear(settings, form, endpoint.url, _status, _headers);
    };
    let http = settings.http()?;
    let response = send_and(http, request, endpoint.name, limit, &settings.clock, hear).await?;
    let own = form.own.iter().filter(|(name, _)| !PUBLIC.contains(name)).map(|(_, value)| value);
    let extra = form.extra.iter().filter(|(name, _)| !PUBLIC.contains(&name.as_str()));
    let secrets: Vec<&str> = (settings.secret.iter().chain(own))
        .map(ExposeSecret::expose_secret)
        .chain(extra.map(|(_, value)| value.as_str()))
        .chain(basic.as_ref().map(|basic| basic.as_str()))
        .collect();
    #[cfg(feature = "keys")]
    let response = HttpResponse { may_be_bound: form.prover.is_some(), ..response };
    read(&HttpResponse { secrets: &secrets, ..response })
}

/// The credentials of HTTP Basic without their padding, which an echo may lack.
fn basic_credentials(header: &HeaderValue) -> Zeroizing<String> {
    let text = header.to_str().unwrap_or_default();
    Zeroizing::new(text.trim_start_matches("Basic ").trim_end_matches('=').to_owned())
}

fn request(
    settings: &Settings,
    url: &Url,
    form: &Form,
    method: ClientAuthentication,
) -> Result<Request, Error> {
    use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, Detect, None};
    form.check(url)?;
    check_one_method(form, method)?;
    let mut own: Vec<(&str, &str)> =
        form.own.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
    if matches!(method, ClientSecretPost | None) {
        own.retain(|(name, _)| *name != "client_id");
        if !settings.id.is_empty() {
            own.push(("client_id", &settings.id));
        }
    }
    let mut authorization = Option::None;
    match (method, &settings.secret) {
        (ClientSecretBasic | Detect, Some(client_secret)) => {
            authorization = settings.basic_encoding.header(&settings.id, client_secret);
        }
        (ClientSecretPost, Some(client_secret)) => {
            own.push(("client_secret", client_secret.expose_secret()));
        }
        (None, _) => {}
        (_, Option::None) => {
            return Err(Error::config(
                "the client authentication method needs a secret; set one with OAuthClient::secret",
            ));
        }
    }
    let mut request = Request::new(Method::POST, url.clone());
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(user_agent) = &settings.user_agent {
        headers.insert(USER_AGENT, user_agent.clone());
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization);
    }
    *request.body_mut() = Some(secret::zeroizing_bytes(form.body(&own)).into());
    Ok(request)
}

/// "The client MUST NOT use more than one authentication method in each request."
/// ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)). An assertion is one
/// ([RFC 7521 §4.2](https://www.rfc-editor.org/rfc/rfc7521#section-4.2)).
fn check_one_method(form: &Form, method: ClientAuthentication) -> Result<(), Error> {
    use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, Detect, None};
    let asserted = form.has("client_assertion");
    match method {
        ClientSecretBasic | Detect if form.has("client_secret") => Err(Error::config(
            "client_secret is given as an extra parameter and with HTTP Basic; one way of client authentication is allowed: OAuthClient::secret, with ClientAuthentication::ClientSecretPost if the provider wants it in the body",
        )),
        ClientSecretBasic | ClientSecretPost | Detect if asserted => Err(Error::config(
            "client_assertion is given as a parameter, and the client has a secret; one way of client authentication is allowed: leave OAuthClient::secret out",
        )),
        None if asserted && form.has("client_secret") => Err(Error::config(
            "client_assertion and client_secret are given as parameters; one way of client authentication is allowed: leave one of them out",
        )),
        _ => Ok(()),
    }
}

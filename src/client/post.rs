//! The one function that POSTs to the provider: token requests, and what else authenticates itself
//! in the same way (revocation, introspection, device authorization).
//!
//! Invariants: one total time limit from connecting to the last byte; no parameter twice but those
//! of the application's own; the protocol's own parameters win over the application's.

use std::fmt;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use reqwest::Request;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tracing::Instrument;
use url::Url;

use super::ClientAuthentication;
use super::answer::answer;
use super::settings::Settings;
use crate::error::{Error, Kind};
use crate::observe;
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
            Err(error) if error.error_code() == Some("invalid_client") => {
                let second = send(ClientSecretPost).await;
                // Any other code comes from behind the door.
                let let_in = match &second {
                    Ok(_) => true,
                    Err(error) => error.error_code().is_some_and(|code| code != "invalid_client"),
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
    let answer = answer(
        settings.http()?,
        request,
        endpoint.name,
        settings.max_response_bytes,
        &settings.clock,
    )
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

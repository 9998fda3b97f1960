//! The one function that POSTs to the provider: token requests, and all other requests with client
//! authentication (revocation, introspection, device authorization).
//!
//! Invariant: one total time limit from connecting to the last byte.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use http::Response;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use tokio::time::Instant;
use tracing::Instrument;
use url::Url;

use super::authenticate::{authenticate, check_one_method};
#[cfg(feature = "keys")]
use super::dpop;
use super::limit::Limit;
use super::send::{self, exchange};
use super::settings::Settings;
use super::{ClientAuthentication, Form, ProviderRequest, RequestKind, method, shape};
use crate::error::Error;
use crate::observe;
use crate::wire::{HttpResponse, panicked};

/// What a request is for, and where it goes.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint<'a> {
    pub(crate) kind: RequestKind,
    pub(crate) url: &'a Url,
}

/// POSTs the form, authenticated and shaped as the settings say, and reads the response. `left`: what is
/// left of the client's timeout.
pub(super) async fn post<T>(
    settings: &Settings,
    endpoint: Endpoint<'_>,
    form: &Form,
    left: Duration,
    read: impl Fn(&HttpResponse<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let name = endpoint.kind.endpoint();
    let span = observe::provider_request(
        name,
        endpoint.url.host_str(),
        &settings.id,
        form.get_own("grant_type"),
    );
    let work = async {
        let began = Instant::now();
        let limit = Limit::new(settings.timeout, left);
        let outcome = detect(settings, endpoint, form, limit, read).await;
        match &outcome {
            Ok(_) => observe::provider_answered(name, began.elapsed()),
            Err(error) => observe::provider_failed(name, error, began.elapsed()),
        }
        outcome
    };
    work.instrument(span).await
}

/// Where the server did not accept the client, tries the next method. This is safe: it has not consumed the
/// code or refresh token.
async fn detect<T>(
    settings: &Settings,
    endpoint: Endpoint<'_>,
    form: &Form,
    limit: Limit,
    read: impl Fn(&HttpResponse<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let name = endpoint.kind.endpoint();
    let mut methods = method::candidates(settings, name)?.into_iter().peekable();
    let mut is_first = true;
    loop {
        let Some(method) = methods.next() else {
            return Err(Error::config("no method of client authentication is left"));
        };
        let outcome = attempt(settings, endpoint, form, method, limit, &read).await;
        let rejects_client = outcome.as_ref().is_err_and(Error::rejects_client);
        if rejects_client && methods.peek().is_some() && limit.has_room() {
            is_first = false;
            continue;
        }
        // Any other code means that the server has accepted the client, but for the one of servers that miss
        // what the method does not send.
        let accepts_client = match &outcome {
            Ok(_) => true,
            Err(error) if error.has_code("invalid_request") => false,
            Err(error) => error.error_code().is_some() && !rejects_client,
        };
        if accepts_client && !is_first {
            settings.found_methods.remember(name, method);
        }
        return outcome;
    }
}

async fn attempt<T>(
    settings: &Settings,
    endpoint: Endpoint<'_>,
    form: &Form,
    method: ClientAuthentication,
    limit: Limit,
    read: &impl Fn(&HttpResponse<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let attempt = || send_once(settings, endpoint, form, method, limit, read);
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
    limit: Limit,
    read: &impl Fn(&HttpResponse<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let url = settings.url(endpoint, method);
    let mut request = ProviderRequest::new(endpoint.kind, url.clone(), form.clone());
    authenticate(&mut request, settings, method, limit).await?;
    let request = shape::apply(&settings.shapes, request, limit).await?;
    request.check()?;
    check_one_method(&request, method)?;
    let of_client = settings.secret.iter().map(ExposeSecret::expose_secret);
    let secrets: Vec<&str> = of_client.chain(request.secrets()).collect();

    let name = endpoint.kind.endpoint();
    #[cfg_attr(not(feature = "keys"), expect(unused_mut))]
    let mut sent = request.build(settings.user_agent.as_ref());
    let http = settings.http()?;
    #[cfg(feature = "keys")]
    let proved = async { Ok(dpop::prove(settings, form, endpoint.url, &mut sent).await?) };
    #[cfg(feature = "keys")]
    limit.closure("the signer", proved).await?;
    if !limit.has_room() {
        return Err(limit.too_late());
    }
    let most_bytes = settings.max_response_bytes;
    let (response, sent_at) =
        exchange(http, sent, name, most_bytes, limit, &settings.clock).await?;
    #[cfg(feature = "keys")]
    dpop::hear(settings, form, endpoint.url, response.status(), response.headers());
    let (response, has_panicked) = mapped(settings, endpoint.kind, response);
    let response = send::read(response, name, url, sent_at);
    #[cfg(feature = "keys")]
    let response = HttpResponse { may_be_bound: form.prover.is_some(), ..response };
    let of_refresh = endpoint.kind == RequestKind::Refresh;
    let response = HttpResponse { of_refresh, secrets: &secrets, ..response };
    if has_panicked {
        return Err(panicked(&response, "the closure of OAuthClient::map_http_response"));
    }
    read(&response)
}

impl Settings {
    /// Where the request goes: a client that shows a certificate uses the endpoint for such clients, where the
    /// metadata names one ([RFC 8705 §5](https://www.rfc-editor.org/rfc/rfc8705#section-5)). An endpoint that
    /// the application has set is its own.
    fn url<'a>(&'a self, endpoint: Endpoint<'a>, method: ClientAuthentication) -> &'a Url {
        let member = endpoint.kind.member();
        self.provider
            .as_ref()
            .filter(|_| self.mtls_endpoints || method.is_mtls())
            .filter(|provider| provider.endpoint(member) == Some(endpoint.url))
            .and_then(|provider| provider.mtls_endpoint(member))
            .unwrap_or(endpoint.url)
    }
}

/// The response as the application sees it; as it came, where its closure panicked.
fn mapped(
    settings: &Settings,
    kind: RequestKind,
    response: Response<Zeroizing<Vec<u8>>>,
) -> (Response<Zeroizing<Vec<u8>>>, bool) {
    let Some(map) = &settings.map_http_response else { return (response, false) };
    let whole = response.clone().map(|mut body| std::mem::take(&mut *body));
    match catch_unwind(AssertUnwindSafe(|| map(kind, whole))) {
        Ok(mapped) => (mapped.map(Zeroizing::new), false),
        Err(_) => (response, true),
    }
}

//! Everything about tokens: who may issue one, who this client is there, and how it gets one.

use std::sync::Arc;

use reqwest_oauth2::{
    Challenge, ClientCredentials, ClientMetadata, Error, JwtBearer, OAuthClient, ProtectedResource,
    Provider, Session, SigningKey, TokenExchange, TypedToken, url::Url,
};

use crate::handed_over::HandedOver;

/// Where this client would publish what it says of itself; such a URL is its id.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";
const REDIRECT_URI: &str = "http://127.0.0.1:8914/callback";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Logs in where the challenge leads to.
pub(crate) async fn log_in(
    url: &Url,
    challenge: &Challenge,
    scope: Option<String>,
    handed_over: &HandedOver,
) -> Result<Session, Error> {
    let resource = ProtectedResource::discover(url, Some(challenge)).await?;
    let (id, provider) = match &resource {
        Some(resource) => {
            let issuer = resource.issuers().first();
            let issuer = issuer.ok_or_else(|| Error::permanent("nobody issues tokens for it"))?;
            (resource.id(), resource.provider(issuer).await?)
        }
        // Before 2025-06-18 the server itself was the issuer.
        None => (url.as_str(), Provider::discover(url.origin().ascii_serialization()).await?),
    };
    let provider = provider.ok_or_else(|| Error::permanent("the issuer has no metadata"))?;
    let mut client = client(&provider, handed_over).await?.resource(id);
    if provider.member("dpop_signing_alg_values_supported").is_some() {
        client = client.dpop();
    }
    let lists = |member: &str, name: &str| {
        provider
            .member(member)
            .and_then(|list| list.as_array())
            .is_some_and(|list| list.iter().any(|listed| listed == name))
    };
    if lists("grant_types_supported", JWT_BEARER) {
        let assertion = assertion(&provider, id, handed_over)?;
        return Ok(Session::builder(client).grant(assertion).build());
    }
    if lists("grant_types_supported", "client_credentials") {
        return Ok(Session::builder(client).grant(ClientCredentials::new()).build());
    }
    let mut login = client.authorization_code(REDIRECT_URI)?;
    let mut names = scope.or_else(|| resource.as_ref()?.scopes().map(str::to_owned));
    if lists("scopes_supported", "offline_access") {
        names = Some(names.unwrap_or_default() + " offline_access");
    }
    if let Some(names) = names {
        login = login.scope(names.trim());
    }
    let login = login.begin()?;
    let callback = browse(login.url()).await?;
    let token = login.finish(&client, callback).await?;
    Ok(Session::builder(client).token(token).build())
}

/// Who this client is for the provider: known already, by a document, or from now on.
async fn client(provider: &Provider, handed_over: &HandedOver) -> Result<OAuthClient, Error> {
    if let Some(id) = &handed_over.client_id {
        let client = provider.client(id);
        return match (&handed_over.client_secret, &handed_over.private_key_pem) {
            (Some(secret), _) => Ok(client.secret(secret)),
            (None, Some(pem)) => Ok(client.signing_key(SigningKey::from_pem(pem)?)),
            (None, None) => Ok(client),
        };
    }
    if provider.member("client_id_metadata_document_supported") == Some(&true.into()) {
        return Ok(provider.client(DOCUMENT));
    }
    let metadata = ClientMetadata::new("reqwest-oauth2").redirect_uri(REDIRECT_URI);
    let registration = provider.register(&metadata).await?;
    provider.registered_client(&registration)
}

/// An assertion that the provider takes: the workload's own, or one that an identity provider gives for what it
/// said of a person.
fn assertion(
    provider: &Provider,
    resource: &str,
    handed_over: &HandedOver,
) -> Result<JwtBearer, Error> {
    if let Some(jwt) = handed_over.valid_jwt.clone() {
        return Ok(JwtBearer::new(move || std::future::ready(Ok::<_, Error>(jwt.clone()))));
    }
    let HandedOver {
        idp_client_id: Some(id),
        idp_token_endpoint: Some(endpoint),
        idp_id_token: Some(id_token),
        ..
    } = handed_over
    else {
        return Err(Error::permanent("there is nothing to assert"));
    };
    let id_token = TypedToken::of_type(id_token, ID_TOKEN);
    let exchange = TokenExchange::new(move || std::future::ready(Ok::<_, Error>(id_token.clone())))
        .requested_token_type(ID_JAG)
        .audience(provider.issuer())
        .resource(resource);
    let idp = OAuthClient::new(id, endpoint)?.accept_token_type("N_A");
    let idp = Session::builder(idp).grant(exchange).build();
    Ok(JwtBearer::new(move || {
        let idp = idp.clone();
        async move { idp.token().await.map(|token| token.access_token().to_owned()) }
    }))
}

/// The person's browser, which is sent straight back.
async fn browse(url: &str) -> Result<String, Error> {
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let browser = browser.build().map_err(Error::permanent)?;
    let response = browser.get(url).send().await.map_err(Error::permanent)?;
    let location = response.headers().get(http::header::LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    location.map(str::to_owned).ok_or_else(|| Error::permanent("the browser stays where it is"))
}

/// TEMPORARY: until the session does this.
#[derive(Clone, Default)]
pub(crate) struct Tokens(Arc<tokio::sync::Mutex<State>>);
#[derive(Default)]
struct State {
    session: Option<Session>,
    scope: Option<String>,
}
impl Tokens {
    pub(crate) async fn send(
        &self,
        http: &reqwest::Client,
        request: reqwest::Request,
        handed_over: &HandedOver,
    ) -> Result<reqwest::Response, Box<dyn std::error::Error + Send + Sync>> {
        let mut state = self.0.lock().await;
        let mut tries = 0;
        loop {
            let copy = request.try_clone().ok_or("stream")?;
            let response = match &state.session {
                Some(session) => session.execute(http, copy).await?,
                None => http.execute(copy).await?,
            };
            tries += 1;
            let status = response.status().as_u16();
            if tries > 2 || !(status == 401 || status == 403) {
                return Ok(response);
            }
            let challenges = Challenge::all(response.headers());
            let challenge = challenges.iter().find(|c| {
                c.scheme().eq_ignore_ascii_case("bearer") || c.scheme().eq_ignore_ascii_case("dpop")
            });
            let Some(challenge) = challenge else { return Ok(response) };
            let mut names: Vec<String> = Vec::new();
            for n in state
                .scope
                .iter()
                .flat_map(|s| s.split(' '))
                .chain(challenge.scope().iter().flat_map(|s| s.split(' ')))
            {
                if !names.iter().any(|k| k == n) {
                    names.push(n.to_owned());
                }
            }
            let scope = (!names.is_empty()).then(|| names.join(" "));
            state.scope = scope.clone();
            let url = request.url().clone();
            state.session = Some(log_in(&url, challenge, scope, handed_over).await?);
        }
    }
}

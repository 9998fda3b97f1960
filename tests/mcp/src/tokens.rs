//! Everything about tokens: who this client is for the issuer that the server names, and how it gets a token
//! there. Whatever else has to be found, asked, renewed and sent again is the session's.

use std::future::ready;
use std::sync::Arc;

use reqwest_oauth2::{
    Asked, Authorized, ClientCredentials, ClientMetadata, Discovered, Error, JwtBearer,
    OAuthClient, Provider, ResourceSession, Session, SigningKey, Token, TokenExchange, TypedToken,
};

use crate::handed_over::HandedOver;

/// Where this client would publish what it says of itself; such a URL is its id.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";
const REDIRECT_URI: &str = "http://127.0.0.1:8914/callback";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

pub(crate) fn session(url: &str, handed_over: HandedOver) -> Result<ResourceSession, Error> {
    let handed_over = Arc::new(handed_over);
    let authorize = move |asked| authorize(asked, handed_over.clone());
    Ok(Session::on_challenge(url, authorize)?.build())
}

async fn authorize(asked: Asked, handed_over: Arc<HandedOver>) -> Result<Authorized, Error> {
    let found = asked.discover().await?;
    let mut client = found.for_resource(client(&asked, &found.provider, &handed_over).await?);
    if found.provider.member("dpop_signing_alg_values_supported").is_some() {
        client = client.dpop();
    }
    if offers(&found.provider, JWT_BEARER) {
        Ok(Authorized::by_grant(client, assertion(&asked, &found, &handed_over)?))
    } else if offers(&found.provider, "client_credentials") {
        Ok(Authorized::by_grant(client, ClientCredentials::new()))
    } else {
        let token = log_in(&client, found.scope(&asked)).await?;
        Ok(Authorized::new(client, token))
    }
}

/// Who this client is for the provider: known already, by a document, or from now on.
async fn client(
    asked: &Asked,
    provider: &Provider,
    handed_over: &HandedOver,
) -> Result<OAuthClient, Error> {
    let reads_documents =
        provider.member("client_id_metadata_document_supported") == Some(&true.into());
    let client = match handed_over {
        HandedOver { client_id: Some(id), client_secret: Some(secret), .. } => {
            provider.client(id).secret(secret)
        }
        HandedOver { client_id: Some(id), private_key_pem: Some(pem), .. } => {
            provider.client(id).signing_key(SigningKey::from_pem(pem)?)
        }
        HandedOver { client_id: Some(id), .. } => provider.client(id),
        _ if reads_documents => provider.client(DOCUMENT),
        _ => {
            let metadata = ClientMetadata::new("reqwest-oauth2").redirect_uri(REDIRECT_URI);
            asked.registered_client(provider, &metadata).await?
        }
    };
    Ok(client)
}

/// Whether this grant is the provider's way, for a client that has what it takes.
fn offers(provider: &Provider, grant: &str) -> bool {
    let listed = provider.member("grant_types_supported").and_then(|list| list.as_array());
    listed.is_some_and(|listed| listed.iter().any(|name| name == grant))
}

/// A person logs in, in a browser.
async fn log_in(client: &OAuthClient, scope: Option<String>) -> Result<Token, Error> {
    let mut request = client.authorization_code(REDIRECT_URI)?;
    if let Some(scope) = scope {
        request = request.scope(scope);
    }
    let login = request.begin()?;
    let callback = browse(login.url()).await?;
    login.finish(client, callback).await
}

/// An assertion that the provider takes: the workload's own, or one that an identity provider gives for what it
/// said of a person.
fn assertion(
    asked: &Asked,
    found: &Discovered,
    handed_over: &HandedOver,
) -> Result<JwtBearer, Error> {
    if let Some(jwt) = handed_over.valid_jwt.clone() {
        return Ok(JwtBearer::new(move || ready(Ok::<_, Error>(jwt.clone()))));
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
    let exchange = TokenExchange::new(move || ready(Ok::<_, Error>(id_token.clone())))
        .requested_token_type(ID_JAG)
        .audience(found.provider.issuer())
        .resource(found.resource_id().unwrap_or(asked.url().as_str()));
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

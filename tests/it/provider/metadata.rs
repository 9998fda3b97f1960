//! The metadata documents.

use reqwest::Response;
use reqwest::header::{ALLOW, CONTENT_TYPE, LOCATION};
use reqwest_oauth2::testing::{AuthMethod, Fault, MetadataDocument, Provider, ProviderBuilder};
use serde_json::{Value, json};

use crate::support::provider_requests::http;

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OIDC: &str = "/.well-known/openid-configuration";

async fn get(provider: &Provider, path: &str) -> Response {
    http().get(provider.origin() + path).send().await.unwrap()
}

async fn read(provider: &Provider, path: &str) -> Value {
    let response = get(provider, path).await;
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

async fn statuses<const N: usize>(builder: ProviderBuilder, paths: [&str; N]) -> [u16; N] {
    let provider = builder.start().await.unwrap();
    let mut statuses = [0; N];
    for (path, status) in paths.into_iter().zip(&mut statuses) {
        *status = get(&provider, path).await.status().as_u16();
    }
    statuses
}

#[tokio::test]
async fn the_document() {
    let provider = Provider::start().await.unwrap();
    let origin = provider.origin();
    let expected = json!({
        "issuer": origin,
        "authorization_endpoint": provider.authorize_url(),
        "token_endpoint": provider.token_url(),
        "device_authorization_endpoint": provider.device_authorization_url(),
        "pushed_authorization_request_endpoint": provider.pushed_authorization_request_url(),
        "revocation_endpoint": provider.revocation_url(),
        "introspection_endpoint": provider.introspection_url(),
        "response_types_supported": ["code", "token"],
        "grant_types_supported": [
            "authorization_code",
            "implicit",
            "refresh_token",
            "client_credentials",
            "password",
            "urn:ietf:params:oauth:grant-type:device_code",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "authorization_response_iss_parameter_supported": true,
    });
    assert_eq!(provider.issuer(), origin);
    for path in [OAUTH, OIDC] {
        assert_eq!(read(&provider, path).await, expected);
    }
    assert_eq!(provider.counts().metadata_requests, 2);
    let response = http().post(origin + OAUTH).send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()[ALLOW], "GET");
    assert_eq!(get(&provider, "/.well-known/other").await.status(), 404);
    assert_eq!(provider.counts().metadata_requests, 2);
}

#[tokio::test]
async fn what_the_builder_changes() {
    let methods = "token_endpoint_auth_methods_supported";
    let provider = Provider::builder().public_client("app").send_iss(false).start().await.unwrap();
    let document = read(&provider, OAUTH).await;
    assert_eq!(document[methods], json!(["none"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], false);
    let builder =
        Provider::builder().auth_methods([AuthMethod::ClientSecretPost]).metadata(|document| {
            document["issuer"] = json!("https://evil.test");
            document.remove("token_endpoint");
        });
    let document = read(&builder.start().await.unwrap(), OIDC).await;
    assert_eq!(document[methods], json!(["client_secret_post"]));
    assert_eq!(document["issuer"], "https://evil.test");
    assert!(document.get("token_endpoint").is_none());
}

#[tokio::test]
async fn only_one_of_them() {
    let with = |document| statuses(Provider::builder().discovery([document]), [OAUTH, OIDC]);
    assert_eq!(with(MetadataDocument::OAuth).await, [200, 404]);
    assert_eq!(with(MetadataDocument::OpenIdConnect).await, [404, 200]);
    let provider = Provider::builder().discovery([]).start().await.unwrap();
    get(&provider, OAUTH).await;
    assert_eq!(provider.counts().metadata_requests, 1, "counted all the same");
}

#[tokio::test]
async fn an_issuer_with_a_path() {
    let (oauth, inserted) = (format!("{OAUTH}/tenant1"), format!("{OIDC}/tenant1"));
    let appended = format!("/tenant1{OIDC}");
    let provider = Provider::builder().issuer_path("/tenant1").start().await.unwrap();
    assert_eq!(provider.issuer(), provider.origin() + "/tenant1");
    for path in [&oauth, &inserted, &appended] {
        let document = read(&provider, path).await;
        assert_eq!(document["issuer"], *provider.issuer());
        assert_eq!(document["token_endpoint"], *provider.token_url());
    }
    for path in [OAUTH, OIDC, &format!("/tenant1{OAUTH}"), &format!("{oauth}/x"), "/tenant1/token"]
    {
        assert_eq!(get(&provider, path).await.status(), 404, "{path}");
    }
    assert_eq!(provider.counts().metadata_requests, 3);
    let paths = [&*oauth, &*inserted, &*appended];
    let builder = Provider::builder().issuer_path("/tenant1/");
    assert_eq!(statuses(builder.clone(), paths).await, [200; 3]);
    assert_eq!(
        statuses(builder.clone().discovery([MetadataDocument::OAuth]), paths).await,
        [200, 404, 404]
    );
    assert_eq!(
        statuses(builder.discovery([MetadataDocument::OpenIdConnect]), paths).await,
        [404, 200, 200]
    );
}

#[tokio::test]
async fn faults() {
    let provider = Provider::start().await.unwrap();
    provider.fail_metadata(Fault::Status(503));
    for path in [OAUTH, OIDC] {
        assert_eq!(get(&provider, path).await.status(), 503);
    }
    let location = "https://evil.test/".to_owned();
    provider.fail_metadata(Fault::Redirect { status: 302, location });
    assert_eq!(get(&provider, OAUTH).await.headers()[LOCATION], "https://evil.test/");
    provider.fail_metadata(Fault::EndlessBody);
    let mut endless = get(&provider, OAUTH).await;
    let mut length = 0;
    while length < 1024 * 1024 {
        length += endless.chunk().await.unwrap().unwrap().len();
    }
    provider.fail_metadata(Fault::Hang);
    let hanging = tokio::spawn({
        let provider = provider.clone();
        async move { get(&provider, OAUTH).await }
    });
    while provider.counts().metadata_requests < 5 {
        tokio::task::yield_now().await;
    }
    assert!(!hanging.is_finished());
    hanging.abort();
    provider.clear_faults();
    read(&provider, OAUTH).await;
}

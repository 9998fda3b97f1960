//! Clients that are known by their certificate ([RFC 8705](https://www.rfc-editor.org/rfc/rfc8705)). The
//! embedded provider has no TLS: a header of the HTTP client stands for its certificate.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{
    ClientAuthentication, ClientCredentials, OAuthClient, Session, TokenTypeHint,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::World;

/// An HTTP client with a "certificate".
fn with_certificate() -> reqwest::Client {
    let headers = http::HeaderMap::from_iter([(
        http::HeaderName::from_static("x-certificate"),
        http::HeaderValue::from_static("ours"),
    )]);
    reqwest::Client::builder().no_proxy().default_headers(headers).build().unwrap()
}

const METHODS: [ClientAuthentication; 2] =
    [ClientAuthentication::TlsClientAuth, ClientAuthentication::SelfSignedTlsClientAuth];

fn good() -> Fault {
    let body = r#"{"access_token":"a","token_type":"Bearer","active":true}"#;
    Fault::Reply { status: 200, content_type: "application/json".into(), body: body.into() }
}

/// 8705-2-a: "the client MUST include the "client_id" parameter", and no secret.
#[tokio::test]
async fn the_id_is_in_the_body_and_nothing_else_authenticates() {
    for method in METHODS {
        let world = World::new().await;
        world.provider.fail_always(good());
        // A secret that is there for something else is not sent.
        let app = world.app().authentication(method).http_client(with_certificate());
        let session = Session::builder(app).grant(ClientCredentials::new());
        session.clock(world.clock.reader()).build().token().await.unwrap();
        let request = world.provider.token_requests().pop().unwrap();
        assert_eq!(
            request.params,
            [
                ("grant_type".to_owned(), "client_credentials".to_owned()),
                ("client_id".to_owned(), "foo".to_owned())
            ]
        );
        assert_eq!(request.authorization, None);
        assert_eq!(request.headers["x-certificate"], "ours");
    }
}

#[tokio::test]
async fn a_second_method_beside_a_certificate_and_a_client_without_one_are_errors_before_io() {
    let world = World::new().await;
    for method in METHODS {
        let app = || world.app().authentication(method);
        let error = app().token_request("client_credentials").send().await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains("OAuthClient::http_client"));
        let found = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
        let found = found.authentication(method);
        let error = found.token_request("client_credentials").send().await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains("OAuthClient::http_client"));
        for name in ["client_secret", "client_assertion"] {
            let app = app().http_client(with_certificate());
            let request = app.token_request("client_credentials").extra_param(name, "x");
            let error = request.send().await.unwrap_err();
            assert!(error.is_config() && error.to_string().contains("one way"), "{error}");
        }
    }
    assert_eq!(world.provider.counts().token_requests, 0);
}

/// A world whose metadata has another token endpoint (by its query) for clients with a certificate.
async fn with_aliases() -> World {
    World::with(|p| {
        p.metadata(|members| {
            let alias = |name: &str| {
                let url = members.get(name).and_then(Value::as_str).unwrap_or_default();
                json!(format!("{url}?mtls=1"))
            };
            let aliases = json!({
                "token_endpoint": alias("token_endpoint"),
                "revocation_endpoint": alias("revocation_endpoint"),
            });
            members.insert("mtls_endpoint_aliases".to_owned(), aliases);
        })
    })
    .await
}

async fn query_of_token_request(world: &World, app: &OAuthClient) -> Option<String> {
    world.provider.fail_next(good());
    app.token_request("client_credentials").send().await.unwrap();
    world.provider.token_requests().pop().unwrap().query
}

/// 8705-5-a: `mtls_endpoint_aliases` first.
#[tokio::test]
async fn a_client_with_a_certificate_uses_the_endpoints_for_such_clients() {
    let world = with_aliases().await;
    let discover =
        || OAuthClient::discover_with(world.provider.issuer(), "foo", with_certificate());
    let plain = discover().await.unwrap().secret("potato");
    assert_eq!(query_of_token_request(&world, &plain).await, None);
    for method in METHODS {
        let app = discover().await.unwrap().authentication(method);
        assert_eq!(query_of_token_request(&world, &app).await.as_deref(), Some("mtls=1"));
        let _ = app.revoke("t0ken", TokenTypeHint::AccessToken).await;
        let revocation = world.provider.revocation_requests().pop().unwrap();
        assert_eq!(revocation.query.as_deref(), Some("mtls=1"));
        // What has no alias is where it was.
        assert!(app.introspect("t0ken", TokenTypeHint::AccessToken).await.is_err());
        // An endpoint that the application sets is its own.
        let own = format!("{}?own=1", world.provider.revocation_url());
        let app = app.revocation_endpoint(own).unwrap();
        let _ = app.revoke("t0ken", TokenTypeHint::AccessToken).await;
        let revocation = world.provider.revocation_requests().pop().unwrap();
        assert_eq!(revocation.query.as_deref(), Some("own=1"));
    }
    // Any method, for tokens that are bound to the certificate.
    let bound = discover().await.unwrap().secret("potato").mtls_endpoints();
    assert_eq!(query_of_token_request(&world, &bound).await.as_deref(), Some("mtls=1"));
    let request = world.provider.token_requests().pop().unwrap();
    assert!(request.authorization.is_some());
}

/// 8705-3-a: the certificate of the token request is that of the request to the API.
#[tokio::test]
async fn one_client_with_a_certificate_serves_the_provider_and_the_api() {
    let world = World::new().await;
    let http = with_certificate();
    let app = world.app().http_client(http.clone());
    let session = Session::builder(app).token(world.expired_token());
    let session = session.clock(world.clock.reader()).build();
    let request = http.get(world.provider.api_url()).build().unwrap();
    assert_eq!(session.execute(&http, request).await.unwrap().status(), 200);
    let token_request = world.provider.token_requests().pop().unwrap();
    assert_eq!(token_request.headers["x-certificate"], "ours");
    assert_eq!(world.provider.counts().api_ok, 1);
}

/// V10 and RFC 8705 §3.2: the certificate of its appendix A, and its thumbprint in an introspection.
#[tokio::test]
async fn an_introspection_names_the_certificate_that_the_token_is_bound_to() {
    const CERTIFICATE: &str = "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=";
    let world = World::new().await;
    let app = world.app().introspection_endpoint(world.provider.introspection_url()).unwrap();
    let bound =
        r#"{"active":true,"cnf":{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}}"#;
    world.provider.answer_next_introspection(bound.to_owned());
    let said = app.introspect("t0ken", TokenTypeHint::AccessToken).await.unwrap();
    let certificate = BASE64_STANDARD.decode(CERTIFICATE).unwrap();
    let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(certificate));
    assert_eq!(said.members["cnf"]["x5t#S256"], thumbprint);
}

//! Pushed authorization requests ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126)).

use reqwest_oauth2::testing::{AuthMethod, Fault, ProviderBuilder};
use reqwest_oauth2::{ClientAuthentication, Error, OAuthClient, RequestKind};
use url::Url;

use super::{REDIRECT_URI, browse, get, query};
use crate::support::World;

async fn world(set_up: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> World {
    World::with(|p| set_up(p.redirect_uri(REDIRECT_URI))).await
}

fn app(world: &World) -> OAuthClient {
    let app = world.app().authorization_endpoint(world.provider.authorize_url()).unwrap();
    let url = world.provider.pushed_authorization_request_url();
    app.pushed_authorization_request_endpoint(url).unwrap().clock(world.clock.reader())
}

fn reply(status: u16, body: &str) -> Fault {
    let content_type = "application/json".to_owned();
    Fault::Reply { status, content_type, body: body.to_owned() }
}

/// V11: the URL of [RFC 9126 §4](https://www.rfc-editor.org/rfc/rfc9126#section-4).
#[tokio::test]
async fn the_published_url_names_the_request_and_nothing_else() {
    let world = world(|p| p).await;
    let app = OAuthClient::new("s6BhdRkqt3", world.provider.token_url()).unwrap();
    let app = app.authorization_endpoint("https://server.example.com/authorize").unwrap();
    let url = world.provider.pushed_authorization_request_url();
    let app = app.pushed_authorization_request_endpoint(url).unwrap();
    world.provider.fail_next_pushed_request(reply(
        201,
        r#"{"request_uri":"urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c","expires_in":60}"#,
    ));
    let login = app.authorization_code(REDIRECT_URI).unwrap().push().await.unwrap();
    assert_eq!(
        login.url(),
        "https://server.example.com/authorize?client_id=s6BhdRkqt3&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A6esc_11ACC5bwc014ltc14eY22c"
    );
}

/// 9126-2-a, 9126-4-a.
#[tokio::test]
async fn a_login_with_a_pushed_request_whose_uri_is_used_once() {
    for (method, of_provider) in [
        (ClientAuthentication::ClientSecretBasic, AuthMethod::ClientSecretBasic),
        (ClientAuthentication::ClientSecretPost, AuthMethod::ClientSecretPost),
    ] {
        let world = world(|p| p.require_pkce(true).auth_methods([of_provider])).await;
        let app = app(&world).authentication(method);
        let request = app.authorization_code(REDIRECT_URI).unwrap().scope("read");
        let login = request.extra_param("prompt", "consent").push().await.unwrap();
        // The provider has it all, and the client's authentication.
        let pushed = world.provider.pushed_authorization_requests().pop().unwrap();
        let expected = [
            ("prompt", "consent"),
            ("response_type", "code"),
            ("client_id", "foo"),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "read"),
            ("state", login.state()),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in expected {
            assert_eq!(pushed.param(name), Some(value), "{name}");
        }
        assert_eq!(pushed.param("code_challenge").unwrap().len(), 43);
        let is_basic = method == ClientAuthentication::ClientSecretBasic;
        assert_eq!(pushed.authorization.is_some(), is_basic);
        assert_eq!(pushed.param("client_secret").is_some(), !is_basic);
        // The browser has a name for it.
        let names: Vec<String> = query(login.url()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["client_id", "request_uri"]);
        let again = login.url().to_owned();
        let callback = browse(login.url()).await;
        let token = login.finish(&app, callback).await.unwrap();
        assert_eq!(token.scope(), Some("read"));
        // Once: another login has another.
        let http = crate::support::plain_http();
        assert_eq!(http.get(&again).send().await.unwrap().status(), 400);
        let next = app.authorization_code(REDIRECT_URI).unwrap().push().await.unwrap();
        assert_ne!(get(&query(next.url()), "request_uri"), get(&query(&again), "request_uri"));
        // Nor is it kept for long, nor for another client.
        let other = next.url().replace("client_id=foo", "client_id=bar");
        assert_eq!(http.get(other).send().await.unwrap().status(), 400);
        world.clock.forward(60.0);
        assert_eq!(http.get(next.url()).send().await.unwrap().status(), 400);
    }
}

/// 9126-5-a.
#[tokio::test]
async fn where_the_metadata_requires_it_a_plain_request_is_an_error() {
    let world = world(|p| p.require_pushed_authorization_requests(true)).await;
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
    let app = app.secret("potato").clock(world.clock.reader());
    let request = app.authorization_code(REDIRECT_URI).unwrap();
    for error in
        [request.begin().unwrap_err(), app.implicit(REDIRECT_URI).unwrap().begin().unwrap_err()]
    {
        assert!(error.is_config(), "{error}");
        assert_eq!(
            error.to_string(),
            "the provider's metadata requires pushed authorization requests; call AuthorizationRequest::push instead of begin"
        );
    }
    let login = request.push().await.unwrap();
    let callback = browse(login.url()).await;
    login.finish(&app, callback).await.unwrap();
    // Where it is not required, both are taken.
    let world = self::world(|p| p).await;
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
    let app = app.secret("potato").clock(world.clock.reader());
    let login = app.authorization_code(REDIRECT_URI).unwrap().begin().unwrap();
    let callback = browse(login.url()).await;
    login.finish(&app, callback).await.unwrap();
}

/// 9126-2.1-a, and what else is known before anything is sent.
#[tokio::test]
async fn what_cannot_be_pushed_is_an_error_before_anything_is_sent() {
    let world = world(|p| p).await;
    let without = world.app().authorization_endpoint(world.provider.authorize_url()).unwrap();
    let plain = |app: &OAuthClient| app.authorization_code(REDIRECT_URI).unwrap();
    let with = |name: &str, value: &str| plain(&app(&world)).extra_param(name, value);
    for (request, why) in [
        (plain(&without), "pushed_authorization_request_endpoint"),
        (with("request_uri", "urn:x"), "cannot be pushed"),
        (with("state", "mine"), "the protocol's own"),
        (with("resource", "/relative"), "absolute URI"),
        (plain(&app(&world)).scope("a\"b"), "not allowed in a scope"),
    ] {
        let error = request.push().await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains(why), "{error}");
    }
    let client = world.app().authorization_param("request_uri", "urn:x");
    let client = client.authorization_endpoint(world.provider.authorize_url()).unwrap();
    let url = world.provider.pushed_authorization_request_url();
    let client = client.pushed_authorization_request_endpoint(url).unwrap();
    assert!(plain(&client).push().await.unwrap_err().is_config());
    assert_eq!(world.provider.pushed_authorization_requests().len(), 0);
    let error = world.app().pushed_authorization_request_endpoint("http://a.example/par");
    assert!(error.unwrap_err().is_config());
    let mesh = world.app();
    assert!(mesh.pushed_authorization_request_endpoint_over_plain_http("http://a.example").is_ok());
}

async fn pushed(world: &World, answer: Fault) -> Error {
    world.provider.fail_next_pushed_request(answer);
    app(world).authorization_code(REDIRECT_URI).unwrap().push().await.unwrap_err()
}

/// 9126-2.2-a.
#[tokio::test]
async fn a_response_without_a_request_uri_is_a_typed_error() {
    let world = world(|p| p).await;
    let long = format!(r#"{{"request_uri":"urn:{}"}}"#, "x".repeat(2045));
    for body in [
        r#"{"expires_in":60}"#,
        r#"{"request_uri":""}"#,
        r#"{"request_uri":null}"#,
        r#"{"request_uri":7}"#,
        r#"{"request_uri":"urn:a b"}"#,
        r#"{"request_uri":"urn:\u001b[31m"}"#,
        &long,
        "<html>",
        "",
    ] {
        let error = pushed(&world, reply(201, body)).await;
        assert!(error.is_malformed_response(), "{body}: {error}");
        assert!(error.to_string().contains("pushed authorization request endpoint"), "{error}");
    }
    // The provider's own refusal keeps its code; it may be another one than of the token endpoint.
    let refusal = r#"{"error":"invalid_request","error_description":"redirect_uri is not known"}"#;
    let error = pushed(&world, reply(400, refusal)).await;
    assert_eq!(error.error_code(), Some("invalid_request"));
    assert_eq!(error.error_description(), Some("redirect_uri is not known"));
    assert!(pushed(&world, Fault::Status(503)).await.is_transient());
    assert!(pushed(&world, Fault::CloseBeforeIssue).await.is_transient());
    let wrong = app(&world).secret("wrong").authorization_code(REDIRECT_URI).unwrap();
    assert_eq!(wrong.push().await.unwrap_err().error_code(), Some("invalid_client"));
}

#[tokio::test]
async fn a_state_that_comes_back_is_not_shown() {
    let world = world(|p| p).await;
    let url = world.provider.pushed_authorization_request_url();
    let app = app(&world).shape_requests(
        RequestKind::PushedAuthorization,
        move |request: reqwest_oauth2::ProviderRequest| {
            assert_eq!(request.url(), &Url::parse(&url).unwrap());
            async move { Ok(request.param("login_hint", "alice").header("x-tenant", "7")?) }
        },
    );
    let app = app.map_http_response(|kind, mut response| {
        assert_eq!(kind, RequestKind::PushedAuthorization);
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
        *response.body_mut() =
            br#"{"error":"invalid_request","error_description":"alice of tenant 7, code"}"#
                .to_vec();
        response
    });
    let error = app.authorization_code(REDIRECT_URI).unwrap().push().await.unwrap_err();
    assert_eq!(
        error.error_description(),
        Some("[redacted] of tenant [redacted], code"),
        "what was shaped is masked, and words of the protocol are not"
    );
    let pushed = world.provider.pushed_authorization_requests().pop().unwrap();
    assert_eq!(pushed.param("login_hint"), Some("alice"));
    assert_eq!(pushed.headers["x-tenant"], "7");
}

/// 9126-2-a: the audience of an assertion is the issuer.
#[cfg(feature = "keys")]
#[tokio::test]
async fn a_signing_client_pushes_with_an_assertion() {
    let key = reqwest_oauth2::SigningKey::generate().unwrap();
    let world = world(|p| {
        p.client_key(key.public_jwk())
            .auth_methods([AuthMethod::PrivateKeyJwt])
            .require_pushed_authorization_requests(true)
    })
    .await;
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
    let app = app.signing_key(key).clock(world.clock.reader());
    let login = app.authorization_code(REDIRECT_URI).unwrap().push().await.unwrap();
    let callback = browse(login.url()).await;
    login.finish(&app, callback).await.unwrap();
    let pushed = world.provider.pushed_authorization_requests().pop().unwrap();
    assert!(pushed.param("client_assertion").is_some() && pushed.authorization.is_none());
}

/// 9449-10-a: the code is bound to the login's key, and the pushed request carries a proof of its own.
#[cfg(feature = "keys")]
#[tokio::test]
async fn a_pushed_request_of_a_bound_login_carries_a_proof() {
    let world = world(|p| p).await;
    let app = app(&world).dpop();
    let login = app.authorization_code(REDIRECT_URI).unwrap().push().await.unwrap();
    let callback = browse(login.url()).await;
    let token = login.finish(&app, callback).await.unwrap();
    let pushed = world.provider.pushed_authorization_requests().pop().unwrap();
    assert_eq!(pushed.param("dpop_jkt"), token.dpop_thumbprint());
    assert!(token.dpop_thumbprint().is_some());
    let exchange = world.provider.token_requests().pop().unwrap();
    assert!(pushed.headers.contains_key("dpop"));
    assert_ne!(pushed.headers["dpop"], exchange.headers["dpop"]);
}

//! Assertions of the application's: a workload identity, another cloud's token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{
    BoxError, ClientAuthentication, ClientCredentials, Error, OAuthClient, Session, TokenTypeHint,
};

use crate::support::{World, pass};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A response that is good for every kind of request.
fn good() -> Fault {
    let body = r#"{"access_token":"a","token_type":"Bearer","active":true,
        "device_code":"d","user_code":"u","verification_uri":"https://x.example","interval":1}"#;
    Fault::Reply { status: 200, content_type: "application/json".into(), body: body.into() }
}

/// A client whose endpoints are all the provider's token endpoint, which records what comes.
fn everywhere(world: &World) -> OAuthClient {
    let url = world.provider.token_url();
    let app = OAuthClient::new("foo", &url).unwrap();
    let app = app.device_authorization_endpoint(&url).unwrap().revocation_endpoint(&url).unwrap();
    app.introspection_endpoint(&url).unwrap().clock(world.clock.reader())
}

/// Gives `assertion-0`, `assertion-1`, …
fn counting(app: OAuthClient) -> OAuthClient {
    let asked = AtomicUsize::new(0);
    app.client_assertion(move || {
        let n = asked.fetch_add(1, Ordering::SeqCst);
        // As in a file, with a line feed at its end.
        async move { Ok(format!("assertion-{n}\n")) }
    })
}

/// 7521-4.2-a: the assertion and its type, and nothing else that authenticates.
#[tokio::test]
async fn an_assertion_goes_with_its_type_to_every_endpoint_and_is_asked_for_anew() {
    let world = World::new().await;
    world.provider.fail_always(good());
    let app = counting(everywhere(&world));
    let session = Session::builder(app.clone()).token(world.expired_token());
    session.clock(world.clock.reader()).build().refresh().await.unwrap();
    let session = Session::builder(app.clone()).grant(ClientCredentials::new());
    session.clock(world.clock.reader()).build().token().await.unwrap();
    let _login = app.device_authorization().begin().await.unwrap();
    app.revoke("t0ken", TokenTypeHint::AccessToken).await.unwrap();
    app.introspect("t0ken", TokenTypeHint::AccessToken).await.unwrap();
    let requests = world.provider.token_requests();
    assert_eq!(requests.len(), 5);
    for (n, request) in requests.iter().enumerate() {
        assert_eq!(request.param("client_assertion"), Some(&*format!("assertion-{n}")));
        assert_eq!(request.param("client_assertion_type"), Some(JWT_BEARER));
        assert_eq!(request.param("client_id"), Some("foo"));
        assert_eq!((request.param("client_secret"), &request.authorization), (None, &None));
    }
}

#[tokio::test]
async fn an_assertion_may_be_of_another_type() {
    let world = World::new().await;
    world.provider.fail_always(good());
    let spiffe = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
    let app = counting(everywhere(&world)).client_assertion_type(spiffe);
    app.token_request("client_credentials").send().await.unwrap();
    let request = world.provider.token_requests().pop().unwrap();
    assert_eq!(request.param("client_assertion_type"), Some(spiffe));
}

#[tokio::test]
async fn a_second_method_beside_an_assertion_is_an_error_before_anything_is_sent() {
    let world = World::new().await;
    let app = || counting(everywhere(&world));
    let (first, second) = (app(), app());
    let as_param = first.token_request("client_credentials").extra_param("client_secret", "potato");
    let twice = second.token_request("client_credentials").extra_param("client_assertion", "x");
    let header = app().request_header(reqwest_oauth2::RequestKinds::ALL, "authorization", "x y");
    for error in [
        app().secret("potato").token_request("client_credentials").send().await.unwrap_err(),
        as_param.send().await.unwrap_err(),
        twice.send().await.unwrap_err(),
        header.unwrap().token_request("client_credentials").send().await.unwrap_err(),
    ] {
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("one way of client authentication is allowed"));
    }
    let none = everywhere(&world).authentication(ClientAuthentication::Assertion);
    let error = none.token_request("client_credentials").send().await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("OAuthClient::client_assertion"));
    assert_eq!(world.provider.counts().token_requests, 0);
    // Where the application names a method, that one is used, and no other.
    let app = app().secret("potato").authentication(ClientAuthentication::ClientSecretPost);
    app.token_request("client_credentials").send().await.unwrap();
    assert_eq!(world.provider.token_requests()[0].param("client_assertion"), None);
}

#[tokio::test]
async fn a_closure_that_fails_panics_or_hangs_sends_nothing_and_the_login_stays() {
    type Trouble = fn() -> Result<bool, BoxError>;
    let fails: Trouble = || Err("no file".into());
    // Of a session of the closure's own, say. It is no word of this provider.
    let passes_on: Trouble = || Err(Error::permanent("no such role").into());
    let panics: Trouble = || panic!("no");
    let hangs: Trouble = || Ok(false);
    for (trouble, text) in [
        (fails, "failed, so nothing was sent to the provider"),
        (passes_on, "failed, so nothing was sent to the provider"),
        (panics, "panicked; see the panic message on stderr"),
        (hangs, "did not finish within 30s, so nothing was sent to the provider"),
    ] {
        let world = World::new().await;
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let app = everywhere(&world).client_assertion(move || {
            let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if is_first && !trouble()? {
                    std::future::pending::<()>().await;
                }
                Ok("signed".to_owned())
            }
        });
        world.provider.fail_always(good());
        let session = Session::builder(app).token(world.expired_token());
        let session = session.clock(world.clock.reader()).build();
        let waiting = tokio::spawn({
            let session = session.clone();
            async move { session.token().await }
        });
        world.plain_turns().await;
        pass(30).await;
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the closure of OAuthClient::client_assertion {text}")
        );
        assert!(error.is_transient());
        assert_eq!(world.provider.counts().token_requests, 0);
        pass(60).await;
        world.clock.forward(60.0);
        session.token().await.unwrap();
        assert_eq!(world.provider.counts().token_requests, 1);
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn an_assertion_that_comes_back_is_not_shown() {
    let world = World::new().await;
    let app = counting(everywhere(&world));
    world.provider.fail_next(Fault::Reply {
        status: 401,
        content_type: "application/json".into(),
        body: r#"{"error":"invalid_client","error_description":"not assertion-0 of jwt"}"#.into(),
    });
    let error = app.token_request("client_credentials").send().await.unwrap_err();
    assert_eq!(error.error_description(), Some("not [redacted] of jwt"));
}

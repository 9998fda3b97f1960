//! What a request to the provider may not carry: refused before anything is sent.

use std::sync::Arc;

use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{ClientAuthentication, ClientCredentials, OAuthClient, Session};

use crate::support::World;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[tokio::test]
async fn an_assertion_is_a_way_of_authentication_and_no_other_goes_with_it() {
    let world = World::new().await;
    let with_assertion = async |app: &OAuthClient| {
        app.token_request("client_credentials")
            .extra_param("client_assertion_type", JWT_BEARER)
            .extra_param("client_assertion", "signed")
            .send()
            .await
            .unwrap_err()
    };
    use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, Detect};
    for method in [ClientSecretBasic, ClientSecretPost, Detect] {
        let app = world.app().authentication(method);
        let as_param = app.token_request("client_credentials").param("client_assertion", "signed");
        for error in [with_assertion(&app).await, as_param.send().await.unwrap_err()] {
            assert!(error.is_config(), "{method:?}: {error}");
            assert_eq!(
                error.to_string(),
                "client_assertion is given, and the client has a secret; one way of client authentication is allowed: leave OAuthClient::secret out"
            );
        }
    }
    let public = OAuthClient::new("foo", world.provider.token_url()).unwrap();
    let both = public
        .token_request("client_credentials")
        .extra_param("client_assertion", "signed")
        .extra_param("client_secret", "potato");
    assert!(both.send().await.unwrap_err().is_config());
    assert_eq!(world.provider.counts().token_requests, 0);
    // By itself it is sent.
    assert!(!with_assertion(&public).await.is_config());
    let request = &world.provider.token_requests()[0];
    assert_eq!(request.param("client_assertion"), Some("signed"));
    assert_eq!(request.param("client_id"), Some("foo"));
    assert_eq!(request.authorization, None);
}

#[tokio::test]
async fn a_refresh_that_asks_for_more_than_was_granted_is_not_sent() {
    let world = World::new().await;
    let session = |scope: &str, token: reqwest_oauth2::Token| {
        let app = world.app().refresh_param("scope", scope);
        Session::builder(app).token(token).clock(world.clock.reader()).build()
    };
    let granted = world.expired_token().with_scope("read write");
    let error = session("read admin", granted.clone()).refresh().await.unwrap_err();
    assert!(error.is_config() && !error.is_transient(), "{error}");
    assert!(error.to_string().contains("\"admin\""), "{error}");
    assert_eq!(world.provider.counts().token_requests, 0);
    // Less, or as much, is: the refresh token was not touched.
    let narrowed = session("write", granted).refresh().await.unwrap();
    assert_eq!(world.provider.token_requests()[0].param("scope"), Some("write"));
    assert_eq!(world.provider.counts().token_requests, 1);
    // The grant is as wide as before, also for a program that finds the token where this one saved it.
    assert_eq!(narrowed.scope(), Some("write"));
    let saved = serde_json::from_value(serde_json::to_value(&narrowed).unwrap()).unwrap();
    let widened = session("read write", saved).refresh().await.unwrap();
    assert_eq!(widened.scope(), Some("read write"));
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn an_answer_that_names_less_keeps_no_later_refresh_from_being_sent() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let open = || {
        let app = world.app().refresh_param("scope", "read write");
        Session::builder(app).clock(world.clock.reader()).store(store.clone(), "me").build()
    };
    let session = open();
    session.set_token(world.token().with_scope("read write")).await.unwrap();
    world.provider.fail_next(Fault::Reply {
        status: 200,
        content_type: "application/json".to_owned(),
        body: r#"{"access_token":"less","scope":"read"}"#.to_owned(),
    });
    assert_eq!(session.refresh().await.unwrap().scope(), Some("read"));
    // Not after a renewal for another target either, nor in another process.
    session.with_scope("write").unwrap().refresh().await.unwrap();
    let other = open();
    assert_eq!(other.token().await.unwrap().scope(), Some("read"));
    for _ in 0..2 {
        assert_eq!(other.refresh().await.unwrap().scope(), Some("read write"));
    }
    let requests = world.provider.token_requests();
    let scopes: Vec<_> = requests.iter().filter_map(|request| request.param("scope")).collect();
    assert_eq!(scopes, ["read write", "write", "read write", "read write"]);
}

#[tokio::test]
async fn scopes_and_resources_that_none_may_be_are_not_sent() {
    let world = World::new().await;
    let app = world.app();
    for scope in ["a\"b", "a\\b", "a\nb", "a\tb", "é"] {
        let plain = app.token_request("client_credentials").scope(scope);
        let extra = app.token_request("client_credentials").extra_param("scope", scope);
        let grant = world.session().grant(ClientCredentials::new().scope(scope)).build();
        for error in [
            plain.send().await.unwrap_err(),
            extra.send().await.unwrap_err(),
            grant.token().await.unwrap_err(),
        ] {
            assert!(
                error.is_config() && error.to_string().contains("not allowed in a scope"),
                "{error}"
            );
        }
    }
    for resource in ["https://a.example/#x", "/relative", "a b", "#"] {
        let request = app.token_request("client_credentials");
        let error = request.extra_param("resource", resource).send().await.unwrap_err();
        assert!(error.is_config(), "{resource}: {error}");
    }
    assert_eq!(world.provider.counts().token_requests, 0);
    for resource in [
        "https://a.example/?a=b",
        "urn:x:y",
        "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d",
        "custom_resource",
    ] {
        let request = app.token_request("client_credentials");
        request.extra_param("resource", resource).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_parameter_of_the_endpoints_query_is_not_sent_again() {
    let world = World::new().await;
    let url = world.provider.token_url();
    for query in ["grant_type=password", "client_id=x", "t=1&client_secret=x", "scope", "%73tate=x"]
    {
        let error = OAuthClient::new("foo", format!("{url}?{query}")).unwrap_err();
        assert!(error.is_config() && error.to_string().contains("query"), "{query}: {error}");
        let error = world.app().authorization_endpoint(format!("{url}?{query}")).unwrap_err();
        assert!(error.is_config(), "{query}");
    }
    let app = OAuthClient::new("foo", format!("{url}?tenant=1")).unwrap().secret("potato");
    let error = app
        .token_request("client_credentials")
        .extra_param("tenant", "2")
        .send()
        .await
        .unwrap_err();
    assert!(error.is_config() && error.to_string().contains("\"tenant\""), "{error}");
    assert_eq!(world.provider.counts().token_requests, 0);
}

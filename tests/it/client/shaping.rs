//! Requests to the provider, shaped: parameters, headers, names, JSON, closures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest_oauth2::testing::{AuthMethod, Fault, RecordedTokenRequest};
use reqwest_oauth2::{
    BoxError, ClientAuthentication, ClientCredentials, OAuthClient, ProviderRequest, RequestKind,
    RequestKinds, Session, TokenTypeHint, presets,
};
use sha2::{Digest, Sha256};
use url::Url;

use crate::login::browse;
use crate::support::{World, pass};

const REDIRECT_URI: &str = "https://me.example/cb";

/// A response that is good for every kind of request.
fn good() -> Fault {
    let body = r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"active":true,
        "device_code":"d","user_code":"u","verification_uri":"https://x.example","interval":1}"#;
    Fault::Reply { status: 200, content_type: "application/json".into(), body: body.into() }
}

/// A client whose endpoints are all the provider's token endpoint, which records what comes.
fn everywhere(world: &World) -> OAuthClient {
    let url = world.provider.token_url();
    let app = world.app().authorization_endpoint(&url).unwrap();
    let app = app.device_authorization_endpoint(&url).unwrap().revocation_endpoint(&url).unwrap();
    app.introspection_endpoint(&url).unwrap().clock(world.clock.reader())
}

/// Sends one request of each kind, and gives them in this order.
async fn one_of_each(world: &World, app: &OAuthClient) -> Vec<(RequestKind, RecordedTokenRequest)> {
    world.provider.fail_always(good());
    let login = app.authorization_code(REDIRECT_URI).unwrap().begin().unwrap();
    login.finish_with_code(app, "c0de").await.unwrap();
    let mut login = app.device_authorization().begin().await.unwrap();
    let (token, ()) = tokio::join!(login.wait(), pass(1));
    token.unwrap();
    let session = Session::builder(app.clone()).token(world.expired_token());
    session.clock(world.clock.reader()).build().refresh().await.unwrap();
    app.token_request("client_credentials").send().await.unwrap();
    app.revoke("t0ken", TokenTypeHint::AccessToken).await.unwrap();
    assert!(app.introspect("t0ken", TokenTypeHint::AccessToken).await.unwrap().active);
    let kinds = [
        RequestKind::AuthorizationCode,
        RequestKind::DeviceAuthorization,
        RequestKind::DeviceToken,
        RequestKind::Refresh,
        RequestKind::OtherGrant,
        RequestKind::Revocation,
        RequestKind::Introspection,
    ];
    let requests = world.provider.token_requests();
    assert_eq!(requests.len(), kinds.len());
    kinds.into_iter().zip(requests).collect()
}

fn header<'a>(request: &'a RecordedTokenRequest, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

fn query(url: &str) -> Vec<(String, String)> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn parameters_and_headers_go_with_their_kind_of_request_and_no_other() {
    for kind in [
        RequestKind::AuthorizationCode,
        RequestKind::DeviceAuthorization,
        RequestKind::DeviceToken,
        RequestKind::Refresh,
        RequestKind::OtherGrant,
        RequestKind::Revocation,
        RequestKind::Introspection,
    ] {
        let world = World::new().await;
        let app = everywhere(&world).request_param(kind, "tenant", "7 a");
        let app = app.request_header(kind, "x-tenant", "7").unwrap();
        for (sent, request) in one_of_each(&world, &app).await {
            let expected = (sent == kind).then_some("7 a");
            assert_eq!(request.param("tenant"), expected, "{sent:?} {kind:?}");
            let expected = (sent == kind).then_some("7");
            assert_eq!(header(&request, "x-tenant"), expected, "{sent:?} {kind:?}");
            assert_eq!(header(&request, "accept"), Some("application/json"));
        }
    }
}

#[tokio::test]
async fn every_kind_can_be_sent_as_json_and_renamed_at_once() {
    let world = World::new().await;
    let app = everywhere(&world)
        .authentication(ClientAuthentication::ClientSecretPost)
        .rename_param(RequestKinds::ALL, "client_id", "client_key")
        .json_requests(RequestKinds::ALL);
    for (kind, request) in one_of_each(&world, &app).await {
        assert_eq!(request.content_type.as_deref(), Some("application/json"), "{kind:?}");
        assert_eq!(request.param("client_key"), Some("foo"), "{kind:?}");
        assert_eq!(request.param("client_id"), None, "{kind:?}");
        assert_eq!(request.param("client_secret"), Some("potato"), "{kind:?}");
    }
}

#[tokio::test]
async fn a_closure_is_given_every_kind_but_the_one_that_a_browser_sends() {
    let world = World::new().await;
    let app = everywhere(&world);
    let url = world.provider.token_url();
    let app = app.shape_requests(RequestKinds::ALL, move |request: ProviderRequest| {
        let is_right = request.url().as_str() == url;
        async move {
            assert!(is_right);
            let kind = format!("{:?}", request.kind());
            Ok(request.param("kind", kind))
        }
    });
    let login = app.authorization_code(REDIRECT_URI).unwrap().begin().unwrap();
    assert!(query(login.url()).iter().all(|(name, _)| name != "kind"));
    for (kind, request) in one_of_each(&world, &app).await {
        assert_eq!(request.param("kind"), Some(&*format!("{kind:?}")));
    }
}

#[tokio::test]
async fn a_json_body_is_an_object_of_texts_and_lists_what_is_repeated() {
    let world = World::with(|p| p.take_json(true)).await;
    let app = world.app().json_requests(RequestKind::OtherGrant);
    let request = app.token_request("client_credentials").scope("read");
    let request = request.extra_param("resource", "https://a.example");
    let request = request.extra_param("resource", "https://b.example");
    request.extra_param("note", "\"\\\n\u{1}é").send().await.unwrap();
    let request = world.provider.token_requests().pop().unwrap();
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        "{\"resource\":[\"https://a.example\",\"https://b.example\"],\"note\":\"\\\"\\\\\\n\\u0001é\",\"grant_type\":\"client_credentials\",\"scope\":\"read\"}"
    );
    assert_eq!(request.authorization.as_deref(), Some("Basic Zm9vOnBvdGF0bw=="));
}

/// Lokalise takes JSON too: the flow as its SDKs have it.
#[tokio::test]
async fn lokalise_in_json() {
    let world = World::with(|p| {
        p.redirect_uri(REDIRECT_URI)
            .auth_methods([AuthMethod::ClientSecretPost])
            .rotation(false)
            .take_json(true)
    })
    .await;
    let app = everywhere(&world)
        .authorization_endpoint(world.provider.authorize_url())
        .unwrap()
        .authentication(ClientAuthentication::ClientSecretPost)
        .json_requests(RequestKinds::TOKEN);
    let login = app.authorization_code(REDIRECT_URI).unwrap().scope("read").begin().unwrap();
    let callback = browse(login.url()).await;
    let token = login.finish(&app, callback).await.unwrap();
    let session = Session::builder(app).token(token).build();
    session.refresh().await.unwrap();
    for request in world.provider.token_requests() {
        assert_eq!(request.content_type.as_deref(), Some("application/json"));
        assert_eq!(request.param("client_secret"), Some("potato"));
    }
}

/// codex exchanges its code as a form and refreshes as JSON.
#[tokio::test]
async fn json_for_the_refresh_alone() {
    let world = World::new().await;
    let app = everywhere(&world).json_requests(RequestKind::Refresh);
    for (kind, request) in one_of_each(&world, &app).await {
        let expected = match kind {
            RequestKind::Refresh => "application/json",
            _ => "application/x-www-form-urlencoded",
        };
        assert_eq!(request.content_type.as_deref(), Some(expected), "{kind:?}");
    }
}

#[tokio::test]
async fn tiktok_has_a_name_of_its_own_for_the_client_id() {
    let world = World::new().await;
    let app = presets::tiktok("k3y").unwrap().secret("potato");
    let login = app.authorization_code(REDIRECT_URI).unwrap().scope("a.b,c.d").begin().unwrap();
    let sent = query(login.url());
    assert!(sent.contains(&("client_key".to_owned(), "k3y".to_owned())), "{sent:?}");
    assert!(sent.iter().all(|(name, _)| name != "client_id"), "{sent:?}");
    // As the preset's, at the provider of this test.
    let app = OAuthClient::new("k3y", world.provider.token_url()).unwrap().secret("potato");
    let app = app.authentication(ClientAuthentication::ClientSecretPost);
    let app = app.rename_param(RequestKinds::ALL, "client_id", "client_key");
    world.provider.fail_next(good());
    app.token_request("authorization_code").param("code", "c").send().await.unwrap();
    let request = world.provider.token_requests().pop().unwrap();
    let names: Vec<_> = request.params.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["grant_type", "code", "client_key", "client_secret"]);
}

/// A workload identity: the platform replaces the file every hour.
#[tokio::test]
async fn an_assertion_from_a_file_is_read_for_each_request() {
    let world = World::new().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let path = file.clone();
    let app = OAuthClient::new("foo", world.provider.token_url()).unwrap();
    let app = app.shape_requests(RequestKinds::ALL, move |request: ProviderRequest| {
        let path = path.clone();
        async move {
            let assertion = tokio::fs::read_to_string(path).await?;
            Ok(request.param("client_assertion", assertion))
        }
    });
    world.provider.fail_always(good());
    // Client credentials are for clients that authenticate themselves; this one does.
    let session = || {
        let session = Session::builder(app.clone()).grant(ClientCredentials::new());
        session.clock(world.clock.reader()).build()
    };
    for assertion in ["first", "second"] {
        std::fs::write(&file, assertion).unwrap();
        session().token().await.unwrap();
        let request = world.provider.token_requests().pop().unwrap();
        assert_eq!(request.param("client_assertion"), Some(assertion));
        assert_eq!((request.param("client_id"), &request.authorization), (Some("foo"), &None));
    }
}

#[tokio::test]
async fn each_attempt_of_a_detection_asks_the_closure_again() {
    let world = World::with(|p| p.auth_methods([AuthMethod::ClientSecretPost])).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let app = world.app().authentication(ClientAuthentication::Detect).shape_requests(
        RequestKind::OtherGrant,
        move |request: ProviderRequest| {
            let n = count.fetch_add(1, Ordering::SeqCst);
            async move { Ok(request.param("n", n.to_string())) }
        },
    );
    app.token_request("client_credentials").send().await.unwrap();
    let requests = world.provider.token_requests();
    let sent: Vec<_> = requests.iter().map(|request| request.param("n").unwrap()).collect();
    assert_eq!((sent, asked.load(Ordering::SeqCst)), (vec!["0", "1"], 2));
}

#[tokio::test]
async fn a_signed_header_signs_the_body_that_is_sent() {
    let world = World::with(|p| p.auth_methods([AuthMethod::ClientSecretPost])).await;
    let hash = |body: &[u8]| format!("{:x?}", Sha256::digest(body));
    let sign = move |request: ProviderRequest| async move {
        assert_eq!(request.grant_type(), Some("client_credentials"));
        let signature = hash(request.body().as_ref());
        Ok::<_, BoxError>(request.header("x-signature", signature)?)
    };
    let app = world.app().authentication(ClientAuthentication::ClientSecretPost);
    // Shapes apply in their order, so the signature comes last.
    let app = app.request_param(RequestKinds::ALL, "tenant", "7");
    let app = app.rename_param(RequestKinds::ALL, "tenant", "realm");
    let app = app.shape_requests(RequestKinds::ALL, sign);
    app.token_request("client_credentials").send().await.unwrap();
    let request = world.provider.token_requests().pop().unwrap();
    assert_eq!(request.param("realm"), Some("7"));
    assert_eq!(request.param("client_secret"), Some("potato"));
    assert_eq!(header(&request, "x-signature"), Some(&*hash(&request.body)));
}

#[tokio::test]
async fn parameters_of_one_request_replace_those_of_all() {
    let world = World::with(|p| p.redirect_uri(REDIRECT_URI)).await;
    let app = everywhere(&world).authorization_param("prompt", "consent").request_param(
        RequestKinds::ALL,
        "tenant",
        "all",
    );
    let request = app.authorization_code(REDIRECT_URI).unwrap().extra_param("tenant", "own");
    let sent = query(request.begin().unwrap().url());
    let of = |name: &str| {
        let values = sent.iter().filter(|(n, _)| n == name);
        values.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!((of("tenant"), of("prompt")), (vec!["own".to_owned()], vec!["consent".to_owned()]));
    app.token_request("client_credentials").extra_param("tenant", "own").send().await.unwrap();
    let request = world.provider.token_requests().pop().unwrap();
    assert_eq!(
        request.params,
        [("tenant".into(), "own".into()), ("grant_type".into(), "client_credentials".into())]
    );
}

#[tokio::test]
async fn each_endpoint_may_be_inside_a_mesh_and_only_where_it_is_said() {
    let (url, new) = ("http://auth.mesh/x", || OAuthClient::new("foo", "https://a.example/t"));
    let new = || new().unwrap();
    assert!(new().authorization_endpoint_over_plain_http(url).is_ok());
    assert!(new().device_authorization_endpoint_over_plain_http(url).is_ok());
    assert!(new().revocation_endpoint_over_plain_http(url).is_ok());
    assert!(new().introspection_endpoint_over_plain_http(url).is_ok());
    let inside = || OAuthClient::new_over_plain_http("foo", url).unwrap();
    for error in [
        inside().authorization_endpoint(url).unwrap_err(),
        inside().device_authorization_endpoint(url).unwrap_err(),
        inside().revocation_endpoint(url).unwrap_err(),
        inside().introspection_endpoint(url).unwrap_err(),
        new().revocation_endpoint_over_plain_http("ftp://a.example").unwrap_err(),
    ] {
        assert!(error.is_config(), "{error}");
    }
    let app = new().authorization_endpoint_over_plain_http(url).unwrap();
    let login = app.authorization_code(REDIRECT_URI).unwrap().begin().unwrap();
    assert!(login.url().starts_with("http://auth.mesh/x?"));
}

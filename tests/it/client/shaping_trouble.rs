//! What shaping may not do, and closures that fail, panic or hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{
    BoxError, ClientAuthentication, ClientCredentials, Error, OAuthClient, ProviderRequest,
    RequestKind, RequestKinds, Session, Token,
};

use crate::support::{World, pass};

/// A closure that does this until it is fixed.
fn broken_until(
    mended: &Arc<AtomicBool>,
    trouble: Trouble,
) -> impl Fn(
    ProviderRequest,
) -> futures_util::future::BoxFuture<'static, Result<ProviderRequest, BoxError>>
+ Send
+ Sync
+ 'static {
    let mended = mended.clone();
    move |request| {
        let mended = mended.load(Ordering::SeqCst);
        if !mended && trouble == Trouble::PanicsAtOnce {
            panic!("before there is a future");
        }
        Box::pin(async move {
            match trouble {
                _ if mended => {}
                Trouble::Fails => return Err("the file is not there".into()),
                Trouble::PanicsLater | Trouble::PanicsAtOnce => panic!("in the future"),
                Trouble::Hangs => std::future::pending().await,
            }
            Ok(request)
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    Fails,
    PanicsAtOnce,
    PanicsLater,
    Hangs,
}

const CLOSURE: &str = "the closure of OAuthClient::shape_requests";

#[tokio::test]
async fn a_closure_that_fails_panics_or_hangs_sends_nothing_and_the_login_stays() {
    for (trouble, text) in [
        (Trouble::Fails, "failed, so nothing was sent to the provider"),
        (Trouble::PanicsAtOnce, "panicked; see the panic message on stderr"),
        (Trouble::PanicsLater, "panicked; see the panic message on stderr"),
        (Trouble::Hangs, "did not finish within 30s, so nothing was sent to the provider"),
    ] {
        let world = World::new().await;
        let mended = Arc::new(AtomicBool::new(false));
        let app = world.app();
        let app = app.shape_requests(RequestKinds::ALL, broken_until(&mended, trouble));
        let token = world.expired_token();
        let session =
            Session::builder(app).token(token.clone()).clock(world.clock.reader()).build();
        let waiting = tokio::spawn({
            let session = session.clone();
            async move { session.token().await }
        });
        world.plain_turns().await;
        if trouble == Trouble::Hangs {
            pass(29).await;
            world.plain_turns().await;
            assert!(!waiting.is_finished());
            pass(1).await;
        }
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), format!("{CLOSURE} {text}"));
        assert_eq!(error.is_timeout(), trouble == Trouble::Hangs);
        assert!(error.is_transient() && !error.is_response_lost());
        assert_eq!(world.provider.counts().token_requests, 0, "{trouble:?}");
        // Nothing was lost, and the same refresh token is presented once it works.
        mended.store(true, Ordering::SeqCst);
        pass(60).await;
        world.clock.forward(60.0);
        session.token().await.unwrap();
        let requests = world.provider.token_requests();
        assert_eq!(requests.len(), 1, "{trouble:?}");
        assert_eq!(requests[0].param("refresh_token"), token.refresh_token());
    }
}

/// The closure asks another provider, and passes on what went wrong there.
#[tokio::test]
async fn a_refresh_token_of_another_provider_in_an_error_of_a_closure_is_not_taken() {
    let (world, other) = (World::new().await, World::new().await);
    other.provider.fail_next(Fault::Reply {
        status: 200,
        content_type: "application/json".into(),
        body: r#"{"refresh_token":"of another provider"}"#.into(),
    });
    let elsewhere = other.app();
    let app = world.app().shape_requests(RequestKinds::ALL, move |request: ProviderRequest| {
        let elsewhere = elsewhere.clone();
        async move {
            elsewhere.token_request("client_credentials").send().await?;
            Ok(request)
        }
    });
    let token = world.expired_token();
    let session = Session::builder(app).token(token.clone()).clock(world.clock.reader()).build();
    let error = session.token().await.unwrap_err();
    assert_eq!(error.to_string(), format!("{CLOSURE} failed, so nothing was sent to the provider"));
    assert!(error.is_transient() && !error.is_response_lost());
    the_next_try_is_the_first_request(&world, &session, &token).await;
}

/// After the backoff the session presents the refresh token, for the first time.
async fn the_next_try_is_the_first_request(world: &World, session: &Session, token: &Token) {
    pass(60).await;
    world.clock.forward(60.0);
    session.token().await.unwrap();
    let requests = world.provider.token_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].param("refresh_token"), token.refresh_token());
}

/// The provider would replace the refresh token, and nobody would hear of it.
#[tokio::test]
async fn after_a_closure_that_leaves_no_time_for_the_answer_nothing_is_sent() {
    let world = World::new().await;
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = mended.clone();
    let app = world.app().shape_requests(RequestKinds::ALL, move |request: ProviderRequest| {
        let is_slow = !is_mended.load(Ordering::SeqCst);
        async move {
            if is_slow {
                tokio::time::sleep(std::time::Duration::from_secs(28)).await;
            }
            Ok(request)
        }
    });
    let token = world.expired_token();
    let session = Session::builder(app).token(token.clone()).clock(world.clock.reader()).build();
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    world.plain_turns().await;
    pass(28).await;
    world.round_trips().await;
    assert_eq!(world.provider.counts().token_requests, 0);
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the preparation of the request did not finish within 30s, so nothing was sent to the provider"
    );
    assert!(error.is_timeout() && error.is_transient() && !error.is_response_lost());
    mended.store(true, Ordering::SeqCst);
    the_next_try_is_the_first_request(&world, &session, &token).await;
}

#[tokio::test]
async fn the_closures_time_is_part_of_the_requests() {
    let world = World::new().await;
    let _paused = world.provider.pause_token_requests();
    let app = world.app().shape_requests(RequestKinds::ALL, |request: ProviderRequest| async {
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
        Ok(request)
    });
    let request = tokio::spawn(async move { app.token_request("client_credentials").send().await });
    world.plain_turns().await;
    pass(20).await;
    world.provider.wait_for_token_requests(1).await;
    pass(9).await;
    world.plain_turns().await;
    assert!(!request.is_finished());
    pass(1).await;
    let error = request.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "no complete response from the token endpoint within 30s");
}

#[tokio::test]
async fn nothing_overrides_the_protocol() {
    let world = World::new().await;
    let token = world.expired_token();
    let app = world.app().authentication(ClientAuthentication::ClientSecretPost);
    let app = app.request_param(RequestKinds::ALL, "client_secret", "mine");
    let app = app.shape_requests(RequestKinds::ALL, |request: ProviderRequest| async {
        Ok(request.param("grant_type", "mine").param("refresh_token", "mine"))
    });
    let session = Session::builder(app).token(token.clone()).clock(world.clock.reader()).build();
    session.refresh().await.unwrap();
    let request = world.provider.token_requests().pop().unwrap();
    let params: Vec<_> = request.params.iter().map(|(n, v)| (&**n, &**v)).collect();
    assert_eq!(
        params,
        [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.refresh_token().unwrap()),
            ("client_id", "foo"),
            ("client_secret", "potato"),
        ]
    );
}

#[tokio::test]
async fn nothing_overrides_the_protocol_in_json_either() {
    let world = World::new().await;
    world.provider.fail_next(Fault::Reply {
        status: 200,
        content_type: "application/json".into(),
        body: r#"{"access_token":"at"}"#.into(),
    });
    let token = world.expired_token();
    let all = RequestKinds::ALL;
    let app = world.app().authentication(ClientAuthentication::ClientSecretPost);
    let app = app.json_requests(all).request_param(all, "grant_type", "mine");
    let app = app.request_param(all, "client_secret", "mine").request_param(all, "own", "1");
    let app = app.shape_requests(all, |request: ProviderRequest| async {
        Ok(request.param("client_id", "mine").param("refresh_token", "mine").param("own", "2"))
    });
    let session = Session::builder(app).token(token.clone()).clock(world.clock.reader()).build();
    session.refresh().await.unwrap();
    let request = world.provider.token_requests().pop().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "grant_type": "refresh_token",
            "refresh_token": token.refresh_token().unwrap(),
            "client_id": "foo",
            "client_secret": "potato",
            "own": ["1", "2"],
        })
    );
}

async fn refused(app: OAuthClient) -> Error {
    let error = app.token_request("client_credentials").send().await.unwrap_err();
    assert!(error.is_config(), "{error}");
    error
}

#[tokio::test]
async fn what_cannot_be_sent_is_an_error_before_it_is() {
    let world = World::new().await;
    let all = RequestKinds::ALL;
    // A rename over a parameter of the protocol.
    let renamed = world.app().request_param(all, "a", "1").rename_param(all, "a", "grant_type");
    assert_eq!(
        refused(renamed).await.to_string(),
        "the parameter \"a\" is renamed to \"grant_type\", which the request has already; give it another name"
    );
    // Two ways of authentication: one of them is a header, or comes from a closure.
    let with_header = world.app().request_header(all, "authorization", "Bearer x").unwrap();
    assert!(refused(with_header).await.to_string().contains("leave OAuthClient::secret out"));
    let asserted = |request: ProviderRequest| async { Ok(request.param("client_assertion", "x")) };
    let with_assertion = world.app().shape_requests(all, asserted);
    assert!(refused(with_assertion).await.to_string().contains("leave OAuthClient::secret out"));
    let public = || OAuthClient::new("foo", world.provider.token_url()).unwrap();
    let both = public().request_header(all, "authorization", "Bearer x").unwrap();
    assert!(refused(both.shape_requests(all, asserted)).await.to_string().contains("one way"));
    // Headers of the body, and such as none may be.
    for (name, value) in [
        ("content-type", "text/plain"),
        ("Content-Length", "1"),
        ("transfer-encoding", "chunked"),
        ("no name", "x"),
        ("x-ok", "a\nb"),
    ] {
        assert!(world.app().request_header(all, name, value).unwrap_err().is_config(), "{name}");
        let app = world.app().shape_requests(all, move |request: ProviderRequest| async move {
            Ok(request.header(name, value)?)
        });
        // The closure passes our error on, and it stays what it is.
        refused(app).await;
    }
    // What is in the endpoint's own query, by the name that is sent.
    let url = format!("{}?realm=1", world.provider.token_url());
    let app = OAuthClient::new("foo", url).unwrap().secret("potato");
    let app = app.request_param(all, "tenant", "2").rename_param(all, "tenant", "realm");
    assert!(refused(app).await.to_string().contains("\"realm\""));
    assert_eq!(world.provider.counts().token_requests, 0);
    // A header of a public client alone is a way.
    let alone = public().request_header(all, "authorization", "Bearer x").unwrap();
    assert!(!alone.token_request("client_credentials").send().await.unwrap_err().is_config());
    let request = world.provider.token_requests().pop().unwrap();
    assert_eq!(request.authorization.as_deref(), Some("Bearer x"));
}

#[tokio::test]
async fn what_tokens_are_issued_for_is_part_of_the_key_and_no_closures_business() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let session = |app: OAuthClient| {
        let session = Session::builder(app).clock(world.clock.reader());
        session.grant(ClientCredentials::new()).store(store.clone(), "me").build()
    };
    let plain = session(world.app()).token().await.unwrap();
    let for_audience = world.app().request_param(RequestKind::OtherGrant, "audience", "backend");
    let other = session(for_audience.clone()).token().await.unwrap();
    assert_ne!(plain.access_token(), other.access_token());
    // Each of them finds its own.
    let again = session(for_audience).token().await.unwrap();
    assert_eq!(again.access_token(), other.access_token());
    assert_eq!(world.provider.counts().token_requests, 2);
    for name in ["scope", "resource", "audience"] {
        let app = world
            .app()
            .shape_requests(RequestKinds::ALL, move |request: ProviderRequest| async move {
                Ok(request.param(name, "urn:x"))
            });
        assert!(refused(app).await.to_string().contains("OAuthClient::request_param"));
        // Nor can another parameter become one of them.
        let kind = RequestKind::OtherGrant;
        let app = || world.app().request_param(kind, "for", "urn:x");
        let by_closure = app().shape_requests(kind, move |request: ProviderRequest| async move {
            Ok(request.rename("for", name))
        });
        for app in [app().rename_param(kind, "for", name), by_closure] {
            let expected = format!(
                "the parameter \"for\" is renamed to {name:?}, which a store has to know beforehand; give it as {name:?}"
            );
            assert_eq!(refused(app).await.to_string(), expected);
        }
    }
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn an_error_of_a_closure_that_repeats_the_request_shows_no_secret() {
    let world = World::new().await;
    let app = world
        .app()
        .secret("p0tato pie")
        .authentication(ClientAuthentication::ClientSecretPost)
        .request_header(RequestKinds::ALL, "x-api-key", "h3ader-secret")
        .unwrap()
        .shape_requests(RequestKinds::ALL, |request: ProviderRequest| async move {
            let body = String::from_utf8_lossy(request.body().as_ref()).into_owned();
            let inner = std::io::Error::other(format!("cannot sign {body} with h3ader-secret"));
            Err(format!("the HSM refused: {inner}").into())
        });
    let error = app.token_request("client_credentials").send().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("the HSM refused: cannot sign grant_type="), "{cause}");
    for secret in ["p0tato", "h3ader-secret"] {
        assert!(!format!("{error} {error:?} {cause}").contains(secret), "{error:?}");
    }
    // Any other one is as it was.
    let app = world
        .app()
        .shape_requests(RequestKinds::ALL, |_| async { Err(std::io::Error::other("down").into()) });
    let error = app.token_request("client_credentials").send().await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().is::<std::io::Error>());
}

#[tokio::test]
async fn no_shaped_value_is_shown() {
    let world = World::new().await;
    let app = world
        .app()
        .request_param(RequestKinds::ALL, "device_fingerprint", "p4ram-secret")
        .request_header(RequestKinds::ALL, "x-api-key", "h3ader-secret")
        .unwrap()
        .request_header(RequestKinds::ALL, "x-auth", "Token cr3dential-secret")
        .unwrap()
        .shape_requests(RequestKinds::ALL, |request: ProviderRequest| async {
            let request = request.param("proof", "cl0sure-secret");
            let request = request.header("x-proof", "cl0sure-header")?;
            let shown = format!("{request:?}");
            assert!(shown.contains("x-api-key") && shown.contains("device_fingerprint"), "{shown}");
            assert!(!shown.contains("secret") || !shown.contains("0sure"), "{shown}");
            for value in ["p4ram", "h3ader", "cr3dential", "cl0sure", "potato"] {
                assert!(!shown.contains(value), "{shown}");
            }
            Ok(request)
        });
    let body = r#"{"error":"invalid_request","error_description":"p4ram-secret h3ader-secret cr3dential-secret cl0sure-secret cl0sure-header end"}"#;
    world.provider.fail_next(Fault::Reply {
        status: 400,
        content_type: "application/json".into(),
        body: body.into(),
    });
    let shown_client = format!("{app:?}");
    let error = app.token_request("client_credentials").send().await.unwrap_err();
    assert_eq!(
        error.error_description(),
        Some("[redacted] [redacted] [redacted] [redacted] [redacted] end")
    );
    for value in ["p4ram", "h3ader", "cr3dential"] {
        assert!(!shown_client.contains(value), "{shown_client}");
    }
}

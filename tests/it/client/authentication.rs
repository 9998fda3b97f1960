//! Client authentication, and what goes into a token request.

use std::time::Duration;

use reqwest_oauth2::testing::{AuthMethod, Fault, RecordedTokenRequest};
use reqwest_oauth2::{
    ClientAuthentication, ClientCredentials, OAuthClient, Session, TokenTypeHint,
};

use crate::support::{World, pass};

fn pairs(request: &RecordedTokenRequest) -> Vec<(&str, &str)> {
    request.params.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[tokio::test]
async fn basic_is_the_default_with_a_secret() {
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    session.refresh().await.unwrap();
    let requests = world.provider.token_requests();
    assert_eq!(requests[0].authorization.as_deref(), Some("Basic Zm9vOnBvdGF0bw=="));
    assert_eq!(requests[0].content_type.as_deref(), Some("application/x-www-form-urlencoded"));
    let names: Vec<_> = requests[0].params.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["grant_type", "refresh_token"]);
    assert_eq!(requests[0].param("grant_type"), Some("refresh_token"));
}

#[tokio::test]
async fn what_was_read_from_files_is_sent_without_their_line_ends() {
    let world = World::new().await;
    let token = world.expired_token();
    let refresh_token = token.refresh_token().unwrap();
    let url = world.provider.token_url();
    let app = OAuthClient::new("foo\n", url).unwrap().secret("potato\r\n");
    let read = format!("{refresh_token}\n");
    assert_eq!(token.clone().with_refresh_token(&*read).refresh_token(), Some(refresh_token));
    let session = Session::builder(app).refresh_token(read).clock(world.clock.reader()).build();
    session.refresh().await.unwrap();
    let requests = world.provider.token_requests();
    assert_eq!(requests[0].authorization.as_deref(), Some("Basic Zm9vOnBvdGF0bw=="));
    assert_eq!(requests[0].param("refresh_token"), Some(refresh_token));
}

#[tokio::test]
async fn post_puts_id_and_secret_into_the_body_and_nowhere_else() {
    let world = World::with(|p| p.auth_methods([AuthMethod::ClientSecretPost])).await;
    let app = world.app().authentication(ClientAuthentication::ClientSecretPost);
    app.token_request("client_credentials").send().await.unwrap();
    let requests = world.provider.token_requests();
    assert_eq!(requests[0].authorization, None);
    assert_eq!(requests[0].query, None);
    assert_eq!(
        pairs(&requests[0]),
        [("grant_type", "client_credentials"), ("client_id", "foo"), ("client_secret", "potato")]
    );
}

#[tokio::test]
async fn a_public_client_sends_its_id() {
    let world = World::with(|p| p.public_client("cli")).await;
    let app = OAuthClient::new("cli", world.provider.token_url() + "?t=1").unwrap();
    let token = world.expired_token();
    let session =
        Session::builder(app.clone()).token(token.clone()).clock(world.clock.reader()).build();
    session.refresh().await.unwrap();
    let requests = world.provider.token_requests();
    assert_eq!(requests[0].query.as_deref(), Some("t=1"));
    assert_eq!(
        pairs(&requests[0]),
        [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.refresh_token().unwrap()),
            ("client_id", "cli")
        ]
    );
    // It has nothing to get a token of its own with, and is not sent to try.
    let session = Session::builder(app).grant(ClientCredentials::new()).build();
    assert!(session.token().await.unwrap_err().is_config());
    assert_eq!(world.provider.token_requests().len(), 1);
}

#[tokio::test]
async fn detection_finds_the_method_once_and_presents_the_refresh_token_to_no_one_twice() {
    use AuthMethod::{ClientSecretBasic as Basic, ClientSecretPost as Post};
    for (methods, requests) in [(vec![Basic], 1), (vec![Post], 2), (vec![Basic, Post], 1)] {
        let world = World::with(|p| p.auth_methods(methods)).await;
        let app = world.app().authentication(ClientAuthentication::Detect);
        let session = |app: OAuthClient| {
            Session::builder(app).token(world.expired_token()).clock(world.clock.reader()).build()
        };
        session(app.clone()).refresh().await.unwrap();
        assert_eq!(world.provider.counts().token_requests, requests);
        // Remembered by the client and its clones.
        session(app.clone()).refresh().await.unwrap();
        let counts = world.provider.counts();
        assert_eq!((counts.token_requests, counts.reuse_detected), (requests + 1, 0));
    }
}

/// "introspection_endpoint_auth_methods_supported" (RFC 8414 §2): servers do differ.
#[tokio::test]
async fn detection_finds_a_method_for_each_endpoint() {
    use AuthMethod::{ClientSecretBasic as Basic, ClientSecretPost as Post};
    for (of_token, of_others) in [(Basic, Post), (Post, Basic)] {
        let world = World::with(|p| p.auth_methods([of_token])).await;
        let other = World::with(|p| p.auth_methods([of_others])).await;
        let app = world.app().authentication(ClientAuthentication::Detect);
        let app = app.introspection_endpoint(other.provider.introspection_url()).unwrap();
        let app = app.revocation_endpoint(other.provider.revocation_url()).unwrap();
        for _ in 0..2 {
            app.token_request("client_credentials").send().await.unwrap();
            app.introspect("x", TokenTypeHint::AccessToken).await.unwrap();
            app.token_request("client_credentials").send().await.unwrap();
            app.revoke("x", TokenTypeHint::AccessToken).await.unwrap();
        }
        // It was found once.
        let requests = if of_token == Basic { 4 } else { 5 };
        assert_eq!(world.provider.counts().token_requests, requests);
    }
}

#[tokio::test]
async fn a_method_that_was_found_and_is_refused_later_is_looked_for_again() {
    let world = World::new().await;
    let app = world.app().authentication(ClientAuthentication::Detect);
    let invalid_client = || json(401, r#"{"error":"invalid_client"}"#);
    // Post is found, then Basic again.
    for _ in 0..2 {
        world.provider.fail_next(invalid_client());
        app.token_request("client_credentials").send().await.unwrap();
    }
    let requests = world.provider.token_requests();
    let are_basic: Vec<_> = requests.iter().map(|r| r.authorization.is_some()).collect();
    assert_eq!(are_basic, [true, false, false, true]);
    app.token_request("client_credentials").send().await.unwrap();
    assert!(world.provider.token_requests().pop().unwrap().authorization.is_some());
}

/// It may be what a server says that does not look for the client there.
#[tokio::test]
async fn a_method_that_the_server_calls_an_invalid_request_is_not_remembered() {
    let world = World::new().await;
    let app = world.app().authentication(ClientAuthentication::Detect);
    world.provider.fail_next(json(401, r#"{"error":"invalid_client"}"#));
    world.provider.fail_next(json(400, r#"{"error":"invalid_request"}"#));
    let error = app.token_request("client_credentials").send().await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_request"));
    app.token_request("client_credentials").send().await.unwrap();
    let requests = world.provider.token_requests();
    let are_basic: Vec<_> = requests.iter().map(|r| r.authorization.is_some()).collect();
    assert_eq!(are_basic, [true, false, true]);
}

fn json(status: u16, body: &str) -> Fault {
    let content_type = "application/json".to_owned();
    Fault::Reply { status, content_type, body: body.to_owned() }
}

#[tokio::test]
async fn detection_goes_on_wherever_the_client_was_not_accepted() {
    for fault in [
        Fault::OAuthError { status: 401, code: "invalid_client".to_owned() },
        Fault::OAuthError { status: 400, code: "invalid_client".to_owned() },
        Fault::OAuthError { status: 403, code: "unauthorized_client".to_owned() },
        Fault::OAuthError { status: 400, code: "unauthorized_client".to_owned() },
        Fault::OAuthError { status: 200, code: "incorrect_client_credentials".to_owned() },
        Fault::Status(401),
        json(401, r#"{"message":"who are you?"}"#),
        json(401, r#"{"errors":[{"errorType":"invalid_client"}]}"#),
    ] {
        // A part of each code is a secret of the request: it is compared as it was received.
        for secret in ["potato", "client", "invalid", "a"] {
            let world = World::with(|p| {
                p.client("foo", secret).auth_methods([AuthMethod::ClientSecretPost])
            })
            .await;
            world.provider.fail_next(fault.clone());
            let app = OAuthClient::new("foo", world.provider.token_url()).unwrap();
            let app = app.secret(secret).authentication(ClientAuthentication::Detect);
            let session = |app: OAuthClient| {
                Session::builder(app)
                    .token(world.expired_token())
                    .clock(world.clock.reader())
                    .build()
            };
            session(app.clone()).refresh().await.unwrap();
            session(app).refresh().await.unwrap();
            let counts = world.provider.counts();
            assert_eq!((counts.token_requests, counts.reuse_detected), (3, 0), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn detection_stops_at_any_other_answer() {
    for fault in [
        Fault::OAuthError { status: 400, code: "invalid_grant".to_owned() },
        Fault::OAuthError { status: 401, code: "invalid_grant".to_owned() },
        Fault::OAuthError { status: 401, code: "bad_refresh_token".to_owned() },
        Fault::OAuthError { status: 400, code: "invalid_request".to_owned() },
        Fault::OAuthError { status: 401, code: "who_knows".to_owned() },
        Fault::OAuthError { status: 503, code: "temporarily_unavailable".to_owned() },
        Fault::Status(400),
        Fault::Status(403),
        Fault::Status(503),
        Fault::HtmlPage,
        Fault::CloseAfterIssue,
    ] {
        let world = World::new().await;
        world.provider.fail_always(fault.clone());
        let app = world.app().authentication(ClientAuthentication::Detect);
        assert!(app.token_request("client_credentials").send().await.is_err());
        assert_eq!(world.provider.counts().token_requests, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn detection_stops_at_a_code_that_ends_the_login() {
    let world = World::new().await;
    let code = "unauthorized_client".to_owned();
    world.provider.fail_always(Fault::OAuthError { status: 400, code });
    let app = world.app().authentication(ClientAuthentication::Detect);
    let app = app.ends_login("unauthorized_client");
    let session =
        Session::builder(app).token(world.expired_token()).clock(world.clock.reader()).build();
    assert!(session.refresh().await.unwrap_err().is_reauthorization_required());
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn both_attempts_of_a_detection_share_one_time_limit() {
    let world = World::with(|p| p.auth_methods([AuthMethod::ClientSecretPost])).await;
    let first = world.provider.pause_token_requests();
    let app = world.app().authentication(ClientAuthentication::Detect);
    let request = tokio::spawn(async move {
        app.timeout(Duration::from_secs(30)).token_request("client_credentials").send().await
    });
    world.provider.wait_for_token_requests(1).await;
    pass(20).await;
    drop(first);
    let _second = world.provider.pause_token_requests();
    world.provider.wait_for_token_requests(2).await;
    pass(9).await;
    world.round_trips().await;
    assert!(!request.is_finished());
    pass(1).await;
    assert!(request.await.unwrap().unwrap_err().is_timeout());
}

#[tokio::test]
async fn every_request_to_the_provider_has_a_user_agent() {
    let ours = concat!("reqwest-oauth2/", env!("CARGO_PKG_VERSION"));
    let named = || reqwest::Client::builder().no_proxy().user_agent("theirs/1").build().unwrap();
    let world = World::new().await;
    let agent = || world.provider.token_requests().pop().unwrap().user_agent;
    for (app, expected) in [
        (world.app(), Some(ours)),
        (world.app().user_agent("mine/2").unwrap(), Some("mine/2")),
        (world.app().http_client(named()), Some("theirs/1")),
        (world.app().http_client(named()).user_agent("mine/2").unwrap(), Some("mine/2")),
        (world.app().http_client(crate::support::plain_http()), None),
    ] {
        app.token_request("client_credentials").send().await.unwrap();
        assert_eq!(agent().as_deref(), expected);
    }
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
    app.secret("potato").token_request("client_credentials").send().await.unwrap();
    assert_eq!(agent().as_deref(), Some(ours));
    assert!(world.app().user_agent("no\nway").unwrap_err().is_config());
}

#[tokio::test]
async fn extra_parameters_go_to_the_refresh_and_override_nothing() {
    let world = World::new().await;
    let token = world.expired_token();
    let app = world
        .app()
        .refresh_param("client_id", "foo")
        .refresh_param("scope", "read")
        .refresh_param("resource", "https://a.example")
        .refresh_param("resource", "https://b.example")
        .refresh_param("grant_type", "password")
        .refresh_param("refresh_token", "mine");
    world.provider.fail_next(Fault::OAuthError { status: 503, code: "server_error".to_owned() });
    let session =
        Session::builder(app.clone()).token(token.clone()).clock(world.clock.reader()).build();
    let http = world.http(&session);
    // Nothing of an API request reaches the token endpoint.
    let request = http.post(world.provider.api_url() + "?q=1").body("scope=x").send();
    assert!(request.await.is_err());
    let requests = world.provider.token_requests();
    assert_eq!(
        pairs(&requests[0]),
        [
            ("client_id", "foo"),
            ("scope", "read"),
            ("resource", "https://a.example"),
            ("resource", "https://b.example"),
            ("grant_type", "refresh_token"),
            ("refresh_token", token.refresh_token().unwrap()),
        ]
    );
    assert_eq!(requests[0].query, None);
    // Nor do they go with any other grant.
    app.token_request("client_credentials").send().await.unwrap();
    assert_eq!(pairs(&world.provider.token_requests()[1]), [("grant_type", "client_credentials")]);
}

#[tokio::test]
async fn two_ways_of_authentication_in_one_request_are_an_error_before_it_is_sent() {
    let world = World::new().await;
    let app = world.app().refresh_param("client_secret", "potato");
    let session =
        Session::builder(app).token(world.expired_token()).clock(world.clock.reader()).build();
    let error = session.refresh().await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("ClientSecretPost"), "{error}");
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_method_that_needs_a_secret_says_so() {
    let world = World::new().await;
    for method in [
        ClientAuthentication::ClientSecretBasic,
        ClientAuthentication::ClientSecretPost,
        ClientAuthentication::Detect,
    ] {
        let app =
            OAuthClient::new("foo", world.provider.token_url()).unwrap().authentication(method);
        let error = app.token_request("client_credentials").send().await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains("OAuthClient::secret"));
    }
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn the_applications_own_http_client_and_its_middleware_carry_token_requests() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Count(Arc<AtomicUsize>);
    #[async_trait::async_trait]
    impl reqwest_middleware::Middleware for Count {
        async fn handle(
            &self,
            request: reqwest::Request,
            extensions: &mut http::Extensions,
            next: reqwest_middleware::Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            self.0.fetch_add(1, Ordering::SeqCst);
            next.run(request, extensions).await
        }
    }
    let world = World::new().await;
    let seen = Arc::new(AtomicUsize::new(0));
    let own = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let own = reqwest_middleware::ClientBuilder::new(own).with(Count(seen.clone())).build();
    let session = Session::builder(world.app().http_client(own))
        .clock(world.clock.reader())
        .token(world.expired_token())
        .build();
    session.refresh().await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_client_without_an_id_sends_none() {
    let world = World::new().await;
    let app = OAuthClient::new("", world.provider.token_url()).unwrap();
    app.token_request("client_credentials").send().await.unwrap_err();
    assert_eq!(pairs(&world.provider.token_requests()[0]), [("grant_type", "client_credentials")]);
    let app = app
        .secret("potato")
        .authentication(ClientAuthentication::ClientSecretPost)
        .authorization_endpoint(world.provider.authorize_url())
        .unwrap();
    app.token_request("client_credentials").send().await.unwrap_err();
    assert_eq!(
        pairs(&world.provider.token_requests()[1]),
        [("grant_type", "client_credentials"), ("client_secret", "potato")]
    );
}

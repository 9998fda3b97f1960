//! Grants: client credentials, and the application's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{
    ClientCredentials, Error, Grant, GrantContext, JwtBearer, Session, Token, TokenExchange,
    TypedToken,
};

use crate::support::{World, pass};

#[tokio::test]
async fn client_credentials_fetch_at_the_first_request_and_again_at_expiry() {
    let world = World::new().await;
    let session = world
        .saving()
        .grant(ClientCredentials::new().scope("read").extra_param("audience", "x"))
        .build();
    let http = world.http(&session);
    assert_eq!(world.provider.counts().token_requests, 0);
    for _ in 0..3 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    let requests = world.provider.token_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].param("grant_type"), Some("client_credentials"));
    assert_eq!(requests[0].param("scope"), Some("read"));
    assert_eq!(requests[0].param("audience"), Some("x"));
    world.clock.forward(3600.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 2);
    assert_eq!(world.saved.count(), 2);
}

#[tokio::test]
async fn a_grant_stands_in_for_a_refresh_token_that_is_no_longer_accepted() {
    let world = World::with(|p| p.issue_refresh_token_for_client_credentials(true)).await;
    let session = world.saving().grant(ClientCredentials::new()).build();
    session.token().await.unwrap();
    world.clock.forward(3600.0);
    session.token().await.unwrap();
    world.provider.revoke_families();
    world.clock.forward(3600.0);
    let token = session.token().await.unwrap();
    assert!(world.provider.accepts_access_token(token.access_token()));
    let grants: Vec<_> = world
        .provider
        .token_requests()
        .iter()
        .map(|r| r.param("grant_type").unwrap().to_owned())
        .collect();
    assert_eq!(
        grants,
        ["client_credentials", "refresh_token", "refresh_token", "client_credentials"]
    );
}

#[tokio::test]
async fn an_applications_own_source_needs_no_client() {
    let world = World::new().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let (counter, provider) = (calls.clone(), world.provider.clone());
    let session = Session::from_grant(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let response = provider.log_in();
        async move { Token::new(response["access_token"].as_str().unwrap()) }
    })
    .clock(world.clock.reader())
    .build();
    let http = world.http(&session);
    for _ in 0..3 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    world.provider.revoke_access_tokens();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn an_own_grant_may_use_the_client_and_see_the_token_before() {
    struct Password;
    #[async_trait::async_trait]
    impl Grant for Password {
        async fn token(&self, context: &GrantContext<'_>) -> Result<Token, Error> {
            assert!(context.previous_token().is_none());
            let request = context.client()?.token_request("password");
            request.param("username", "johndoe").param("password", "A3ddj3w").send().await
        }
    }
    let world = World::new().await;
    let session = world.session().grant(Password).build();
    assert!(world.provider.accepts_access_token(session.token().await.unwrap().access_token()));
    let error = Session::from_grant(Password).build().token().await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("Session::builder"), "{error}");
}

#[tokio::test]
async fn an_answer_of_an_own_grant_keeps_the_refresh_token_that_it_leaves_out() {
    struct Own;
    #[async_trait::async_trait]
    impl Grant for Own {
        async fn token(&self, context: &GrantContext<'_>) -> Result<Token, Error> {
            let previous = context.previous_token().and_then(Token::refresh_token);
            assert_eq!(previous, Some("kept"));
            Token::new("new")
        }
    }
    let world = World::new().await;
    let old = Token::new("old").unwrap().with_refresh_token("kept");
    let expired = old.with_expires_at(world.clock.now().into());
    let saved = world.saved.clone();
    let session = Session::from_grant(Own)
        .token(expired)
        .clock(world.clock.reader())
        .on_new_token(move |token: Token| {
            saved.push(token);
            async { Ok::<(), std::io::Error>(()) }
        })
        .build();
    for _ in 0..2 {
        let token = session.refresh().await.unwrap();
        assert_eq!((token.access_token(), token.refresh_token()), ("new", Some("kept")));
    }
    assert_eq!(world.saved.last().refresh_token(), Some("kept"));
}

#[tokio::test]
async fn a_grants_token_with_a_deadline_in_the_past_is_used_until_a_401() {
    for hours in [0, 2, 24 * 365 * 60] {
        let world = World::new().await;
        let expires_at = world.clock.now() - Duration::from_secs(hours * 3600);
        let (calls, provider) = (Arc::new(AtomicUsize::new(0)), world.provider.clone());
        let counter = calls.clone();
        let session = Session::from_grant(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            let response = provider.log_in();
            let token = Token::new(response["access_token"].as_str().unwrap());
            async move { Ok(token?.with_expires_at(expires_at.into())) }
        })
        .clock(world.clock.reader())
        .build();
        let http = world.http(&session);
        for _ in 0..5 {
            assert_eq!(world.get(&http).await.unwrap(), 200);
        }
        assert_eq!(session.token().await.unwrap().expires_at(), None);
        assert_eq!(calls.load(Ordering::SeqCst), 1, "{hours}");
        world.provider.revoke_access_tokens();
        assert_eq!(world.get(&http).await.unwrap(), 200);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_grant_keeps_what_its_answer_leaves_out() {
    let world = World::new().await;
    let old: Token = serde_json::from_value(serde_json::json!({
        "access_token": "old", "refresh_token": "kept", "expires_at": 5, "scope": "read",
        "instance_url": "https://eu1.example", "id_token": "e.y.J",
    }))
    .unwrap();
    let session = Session::from_grant(|| async { Token::new("new") })
        .clock(world.clock.reader())
        .token(old.clone())
        .build();
    let token = session.token().await.unwrap();
    assert_eq!((token.access_token(), token.refresh_token()), ("new", Some("kept")));
    assert_eq!((token.scope(), token.extra()), (Some("read"), old.extra()));
    assert_eq!(token.expires_at(), None, "the deadline is the old access token's");
}

#[tokio::test]
async fn a_grant_must_return_an_access_token() {
    let alone = r#"{"refresh_token": "rt"}"#;
    let session = Session::from_grant(move || async move {
        serde_json::from_str::<Token>(alone).map_err(Error::transient)
    })
    .build();
    let error = session.token().await.unwrap_err();
    assert!(error.is_config(), "{error}");
}

#[tokio::test]
async fn a_grant_that_was_refused_once_is_asked_again_after_a_minute() {
    let world = World::with(|p| p.accept_assertions(|_| true)).await;
    let jwt = JwtBearer::new(|| async { Ok::<_, Error>("signed".to_owned()) });
    let exchange = TokenExchange::new(|| async { Ok::<_, Error>(TypedToken::jwt("a.b.c")) });
    for (n, session) in (1..)
        .step_by(2)
        .zip([world.session().grant(jwt).build(), world.session().grant(exchange).build()])
    {
        let code = "invalid_grant".to_owned();
        world.provider.fail_next(Fault::OAuthError { status: 400, code });
        for _ in 0..5 {
            let error = session.token().await.unwrap_err();
            assert_eq!(error.error_code(), Some("invalid_grant"));
            assert!(!error.is_reauthorization_required(), "{error}");
        }
        pass(59).await;
        assert!(session.token().await.is_err());
        assert_eq!(world.provider.counts().token_requests, n);
        pass(2).await;
        session.token().await.unwrap();
        assert_eq!(world.provider.counts().token_requests, n + 1);
    }
}

/// A session whose grant fails as told; and the calls it has had.
fn failing(fail: impl Fn() -> Error + Send + Sync + 'static) -> (Session, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let session = Session::from_grant(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let error = fail();
        async move { Err::<Token, _>(error) }
    });
    (session.build(), calls)
}

#[tokio::test]
async fn an_own_grant_says_what_may_pass_and_what_will_not() {
    let (session, calls) = failing(|| Error::transient("the vault is sealed"));
    for _ in 0..3 {
        let error = session.token().await.unwrap_err();
        assert!(error.is_transient());
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the vault is sealed");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    pass(30).await;
    assert!(session.token().await.is_err());
    assert_eq!(calls.load(Ordering::SeqCst), 2);

    let (session, calls) = failing(|| Error::permanent("no such role"));
    for _ in 0..3 {
        assert!(session.token().await.unwrap_err().is_reauthorization_required());
        pass(59).await;
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2, "asked again after a minute, not before");
}

#[tokio::test]
async fn a_grant_that_panics_is_an_error_with_backoff() {
    let (session, calls) = failing(|| panic!("on purpose"));
    for _ in 0..3 {
        let error = session.token().await.unwrap_err();
        assert!(error.is_transient());
        assert_eq!(error.to_string(), "the grant panicked; see the panic message on stderr");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_grant_that_never_returns_is_given_up() {
    let session = Session::from_grant(std::future::pending::<Result<Token, Error>>)
        .grant_timeout(Duration::from_millis(10))
        .build();
    let error = session.token().await.unwrap_err();
    assert!(error.is_timeout() && error.is_transient());
    assert_eq!(error.to_string(), "the grant did not return a token within 10ms");
}

#[tokio::test]
async fn a_jwt_bearer_session_asks_for_a_new_assertion_for_every_token() {
    let world =
        World::with(|p| p.accept_assertions(|assertion| assertion.starts_with("signed-"))).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let grant = JwtBearer::new(move || {
        let jti = counter.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, Error>(format!("signed-{jti}")) }
    });
    let session = world.saving().grant(grant.scope("read").extra_param("audience", "x")).build();
    let http = world.http(&session);
    for _ in 0..2 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
        world.clock.forward(3600.0);
    }
    let requests = world.provider.token_requests();
    assert_eq!(requests.len(), 2);
    for (jti, request) in requests.iter().enumerate() {
        assert_eq!(
            request.param("grant_type"),
            Some("urn:ietf:params:oauth:grant-type:jwt-bearer")
        );
        assert_eq!(request.param("assertion"), Some(&*format!("signed-{jti}")));
        assert_eq!((request.param("scope"), request.param("audience")), (Some("read"), Some("x")));
    }
}

#[tokio::test]
async fn an_assertion_that_cannot_be_made_may_pass_and_one_that_is_refused_does_not() {
    let world = World::with(|p| p.accept_assertions(|_| false)).await;
    let failing = JwtBearer::new(|| async { Err::<String, _>(std::io::Error::other("no key")) });
    // What will not pass by itself, the application says, as in a grant of its own.
    let gone = JwtBearer::new(|| async { Err::<String, _>(Error::permanent("no such user")) });
    let exchange = TokenExchange::new(|| async { Ok::<_, Error>(TypedToken::jwt("a.b.c")) });
    let no_actor =
        exchange.actor(|| async { Err::<TypedToken, _>(Error::permanent("no such actor")) });
    for session in [world.session().grant(gone).build(), world.session().grant(no_actor).build()] {
        let error = session.token().await.unwrap_err();
        assert!(error.is_reauthorization_required() && !error.is_transient(), "{error}");
    }
    let error = world.session().grant(failing).build().token().await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no key");
    let refused = JwtBearer::new(|| async { Ok::<_, Error>("unsigned".to_owned()) });
    let error = world.session().grant(refused).build().token().await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_grant"));
    assert!(!error.is_reauthorization_required(), "the next assertion may be accepted");
    assert!(!format!("{error:?}").contains("unsigned"));
}

#[tokio::test]
async fn token_exchange_presents_subject_and_actor_with_their_types() {
    let world = World::with(|p| p.accept_assertions(|_| true)).await;
    let subject = world.token().access_token().to_owned();
    let grant = TokenExchange::new(move || {
        let subject = subject.clone();
        async move { Ok::<_, Error>(TypedToken::access_token(subject)) }
    })
    .resource("https://backend.example.com/api")
    .resource("https://other.example.com")
    .audience("backend");
    let with_actor = grant.clone().actor(|| async { Ok::<_, Error>(TypedToken::jwt("a.b.c")) });
    for (grant, actor_type) in
        [(grant, None), (with_actor, Some("urn:ietf:params:oauth:token-type:jwt"))]
    {
        let token = world.session().grant(grant).build().token().await.unwrap();
        assert!(world.provider.accepts_access_token(token.access_token()));
        let request = world.provider.token_requests().pop().unwrap();
        let all = |name: &str| -> Vec<String> {
            request.params.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect()
        };
        assert_eq!(all("grant_type"), ["urn:ietf:params:oauth:grant-type:token-exchange"]);
        assert_eq!(all("subject_token_type"), ["urn:ietf:params:oauth:token-type:access_token"]);
        assert_eq!(
            all("resource"),
            ["https://backend.example.com/api", "https://other.example.com"]
        );
        assert_eq!(all("audience"), ["backend"]);
        assert_eq!(request.param("actor_token_type"), actor_type);
        assert_eq!(request.param("actor_token"), actor_type.map(|_| "a.b.c"));
    }
}

#[tokio::test]
async fn a_target_that_is_refused_is_named_and_one_that_is_none_is_not_sent() {
    let world = World::with(|p| p.accept_assertions(|_| true)).await;
    let grant = || TokenExchange::new(|| async { Ok::<_, Error>(TypedToken::jwt("a.b.c")) });
    let session = world.session().grant(grant().audience("nowhere")).build();
    let error = session.token().await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_target"));
    assert!(!error.is_reauthorization_required());
    for resource in ["https://a.example/#x", "/relative"] {
        let session = world.session().grant(grant().resource(resource)).build();
        assert!(session.token().await.unwrap_err().is_config(), "{resource}");
    }
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_grant_that_gives_the_same_token_again_is_asked_once_for_each_renewal() {
    let world = World::new().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let expires_at = world.clock.now() + std::time::Duration::from_secs(3600);
    let session = Session::from_grant(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        async move { Ok(Token::new("cached")?.with_expires_at(expires_at.into())) }
    })
    .clock(world.clock.reader())
    .build();
    session.token().await.unwrap();
    assert_eq!(session.refresh().await.unwrap().access_token(), "cached");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    // A server that rejects it: one renewal, one replay, and the 401 is the caller's.
    let http = world.http(&session);
    world.provider.reject_all(true);
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 401);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

/// As from a file that another program keeps fresh, or from the cache of a metadata server.
#[tokio::test]
async fn a_token_that_the_grant_has_kept_for_a_while_is_not_asked_for_again_at_once() {
    for (foreground, keeps_fresh) in [(false, false), (true, false), (false, true)] {
        let world = World::new().await;
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = calls.clone();
        let expires_at = world.clock.now() + Duration::from_secs(60);
        let builder = Session::from_grant(move || {
            let call = counter.fetch_add(1, Ordering::SeqCst);
            async move {
                let token = Token::new("cached")?;
                if call >= 100 {
                    return Ok(token); // so that the test ends
                }
                let token = token.with_expires_at(expires_at.into());
                Ok(token.with_lifetime(Duration::from_secs(3600)))
            }
        });
        let builder = builder.clock(world.clock.reader());
        let session = if foreground { builder.foreground() } else { builder }.build();
        let _guard = keeps_fresh.then(|| session.keep_fresh().unwrap());
        let ask = async || {
            for _ in 0..5 {
                assert_eq!(session.token().await.unwrap().access_token(), "cached");
                world.round_trips().await;
            }
            calls.load(Ordering::SeqCst)
        };
        assert_eq!(ask().await, 1, "{foreground} {keeps_fresh}");
        // Late in what was left it is.
        world.clock.forward(52.0);
        pass(31).await;
        assert_eq!(ask().await, 2, "{foreground} {keeps_fresh}");
    }
}

//! The three ways of requests-oauthlib: manual, automatic with the update offered, automatic with
//! a saver; and the token without a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{Session, Token, TokenUpdated};

use crate::faulty_store::FaultyStore;
use crate::support::{World, ours, pass};

#[tokio::test]
async fn manual_an_expired_token_is_an_error_and_refreshing_is_the_applications() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).manual_refresh().build();
    let http = world.http(&session);
    // Due is not expired: nothing is renewed behind the application's back.
    world.clock.forward(3500.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    world.clock.forward(100.0);
    for _ in 0..2 {
        let error = ours(&world.get(&http).await.unwrap_err());
        assert!(error.is_expired() && !error.is_transient());
        assert_eq!(
            error.to_string(),
            "the access token has expired and this session renews only when told to; call Session::refresh"
        );
    }
    assert!(session.token().await.unwrap_err().is_expired());
    assert_eq!(world.provider.counts().token_requests, 0);
    let token = session.refresh().await.unwrap();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.saved.access_tokens(), [token.access_token()]);
    world.provider.revoke_access_tokens();
    assert_eq!(world.get(&http).await.unwrap(), 401);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn automatic_with_the_update_offered_on_one_response() {
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    let http = world.http(&session);
    for renewal in 0..2 {
        let mut offered = Vec::new();
        for _ in 0..3 {
            let response = http.get(world.provider.api_url()).send().await.unwrap();
            offered.extend(response.extensions().get::<TokenUpdated>().cloned());
        }
        assert_eq!(offered.len(), 1, "renewal {renewal}");
        assert_eq!(offered[0].0.access_token(), session.token().await.unwrap().access_token());
        world.provider.revoke_access_tokens();
    }
}

#[tokio::test]
async fn the_update_is_offered_on_a_401_too() {
    let world = World::new().await;
    for challenge in ["Bearer error=insufficient_scope", "Bearer"] {
        let session = world.session().token(world.expired_token()).build();
        let http = world.http(&session);
        world.provider.reject_all(true);
        world.provider.set_challenge(Some(challenge));
        let response = http.get(world.provider.api_url()).send().await.unwrap();
        assert_eq!(response.status(), 401);
        let TokenUpdated(token) = response.extensions().get().expect(challenge);
        assert_eq!(token.access_token(), session.current_token().unwrap().access_token());
    }
}

#[tokio::test]
async fn a_session_may_begin_with_a_refresh_token_alone() {
    let world = World::new().await;
    let refresh_token = world.token().refresh_token().unwrap().to_owned();
    let session = world.saving().refresh_token(refresh_token).build();
    assert!(session.current_token().is_none());
    let http = world.http(&session);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.saved.last().access_token(), session.current_token().unwrap().access_token());
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_requests), (1, 1));
}

/// As of a variable that is not set.
#[tokio::test]
async fn an_empty_refresh_token_is_none_and_is_never_presented() {
    let world = World::new().await;
    let store = FaultyStore::default();
    for builder in [world.session(), world.saving(), world.session().store(store.clone(), "alice")]
    {
        let session = builder.refresh_token("").build();
        let error = session.token().await.unwrap_err();
        assert!(error.is_reauthorization_required(), "{error}");
        session.set_token(world.token()).await.unwrap();
        session.token().await.unwrap();
    }
    assert_eq!(world.provider.counts().token_requests, 0);
    // Nothing was written that nobody could read.
    assert_eq!(store.swaps(), 1, "that of the login");
}

#[tokio::test]
async fn a_token_that_the_application_gave_is_not_offered_back() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    for _ in 0..2 {
        let response = http.get(world.provider.api_url()).send().await.unwrap();
        assert!(response.extensions().get::<TokenUpdated>().is_none());
        session.set_token(world.token()).await.unwrap();
    }
}

#[tokio::test]
async fn subscribers_hear_of_every_new_token() {
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    let mut updates = session.subscribe();
    for _ in 0..3 {
        let token = session.refresh().await.unwrap();
        assert_eq!(updates.next().await.unwrap().access_token(), token.access_token());
    }
    // One who comes late hears of what comes next, and the end of the session is the end.
    let mut late = session.subscribe();
    let set = world.token();
    session.set_token(set.clone()).await.unwrap();
    assert_eq!(late.next().await.unwrap().access_token(), set.access_token());
    drop(session);
    assert!(late.next().await.is_none());
}

#[tokio::test]
async fn the_token_without_a_request() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let token = session.token().await.unwrap();
    assert!(world.provider.accepts_access_token(token.access_token()));
    assert_eq!(session.token().await.unwrap().access_token(), token.access_token());
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn an_idle_session_is_kept_fresh_until_the_guard_is_dropped() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let mut updates = session.subscribe();
    let guard = session.keep_fresh().unwrap();
    for renewals in 1..=3 {
        world.clock.forward(3500.0);
        // It looks at the wall clock at least every half minute.
        pass(31).await;
        updates.next().await.unwrap();
        assert_eq!(world.provider.counts().token_requests, renewals);
    }
    drop(guard);
    tokio::task::yield_now().await;
    world.clock.forward(3500.0);
    pass(31).await;
    pass(31).await;
    world.round_trips().await;
    assert_eq!(world.provider.counts().token_requests, 3);
}

#[tokio::test]
async fn keeping_fresh_outlives_an_outage_and_a_dead_login() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let mut updates = session.subscribe();
    world.provider.fail_next(Fault::Status(503));
    let _guard = session.keep_fresh().unwrap();
    world.provider.wait_for_token_requests(1).await;
    while session.refresh().await.is_ok() {}
    pass(31).await;
    updates.next().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 2);

    world.provider.revoke_families();
    world.clock.forward(3600.0);
    pass(31).await;
    world.provider.wait_for_token_requests(3).await;
    assert!(session.refresh().await.unwrap_err().is_reauthorization_required());
    for _ in 0..5 {
        pass(31).await;
    }
    assert_eq!(world.provider.counts().token_requests, 3);

    let login = world.token();
    session.set_token(login.clone()).await.unwrap();
    assert_eq!(updates.next().await.unwrap().access_token(), login.access_token());
    world.clock.forward(3500.0);
    pass(31).await;
    updates.next().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 4);
}

#[tokio::test]
async fn keeping_fresh_pauses_after_a_token_that_is_due_when_it_arrives() {
    let world = World::new().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let (counter, clock) = (calls.clone(), world.clock.clone());
    let session = Session::from_grant(move || {
        let call = counter.fetch_add(1, Ordering::SeqCst);
        let expires_at = clock.now() + Duration::from_secs(100);
        if call < 100 {
            clock.forward(87.0); // the grant takes so long
        }
        async move { Ok(Token::new(format!("token-{call}"))?.with_expires_at(expires_at.into())) }
    });
    let session = session.clock(world.clock.reader()).build();
    let _guard = session.keep_fresh().unwrap();
    for expected in 1..=3 {
        world.round_trips().await;
        assert_eq!(calls.load(Ordering::SeqCst), expected);
        pass(1).await;
    }
}

#[tokio::test]
async fn keeping_fresh_does_not_keep_the_session_alive() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let mut updates = session.subscribe();
    let _guard = session.keep_fresh().unwrap();
    tokio::task::yield_now().await;
    drop(session);
    assert!(updates.next().await.is_none());
}

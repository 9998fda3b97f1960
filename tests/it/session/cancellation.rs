//! A renewal, once begun, finishes and is saved, even if every caller is dropped.

use std::time::Duration;

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{Error, Session, Token};

use crate::support::{World, pass, polled};

#[tokio::test]
async fn a_caller_dropped_at_any_await_point_loses_nothing() {
    for polls in 1.. {
        let world = World::new().await;
        let session = world.saving().token(world.expired_token()).build();
        let http = world.http(&session);
        let finished = polled(polls, world.get(&http)).await.is_some();
        session.shutdown().await.unwrap();
        assert_eq!(world.saved.count(), 1, "dropped at poll {polls}");
        assert!(world.provider.accepts_refresh_token(world.saved.last().refresh_token().unwrap()));
        assert_eq!(world.get(&http).await.unwrap(), 200);
        let counts = world.provider.counts();
        assert_eq!(
            (counts.token_requests, counts.reuse_detected),
            (1, 0),
            "dropped at poll {polls}"
        );
        if finished {
            assert!(polls > 2, "the request was never interrupted");
            return;
        }
    }
}

#[tokio::test]
async fn a_caller_dropped_at_any_await_point_of_a_401_loses_nothing() {
    for polls in 1.. {
        let world = World::new().await;
        let session = world.saving().token(world.token()).build();
        let http = world.http(&session);
        world.provider.revoke_access_tokens();
        let finished = polled(polls, world.get(&http)).await.is_some();
        session.shutdown().await.unwrap();
        assert_eq!(world.get(&http).await.unwrap(), 200, "dropped at poll {polls}");
        let counts = world.provider.counts();
        assert_eq!(
            (counts.token_requests, counts.reuse_detected),
            (1, 0),
            "dropped at poll {polls}"
        );
        if finished {
            assert!(polls > 3, "the request was never interrupted");
            return;
        }
    }
}

#[tokio::test]
async fn every_caller_dropped_while_the_provider_answers() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let hold = world.provider.pause_token_requests();
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.token().await })
        })
        .collect();
    world.provider.wait_for_token_requests(1).await;
    for caller in callers {
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    drop(hold);
    session.shutdown().await.unwrap();
    assert!(world.provider.accepts_refresh_token(world.saved.last().refresh_token().unwrap()));
    assert_eq!(session.token().await.unwrap().access_token(), world.saved.last().access_token());
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn dropping_the_last_handle_does_not_cut_a_renewal_off() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let hold = world.provider.pause_token_requests();
    assert!(polled(1, session.refresh()).await.is_none());
    drop(session);
    world.provider.wait_for_token_requests(1).await;
    drop(hold);
    while world.saved.count() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(world.provider.accepts_refresh_token(world.saved.last().refresh_token().unwrap()));
}

#[tokio::test]
async fn set_token_dropped_at_its_first_await_is_saved_and_used() {
    let world = World::new().await;
    let session = world.saving().build();
    let token = world.token();
    assert!(polled(1, session.set_token(token.clone())).await.is_none());
    session.shutdown().await.unwrap();
    assert_eq!(world.saved.access_tokens(), [token.access_token()]);
    assert_eq!(session.token().await.unwrap().access_token(), token.access_token());
    assert_eq!(world.provider.counts().token_requests, 0);
}

/// The session's token, with time for the second attempt once the first has been cut off.
async fn token_at_the_second_attempt(world: &World, session: &Session) -> Result<Token, Error> {
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    world.provider.wait_for_token_requests(1).await;
    while world.provider.counts().token_requests < 2 {
        pass(1).await;
        world.round_trips().await;
    }
    waiting.await.unwrap()
}

#[tokio::test]
async fn an_answer_cut_off_after_the_rotation_is_asked_for_once_more_within_the_grace() {
    let world = World::with(|p| p.grace_period(Duration::from_secs(30))).await;
    world.provider.fail_next(Fault::CloseAfterIssue);
    let session = world.saving().token(world.expired_token()).build();
    let token = token_at_the_second_attempt(&world, &session).await.unwrap();
    assert!(world.provider.accepts_access_token(token.access_token()));
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
    assert!(world.provider.accepts_refresh_token(world.saved.last().refresh_token().unwrap()));
}

#[tokio::test]
async fn an_answer_lost_without_grace_is_final_and_the_error_says_so() {
    let world = World::new().await;
    world.provider.fail_next(Fault::CloseAfterIssue);
    let session = world.saving().token(world.expired_token()).build();
    let first = token_at_the_second_attempt(&world, &session).await.unwrap_err();
    for error in [first, session.token().await.unwrap_err()] {
        assert!(error.is_reauthorization_required() && error.is_response_lost());
        assert_eq!(error.error_code(), Some("invalid_grant"));
        assert_eq!(
            error.to_string(),
            "reauthorization required: the provider refused the refresh token; log in again and pass the token to Session::set_token; for a custom grant, fix the grant. The response to an earlier renewal was lost, so the provider may already have replaced this refresh token"
        );
    }
    assert_eq!(world.provider.counts().token_requests, 2);
    assert_eq!(world.saved.count(), 0);
}

#[tokio::test]
async fn a_request_cut_off_before_the_rotation_is_made_once_more() {
    let world = World::new().await;
    world.provider.fail_next(Fault::CloseBeforeIssue);
    let session = world.saving().token(world.expired_token()).build();
    assert!(token_at_the_second_attempt(&world, &session).await.is_ok());
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
}

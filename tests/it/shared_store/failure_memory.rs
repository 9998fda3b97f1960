//! A failure belongs to the login: eviction, restart and other processes do not forget it.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest_oauth2::store::TokenKey;
use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{
    ClientCredentials, Error, JwtBearer, Session, TokenExchange, TypedToken, UserSessions,
};

use super::fleet::Fleet;
use super::many_users::Service;
use crate::faulty_store::{Calls, Fault as StoreFault};
use crate::support::{World, ours, pass};

/// What the provider answers, and after how many seconds it is asked again.
fn outages() -> Vec<(Fault, u64)> {
    vec![
        (Fault::Status(503), 1),
        (Fault::HtmlPage, 1),
        (Fault::TooManyRequests { retry_after: "3600".to_owned() }, 3600),
        (Fault::OAuthError { status: 401, code: "invalid_client".to_owned() }, 60),
        (Fault::OAuthError { status: 400, code: "invalid_scope".to_owned() }, 60),
    ]
}

/// Requests of one user; none of them gets a token.
async fn crowd(service: &Service, sessions: &UserSessions) {
    let http = service.http(sessions);
    for outcome in join_all((0..100).map(|_| service.get(&http, "alice"))).await {
        ours(&outcome.unwrap_err());
    }
    for _ in 0..100 {
        ours(&service.get(&http, "alice").await.unwrap_err());
    }
}

#[tokio::test]
async fn two_hundred_requests_of_a_user_who_is_not_in_memory_make_one_token_request() {
    for (fault, seconds) in outages() {
        let service = Service::new().await;
        service.store("alice", &service.world.expired_token()).await;
        service.world.provider.fail_always(fault.clone());
        let sessions = service.builder().build();
        crowd(&service, &sessions).await;
        assert_eq!(service.world.provider.counts().token_requests, 1, "{fault:?}");
        assert_eq!(service.world.provider.counts().api_requests, 0);
        // Asked again when the backoff is over, and not before.
        service.world.clock.forward(seconds as f64 - 0.5);
        if seconds > 1 {
            pass(1).await;
        }
        crowd(&service, &sessions).await;
        assert_eq!(service.world.provider.counts().token_requests, 1, "{fault:?}");
        // The jitter is a second at most.
        service.world.clock.forward(1.5);
        pass(2).await;
        crowd(&service, &sessions).await;
        assert_eq!(service.world.provider.counts().token_requests, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn an_evicted_user_a_second_process_and_the_next_one_ask_no_more() {
    for (fault, _) in outages() {
        let service = Service::new().await;
        service.store("alice", &service.world.expired_token()).await;
        service.world.provider.fail_always(fault.clone());
        let sessions = service.builder().max_sessions(8).build();
        crowd(&service, &sessions).await;
        for i in 0..100 {
            let user = format!("user {i}");
            service.store(&user, &service.world.token()).await;
            for _ in 0..3 {
                sessions.for_user(user.as_str()).token().await.unwrap();
            }
        }
        let loads = service.store.loads();
        crowd(&service, &sessions).await;
        assert_eq!(service.store.loads(), loads + 1, "it had been evicted");
        crowd(&service, &service.builder().build()).await;
        drop(sessions);
        crowd(&service, &service.builder().build()).await;
        assert_eq!(service.world.provider.counts().token_requests, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn answers_that_are_cut_off_cost_one_second_try() {
    let service = Service::new().await;
    service.store("alice", &service.world.expired_token()).await;
    service.world.provider.fail_always(Fault::CloseBeforeIssue);
    let sessions = service.builder().build();
    let requests = {
        let session = sessions.for_user("alice");
        tokio::spawn(async move { join_all((0..200).map(|_| session.token())).await })
    };
    while !requests.is_finished() {
        service.world.round_trips().await;
        tokio::time::advance(Duration::from_millis(50)).await;
    }
    assert!(requests.await.unwrap().iter().all(Result::is_err));
    for sessions in [&sessions, &service.builder().build()] {
        crowd(&service, sessions).await;
    }
    assert_eq!(service.world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn ten_thousand_requests_for_a_user_who_does_not_exist_cost_one_load_a_second() {
    let service = Service::new().await;
    let sessions = service.builder().build();
    let http = service.http(&sessions);
    // Through a client, and through a session that the application asks for.
    for through_client in [true, false] {
        let before = service.store.loads();
        let request = async || match through_client {
            true => ours(&service.get(&http, "nobody").await.unwrap_err()),
            false => sessions.for_user("nobody").token().await.unwrap_err(),
        };
        for seconds in 1..=10 {
            // Not all at one instant.
            for _ in 0..10 {
                let errors = join_all((0..100).map(|_| request())).await;
                assert!(errors.iter().all(Error::is_reauthorization_required));
                tokio::time::advance(Duration::from_millis(90)).await;
            }
            assert_eq!(service.store.loads() - before, seconds, "{through_client}");
            tokio::time::advance(Duration::from_millis(110)).await;
        }
        pass(1).await;
    }
    assert_eq!(service.store.swaps(), 0);
    let counts = service.world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_requests), (0, 0));
}

#[tokio::test]
async fn requests_while_the_store_is_down_cost_one_look_a_step_and_user() {
    let service = Service::new().await;
    service.store("alice", &service.world.expired_token()).await;
    service.store.always(Calls::All, StoreFault::FailBefore);
    let sessions = service.builder().build();
    crowd(&service, &sessions).await;
    // The first failure is tried again at once.
    assert_eq!(service.store.loads(), 2);
    pass(3).await;
    crowd(&service, &sessions).await;
    assert_eq!(service.store.loads(), 2 + 1);
    assert_eq!(service.world.provider.counts().token_requests, 0);
}

/// Sessions whose grant is refused when it is next asked: JWT bearer, and token exchange.
fn refused(fleet: &Fleet) -> [Session; 2] {
    let jwt = JwtBearer::new(|| async { Ok::<_, Error>("signed".to_owned()) });
    let exchange = TokenExchange::new(|| async { Ok::<_, Error>(TypedToken::jwt("a.b.c")) });
    [fleet.builder().grant(jwt).build(), fleet.builder().grant(exchange).build()]
}

#[tokio::test]
async fn a_grant_that_was_refused_once_is_asked_again_after_a_minute_also_by_the_next_process() {
    for is_next_process in [false, true] {
        for n in 0..2 {
            let fleet = Fleet::of(World::with(|p| p.accept_assertions(|_| true)).await);
            let code = "invalid_grant".to_owned();
            fleet.world.provider.fail_next(Fault::OAuthError { status: 400, code });
            let session = refused(&fleet)[n].clone();
            let error = session.token().await.unwrap_err();
            assert_eq!(error.error_code(), Some("invalid_grant"));
            assert!(!error.is_reauthorization_required(), "{error}");
            assert_eq!(fleet.bookkeeping()["state"], "live", "never marked as ended");
            let session = if is_next_process { refused(&fleet)[n].clone() } else { session };
            for _ in 0..2 {
                fleet.world.clock.forward(29.9);
                pass(2).await;
                let error = session.token().await.unwrap_err();
                assert!(!error.is_reauthorization_required(), "{error}");
            }
            assert_eq!(fleet.token_requests(), 1);
            fleet.world.clock.forward(1.2);
            pass(1).await;
            let token = session.token().await.unwrap();
            assert!(fleet.world.provider.accepts_access_token(token.access_token()));
            assert_eq!(fleet.token_requests(), 2);
        }
    }
}

/// The provider says so to a session of this fleet, which has a grant; in the store or while that is down.
async fn told_to_wait(is_store_down: bool) -> (Fleet, Session) {
    let fleet = Fleet::new().await;
    let session = fleet.builder().grant(ClientCredentials::new()).build();
    let retry_after = "300".to_owned();
    fleet.world.provider.fail_always(Fault::TooManyRequests { retry_after });
    let hold = fleet.world.provider.pause_token_requests();
    let waiting = fleet.ask(&session);
    fleet.world.provider.wait_for_token_requests(1).await;
    if is_store_down {
        fleet.store.always(Calls::All, StoreFault::FailBefore);
    }
    drop(hold);
    waiting.await.unwrap().unwrap_err();
    (fleet, session)
}

#[tokio::test]
async fn a_grant_keeps_retry_after_while_the_store_cannot_be_told_of_it() {
    let (fleet, session) = told_to_wait(true).await;
    for _ in 0..5 {
        pass(10).await;
        session.token().await.unwrap_err();
    }
    assert_eq!(fleet.token_requests(), 1);
    fleet.store.heal();
    for _ in 0..2 {
        pass(10).await;
        session.token().await.unwrap_err();
    }
    assert_eq!(fleet.token_requests(), 1);
    fleet.world.provider.clear_faults();
    fleet.world.clock.forward(302.0);
    pass(302).await;
    fleet.meanwhile(session.token()).await.unwrap();
    assert_eq!(fleet.token_requests(), 2);
}

#[tokio::test]
async fn a_grant_keeps_retry_after_that_was_stored_before_the_store_went_down() {
    let (fleet, session) = told_to_wait(false).await;
    let sibling = fleet.builder().grant(ClientCredentials::new()).build();
    for session in [&session, &sibling] {
        session.token().await.unwrap_err();
    }
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    for _ in 0..5 {
        pass(10).await;
        for session in [&session, &sibling] {
            session.token().await.unwrap_err();
        }
    }
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn a_failure_of_one_user_is_not_that_of_another() {
    let service = Service::new().await;
    for user in ["alice", "bob"] {
        service.store(user, &service.world.expired_token()).await;
    }
    service.world.provider.fail_next(Fault::TooManyRequests { retry_after: "3600".to_owned() });
    let sessions = service.builder().build();
    sessions.for_user("alice").token().await.unwrap_err();
    sessions.for_user("bob").token().await.unwrap();
    let key = TokenKey::new(&service.world.provider.token_url(), "foo", "bob");
    let stored = service.store.stored(&key).unwrap();
    assert!(!stored.json().contains("pause"), "{}", stored.json().len());
}

#[tokio::test]
async fn forty_of_forty_due_users_are_saved_before_the_runtime_ends() {
    let service = Service::new().await;
    let sessions = service.builder().build();
    let http = service.http(&sessions);
    let users: Vec<String> = (0..40).map(|i| format!("user {i}")).collect();
    for user in &users {
        service.store(user, &service.world.token()).await;
        assert_eq!(service.get(&http, user).await.unwrap(), 200);
    }
    service.world.clock.forward(3500.0);
    for user in &users {
        assert_eq!(service.get(&http, user).await.unwrap(), 200);
    }
    sessions.shutdown().await.unwrap();
    assert_eq!(service.world.provider.counts().tokens_issued, 40);
    // Nothing of it runs any more: what is in the store is what the next process finds.
    for user in &users {
        let key = TokenKey::new(&service.world.provider.token_url(), "foo", user);
        let stored = service.store.stored(&key).unwrap();
        let token: reqwest_oauth2::Token = serde_json::from_str(stored.json()).unwrap();
        assert!(service.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    }
}

#[tokio::test]
async fn shutdown_waits_for_users_whose_store_is_slow() {
    let service = Service::new().await;
    let sessions = service.builder().build();
    let users: Vec<String> = (0..10).map(|i| format!("user {i}")).collect();
    for user in &users {
        service.store(user, &service.world.token()).await;
        sessions.for_user(user.as_str()).token().await.unwrap();
    }
    service.world.clock.forward(3500.0);
    service.store.always(Calls::Swaps, StoreFault::DelayBefore(Duration::from_secs(2)));
    for user in &users {
        sessions.for_user(user.as_str()).token().await.unwrap();
    }
    let shutdown = tokio::spawn({
        let sessions = sessions.clone();
        async move { sessions.shutdown().await }
    });
    for _ in 0..4 {
        service.world.round_trips().await;
        assert!(!shutdown.is_finished());
        pass(1).await;
    }
    service.world.round_trips().await;
    shutdown.await.unwrap().unwrap();
    assert_eq!(service.world.provider.counts().tokens_issued, 10);
}

#[tokio::test]
async fn a_login_that_has_ended_and_is_kept_fresh_is_looked_up_twice_a_minute() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let session = fleet.sibling();
    fleet.world.provider.revoke_families();
    fleet.meanwhile(session.token()).await.unwrap_err();
    let _guard = session.keep_fresh().unwrap();
    fleet.world.round_trips().await;
    let before = fleet.store.loads();
    for _ in 0..60 {
        pass(1).await;
        fleet.world.plain_turns().await;
    }
    assert_eq!(fleet.store.loads() - before, 2);
    // Another process has the next login.
    let next = fleet.world.token();
    fleet.signed_in(next.clone()).await;
    pass(30).await;
    fleet.world.plain_turns().await;
    assert_eq!(session.current_token().unwrap().access_token(), next.access_token());
}

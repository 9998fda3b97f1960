//! Nonces of the token endpoint.

use std::time::Duration;

use reqwest_oauth2::testing::{DpopNonces, DpopRules, Fault};
use reqwest_oauth2::{Session, Token};

use super::{
    QUESTION, assert_all_differ, client, each_answer, lasting, nonces, presented, rules,
    token_proofs,
};
use crate::support::{World, bounded, pass, polled, runtime};

const FIRST: &str = "nonce-of-the-token-endpoint-";

/// A session with a token of a login that was bound by another process.
async fn restored(world: &World) -> (Session, Token) {
    let before = world.provider.counts().token_requests;
    world.provider.set_dpop(DpopRules::default());
    let token = client(world).dpop().password("johndoe", "A3ddj3w").send().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, before + 1);
    let stored = serde_json::to_string(&token).unwrap();
    let app = client(world).dpop();
    let session = Session::builder(app)
        .token(serde_json::from_str(&stored).unwrap())
        .clock(world.clock.reader())
        .backoff(Duration::from_secs(1), Duration::from_secs(1))
        .build();
    (session, token)
}

#[tokio::test]
async fn r9449_8_a_a_nonce_that_is_asked_for_costs_one_request() {
    let world = World::with(|p| p.dpop(lasting())).await;
    let app = client(&world).dpop();
    app.token_request("client_credentials").send().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 2);
    app.token_request("client_credentials").send().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 3);
    world.provider.renew_dpop_nonces();
    app.token_request("client_credentials").send().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 5);
    let proofs = token_proofs(&world.provider);
    let (first, second) = (format!("{FIRST}0"), format!("{FIRST}1000000"));
    assert_eq!(
        nonces(&proofs),
        [None, Some(&*first), Some(&*first), Some(&*first), Some(&*second)]
    );
    assert_all_differ(&proofs);
}

#[tokio::test]
async fn r9449_8_2_a_the_newest_nonce_is_kept_also_from_a_200() {
    let world = World::with(|p| p.dpop(each_answer())).await;
    let app = client(&world).dpop();
    for _ in 0..3 {
        app.token_request("client_credentials").send().await.unwrap();
    }
    assert_eq!(world.provider.counts().token_requests, 4);
    let expected: Vec<String> = (1..=3).map(|number| format!("{FIRST}{number}")).collect();
    let proofs = token_proofs(&world.provider);
    assert_eq!(
        nonces(&proofs)[1..],
        expected.iter().map(|nonce| Some(&**nonce)).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_server_that_asks_for_ever_costs_one_retry_and_the_login_stays() {
    let world = World::new().await;
    let (session, _) = restored(&world).await;
    let asks = rules(|rules| {
        rules.nonces = DpopNonces::EachAnswer { window: 1 };
        rules.always_asks = true;
    });
    world.provider.set_dpop(asks);
    let error = session.refresh().await.unwrap_err();
    assert_eq!(error.error_code(), Some("use_dpop_nonce"));
    assert!(error.is_transient() && !error.is_reauthorization_required());
    // The request that gets a nonce, the refresh, and its retry; and the login before.
    assert_eq!(world.provider.counts().token_requests, 4);
    world.provider.set_dpop(each_answer());
    pass(10).await;
    session.refresh().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 5);
}

#[tokio::test]
async fn a_server_that_asks_without_a_nonce_gets_no_retry() {
    let world = World::with(|p| {
        p.dpop(rules(|rules| {
            rules.nonces = DpopNonces::Lasting;
            rules.asks_without_nonce = true;
        }))
    })
    .await;
    let error = client(&world).dpop().token_request("client_credentials").send().await.unwrap_err();
    assert_eq!(error.error_code(), Some("use_dpop_nonce"));
    assert!(error.is_transient());
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_nonce_that_is_none_is_passed_over() {
    let long = "n".repeat(100 * 1024);
    for nonce in [&b"a b"[..], b"a\"b", b"a\\b", b"a\tb", b"a\xffb", b"", long.as_bytes()] {
        let world = World::with(|p| {
            p.dpop(rules(|rules| {
                rules.nonces = DpopNonces::Lasting;
                rules.nonce = Some(nonce.to_vec());
            }))
        })
        .await;
        let app = client(&world).dpop();
        let error = app.token_request("client_credentials").send().await.unwrap_err();
        assert_eq!(error.error_code(), Some("use_dpop_nonce"));
        assert_eq!(world.provider.counts().token_requests, 1);
        assert!(!format!("{error} {error:?}").contains("nnnn"));
    }
}

#[tokio::test]
async fn a_header_of_a_megabyte_is_an_error_of_the_connection() {
    let world = World::with(|p| {
        p.dpop(rules(|rules| {
            rules.nonces = DpopNonces::Lasting;
            rules.nonce = Some(vec![b'n'; 1024 * 1024]);
        }))
    })
    .await;
    let (session, _) = restored(&world).await;
    world.provider.set_dpop(rules(|rules| {
        rules.nonces = DpopNonces::Lasting;
        rules.nonce = Some(vec![b'n'; 1024 * 1024]);
    }));
    let error = session.refresh().await.unwrap_err();
    assert!(error.is_transient() && !error.is_reauthorization_required(), "{error}");
    // Nothing was presented.
    assert_eq!(presented(&world.provider)[1..], [None]);
    assert!(!error.is_response_lost());
    world.provider.set_dpop(lasting());
    pass(10).await;
    session.refresh().await.unwrap();
}

#[tokio::test]
async fn a_session_without_a_nonce_gets_one_without_presenting_the_refresh_token() {
    let world = World::new().await;
    let (session, first) = restored(&world).await;
    world.provider.set_dpop(rules(|rules| {
        rules.nonces = DpopNonces::EachAnswer { window: 1 };
        rules.consumes_before_nonce = true;
    }));
    let second = session.refresh().await.unwrap();
    let third = session.refresh().await.unwrap();
    let token = |token: &Token| token.refresh_token().map(str::to_owned);
    assert_eq!(presented(&world.provider)[1..], [None, token(&first), token(&second)]);
    assert!(world.provider.accepts_refresh_token(third.refresh_token().unwrap()));
    assert_eq!(world.provider.counts().reuse_detected, 0);
}

/// As oidc-provider does: it answers `invalid_request` to a refresh without a refresh token, and gives no nonce.
#[tokio::test]
async fn a_server_that_looks_at_the_parameters_first_gives_a_nonce_too() {
    let world = World::new().await;
    let (session, first) = restored(&world).await;
    world.provider.set_dpop(rules(|rules| {
        rules.nonces = DpopNonces::Lasting;
        rules.parameters_first = true;
        rules.consumes_before_nonce = true;
    }));
    session.refresh().await.unwrap();
    let question = world.provider.token_requests()[1].clone();
    assert_eq!(question.param("refresh_token"), Some(QUESTION));
    assert_eq!(question.param("grant_type"), Some("refresh_token"));
    let token = first.refresh_token().map(str::to_owned);
    assert_eq!(presented(&world.provider)[1..], [None, token]);
    assert_eq!(world.provider.counts().reuse_detected, 0);
}

#[tokio::test]
async fn a_nonce_that_is_old_is_renewed_before_the_refresh_token_is_presented() {
    let world = World::new().await;
    let (session, _) = restored(&world).await;
    let consuming = || {
        rules(|rules| {
            rules.nonces = DpopNonces::EachAnswer { window: 1 };
            rules.consumes_before_nonce = true;
        })
    };
    world.provider.set_dpop(consuming());
    session.refresh().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 3);
    world.clock.forward(300.0);
    session.refresh().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 4);
    world.clock.forward(3600.0);
    world.provider.renew_dpop_nonces();
    session.refresh().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 6);
    assert_eq!(presented(&world.provider)[4], None);
    assert_eq!((world.provider.counts().refreshes, world.provider.counts().reuse_detected), (3, 0));
}

/// As after a start with a clock in local time, which is then set right.
#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_old_nonce_young() {
    let world = World::new().await;
    let (session, _) = restored(&world).await;
    world.provider.set_dpop(rules(|rules| {
        rules.nonces = DpopNonces::EachAnswer { window: 1 };
        rules.consumes_before_nonce = true;
    }));
    session.refresh().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 3);
    world.clock.back(3600.0);
    world.provider.renew_dpop_nonces();
    session.refresh().await.unwrap();
    assert_eq!(presented(&world.provider)[3], None);
    session.refresh().await.unwrap();
    assert_eq!((world.provider.counts().refreshes, world.provider.counts().reuse_detected), (3, 0));
}

#[tokio::test]
async fn a_server_that_wants_no_nonce_is_asked_once() {
    let world = World::new().await;
    let (session, _) = restored(&world).await;
    for _ in 0..3 {
        world.clock.forward(3600.0);
        session.refresh().await.unwrap();
    }
    // The login, the question, and three refreshes.
    assert_eq!(world.provider.counts().token_requests, 5);
    assert_eq!(presented(&world.provider)[1], None);
}

#[tokio::test]
async fn nothing_is_presented_where_the_question_for_a_nonce_is_not_answered() {
    let world = World::new().await;
    let (session, token) = restored(&world).await;
    world.provider.fail_next(Fault::CloseBeforeIssue);
    let error = session.refresh().await.unwrap_err();
    assert!(error.is_transient() && !error.is_response_lost(), "{error}");
    assert_eq!(presented(&world.provider)[1..], [None]);
    assert!(world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
}

#[tokio::test]
async fn many_sessions_without_a_nonce_ask_for_one_between_them() {
    let world = World::new().await;
    let app = client(&world).dpop();
    let mut tokens = Vec::new();
    for _ in 0..8 {
        tokens.push(app.password("johndoe", "A3ddj3w").send().await.unwrap());
    }
    // Another process, with a client that has heard nothing.
    let app = client(&world).dpop();
    world.provider.set_dpop(rules(|rules| {
        rules.nonces = DpopNonces::EachAnswer { window: 100 };
        rules.consumes_before_nonce = true;
    }));
    let pause = world.provider.pause_token_requests();
    let renewals: Vec<_> = tokens
        .into_iter()
        .map(|token| {
            let session = Session::builder(app.clone()).token(token).build();
            tokio::spawn(async move { session.refresh().await.unwrap() })
        })
        .collect();
    world.provider.wait_for_token_requests(9).await;
    world.round_trips().await;
    // The question alone is under way.
    assert_eq!(world.provider.counts().token_requests, 9);
    drop(pause);
    for renewal in renewals {
        renewal.await.unwrap();
    }
    let presented = presented(&world.provider);
    assert_eq!(presented.len(), 8 + 1 + 8);
    assert_eq!(presented[8], None);
    assert!(presented[9..].iter().all(Option::is_some));
    assert_eq!((world.provider.counts().refreshes, world.provider.counts().reuse_detected), (8, 0));
}

#[test]
fn a_question_for_a_nonce_on_a_runtime_that_nobody_drives_holds_nobody_up() {
    let (first, second) = (runtime(), runtime());
    let (world, [one, other]) = second.block_on(async {
        let world = World::new().await;
        let app = client(&world).dpop();
        let log_in = || async { app.password("johndoe", "A3ddj3w").send().await.unwrap() };
        let tokens = [log_in().await, log_in().await];
        world.provider.set_dpop(rules(|rules| {
            rules.nonces = DpopNonces::EachAnswer { window: 100 };
            rules.consumes_before_nonce = true;
        }));
        (world, tokens)
    });
    // Another process, with a client that has heard nothing.
    let app = client(&world).dpop();
    let session = |token| Session::builder(app.clone()).token(token).build();
    let (one, other) = (session(one), session(other));
    let hold = world.provider.pause_token_requests();
    first.block_on(async {
        assert!(polled(1, one.refresh()).await.is_none());
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    });
    second.block_on(async {
        // The question has been sent; its answer comes, and nobody reads it.
        world.provider.wait_for_token_requests(3).await;
        drop(hold);
        let (seconds, renewed) = bounded(&world, async move { other.refresh().await }).await;
        renewed.unwrap();
        // Half of the time of a renewal.
        assert_eq!(seconds, 15);
    });
    let presented = presented(&world.provider);
    assert_eq!(presented.len(), 2 + 2 + 1);
    drop(first);
}

//! A login that begins while the one before is renewed.

use reqwest_oauth2::Token;
use reqwest_oauth2::testing::Fault;

use super::fleet::Fleet;
use crate::faulty_store::{Calls, Fault as StoreFault};
use crate::support::pass;
use crate::support::provider_requests::refresh;

/// The refresh tokens that the provider was shown, in order.
fn presented(fleet: &Fleet) -> Vec<String> {
    let requests = fleet.world.provider.token_requests();
    requests.iter().map(|request| request.param("refresh_token").unwrap().to_owned()).collect()
}

fn refresh_token(token: &Token) -> String {
    token.refresh_token().unwrap().to_owned()
}

#[tokio::test]
async fn a_renewal_that_waits_for_the_store_presents_nothing_after_a_new_login() {
    for (calls, fault) in [
        (Calls::Loads, StoreFault::HangBefore),
        (Calls::Loads, StoreFault::HangAfter),
        (Calls::Swaps, StoreFault::HangBefore),
        (Calls::Swaps, StoreFault::HangAfter),
    ] {
        for by_a_sibling in [false, true] {
            let fleet = Fleet::new().await;
            let old = fleet.world.expired_token();
            fleet.signed_in(old.clone()).await;
            let (session, sibling) = (fleet.sibling(), fleet.sibling());
            fleet.store.next(calls, fault, 1);
            let renewal = fleet.ask(&session);
            fleet.world.round_trips().await;
            let new = fleet.world.token();
            let signer = if by_a_sibling { sibling.clone() } else { session.clone() };
            let signing_in = tokio::spawn({
                let new = new.clone();
                async move { signer.set_token(new).await }
            });
            fleet.world.round_trips().await;
            fleet.store.heal();
            signing_in.await.unwrap().unwrap();
            let served = fleet.meanwhile(renewal).await.unwrap().unwrap();
            fleet.meanwhile(session.shutdown()).await.unwrap();
            assert_eq!(served.access_token(), new.access_token(), "{calls:?} {fault:?}");
            // It cannot know what another session does after its own mark is stored; then it presents what it
            // has marked, and drops the answer.
            let is_marked = by_a_sibling && (calls, fault) == (Calls::Swaps, StoreFault::HangAfter);
            let expected = if is_marked { vec![refresh_token(&old)] } else { Vec::new() };
            assert_eq!(presented(&fleet), expected, "{calls:?} {fault:?} {by_a_sibling}");
            fleet.assert_stored(&new);
            assert!(fleet.bookkeeping()["mark"].is_null());
        }
    }
}

#[tokio::test]
async fn a_new_login_that_has_expired_is_renewed_once_by_its_own_renewal() {
    for fault in [StoreFault::HangBefore, StoreFault::HangAfter] {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        let session = fleet.sibling();
        fleet.store.next(Calls::Swaps, fault, 1);
        let renewal = fleet.ask(&session);
        fleet.world.round_trips().await;
        let new = fleet.world.expired_token();
        let signing_in = tokio::spawn({
            let (session, new) = (session.clone(), new.clone());
            async move { session.set_token(new).await }
        });
        fleet.world.round_trips().await;
        fleet.store.heal();
        signing_in.await.unwrap().unwrap();
        let served = fleet.meanwhile(renewal).await.unwrap().unwrap();
        assert_eq!(presented(&fleet), [refresh_token(&new)], "{fault:?}");
        fleet.assert_stored(&served);
    }
}

#[tokio::test]
async fn a_token_that_comes_for_the_login_before_is_dropped() {
    for by_a_sibling in [false, true] {
        let fleet = Fleet::new().await;
        let old = fleet.world.expired_token();
        fleet.signed_in(old.clone()).await;
        let (session, sibling) = (fleet.sibling(), fleet.sibling());
        let hold = fleet.world.provider.pause_token_requests();
        let renewal = fleet.ask(&session);
        fleet.world.provider.wait_for_token_requests(1).await;
        let new = fleet.world.token();
        let signer = if by_a_sibling { &sibling } else { &session };
        signer.set_token(new.clone()).await.unwrap();
        drop(hold);
        let served = fleet.meanwhile(renewal).await.unwrap().unwrap();
        assert_eq!(served.access_token(), new.access_token());
        fleet.meanwhile(session.shutdown()).await.unwrap();
        fleet.assert_stored(&new);
        assert_eq!(presented(&fleet), [refresh_token(&old)]);
    }
}

#[tokio::test]
async fn a_refusal_of_the_login_before_ends_no_new_login() {
    for by_a_sibling in [false, true] {
        for is_store_slow in [false, true] {
            let fleet = Fleet::new().await;
            fleet.signed_in(fleet.world.expired_token()).await;
            let (session, sibling) = (fleet.sibling(), fleet.sibling());
            let hold = fleet.world.provider.pause_token_requests();
            let renewal = fleet.ask(&session);
            fleet.world.provider.wait_for_token_requests(1).await;
            fleet.world.provider.revoke_families();
            let new = fleet.world.token();
            if is_store_slow {
                fleet.store.next(Calls::Swaps, StoreFault::HangBefore, 1);
            }
            let signer = if by_a_sibling { sibling.clone() } else { session.clone() };
            let signing_in = tokio::spawn({
                let new = new.clone();
                async move { signer.set_token(new).await }
            });
            fleet.world.round_trips().await;
            // The answer is here before the new login is stored, or after.
            drop(hold);
            fleet.world.round_trips().await;
            fleet.store.heal();
            signing_in.await.unwrap().unwrap();
            let first = fleet.meanwhile(renewal).await.unwrap();
            if let Err(error) = first {
                assert!(by_a_sibling && is_store_slow, "{error}");
            }
            fleet.pass_slowly(1.0).await;
            for reader in [&session, &sibling, &fleet.sibling()] {
                let token = fleet.meanwhile(reader.token()).await.unwrap();
                assert_eq!(token.access_token(), new.access_token(), "{by_a_sibling}");
            }
            assert_eq!(fleet.bookkeeping()["state"], "live");
            fleet.assert_stored(&new);
            assert_eq!(fleet.token_requests(), 1);
        }
    }
}

#[tokio::test]
async fn a_sign_in_whose_answer_was_lost_does_not_write_the_token_back_that_a_sibling_has_renewed()
{
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    fleet.store.next(Calls::Swaps, StoreFault::HangAfter, 1);
    let signing_in = tokio::spawn({
        let (one, new) = (one.clone(), fleet.world.expired_token());
        async move { one.set_token(new).await }
    });
    fleet.world.round_trips().await;
    let renewed = other.token().await.unwrap();
    fleet.assert_stored(&renewed);
    let before = fleet.store.history(&fleet.key()).len();
    fleet.pass_slowly(7.0).await;
    signing_in.await.unwrap().unwrap();
    fleet.meanwhile(one.shutdown()).await.unwrap();
    assert_eq!(fleet.store.history(&fleet.key()).len(), before, "nothing was written since");
    fleet.assert_stored(&renewed);
    assert_eq!(one.token().await.unwrap().access_token(), renewed.access_token());
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_sign_in_whose_answer_was_lost_yields_to_a_later_one() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    fleet.store.next(Calls::Swaps, StoreFault::HangAfter, 1);
    let signing_in = tokio::spawn({
        let (one, new) = (one.clone(), fleet.world.token());
        async move { one.set_token(new).await }
    });
    fleet.world.round_trips().await;
    let later = fleet.world.token();
    other.set_token(later.clone()).await.unwrap();
    fleet.pass_slowly(7.0).await;
    signing_in.await.unwrap().unwrap();
    fleet.meanwhile(one.shutdown()).await.unwrap();
    fleet.assert_stored(&later);
    assert_eq!(one.token().await.unwrap().access_token(), later.access_token());
}

#[tokio::test]
async fn of_overlapping_sign_ins_the_last_to_reach_the_store_stays() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    other.token().await.unwrap();
    // The first has not been seen by the second when that signs in.
    let (first, second) = (fleet.world.token(), fleet.world.token());
    one.set_token(first).await.unwrap();
    other.set_token(second.clone()).await.unwrap();
    fleet.assert_stored(&second);
}

#[tokio::test]
async fn the_second_try_after_a_lost_answer_presents_nothing_if_a_sibling_has_renewed() {
    let fleet = Fleet::new().await;
    let old = fleet.world.expired_token();
    fleet.signed_in(old.clone()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    fleet.world.provider.fail_next(Fault::CloseBeforeIssue);
    let waiting = fleet.ask(&one);
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.world.round_trips().await;
    // As if its mark were dead: another session takes over before the second try.
    fleet.edit(|kept| kept["mark"] = serde_json::Value::Null);
    let renewed = other.token().await.unwrap();
    assert_eq!(presented(&fleet), [refresh_token(&old), refresh_token(&old)]);
    let adopted = fleet.meanwhile(waiting).await.unwrap().unwrap();
    assert_eq!(adopted.access_token(), renewed.access_token());
    fleet.assert_renewals(2);
}

#[tokio::test]
async fn the_second_try_after_a_lost_answer_presents_nothing_without_a_fresh_mark() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let session = fleet.sibling();
    fleet.world.provider.fail_next(Fault::CloseBeforeIssue);
    let waiting = fleet.ask(&session);
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.store.always(Calls::Swaps, StoreFault::FailBefore);
    fleet.pass_slowly(5.0).await;
    assert_eq!(fleet.token_requests(), 1);
    assert!(waiting.await.unwrap().unwrap_err().is_store());
    fleet.store.heal();
    fleet.pass_slowly(5.0).await;
    fleet.meanwhile(session.token()).await.unwrap();
    fleet.assert_renewals(2);
}

#[tokio::test]
async fn a_second_try_that_is_due_when_the_user_signs_in_again_is_not_made() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let session = fleet.sibling();
    fleet.world.provider.fail_next(Fault::CloseAfterIssue);
    let waiting = fleet.ask(&session);
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.world.round_trips().await;
    let new = fleet.world.token();
    session.set_token(new.clone()).await.unwrap();
    fleet.pass_slowly(5.0).await;
    assert_eq!(waiting.await.unwrap().unwrap().access_token(), new.access_token());
    assert_eq!(fleet.token_requests(), 1);
    fleet.assert_stored(&new);
}

#[tokio::test]
async fn a_refresh_token_that_somebody_else_has_used_ends_that_login_and_not_the_next() {
    let fleet = Fleet::new().await;
    let old = fleet.world.expired_token();
    fleet.signed_in(old.clone()).await;
    // Another client has used it: the provider ends this login.
    refresh(&fleet.world.provider, old.refresh_token().unwrap()).await;
    let session = fleet.sibling();
    assert!(session.token().await.unwrap_err().is_reauthorization_required());
    assert_eq!(fleet.bookkeeping()["state"], "ended");
    let new = fleet.world.expired_token();
    fleet.signed_in(new).await;
    fleet.pass_slowly(1.0).await;
    let renewed = fleet.meanwhile(session.token()).await.unwrap();
    fleet.assert_stored(&renewed);
}

#[tokio::test]
async fn the_same_token_set_again_amid_its_renewal_loses_no_login() {
    let fleet = Fleet::new().await;
    let old = fleet.world.expired_token();
    fleet.signed_in(old.clone()).await;
    let session = fleet.sibling();
    let hold = fleet.world.provider.pause_token_requests();
    let waiting = fleet.ask(&session);
    fleet.world.provider.wait_for_token_requests(1).await;
    session.set_token(old).await.unwrap();
    drop(hold);
    let renewed = fleet.meanwhile(waiting).await.unwrap().unwrap();
    fleet.meanwhile(session.shutdown()).await.unwrap();
    fleet.assert_stored(&renewed);
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn the_same_token_set_again_while_a_sibling_renews_it_loses_no_login() {
    // What the sibling does is in the store already when the application signs in, or meets its swap.
    for has_looked in [false, true] {
        let fleet = Fleet::new().await;
        let old = fleet.world.expired_token();
        fleet.signed_in(old.clone()).await;
        let (session, sibling) = (fleet.sibling(), fleet.sibling());
        if has_looked {
            // A session that has read the record, and renews nothing.
            fleet.store.next(Calls::Swaps, StoreFault::FailBefore, 2);
            assert!(session.token().await.unwrap_err().is_store());
            pass(60).await;
        }
        let hold = fleet.world.provider.pause_token_requests();
        let renewal = fleet.ask(&sibling);
        fleet.world.provider.wait_for_token_requests(1).await;
        session.set_token(old.clone()).await.unwrap();
        let waiting = fleet.ask(&session);
        fleet.world.round_trips().await;
        drop(hold);
        let renewed = fleet.meanwhile(renewal).await.unwrap().unwrap();
        assert_ne!(renewed.access_token(), old.access_token());
        let taken = fleet.meanwhile(waiting).await.unwrap().unwrap();
        assert_eq!(taken.access_token(), renewed.access_token(), "{has_looked}");
        fleet.meanwhile(sibling.shutdown()).await.unwrap();
        fleet.meanwhile(session.shutdown()).await.unwrap();
        fleet.assert_stored(&renewed);
        fleet.assert_renewals(1);
    }
}

#[tokio::test]
async fn what_the_provider_refused_to_the_login_before_is_asked_for_again_by_an_adopted_one() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.sibling();
    let other = session.for_resource("https://b.example/").unwrap();
    let code = "invalid_target".to_owned();
    fleet.world.provider.fail_next(Fault::OAuthError { status: 400, code });
    for _ in 0..2 {
        assert_eq!(other.token().await.unwrap_err().error_code(), Some("invalid_target"));
    }
    assert_eq!(fleet.token_requests(), 1);
    // The person logs in again at another replica, and consents.
    let new = fleet.world.token();
    fleet.signed_in(new.clone()).await;
    assert_eq!(session.refresh().await.unwrap().access_token(), new.access_token());
    other.token().await.unwrap();
    fleet.assert_renewals(2);
}

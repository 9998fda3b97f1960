//! Signing out, where sessions share the login.

use reqwest_oauth2::{ClientCredentials, Session, Token, UserSessions};

use super::fleet::Fleet;
use crate::faulty_store::{Calls, Fault as StoreFault};
use crate::support::{ours, pass};

/// A session that has this login from the store, and revokes what it signs out.
async fn revoking(fleet: &Fleet, token: &Token) -> Session {
    fleet.signed_in(token.clone()).await;
    let session = fleet.revoking().build();
    session.token().await.unwrap();
    session
}

#[tokio::test]
async fn signing_out_ends_it_for_all_and_signing_in_begins_it_anew() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    other.token().await.unwrap();
    one.sign_out().await.unwrap();
    assert!(one.token().await.unwrap_err().is_reauthorization_required());
    fleet.world.clock.forward(3600.0);
    assert!(other.token().await.unwrap_err().is_reauthorization_required());
    assert!(other.refresh().await.unwrap_err().is_reauthorization_required());
    assert!(fleet.stored().is_none());
    assert_eq!(fleet.token_requests(), 0);

    let token = fleet.world.token();
    other.set_token(token.clone()).await.unwrap();
    pass(1).await;
    assert_eq!(one.token().await.unwrap().access_token(), token.access_token());
}

#[tokio::test]
async fn a_sign_out_leaves_a_record_without_a_token() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let before = fleet.bookkeeping();
    fleet.sibling().sign_out().await.unwrap();
    let document = fleet.document();
    assert_eq!(document.as_object().unwrap().len(), 1, "the bookkeeping and nothing else");
    let after = fleet.bookkeeping();
    assert_eq!(after["state"], "signed_out");
    assert_ne!(after["login"], before["login"]);
    assert!(after["number"].as_u64() > before["number"].as_u64());
    // A session that begins now knows that nobody is signed in.
    let error = fleet.sibling().token().await.unwrap_err();
    assert!(error.is_reauthorization_required(), "{error}");
    assert!(error.to_string().contains("signed out"), "{error}");
}

#[tokio::test]
async fn the_token_is_revoked_after_the_sign_out_is_stored() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token();
    let session = revoking(&fleet, &token).await;
    fleet.store.always(Calls::Swaps, StoreFault::HangBefore);
    let signing_out = tokio::spawn({
        let session = session.clone();
        async move { session.sign_out().await }
    });
    fleet.world.round_trips().await;
    assert!(session.current_token().is_none(), "it has ended here already");
    assert_eq!(fleet.world.provider.counts().revocations, 0);
    fleet.store.heal();
    signing_out.await.unwrap().unwrap();
    assert_eq!(fleet.world.provider.counts().revocations, 2);
    assert!(!fleet.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
}

#[tokio::test]
async fn signing_out_revokes_what_a_sibling_has_renewed() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let one = fleet.revoking().build();
    one.token().await.unwrap();
    let sibling = fleet.sibling();
    let old = sibling.token().await.unwrap();
    let newest = sibling.refresh().await.unwrap();
    assert_ne!(newest.access_token(), old.access_token());
    one.sign_out().await.unwrap();
    let provider = &fleet.world.provider;
    assert!(!provider.accepts_refresh_token(newest.refresh_token().unwrap()));
    assert!(!provider.accepts_access_token(newest.access_token()));
    let requests = provider.revocation_requests();
    let revoked: Vec<_> = requests.iter().map(|request| request.param("token").unwrap()).collect();
    assert_eq!(revoked, [newest.refresh_token().unwrap(), newest.access_token()]);
}

#[tokio::test]
async fn signing_out_revokes_the_login_that_a_sibling_has_begun() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let one = fleet.revoking().build();
    one.token().await.unwrap();
    let other = fleet.world.token();
    fleet.signed_in(other.clone()).await;
    // Whatever a replica that lags behind shows it.
    fleet.store.next(Calls::Loads, StoreFault::Stale(1), 2);
    one.sign_out().await.unwrap();
    assert!(!fleet.world.provider.accepts_refresh_token(other.refresh_token().unwrap()));
    assert!(fleet.stored().is_none());
}

#[tokio::test]
async fn a_login_that_begins_after_a_sign_out_stays() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let one = fleet.revoking().build();
    one.token().await.unwrap();
    // The sign-out is in the store, but its answer is lost; then another session signs in.
    fleet.store.next(Calls::Swaps, StoreFault::HangAfter, 1);
    let signing_out = tokio::spawn({
        let one = one.clone();
        async move { one.sign_out().await }
    });
    fleet.world.round_trips().await;
    let new = fleet.world.token();
    fleet.signed_in(new.clone()).await;
    let outcome = fleet.meanwhile(signing_out).await.unwrap();
    assert!(outcome.unwrap_err().is_save(), "what became of it is not known yet");
    fleet.meanwhile(one.shutdown()).await.unwrap();
    fleet.assert_stored(&new);
    assert_eq!(one.token().await.unwrap().access_token(), new.access_token());
}

#[tokio::test]
async fn a_service_that_was_signed_out_asks_for_no_other_token() {
    let fleet = Fleet::new().await;
    let service = || fleet.builder().grant(ClientCredentials::new()).build();
    let (one, other) = (service(), service());
    one.token().await.unwrap();
    one.sign_out().await.unwrap();
    let error = other.token().await.unwrap_err();
    assert!(error.is_reauthorization_required(), "{error}");
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn a_sign_out_by_a_sibling_wins_over_a_renewal_and_its_token_is_revoked() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let (one, other) = (fleet.revoking().build(), fleet.revoking().build());
    let hold = fleet.world.provider.pause_token_requests();
    let renewal = fleet.ask(&one);
    fleet.world.provider.wait_for_token_requests(1).await;
    other.sign_out().await.unwrap();
    assert_eq!(fleet.world.provider.counts().revocations, 2);
    drop(hold);
    let error = fleet.meanwhile(renewal).await.unwrap().unwrap_err();
    assert!(error.is_reauthorization_required(), "{error}");
    one.shutdown().await.unwrap();
    assert_eq!(fleet.bookkeeping()["state"], "signed_out");
}

#[tokio::test]
async fn a_token_that_comes_after_the_sign_out_was_stored_is_revoked() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let (one, other) = (fleet.revoking().build(), fleet.sibling());
    let hold = fleet.world.provider.pause_token_requests();
    let renewal = fleet.ask(&one);
    fleet.world.provider.wait_for_token_requests(1).await;
    // This one cannot revoke: the token that the renewal brings would be left.
    other.sign_out().await.unwrap();
    drop(hold);
    assert!(fleet.meanwhile(renewal).await.unwrap().unwrap_err().is_reauthorization_required());
    one.shutdown().await.unwrap();
    let counts = fleet.world.provider.counts();
    assert_eq!((counts.tokens_issued, counts.revocations), (1, 2));
    assert!(fleet.stored().is_none());
}

#[tokio::test]
async fn a_sign_out_by_a_sibling_wins_over_a_token_that_is_not_stored_yet() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.revoking().build(), fleet.sibling());
    other.token().await.unwrap();
    one.token().await.unwrap();
    let hold = fleet.world.provider.pause_token_requests();
    let refresh = tokio::spawn({
        let one = one.clone();
        async move { one.refresh().await }
    });
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.store.always(Calls::Swaps, StoreFault::FailBefore);
    drop(hold);
    let renewed = fleet.meanwhile(refresh).await.unwrap().unwrap();
    fleet.store.heal();
    other.sign_out().await.unwrap();
    pass(60).await;
    one.shutdown().await.unwrap();
    assert_eq!(fleet.bookkeeping()["state"], "signed_out", "the sign-out stands");
    assert!(!fleet.world.provider.accepts_refresh_token(renewed.refresh_token().unwrap()));
    assert!(one.token().await.unwrap_err().is_reauthorization_required());
    // And a new login is renewed as any other.
    fleet.signed_in(fleet.world.expired_token()).await;
    pass(1).await;
    one.token().await.unwrap();
    assert_eq!(fleet.token_requests(), 2);
}

#[tokio::test]
async fn a_sign_out_while_the_store_is_down_ends_the_login_here_and_is_stored_later() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.revoking().build();
    let token = session.token().await.unwrap();
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    let error = session.sign_out().await.unwrap_err();
    assert!(error.is_save(), "{error}");
    assert_eq!(error.to_string(), "what was saved could not be deleted; it is tried again");
    assert!(session.token().await.unwrap_err().is_reauthorization_required());
    assert_eq!(fleet.world.provider.counts().revocations, 0, "siblings still use it");
    fleet.store.heal();
    pass(60).await;
    session.shutdown().await.unwrap();
    assert_eq!(fleet.bookkeeping()["state"], "signed_out");
    assert!(!fleet.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
}

#[tokio::test]
async fn the_error_of_a_sign_out_says_why_the_store_failed() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token();
    for locally in [false, true] {
        let session = revoking(&fleet, &token).await;
        fleet.store.always(Calls::All, StoreFault::FailBefore);
        let outcome =
            if locally { session.sign_out_locally().await } else { session.sign_out().await };
        let error = outcome.unwrap_err();
        assert!(error.is_save(), "{error}");
        let mut next = Some(&error as &(dyn std::error::Error + 'static));
        let chain = std::iter::from_fn(|| {
            let error = next?;
            next = error.source();
            Some(error.to_string())
        });
        let chain: Vec<String> = chain.collect();
        assert_eq!(
            chain,
            [
                "what was saved could not be deleted; it is tried again",
                "the token store cannot be used now; it may work later",
                "the plug was pulled",
            ]
        );
        fleet.store.heal();
        pass(60).await;
        session.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_revocation_that_fails_is_an_error_and_the_next_sign_out_makes_up_for_it() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.revoking().build();
    let token = session.token().await.unwrap();
    fleet.world.provider.fail_next_revocation(503, Some("120"));
    let error = session.sign_out().await.unwrap_err();
    assert_eq!(
        (error.status().unwrap().as_u16(), error.retry_after().unwrap().as_secs()),
        (503, 120)
    );
    assert_eq!(fleet.bookkeeping()["state"], "signed_out", "the login has ended all the same");
    assert!(fleet.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    session.sign_out().await.unwrap();
    assert!(!fleet.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    assert_eq!(fleet.world.provider.counts().revocations, 3);
}

/// Its access token is revoked with it: the API rejects it, and then the other session looks into the store.
#[tokio::test]
async fn a_sibling_learns_of_the_sign_out_when_its_token_is_rejected() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token();
    fleet.signed_in(token.clone()).await;
    let (one, other) = (fleet.revoking().build(), fleet.sibling());
    let http = fleet.world.http(&other);
    assert_eq!(fleet.world.get(&http).await.unwrap(), 200);
    one.token().await.unwrap();
    one.sign_out_locally().await.unwrap();
    one.shutdown().await.unwrap();
    let requests = fleet.world.provider.revocation_requests();
    let revoked: Vec<_> = requests.iter().map(|request| request.param("token").unwrap()).collect();
    assert_eq!(revoked, [token.refresh_token().unwrap(), token.access_token()]);
    let error = ours(&fleet.world.get(&http).await.unwrap_err());
    assert!(error.is_reauthorization_required() && error.to_string().contains("signed out"));
    assert_eq!(fleet.token_requests(), 0);
}

#[tokio::test]
async fn a_user_is_signed_out_here_and_now_and_the_revocation_is_made_up_for() {
    let fleet = Fleet::new().await;
    let app = fleet.world.app().revocation_endpoint(fleet.world.provider.revocation_url()).unwrap();
    let sessions = UserSessions::builder(app).store(fleet.store.clone()).build();
    let token = fleet.world.token();
    sessions.sign_in("alice", token.clone()).await.unwrap();
    fleet.world.provider.fail_next_revocation(503, None);
    sessions.sign_out_locally("alice").await.unwrap();
    assert_eq!(fleet.bookkeeping()["state"], "signed_out");
    sessions.shutdown().await.unwrap();
    assert!(fleet.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    sessions.sign_out("alice").await.unwrap();
    assert!(!fleet.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    assert_eq!(sessions.loaded_sessions(), 0);
}

#[tokio::test]
async fn a_sign_out_here_and_now_while_the_store_is_down_is_stored_later() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.revoking().build();
    session.token().await.unwrap();
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    assert!(session.sign_out_locally().await.unwrap_err().is_save());
    assert!(session.current_token().is_none());
    fleet.store.heal();
    fleet.meanwhile(session.shutdown()).await.unwrap();
    assert_eq!(fleet.bookkeeping()["state"], "signed_out");
    assert_eq!(fleet.world.provider.counts().revocations, 2);
}

#[tokio::test]
async fn a_sign_out_again_after_its_answer_was_lost_revokes_the_token() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token();
    let session = revoking(&fleet, &token).await;
    fleet.store.next(Calls::Swaps, StoreFault::FailAfter, 1);
    fleet.store.next(Calls::Swaps, StoreFault::FailBefore, 1);
    assert!(session.sign_out().await.unwrap_err().is_save());
    assert_eq!(fleet.bookkeeping()["state"], "signed_out");
    session.sign_out().await.unwrap();
    assert!(!fleet.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    assert_eq!(fleet.world.provider.counts().revocations, 2);
}

#[tokio::test]
async fn two_sign_outs_at_once_revoke_the_token() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token();
    let session = revoking(&fleet, &token).await;
    fleet.store.always(Calls::Swaps, StoreFault::HangBefore);
    let sign_out = || {
        let session = session.clone();
        tokio::spawn(async move { session.sign_out().await })
    };
    let first = sign_out();
    fleet.world.round_trips().await;
    let second = sign_out();
    fleet.world.round_trips().await;
    fleet.store.heal();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert!(!fleet.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    assert_eq!(fleet.world.provider.counts().revocations, 2);
}

#[tokio::test]
async fn a_sign_in_after_a_sign_out_that_is_not_stored_revokes_the_old_login() {
    let fleet = Fleet::new().await;
    let (old, new) = (fleet.world.token(), fleet.world.token());
    let session = revoking(&fleet, &old).await;
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    assert!(session.sign_out().await.unwrap_err().is_save());
    session.set_token(new.clone()).await.unwrap();
    assert_eq!(fleet.world.provider.counts().revocations, 0, "siblings still use it");
    fleet.store.heal();
    fleet.meanwhile(session.shutdown()).await.unwrap();
    fleet.assert_stored(&new);
    assert!(!fleet.world.provider.accepts_refresh_token(old.refresh_token().unwrap()));
    assert_eq!(fleet.world.provider.counts().revocations, 2);
}

#[tokio::test]
async fn a_token_that_is_signed_in_again_before_the_sign_out_is_stored_is_not_revoked() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token();
    let session = revoking(&fleet, &token).await;
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    assert!(session.sign_out().await.unwrap_err().is_save());
    session.set_token(token.clone()).await.unwrap();
    fleet.store.heal();
    fleet.meanwhile(session.shutdown()).await.unwrap();
    fleet.assert_stored(&token);
    assert_eq!(fleet.world.provider.counts().revocations, 0);
}

#[tokio::test]
async fn a_sign_out_that_a_sign_in_overtakes_waits_for_the_revocation() {
    let fleet = Fleet::new().await;
    let (old, new) = (fleet.world.token(), fleet.world.token());
    let session = revoking(&fleet, &old).await;
    fleet.store.always(Calls::Swaps, StoreFault::HangBefore);
    let signing_out = tokio::spawn({
        let session = session.clone();
        async move { session.sign_out().await }
    });
    fleet.world.round_trips().await;
    let signing_in = tokio::spawn({
        let (session, new) = (session.clone(), new.clone());
        async move { session.set_token(new).await }
    });
    fleet.world.round_trips().await;
    assert!(!signing_out.is_finished());
    fleet.store.heal();
    signing_out.await.unwrap().unwrap();
    assert!(!fleet.world.provider.accepts_refresh_token(old.refresh_token().unwrap()));
    signing_in.await.unwrap().unwrap();
    fleet.assert_stored(&new);
}

#[tokio::test]
async fn a_sign_out_revokes_a_login_that_the_store_never_had() {
    let fleet = Fleet::new().await;
    let (old, new) = (fleet.world.token(), fleet.world.token());
    let session = revoking(&fleet, &old).await;
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    session.set_token(new.clone()).await.unwrap();
    assert!(session.sign_out().await.unwrap_err().is_save());
    fleet.store.heal();
    fleet.meanwhile(session.shutdown()).await.unwrap();
    for token in [old, new] {
        assert!(!fleet.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    }
    assert_eq!(fleet.world.provider.counts().revocations, 4);
}

//! What one session has renewed, the others take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::{ClientCredentials, OAuthClient, Session, SessionBuilder, Token};

use super::fleet::Fleet;
use crate::faulty_store::{Calls, Fault as StoreFault, LOAD, SWAP};
use crate::support::{World, bounded, ours, pass};

#[tokio::test]
async fn a_session_begins_with_what_is_stored() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token();
    fleet.signed_in(token.clone()).await;
    let session = fleet.sibling();
    let calls = fleet.store.calls_from_here();
    assert_eq!(session.token().await.unwrap().access_token(), token.access_token());
    assert_eq!(calls(), [LOAD]);
    session.token().await.unwrap();
    assert_eq!(calls(), [LOAD], "not again");
    assert_eq!(fleet.token_requests(), 0);
}

#[tokio::test]
async fn a_session_renewed_by_hand_begins_with_what_is_stored_too() {
    let fleet = Fleet::new().await;
    let by_hand = || fleet.builder().manual_refresh().build();
    let calls = fleet.store.calls_from_here();
    assert!(by_hand().token().await.unwrap_err().is_reauthorization_required());
    assert_eq!(calls(), [LOAD]);
    let token = fleet.world.token();
    fleet.signed_in(token.clone()).await;
    let calls = fleet.store.calls_from_here();
    assert_eq!(by_hand().token().await.unwrap().access_token(), token.access_token());
    assert_eq!(calls(), [LOAD]);
    assert_eq!(fleet.token_requests(), 0);
}

#[tokio::test]
async fn a_session_renewed_by_hand_takes_what_a_sibling_has_renewed() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.builder().manual_refresh().build();
    session.token().await.unwrap();
    fleet.world.clock.forward(3600.0);
    pass(1).await;
    let http = fleet.world.http(&session);
    let calls = fleet.store.calls_from_here();
    for _ in 0..2 {
        assert!(ours(&fleet.world.get(&http).await.unwrap_err()).is_expired());
    }
    assert_eq!(calls(), [LOAD], "what it says is true for a moment");
    let renewed = fleet.sibling().token().await.unwrap();
    pass(1).await;
    assert_eq!(fleet.world.get(&http).await.unwrap(), 200);
    assert_eq!(session.current_token().unwrap().access_token(), renewed.access_token());
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn a_session_renewed_by_hand_does_not_call_a_token_expired_that_it_cannot_read() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.builder().manual_refresh().build();
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    assert!(session.token().await.unwrap_err().is_store());
    fleet.store.heal();
    pass(30).await;
    session.token().await.unwrap();
}

#[tokio::test]
async fn nothing_is_asked_of_the_store_while_the_token_is_fresh() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.sibling();
    session.token().await.unwrap();
    let http = fleet.world.http(&session);
    let calls = fleet.store.calls_from_here();
    for _ in 0..100 {
        assert_eq!(fleet.world.get(&http).await.unwrap(), 200);
        session.token().await.unwrap();
    }
    pass(3600).await;
    session.shutdown().await.unwrap();
    assert_eq!(calls(), [""; 0]);
}

#[tokio::test]
async fn a_renewal_costs_two_swaps_and_a_session_that_has_the_record_loads_nothing() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let session = fleet.sibling();
    let calls = fleet.store.calls_from_here();
    session.token().await.unwrap();
    assert_eq!(calls(), [LOAD, SWAP, SWAP]);
    for renewals in 2..=4 {
        let calls = fleet.store.calls_from_here();
        fleet.world.clock.forward(3600.0);
        session.token().await.unwrap();
        assert_eq!(calls(), [SWAP, SWAP]);
        fleet.assert_renewals(renewals);
    }
    assert!(fleet.bookkeeping()["mark"].is_null(), "the second swap clears the mark");
}

#[tokio::test]
async fn of_many_siblings_at_expiry_one_renews_and_the_others_take_its_token() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let sessions: Vec<_> = (0..20).map(|_| fleet.sibling()).collect();
    let requests = sessions.iter().flat_map(|session| (0..5).map(|_| session.token()));
    let tokens = fleet.meanwhile(futures_util::future::join_all(requests)).await;
    let stored = fleet.stored().unwrap();
    for token in tokens {
        assert_eq!(token.unwrap().access_token(), stored.access_token());
    }
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_due_token_is_looked_up_before_it_is_renewed() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    let old = other.token().await.unwrap();
    fleet.world.clock.forward(3500.0); // due, and not yet expired
    let new = one.refresh().await.unwrap();
    let mut updates = other.subscribe();
    assert_eq!(other.token().await.unwrap().access_token(), old.access_token(), "nobody waits");
    assert_eq!(updates.next().await.unwrap().access_token(), new.access_token());
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_401_is_looked_up_before_it_renews() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    other.token().await.unwrap();
    let new = one.refresh().await.unwrap();
    fleet.world.provider.revoke_access_tokens();
    let newest = one.refresh().await.unwrap();
    assert_ne!(new.access_token(), newest.access_token());
    let http = fleet.world.http(&other);
    assert_eq!(fleet.world.get(&http).await.unwrap(), 200);
    assert_eq!(other.current_token().unwrap().access_token(), newest.access_token());
    assert_eq!(fleet.token_requests(), 2, "the sibling's two, and none for the 401");
}

#[tokio::test]
async fn an_adopted_token_that_is_rejected_too_is_renewed_and_the_request_sent_once_more() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    other.token().await.unwrap();
    one.refresh().await.unwrap();
    fleet.world.provider.revoke_access_tokens();
    let http = fleet.world.http(&other);
    assert_eq!(fleet.world.get(&http).await.unwrap(), 200);
    fleet.assert_renewals(2);
    assert_eq!(fleet.world.shown().len(), 3, "its own, the sibling's, the renewed one");
}

#[tokio::test]
async fn the_refresh_token_presented_is_the_stored_one() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    other.token().await.unwrap();
    one.refresh().await.unwrap();
    fleet.world.clock.forward(7200.0); // both tokens have expired
    other.token().await.unwrap();
    one.token().await.unwrap();
    fleet.assert_renewals(2);
}

#[tokio::test]
async fn a_stale_load_presents_no_refresh_token_that_a_sibling_has_used() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let new = fleet.sibling().token().await.unwrap();
    // A replica that lags behind: it shows the mark, and then the token before the renewal.
    for ago in [1, 2] {
        fleet.store.next(Calls::Loads, StoreFault::Stale(ago), 1);
        let reader = fleet.sibling();
        let taken = fleet.meanwhile(reader.token()).await.unwrap();
        assert_eq!(taken.access_token(), new.access_token(), "{ago}");
    }
    // No record at all is an error, which is remembered for a moment only.
    fleet.store.next(Calls::Loads, StoreFault::Stale(3), 1);
    let reader = fleet.sibling();
    assert!(reader.token().await.unwrap_err().is_reauthorization_required());
    pass(1).await;
    assert_eq!(reader.token().await.unwrap().access_token(), new.access_token());
    fleet.assert_renewals(1);
    fleet.assert_stored(&new);
}

#[tokio::test]
async fn a_login_that_the_provider_has_ended_is_tried_by_one_process_only() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    fleet.world.provider.revoke_families();
    let (one, other) = (fleet.sibling(), fleet.sibling());
    let error = one.token().await.unwrap_err();
    assert!(error.is_reauthorization_required());
    assert_eq!(error.error_code(), Some("invalid_grant"));
    for _ in 0..3 {
        let error = other.token().await.unwrap_err();
        assert!(error.is_reauthorization_required());
        assert_eq!(error.error_code(), Some("invalid_grant"), "as the provider said it");
        pass(60).await;
    }
    assert_eq!(fleet.token_requests(), 1);
    assert_eq!(fleet.bookkeeping()["state"], "ended");
    // A new login is for all sessions.
    let token = fleet.world.token();
    fleet.signed_in(token.clone()).await;
    assert_eq!(one.token().await.unwrap().access_token(), token.access_token());
    assert_eq!(other.token().await.unwrap().access_token(), token.access_token());
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn siblings_find_a_token_due_at_the_same_instant() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let sessions: Vec<_> = (0..10).map(|_| fleet.sibling()).collect();
    for session in &sessions {
        session.token().await.unwrap();
    }
    let due = || sessions.iter().filter(|session| session.header().is_none()).count();
    // The lead of 5 minutes, jittered by a quarter either way.
    fleet.world.clock.forward(3600.0 - 376.0);
    assert_eq!(due(), 0);
    while due() == 0 {
        fleet.world.clock.forward(0.5);
    }
    assert_eq!(due(), 10);
}

#[tokio::test]
async fn a_user_without_a_token_is_an_error_and_no_request() {
    let fleet = Fleet::new().await;
    let session = fleet.sibling();
    let http = fleet.world.http(&session);
    let error = ours(&fleet.world.get(&http).await.unwrap_err());
    assert!(error.is_reauthorization_required(), "{error}");
    assert!(error.to_string().contains("no token is stored"), "{error}");
    let counts = fleet.world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_requests), (0, 0));
    assert_eq!((fleet.store.loads(), fleet.store.swaps()), (1, 0));
}

#[tokio::test]
async fn a_rejected_token_is_not_adopted_from_the_store() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token();
    fleet.signed_in(token.clone()).await;
    // It does not know that its token is the stored one.
    let session = fleet.builder().token(token).build();
    let http = fleet.world.http(&session);
    fleet.world.provider.revoke_access_tokens();
    assert_eq!(fleet.world.get(&http).await.unwrap(), 200);
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn one_bad_path_takes_no_token_out_of_use_that_nothing_renews() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token().with_refresh_token("");
    fleet.signed_in(token.clone()).await;
    let session = fleet.sibling();
    let http = fleet.world.http(&session);
    assert_eq!(fleet.world.get(&http).await.unwrap(), 200);
    for _ in 0..3 {
        let calls = fleet.store.calls_from_here();
        fleet.world.provider.reject_all(true);
        for _ in 0..2 {
            let bad = http.get(fleet.world.provider.api_url() + "/bad").send().await.unwrap();
            assert_eq!(bad.status(), 401);
            assert!(session.renew_rejected(&token).await.unwrap().is_none());
        }
        assert_eq!(calls(), [LOAD], "another process may have stored another one");
        fleet.world.provider.reject_all(false);
        assert_eq!(fleet.world.get(&http).await.unwrap(), 200);
        assert_eq!(session.token().await.unwrap().access_token(), token.access_token());
        pass(1).await;
    }
    // A mark is looked up by the next request.
    assert!(session.mark_rejected(&token));
    assert!(session.header().is_none());
    assert_eq!(session.token().await.unwrap().access_token(), token.access_token());
    assert!(session.header().is_some());
    // Once there is another login, it is found.
    pass(1).await;
    fleet.signed_in(fleet.world.token()).await;
    fleet.world.provider.revoke_access_tokens();
    let new = fleet.world.token();
    fleet.signed_in(new.clone()).await;
    assert_eq!(fleet.world.get(&http).await.unwrap(), 200);
    assert_eq!(session.current_token().unwrap().access_token(), new.access_token());
    assert_eq!(fleet.token_requests(), 0);
}

#[tokio::test]
async fn a_stored_token_goes_before_one_that_the_application_gives() {
    let fleet = Fleet::new().await;
    let stored = fleet.world.token();
    fleet.signed_in(stored.clone()).await;
    let session = fleet.builder().token(fleet.world.expired_token()).build();
    assert_eq!(session.token().await.unwrap().access_token(), stored.access_token());
    assert_eq!(fleet.token_requests(), 0);
    fleet.assert_stored(&stored);
}

/// The one that is given is not used before the store was read, however fresh it is.
#[tokio::test]
async fn a_stored_login_goes_before_a_fresh_token_that_the_application_gives() {
    for manual in [false, true] {
        let fleet = Fleet::new().await;
        let stored = fleet.world.token();
        fleet.signed_in(stored.clone()).await;
        let given = fleet.world.token();
        let build = || {
            let builder = fleet.builder().token(given.clone());
            if manual { builder.manual_refresh().build() } else { builder.build() }
        };
        let session = build();
        assert!(session.header().is_none() && session.current_token().is_none());
        assert_eq!(session.token().await.unwrap().access_token(), stored.access_token());
        let session = build();
        assert_eq!(session.refresh().await.unwrap().access_token(), stored.access_token());
        fleet.sibling().sign_out().await.unwrap();
        let session = build();
        assert!(session.token().await.unwrap_err().is_reauthorization_required());
        assert!(session.header().is_none());
        assert_eq!(fleet.token_requests(), 0);
    }
}

#[tokio::test]
async fn a_token_that_the_application_gives_is_used_if_the_store_holds_none_or_is_down() {
    for fault in [None, Some(StoreFault::FailBefore), Some(StoreFault::HangBefore)] {
        let fleet = Fleet::new().await;
        let given = fleet.world.token();
        let session = fleet.builder().token(given.clone()).build();
        fault.into_iter().for_each(|fault| fleet.store.always(Calls::All, fault));
        let call = session.clone();
        let (seconds, token) = bounded(&fleet.world, async move { call.token().await }).await;
        assert_eq!(token.unwrap().access_token(), given.access_token());
        assert_eq!(seconds, if fault == Some(StoreFault::HangBefore) { 5 } else { 0 });
        assert!(session.header().is_some());
        fleet.store.heal();
        pass(30).await;
        let renewed = session.refresh().await.unwrap();
        assert_ne!(renewed.access_token(), given.access_token());
        fleet.assert_stored(&renewed);
        fleet.assert_renewals(1);
    }
}

#[tokio::test]
async fn clocks_a_minute_apart_present_no_refresh_token_twice() {
    let world = World::with(|provider| provider.lifetime(Duration::from_secs(90))).await;
    let fleet = Fleet::of(world);
    fleet.signed_in(fleet.world.expired_token()).await;
    let clock = fleet.world.clock.clone();
    let ahead = fleet.builder().clock(move || clock.now() + Duration::from_secs(60)).build();
    let behind = fleet.sibling();
    for _ in 0..20 {
        for session in [&ahead, &behind] {
            let http = fleet.world.http(session);
            assert_eq!(fleet.world.get(&http).await.unwrap(), 200);
            fleet.meanwhile(session.shutdown()).await.unwrap();
        }
        fleet.world.clock.forward(15.0);
    }
    let counts = fleet.world.provider.counts();
    assert_eq!(counts.reuse_detected, 0);
    assert_eq!(counts.token_requests, counts.refreshes, "no request was refused");
}

#[tokio::test]
async fn a_services_own_token_is_shared_too() {
    let fleet = Fleet::new().await;
    let service = || fleet.builder().grant(ClientCredentials::new()).build();
    let (one, other) = (service(), service());
    let token = one.token().await.unwrap();
    assert_eq!(other.token().await.unwrap().access_token(), token.access_token());
    assert_eq!(fleet.token_requests(), 1);
    // It needs no record: the provider gives another to every caller.
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    fleet.world.clock.forward(3600.0);
    one.token().await.unwrap();
    assert_eq!(fleet.token_requests(), 2);
}

/// Some providers give the same access token again, and let it live longer.
#[tokio::test]
async fn a_sibling_takes_a_renewal_that_brings_the_same_access_token_for_longer() {
    let fleet = Fleet::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let service = || {
        let (asked, clock) = (asked.clone(), fleet.world.clock.clone());
        let grant = move || {
            asked.fetch_add(1, Ordering::SeqCst);
            let expires_at = clock.now() + Duration::from_secs(3600);
            async move { Ok(Token::new("same")?.with_expires_at(expires_at.into())) }
        };
        fleet.builder().grant(grant).build()
    };
    let (one, other) = (service(), service());
    one.token().await.unwrap();
    other.token().await.unwrap();
    for (renewals, seconds) in [(2, 3600.0), (3, 3500.0), (4, 3600.0)] {
        fleet.world.clock.forward(seconds);
        for session in [&one, &other, &one] {
            fleet.meanwhile(session.token()).await.unwrap();
            fleet.meanwhile(session.shutdown()).await.unwrap();
        }
        assert_eq!(asked.load(Ordering::SeqCst), renewals, "{seconds}");
        assert!(fleet.bookkeeping()["mark"].is_null());
    }
    // While both are kept fresh, too.
    let _fresh = [one.keep_fresh().unwrap(), other.keep_fresh().unwrap()];
    fleet.world.clock.forward(3500.0);
    fleet.pass_slowly(60.0).await;
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn users_clients_and_providers_are_apart() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let none = |builder: SessionBuilder| async {
        builder.build().token().await.unwrap_err().is_reauthorization_required()
    };
    let store = || fleet.store.clone();
    assert!(none(fleet.world.session().store(store(), "bob")).await);
    let other_client = OAuthClient::new("bar", fleet.world.provider.token_url()).unwrap();
    assert!(none(Session::builder(other_client).store(store(), "alice")).await);
    let other_provider = fleet.world.app().issuer("https://other.example");
    assert!(none(Session::builder(other_provider).store(store(), "alice")).await);
}

#[tokio::test]
async fn a_plain_memory_store_serves_sessions_of_one_process() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let build = || world.session().store(store.clone(), "alice").build();
    build().set_token(world.expired_token()).await.unwrap();
    let token = build().token().await.unwrap();
    assert_eq!(build().token().await.unwrap().access_token(), token.access_token());
}

/// Each takes what any other one has renewed.
#[tokio::test]
async fn siblings_of_all_kinds_that_want_a_token_at_once_renew_it_once() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let by_hand = fleet.builder().manual_refresh().build();
    let kinds = [
        fleet.sibling(),
        fleet.builder().foreground().build(),
        fleet.builder().strict_saving().build(),
        fleet.builder().renew_without_store().build(),
        fleet.builder().grant(ClientCredentials::new()).build(),
    ];
    for round in 1..=3 {
        fleet.world.clock.forward(3600.0);
        let mut calls: Vec<_> = kinds.iter().map(|session| fleet.ask(session)).collect();
        let by_hand = by_hand.clone();
        calls.push(tokio::spawn(async move { by_hand.refresh().await }));
        let (_, tokens) = bounded(&fleet.world, join_all(calls)).await;
        let tokens = tokens.into_iter().map(|token| token.unwrap().unwrap());
        let tokens: Vec<_> = tokens.map(|token| token.access_token().to_owned()).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        fleet.assert_renewals(round);
    }
}

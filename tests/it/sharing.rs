//! Sessions that share a store, as those of several processes do: one refresh in the fleet.

use std::sync::Arc;
use std::time::Duration;

use reqwest_oauth2::store::{MemoryStore, Record, SwapOutcome, TokenKey, TokenStore as _};
use reqwest_oauth2::{ClientCredentials, OAuthClient, Session, SessionBuilder, Token};

use crate::faulty_store::{Calls, Fault as StoreFault, FaultyStore};
use crate::support::{World, ours, pass, polled};

/// A provider, and a store that the sessions of its clients share.
struct Fleet {
    world: World,
    store: FaultyStore,
}

impl Fleet {
    async fn new() -> Self {
        Self::of(World::new().await)
    }

    fn of(world: World) -> Self {
        Self { world, store: FaultyStore::default() }
    }

    fn key(&self) -> TokenKey {
        TokenKey::new(&self.world.provider.token_url(), "foo", "alice")
    }

    /// The session of another process: it knows what the store holds, and nothing else.
    fn sibling(&self) -> Session {
        self.builder().build()
    }

    fn builder(&self) -> SessionBuilder {
        self.world.session().store(self.store.clone(), "alice")
    }

    /// Puts the token into the store, as after a login.
    async fn signed_in(&self, token: Token) {
        self.sibling().set_token(token).await.unwrap();
    }

    async fn stored(&self) -> Option<Token> {
        let record = self.store.stored(&self.key())?;
        serde_json::from_str(record.json()).unwrap()
    }

    fn token_requests(&self) -> u64 {
        self.world.provider.counts().token_requests
    }

    /// Lets time pass, a little at a time, until the future is done.
    async fn meanwhile<F: Future>(&self, future: F) -> F::Output {
        let passing = async {
            loop {
                self.world.round_trips().await;
                tokio::time::advance(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            output = future => output,
            () = passing => unreachable!(),
        }
    }
}

#[tokio::test]
async fn a_session_begins_with_what_is_stored() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token();
    fleet.signed_in(token.clone()).await;
    let session = fleet.sibling();
    assert_eq!(session.token().await.unwrap().access_token(), token.access_token());
    assert_eq!(fleet.token_requests(), 0);
    assert_eq!(fleet.store.loads(), 1, "loaded once");
    session.token().await.unwrap();
    assert_eq!(fleet.store.loads(), 1, "and not again");
}

#[tokio::test]
#[ignore = "sessions do not take turns through the record yet"]
async fn of_many_siblings_at_expiry_one_renews_and_the_others_take_its_token() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let sessions: Vec<_> = (0..20).map(|_| fleet.sibling()).collect();
    let requests = sessions.iter().flat_map(|session| (0..5).map(|_| session.token()));
    let tokens = fleet.meanwhile(futures_util::future::join_all(requests)).await;
    let stored = fleet.stored().await.unwrap();
    for token in tokens {
        assert_eq!(token.unwrap().access_token(), stored.access_token());
    }
    let counts = fleet.world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (1, 0));
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
    assert_eq!(fleet.token_requests(), 1);
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
    let counts = fleet.world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
}

#[tokio::test]
async fn a_refusal_is_looked_into_and_a_siblings_token_taken() {
    let world = World::with(|provider| provider.reuse_detection(false)).await;
    let fleet = Fleet::of(world);
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    other.token().await.unwrap();
    let new = one.refresh().await.unwrap();
    // A replica that lags behind, twice: before the lease, and under it.
    fleet.store.next(Calls::Loads, StoreFault::Stale(1), 2);
    let adopted = other.refresh().await.unwrap();
    assert_eq!(adopted.access_token(), new.access_token());
    assert_eq!(fleet.token_requests(), 2);
}

#[tokio::test]
async fn what_a_sibling_saves_just_before_the_lease_is_granted_is_taken() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let new = fleet.world.token();
    fleet.signed_in(new.clone()).await;
    // The first look still sees the old one.
    fleet.store.next(Calls::Loads, StoreFault::Stale(1), 1);
    let taken = fleet.sibling().token().await.unwrap();
    assert_eq!(taken.access_token(), new.access_token());
    assert_eq!(fleet.token_requests(), 0);
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
        assert!(other.token().await.unwrap_err().is_reauthorization_required());
        pass(60).await;
    }
    assert_eq!(fleet.token_requests(), 1);
    // Whoever logs in again does so for all.
    let token = fleet.world.token();
    fleet.signed_in(token.clone()).await;
    assert_eq!(one.token().await.unwrap().access_token(), token.access_token());
    pass(60).await;
    assert_eq!(other.token().await.unwrap().access_token(), token.access_token());
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
    assert!(other.refresh().await.is_err());
    assert!(fleet.stored().await.is_none());
    assert_eq!(fleet.token_requests(), 0);

    let token = fleet.world.token();
    other.set_token(token.clone()).await.unwrap();
    pass(60).await;
    assert_eq!(one.token().await.unwrap().access_token(), token.access_token());
}

#[tokio::test]
async fn signing_out_revokes_what_a_sibling_has_renewed() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let app = fleet.world.app().revocation_endpoint(fleet.world.provider.revocation_url()).unwrap();
    let clock = fleet.world.clock.reader();
    let one = Session::builder(app).clock(clock).store(fleet.store.clone(), "alice").build();
    one.token().await.unwrap();
    let sibling = fleet.sibling();
    let old = sibling.token().await.unwrap();
    let newest = sibling.refresh().await.unwrap();
    assert_ne!(newest.access_token(), old.access_token());
    one.sign_out().await.unwrap();
    let provider = &fleet.world.provider;
    assert!(!provider.accepts_refresh_token(newest.refresh_token().unwrap()));
    assert!(!provider.accepts_access_token(newest.access_token()));
}

#[tokio::test]
async fn signing_out_revokes_the_login_that_a_sibling_has_begun() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let app = fleet.world.app().revocation_endpoint(fleet.world.provider.revocation_url()).unwrap();
    let clock = fleet.world.clock.reader();
    let one = Session::builder(app).clock(clock).store(fleet.store.clone(), "alice").build();
    one.token().await.unwrap();
    let other = fleet.world.token();
    fleet.signed_in(other.clone()).await;
    one.sign_out().await.unwrap();
    assert!(!fleet.world.provider.accepts_refresh_token(other.refresh_token().unwrap()));
    assert!(fleet.stored().await.is_none());
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
async fn a_rejected_token_is_not_adopted_from_the_store() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token();
    fleet.signed_in(token.clone()).await;
    // It does not know that its token is the stored one.
    let session = fleet.builder().token(token).build();
    let http = fleet.world.http(&session);
    fleet.world.provider.revoke_access_tokens();
    assert_eq!(fleet.world.get(&http).await.unwrap(), 200);
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn a_store_that_is_down_is_not_noticed_while_the_token_is_valid() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.sibling();
    let token = session.token().await.unwrap();
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    fleet.world.clock.forward(3500.0);
    for _ in 0..3 {
        assert_eq!(session.token().await.unwrap().access_token(), token.access_token());
        fleet.world.round_trips().await;
        pass(60).await;
    }
    fleet.world.clock.forward(100.0);
    let error = session.token().await.unwrap_err();
    assert!(error.is_store() && error.is_transient(), "{error}");
    assert_eq!(fleet.token_requests(), 0, "nothing is renewed that cannot be recorded");
    fleet.store.heal();
    pass(60).await;
    let renewed = fleet.meanwhile(session.token()).await.unwrap();
    assert_eq!(fleet.stored().await.unwrap().access_token(), renewed.access_token());
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn unrecorded_renewals_are_recorded_when_the_store_is_back() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.builder().renew_without_store().build();
    session.token().await.unwrap();
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    fleet.world.clock.forward(3600.0);
    let renewed = session.token().await.unwrap();
    assert_eq!(fleet.token_requests(), 1);
    assert!(session.save_error().unwrap().is_save());
    fleet.store.heal();
    pass(60).await;
    session.shutdown().await.unwrap();
    assert_eq!(fleet.stored().await.unwrap().access_token(), renewed.access_token());
    assert_eq!(fleet.sibling().token().await.unwrap().access_token(), renewed.access_token());
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn an_unrecorded_refusal_is_not_asked_for_again() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.builder().renew_without_store().build();
    session.token().await.unwrap();
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    fleet.world.provider.revoke_families();
    fleet.world.clock.forward(3600.0);
    for _ in 0..3 {
        assert!(session.token().await.is_err());
        pass(60).await;
    }
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn a_token_set_meanwhile_by_a_sibling_wins_over_a_renewal() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    let hold = fleet.world.provider.pause_token_requests();
    let renewal = tokio::spawn(async move { one.token().await });
    fleet.world.provider.wait_for_token_requests(1).await;
    let set = fleet.world.token();
    other.set_token(set.clone()).await.unwrap();
    drop(hold);
    let taken = fleet.meanwhile(renewal).await.unwrap().unwrap();
    assert_eq!(taken.access_token(), set.access_token());
    assert_eq!(fleet.stored().await.unwrap().access_token(), set.access_token());
}

#[tokio::test]
async fn a_sign_out_meanwhile_by_a_sibling_wins_over_what_is_not_saved_yet() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    other.token().await.unwrap();
    one.token().await.unwrap();
    fleet.store.always(Calls::Swaps, StoreFault::FailBefore);
    one.refresh().await.unwrap();
    fleet.store.heal();
    // The sibling does not wait for the lease: the store is cleared from under both.
    let present = fleet.store.stored(&fleet.key()).unwrap();
    let ended = Record::new("null");
    let committed =
        fleet.store.compare_and_swap(&fleet.key(), Some(present.version()), &ended).await;
    assert!(matches!(committed.unwrap(), SwapOutcome::Stored(_)));
    pass(60).await;
    one.shutdown().await.unwrap();
    assert!(fleet.stored().await.is_none(), "the sign-out stands");
    fleet.world.clock.forward(3600.0);
    assert!(one.token().await.unwrap_err().is_reauthorization_required());
    // And a new login is renewed as any other.
    fleet.signed_in(fleet.world.expired_token()).await;
    pass(60).await;
    one.token().await.unwrap();
}

#[tokio::test]
async fn a_sign_out_meanwhile_by_a_sibling_wins_over_a_renewal() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let one = fleet.sibling();
    let hold = fleet.world.provider.pause_token_requests();
    let renewal = tokio::spawn(async move { one.token().await });
    fleet.world.provider.wait_for_token_requests(1).await;
    let present = fleet.store.stored(&fleet.key()).unwrap();
    let ended = Record::new("null");
    let committed =
        fleet.store.compare_and_swap(&fleet.key(), Some(present.version()), &ended).await;
    assert!(matches!(committed.unwrap(), SwapOutcome::Stored(_)));
    drop(hold);
    let error = fleet.meanwhile(renewal).await.unwrap().unwrap_err();
    assert!(error.is_reauthorization_required(), "{error}");
    assert!(fleet.stored().await.is_none());
}

#[tokio::test]
async fn signing_out_leaves_a_login_alone_that_a_sibling_has_begun_meanwhile() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let one = fleet.sibling();
    one.token().await.unwrap();
    let new = fleet.world.token();
    fleet.signed_in(new.clone()).await;
    // What it signs out of is still the old one, whenever it looks.
    fleet.store.next(Calls::Loads, StoreFault::Stale(1), 2);
    one.sign_out().await.unwrap();
    assert_eq!(fleet.stored().await.unwrap().access_token(), new.access_token());
    pass(60).await;
    assert_eq!(one.token().await.unwrap().access_token(), new.access_token());
}

#[tokio::test]
async fn what_is_not_saved_yet_is_saved_before_it_is_renewed() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    other.token().await.unwrap();
    fleet.store.always(Calls::Swaps, StoreFault::FailBefore);
    one.refresh().await.unwrap();
    let error = one.refresh().await.unwrap_err();
    assert!(error.is_save() && error.is_transient(), "{error}");
    assert_eq!(fleet.token_requests(), 1, "nothing is renewed that cannot be recorded");
    fleet.store.heal();
    pass(60).await;
    let newest = fleet.meanwhile(one.refresh()).await.unwrap();
    let counts = fleet.world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
    assert_eq!(fleet.stored().await.unwrap().access_token(), newest.access_token());
    fleet.world.clock.forward(3500.0);
    other.token().await.unwrap();
    assert_eq!(fleet.token_requests(), 2);
}

#[tokio::test]
async fn unrecorded_renewals_one_after_the_other_leave_the_last_one_recorded() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.builder().renew_without_store().build();
    session.token().await.unwrap();
    fleet.store.always(Calls::Swaps, StoreFault::FailBefore);
    session.refresh().await.unwrap();
    let hold = fleet.world.provider.pause_token_requests();
    let second = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    fleet.world.provider.wait_for_token_requests(2).await;
    // The first is recorded while the second is on its way.
    fleet.store.heal();
    pass(8).await; // the next attempt at saving, and not the end of the token request
    fleet.world.round_trips().await;
    drop(hold);
    let last = fleet.meanwhile(second).await.unwrap().unwrap();
    assert!(fleet.world.provider.accepts_refresh_token(last.refresh_token().unwrap()));
    session.shutdown().await.unwrap();
    assert_eq!(fleet.stored().await.unwrap().access_token(), last.access_token());
    let counts = fleet.world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_known_again() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    for strict in [false, true] {
        let mut builder = fleet.builder();
        if strict {
            builder = builder.strict_saving();
        }
        let session = builder.build();
        fleet.store.always(Calls::Swaps, StoreFault::FailAfter);
        let token = session.token().await;
        assert_eq!(token.is_err(), strict);
        fleet.store.heal();
        pass(60).await;
        fleet.meanwhile(session.shutdown()).await.unwrap();
        let token = fleet.meanwhile(session.token()).await.unwrap();
        assert_eq!(fleet.stored().await.unwrap().access_token(), token.access_token());
        assert!(session.save_error().is_none());
        fleet.world.clock.forward(3600.0);
    }
    let counts = fleet.world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
}

#[tokio::test]
async fn a_store_that_has_lost_its_content_gets_it_back() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    other.token().await.unwrap();
    fleet.store.remove(&fleet.key());
    fleet.world.clock.forward(3600.0);
    let renewed = fleet.meanwhile(one.token()).await.unwrap();
    assert_eq!(other.token().await.unwrap().access_token(), renewed.access_token());
    assert_eq!(fleet.stored().await.unwrap().access_token(), renewed.access_token());
    let counts = fleet.world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (1, 0));
}

#[tokio::test]
async fn a_store_that_loses_its_content_amid_a_renewal_gets_the_new_token() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    let hold = fleet.world.provider.pause_token_requests();
    let renewal = tokio::spawn(async move { one.token().await });
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.store.remove(&fleet.key());
    drop(hold);
    let renewed = fleet.meanwhile(renewal).await.unwrap().unwrap();
    assert_eq!(fleet.stored().await.unwrap().access_token(), renewed.access_token());
    assert_eq!(other.token().await.unwrap().access_token(), renewed.access_token());
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn a_store_that_was_away_for_longer_than_a_lease_gets_the_new_token_first() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    let hold = fleet.world.provider.pause_token_requests();
    let renewal = tokio::spawn(async move { one.token().await });
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    drop(hold);
    let renewed = fleet.meanwhile(renewal).await.unwrap().unwrap();
    assert!(other.token().await.unwrap_err().is_store());
    for _ in 0..10 {
        fleet.world.round_trips().await;
        pass(4).await;
    }
    fleet.store.heal();
    // It is the first to ask.
    let adopted = fleet.meanwhile(other.token()).await.unwrap();
    assert_eq!(adopted.access_token(), renewed.access_token());
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_stays_as_it_is() {
    let fleet = Fleet::new().await;
    for json in [
        "",
        "[]",
        "{\"access_token\":5}",
        "\"secret-of-alice\"",
        "{\"access_token\":\"secret-of-alice\"",
    ] {
        let broken = Record::new(json);
        let _ = fleet.store.compare_and_swap(&fleet.key(), None, &broken).await.unwrap();
        let error = fleet.sibling().token().await.unwrap_err();
        assert!(error.is_store() && !error.is_transient(), "{json}: {error}");
        assert!(!format!("{error:?}").contains("secret-of-alice"), "{error:?}");
        let after = fleet.store.stored(&fleet.key()).unwrap();
        assert_eq!(after.json(), json);
        fleet.store.remove(&fleet.key());
    }
    assert_eq!(fleet.token_requests(), 0);
}

#[tokio::test]
async fn a_store_that_never_answers_delays_up_to_the_bound_only() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let session = fleet.sibling();
    fleet.store.always(Calls::All, StoreFault::HangBefore);
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    fleet.world.round_trips().await;
    assert!(!waiting.is_finished());
    pass(5).await;
    assert!(waiting.await.unwrap().unwrap_err().is_store());
    fleet.store.heal();
    pass(60).await;
    fleet.meanwhile(session.token()).await.unwrap();
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn a_caller_dropped_at_any_await_point_loses_nothing() {
    for polls in 1..40 {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        let session = fleet.sibling();
        let done = polled(polls, session.token()).await.is_some();
        fleet.meanwhile(session.shutdown()).await.unwrap();
        let token = fleet.meanwhile(session.token()).await.unwrap();
        assert_eq!(fleet.stored().await.unwrap().access_token(), token.access_token());
        let counts = fleet.world.provider.counts();
        assert_eq!((counts.token_requests, counts.reuse_detected), (1, 0), "{polls}");
        if done {
            return;
        }
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
    // It needs no record: the provider gives another to whoever asks.
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    fleet.world.clock.forward(3600.0);
    one.token().await.unwrap();
    assert_eq!(fleet.token_requests(), 2);
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

//! Another key of `EncryptedStore`, and users who do not come before the old one is dropped.

use std::time::Duration;

use reqwest_oauth2::store::{
    EncryptedStore, EncryptionKey, Record, SwapOutcome, TokenKey, TokenStore as _,
};
use reqwest_oauth2::{SessionBuilder, UserSessions};
use serde_json::{Value, json};

use super::fleet::Fleet;
use crate::faulty_store::{Calls, Fault as StoreFault, FaultyStore};
use crate::support::World;

fn key(id: &str) -> EncryptionKey {
    EncryptionKey::new(id, [id.as_bytes()[0]; 32])
}

#[tokio::test]
async fn whose_record_was_rewritten_can_log_in_when_the_old_key_is_dropped() {
    let (world, inner) = (World::new().await, FaultyStore::default());
    let sessions = |store: EncryptedStore<FaultyStore>| {
        let clock = world.clock.reader();
        UserSessions::builder(world.app())
            .configure_sessions(|session| session.clock(clock))
            .store(store)
            .build()
    };
    let first = sessions(EncryptedStore::new(inner.clone(), key("old")));
    first.sign_in("signed out", world.token()).await.unwrap();
    first.sign_out("signed out").await.unwrap();
    first.sign_in("ended", world.expired_token()).await.unwrap();
    world.provider.revoke_families();
    let error = first.for_user("ended").token().await.unwrap_err();
    assert!(error.is_reauthorization_required(), "{error}");
    first.sign_in("away", world.token()).await.unwrap();
    first.shutdown().await.unwrap();

    let both = EncryptedStore::new(inner.clone(), key("new")).add_decryption_key(key("old"));
    for text in inner.keys() {
        both.rewrite(&TokenKey::from_text(&text).unwrap()).await.unwrap();
    }

    let last = sessions(EncryptedStore::new(inner, key("new")));
    assert!(last.for_user("away").token().await.is_ok());
    for user in ["signed out", "ended", "away"] {
        let token = world.token();
        last.sign_in(user, token.clone()).await.unwrap();
        let current = last.for_user(user).token().await.unwrap();
        assert_eq!(current.access_token(), token.access_token());
    }
}

/// The fleet's store with the first of these keys to encrypt; the second one decrypts too.
fn encrypted(fleet: &Fleet, [first, second]: [&str; 2]) -> EncryptedStore<FaultyStore> {
    EncryptedStore::new(fleet.store.clone(), key(first)).add_decryption_key(key(second))
}

fn builder(fleet: &Fleet, keys: [&str; 2]) -> SessionBuilder {
    fleet.world.session().store(encrypted(fleet, keys), "alice")
}

/// Processes are replaced one after the other, and one of them dies while it renews.
#[tokio::test]
async fn a_dead_mark_is_taken_over_while_processes_have_their_keys_in_another_order() {
    let fleet = Fleet::new().await;
    let orders = [["old", "new"], ["new", "old"]];
    builder(&fleet, orders[0]).build().set_token(fleet.world.expired_token()).await.unwrap();
    let store = encrypted(&fleet, orders[0]);
    let found = store.load(&fleet.key()).await.unwrap().unwrap();
    let mut document: Value = serde_json::from_str(found.json()).unwrap();
    document["reqwest_oauth2"]["mark"] =
        json!({"holder": "00000000000000aa", "at_ms": fleet.millis(), "lease_ms": 10_000});
    let marked = Record::new(document.to_string());
    let swapped = store.compare_and_swap(&fleet.key(), Some(found.version()), &marked).await;
    assert!(matches!(swapped.unwrap(), SwapOutcome::Stored(_)));

    let sessions = orders.map(|keys| builder(&fleet, keys).build());
    let waiting: Vec<_> = sessions.iter().map(|session| fleet.ask(session)).collect();
    // Each encrypts the record anew at most once; then it stays as it is for a lease.
    fleet.pass_slowly(12.0).await;
    fleet.assert_renewals(1);
    for waiting in waiting {
        fleet.meanwhile(waiting).await.unwrap().unwrap();
    }
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_valid_token_serves_though_its_record_cannot_be_encrypted_anew() {
    let fleet = Fleet::new().await;
    let token = fleet.world.token();
    builder(&fleet, ["old", "new"]).build().set_token(token.clone()).await.unwrap();
    fleet.store.always(Calls::Swaps, StoreFault::HangBefore);
    let session = builder(&fleet, ["new", "old"]).store_timeout(Duration::from_millis(500)).build();
    let served = fleet.meanwhile(session.token()).await.unwrap();
    assert_eq!(served.access_token(), token.access_token());
}

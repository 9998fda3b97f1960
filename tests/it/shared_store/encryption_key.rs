//! Another key of `EncryptedStore`, and users who do not come before the old one is dropped.

use reqwest_oauth2::UserSessions;
use reqwest_oauth2::store::{EncryptedStore, EncryptionKey, TokenKey};

use crate::faulty_store::FaultyStore;
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

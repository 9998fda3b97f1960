//! A keychain that is locked, gone, or hangs. The login stays.

use std::error::Error as _;
use std::time::Duration;

use reqwest_oauth2::store::{KeyringStore, Record, TokenStore};
use reqwest_oauth2::{Error, Session};

use crate::keychain;
use crate::records::{key, load, store_first};
use crate::sessions::World;

/// The texts of an error, from the outside to the cause.
fn texts(error: &Error) -> String {
    let mut texts = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        texts += &format!(" | {cause}");
        source = cause.source();
    }
    texts
}

/// The session cannot renew its token, for this cause, and once the keychain is back it can: nothing was
/// presented meanwhile, and the login stands.
async fn nothing_is_lost(world: &World, session: Session, cause: &str, back: impl FnOnce()) {
    let error = session.token().await.unwrap_err();
    assert!(error.is_store() && !error.is_reauthorization_required(), "{}", texts(&error));
    assert!(texts(&error).contains(cause), "{}", texts(&error));
    assert_eq!(world.requests(), 0, "the refresh token was not presented");
    back();
    let token = world.process().build().token().await.unwrap();
    assert_eq!(world.requests(), 1);
    let stored = world.process().build().token().await.unwrap();
    assert_eq!(stored.access_token(), token.access_token());
}

pub(crate) async fn locked() {
    let world = World::new("locked").await;
    world.process().build().set_token(world.expired_token()).await.unwrap();
    keychain::lock().await;
    let cause = "the keychain is locked or refuses access";
    nothing_is_lost(&world, world.process().build(), cause, keychain::restart).await;
}

pub(crate) async fn locked_while_there_is_no_record_yet() {
    let store = KeyringStore::new("locked early");
    keychain::lock().await;
    assert!(store.load(&key()).await.unwrap().is_none());
    let error = store.compare_and_swap(&key(), None, &Record::new("{}")).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    keychain::restart();
    assert!(store.load(&key()).await.unwrap().is_none());
    store_first(&store, "{}").await;
}

pub(crate) async fn gone() {
    let world = World::new("gone").await;
    world.process().build().set_token(world.expired_token()).await.unwrap();
    keychain::daemon("stop");
    let cause = "the keychain cannot be reached or failed";
    let back = || keychain::daemon("start");
    nothing_is_lost(&world, world.process().build(), cause, back).await;
}

/// It goes away while the provider has the refresh token: the new one is kept, and stored later.
pub(crate) async fn gone_amid_a_renewal() {
    let world = World::new("gone amid").await;
    let session = Session::builder(world.app()).store(KeyringStore::new("gone amid"), "me").build();
    session.set_token(world.expired_token()).await.unwrap();
    let pause = world.provider.pause_token_requests();
    let renewal = {
        let session = session.clone();
        tokio::spawn(async move { session.token().await })
    };
    world.provider.wait_for_token_requests(1).await;
    keychain::daemon("stop");
    drop(pause);
    let token = renewal.await.unwrap().unwrap();
    keychain::daemon("start");
    session.shutdown().await.unwrap();
    assert_eq!(world.requests(), 1);
    let stored = world.process().build().token().await.unwrap();
    assert_eq!(stored.refresh_token(), token.refresh_token());
}

pub(crate) async fn hangs() {
    let world = World::new("hangs").await;
    world.process().build().set_token(world.expired_token()).await.unwrap();
    keychain::daemon("pause");
    let session = world.process().store_timeout(Duration::from_millis(200)).build();
    nothing_is_lost(&world, session, "no answer within 200ms", || keychain::daemon("resume")).await;
}

pub(crate) async fn no_default_collection() {
    keychain::daemon("stop");
    keychain::daemon("start empty");
    let store = KeyringStore::new("empty");
    assert_eq!(load(&store).await, None);
    let error = store.compare_and_swap(&key(), None, &Record::new("{}")).await.unwrap_err();
    keychain::restart();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(error.source().unwrap().to_string().contains("create it if there is none"));
}

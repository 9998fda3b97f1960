//! `shutdown()` beside what still goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest_oauth2::{Session, Token};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::support::{World, pass};

/// A session whose saver waits for a permit each time it is called, and counts its calls.
fn gated(world: &World) -> (Session, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (permits, calls) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gate, count, saved) = (permits.clone(), calls.clone(), world.saved.clone());
    let save = move |token: Token| {
        count.fetch_add(1, Ordering::SeqCst);
        let (gate, saved) = (gate.clone(), saved.clone());
        async move {
            gate.acquire().await.map_err(std::io::Error::other)?.forget();
            saved.push(token);
            Ok::<(), std::io::Error>(())
        }
    };
    (world.session().on_new_token(save).token(world.expired_token()).build(), permits, calls)
}

/// Renews; the saver gets the token, and keeps the renewal waiting for as long as it may.
async fn renewed_unsaved(world: &World, session: &Session, n: u64) -> Token {
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await.unwrap() }
    });
    world.provider.wait_for_token_requests(n).await;
    while !refresh.is_finished() {
        pass(6).await;
        tokio::task::yield_now().await;
    }
    refresh.await.unwrap()
}

fn shutdown(session: &Session) -> JoinHandle<bool> {
    let session = session.clone();
    tokio::spawn(async move { session.shutdown().await.is_ok() })
}

#[tokio::test]
async fn waits_for_the_token_that_took_the_place_of_the_unsaved_one() {
    let world = World::new().await;
    let (session, permits, _) = gated(&world);
    renewed_unsaved(&world, &session, 1).await;
    let shutdown = shutdown(&session);
    tokio::task::yield_now().await;
    let second = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await.unwrap() }
    });
    world.provider.wait_for_token_requests(2).await;
    world.round_trips().await;
    assert!(!shutdown.is_finished(), "nothing is saved");
    permits.add_permits(2);
    assert!(shutdown.await.unwrap());
    assert_eq!(world.saved.last().access_token(), second.await.unwrap().access_token());
}

#[tokio::test]
async fn two_at_once_wait_for_the_same_save() {
    let world = World::new().await;
    let (session, permits, calls) = gated(&world);
    renewed_unsaved(&world, &session, 1).await;
    let both = [shutdown(&session), shutdown(&session)];
    world.round_trips().await;
    assert!(both.iter().all(|shutdown| !shutdown.is_finished()), "nothing is saved");
    permits.add_permits(1);
    for shutdown in both {
        assert!(shutdown.await.unwrap());
    }
    assert_eq!((world.saved.count(), calls.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_save_that_fails_amid_it_is_not_made_again_at_once() {
    let world = World::new().await;
    let (session, permits, calls) = gated(&world);
    renewed_unsaved(&world, &session, 1).await;
    let shutdown = shutdown(&session);
    tokio::task::yield_now().await;
    // The call that waits fails, as would any other.
    permits.close();
    assert!(!shutdown.await.unwrap());
    world.round_trips().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    pass(2).await;
    world.round_trips().await;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

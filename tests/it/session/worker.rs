//! What runs in the background goes on beside the calls of the application.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest_oauth2::{Error, Token};
use tokio::task::JoinHandle;

use crate::support::{World, pass};

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

async fn ended(call: JoinHandle<Result<Token, Error>>) -> Token {
    while !call.is_finished() {
        pass(1).await;
        tokio::task::yield_now().await;
    }
    call.await.unwrap().unwrap()
}

#[tokio::test]
async fn a_call_of_the_saver_that_hangs_is_not_dropped_by_the_next_renewal() {
    let world = World::new().await;
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = dropped.clone();
    let session = world
        .session()
        .on_new_token(move |_| {
            let guard = SetOnDrop(flag.clone());
            async move {
                std::future::pending::<()>().await;
                drop(guard);
                Ok::<(), std::io::Error>(())
            }
        })
        .token(world.expired_token())
        .build();
    for renewals in 1..=2 {
        let session = session.clone();
        let call = tokio::spawn(async move { session.refresh().await });
        world.provider.wait_for_token_requests(renewals).await;
        ended(call).await;
        // The worker has nothing to do but to wait for the saver.
        pass(20).await;
        world.round_trips().await;
    }
    assert!(!dropped.load(Ordering::SeqCst));
}

//! What runs in the background goes on beside the calls of the application.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest_oauth2::{Session, Token};
use tokio::time::sleep;

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_of_the_saver_that_hangs_is_not_dropped_by_the_next_renewal() {
    let dropped = Arc::new(AtomicBool::new(false));
    let (flag, count) = (dropped.clone(), AtomicUsize::new(0));
    let session = Session::from_grant(move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move { Token::new(format!("token-{number}")) }
    })
    .on_new_token(move |_| {
        let guard = SetOnDrop(flag.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok::<(), std::io::Error>(())
        }
    })
    .build();
    session.refresh().await.unwrap();
    // Two calls are set aside, and the worker has nothing to do but to wait for one of three to end.
    sleep(Duration::from_secs(200)).await;
    session.refresh().await.unwrap();
    assert!(!dropped.load(Ordering::SeqCst));
}

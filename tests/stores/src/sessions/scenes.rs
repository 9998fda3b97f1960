//! What happens in more than one kind of store.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest_oauth2::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};
use reqwest_oauth2::{Error, UserId};
use tokio::sync::watch;

use super::fleet::{Fleet, LEASE, Process, until};

/// A user whose token has just been issued, one whose token is due and one whose token has expired;
/// two processes have them all in memory.
pub(super) struct Ages {
    valid: UserId,
    due: UserId,
    expired: UserId,
}

impl Ages {
    pub(super) async fn new(fleet: &Fleet, processes: &[&Process]) -> Self {
        let expired = fleet.signed_in("expired", processes).await;
        fleet.clock.forward(100);
        let due = fleet.signed_in("due", processes).await;
        fleet.clock.forward(3500);
        let valid = fleet.signed_in("valid", processes).await;
        assert_eq!(fleet.counts().token_requests, 0);
        Self { valid, due, expired }
    }

    pub(super) fn all(&self) -> [&UserId; 3] {
        [&self.valid, &self.due, &self.expired]
    }

    /// While the store is in trouble: what is in memory serves as long as it lasts, and nothing is
    /// renewed that cannot be recorded.
    pub(super) async fn in_trouble(
        &self,
        fleet: &Fleet,
        processes: &[&Process],
        is_right: impl Fn(&Error) -> bool,
    ) {
        for _ in 0..3 {
            for process in processes {
                process.get(&self.valid).await.unwrap();
                process.get(&self.due).await.unwrap();
                let error = process.get(&self.expired).await.unwrap_err();
                assert!(error.is_store() && is_right(&error), "{error:?}");
                assert!(!error.is_reauthorization_required(), "{error:?}");
                // What runs in the background for the token that is due ends, too.
                let _ = process.sessions.for_user(self.due.clone()).shutdown().await;
            }
        }
        assert_eq!(fleet.counts().token_requests, 0);
    }

    /// After the trouble: of each token that needs it there is one renewal, of the others none.
    pub(super) async fn healed(&self, fleet: &Fleet, processes: &[&Process]) {
        processes[0].served(&self.expired).await;
        // Behind the requests' back.
        until(async || {
            processes[0].served(&self.due).await;
            fleet.counts().token_requests == 2
        })
        .await;
        fleet.all_is_well(processes, &self.all()).await;
        assert_eq!(fleet.counts().token_requests, 2);
        fleet.clock.forward(3600);
        fleet.all_is_well(processes, &self.all()).await;
        assert_eq!(fleet.counts().token_requests, 5);
    }
}

/// Swaps fail, reads do not: nothing is renewed, for nobody could claim it or record it.
pub(super) async fn full(
    fleet: &Fleet,
    [one, other]: [&Process; 2],
    fill: impl AsyncFnOnce(),
    make_room: impl AsyncFnOnce(),
) {
    let user = fleet.signed_in("user", &[one, other]).await;
    let again = fleet.signed_in("again", &[one, other]).await;
    fill().await;
    let set = fleet.token(3600);
    one.sessions.sign_in(again.clone(), set.clone()).await.unwrap();
    fleet.clock.forward(3600);
    // The new login is not renewed before it is saved, and not the old one in its place either.
    let error = one.get(&again).await.unwrap_err();
    assert!(error.is_save() && error.is_transient(), "{error:?}");
    assert!(one.is_unsaved(&again));
    assert!(fleet.provider.accepts_refresh_token(set.refresh_token().unwrap()));
    for process in [one, other] {
        let error = process.get(&user).await.unwrap_err();
        assert!(error.is_store() && error.is_transient(), "{error:?}");
    }
    assert_eq!(fleet.counts().token_requests, 0);
    make_room().await;
    one.saved(&again).await;
    one.served(&user).await;
    fleet.all_is_well(&[one, other], &[&user, &again]).await;
    assert_eq!(fleet.counts().token_requests, 2);
}

/// Tokens live for 90 seconds, and the clocks of the processes are a minute apart.
pub(super) async fn clocks(stores: [impl TokenStore; 2]) {
    let fleet = Fleet::of(Duration::from_secs(90)).await;
    let [ahead, behind] = stores;
    let ahead = fleet.process_ahead(ahead, Duration::from_secs(60), |session| session);
    let behind = fleet.process(behind);
    let user = fleet.user("user");
    behind.sessions.sign_in(user.clone(), fleet.token(0)).await.unwrap();
    for _ in 0..20 {
        for process in [&ahead, &behind] {
            process.get(&user).await.unwrap();
            process.sessions.for_user(user.clone()).shutdown().await.unwrap();
        }
        fleet.clock.forward(15);
    }
    fleet.nothing_twice().await;
    let counts = fleet.counts();
    assert_eq!(counts.token_requests, counts.refreshes, "none was refused");
    assert!(counts.refreshes > 3, "{counts:?}");
}

/// A process dies with the lease in its hand, before it has sent its request.
pub(super) async fn dead_holder<S: TokenStore>(
    opened: impl Future<Output = S> + Send + 'static,
    heir: impl TokenStore,
) {
    let fleet = Fleet::new().await;
    let heir = fleet.process(heir);
    let user = fleet.signed_in("user", &[&heir]).await;
    fleet.clock.forward(3600);

    let victims =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (leased, mut is_leased) = watch::channel(false);
    let store = Stuck { store: victims.spawn(opened).await.unwrap(), leased };
    let victim = fleet.process(store);
    let began = Instant::now();
    let last = user.clone();
    victims.spawn(async move { victim.get(&last).await });
    is_leased.wait_for(|leased| *leased).await.unwrap();
    victims.shutdown_background();

    let waiting = heir.getting(&user);
    fleet.provider.wait_for_token_requests(1).await;
    let waited = began.elapsed();
    assert!(waited >= LEASE, "before the lease's end: {waited:?}");
    assert!(waited < LEASE * 3, "long after the lease's end: {waited:?}");
    waiting.await.unwrap().unwrap();
    fleet.nothing_twice().await;
    assert_eq!(fleet.counts().token_requests, 1);
}

/// Once it has stored something it does not answer, so the session sends no request.
struct Stuck<S> {
    store: S,
    leased: watch::Sender<bool>,
}

#[async_trait]
impl<S: TokenStore> TokenStore for Stuck<S> {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        self.store.load(key).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        let swapped = self.store.compare_and_swap(key, expected, record).await?;
        if matches!(swapped, SwapOutcome::Stored(_)) {
            self.leased.send_replace(true);
            std::future::pending::<()>().await;
        }
        Ok(swapped)
    }
}

/// Runs a test on one thread, where [`mended`] can move the timers. The future is made there.
pub(super) async fn on_one_thread<F: Future<Output = ()> + 'static>(test: fn() -> F) {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}

/// What somebody has to fix is looked at again after a minute; that goes by.
pub(super) async fn mended() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
}

//! A new token is saved before a request uses it; a refresh token is kept until it is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest_oauth2::{BoxError, Session, SessionBuilder, Token, TokenSaver};
use tokio::sync::{Notify, Semaphore};

use crate::support::{Saved, World, ours, pass, polled};

/// A saver whose calls each wait for a permit; `Err` where the text is not empty.
#[derive(Clone)]
struct Gated {
    entered: Arc<Semaphore>,
    permits: Arc<Semaphore>,
    saved: Saved,
}

impl Gated {
    fn new() -> Self {
        Self {
            entered: Arc::new(Semaphore::new(0)),
            permits: Arc::new(Semaphore::new(0)),
            saved: Saved::default(),
        }
    }

    fn on(&self, builder: SessionBuilder) -> SessionBuilder {
        let gated = self.clone();
        builder.on_new_token(move |token: Token| {
            let gated = gated.clone();
            async move {
                gated.entered.add_permits(1);
                gated.permits.acquire().await.unwrap().forget();
                gated.saved.push(token);
                Ok::<(), std::io::Error>(())
            }
        })
    }

    async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }
}

/// A saver that fails the given number of times first; counts its calls.
fn failing(
    builder: SessionBuilder,
    failures: usize,
    saved: &Saved,
) -> (SessionBuilder, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let (counter, saved) = (calls.clone(), saved.clone());
    let builder = builder.on_new_token(move |token: Token| {
        let call = counter.fetch_add(1, Ordering::SeqCst);
        let saved = saved.clone();
        async move {
            if call < failures {
                return Err(std::io::Error::other("disk full"));
            }
            saved.push(token);
            Ok(())
        }
    });
    (builder, calls)
}

#[tokio::test]
async fn no_request_carries_a_token_before_it_is_saved() {
    let world = World::new().await;
    let gated = Gated::new();
    let session = gated.on(world.session()).token(world.expired_token()).build();
    let http = world.http(&session);
    let request = tokio::spawn({
        let request = http.get(world.provider.api_url());
        async move { request.send().await.unwrap().status() }
    });
    gated.entered().await;
    // The provider has answered, the saver is at work, and the API sees nothing.
    world.round_trips().await;
    assert_eq!(world.provider.counts().tokens_issued, 1);
    assert_eq!(world.provider.counts().api_requests, 0);
    gated.permits.add_permits(1);
    assert_eq!(request.await.unwrap(), 200);
    assert_eq!(world.shown(), gated.saved.access_tokens());
}

#[tokio::test]
async fn while_the_successor_of_a_due_token_is_being_saved_no_other_one_is_asked_for() {
    let world = World::new().await;
    let gated = Gated::new();
    let session = gated.on(world.session()).token(world.token()).build();
    let http = world.http(&session);
    world.clock.forward(3500.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    gated.entered().await;
    // The old token is still good, and due.
    assert_eq!(world.get(&http).await.unwrap(), 200);
    let mut updates = session.subscribe();
    gated.permits.add_permits(10);
    updates.next().await.unwrap();
    world.round_trips().await;
    session.shutdown().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_failed_save_is_made_again_until_it_succeeds_while_the_token_serves() {
    let world = World::new().await;
    let (builder, calls) = failing(world.session(), 3, &world.saved);
    let session = builder.token(world.expired_token()).build();
    let http = world.http(&session);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    let error = session.save_error().unwrap();
    assert!(error.is_save() && error.is_transient());
    assert_eq!(
        error.to_string(),
        "the new token could not be saved; it is kept in memory and saving is tried again"
    );
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk full");
    for call in 2..=4 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
        assert_eq!(calls.load(Ordering::SeqCst), call - 1);
        pass(30).await;
        while calls.load(Ordering::SeqCst) < call {
            tokio::task::yield_now().await;
        }
    }
    while session.save_error().is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.saved.count(), 1);
    assert!(world.provider.accepts_refresh_token(world.saved.last().refresh_token().unwrap()));
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn after_a_failed_save_the_old_refresh_token_is_never_presented_again() {
    let world = World::new().await;
    let (builder, _) = failing(world.session(), usize::MAX, &world.saved);
    let session = builder.token(world.expired_token()).build();
    let http = world.http(&session);
    for renewals in 1..=3 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
        let counts = world.provider.counts();
        assert_eq!((counts.token_requests, counts.reuse_detected), (renewals, 0));
        world.clock.forward(3600.0);
    }
}

#[tokio::test]
async fn a_saver_that_panics_costs_nothing_but_the_save() {
    let world = World::new().await;
    let (saved, calls) = (world.saved.clone(), Arc::new(AtomicUsize::new(0)));
    let session = world
        .session()
        .on_new_token(move |token: Token| {
            assert!(calls.fetch_add(1, Ordering::SeqCst) > 0, "on purpose");
            let saved = saved.clone();
            async move {
                saved.push(token);
                Ok::<(), std::io::Error>(())
            }
        })
        .token(world.expired_token())
        .build();
    let http = world.http(&session);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    let error = session.save_error().unwrap();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "the saver panicked; see the panic message on stderr"
    );
    session.shutdown().await.unwrap();
    assert_eq!(world.saved.count(), 1);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_saver_that_never_returns_delays_requests_up_to_the_bound_only() {
    let world = World::new().await;
    let gated = Gated::new();
    let session = gated.on(world.session()).token(world.expired_token()).build();
    let http = world.http(&session);
    let request = tokio::spawn({
        let request = http.get(world.provider.api_url());
        async move { request.send().await.unwrap().status() }
    });
    gated.entered().await;
    pass(4).await;
    assert_eq!(world.provider.counts().api_requests, 0, "within the bound it waits");
    pass(2).await;
    assert_eq!(request.await.unwrap(), 200);
    // Saving continues: the same call, and no second one beside it.
    gated.permits.add_permits(1);
    session.shutdown().await.unwrap();
    assert_eq!(gated.saved.count(), 1);
    assert_eq!(gated.entered.available_permits(), 0);
}

#[tokio::test]
async fn a_call_that_takes_longer_than_a_minute_is_set_aside_and_another_is_made() {
    let world = World::new().await;
    let gated = Gated::new();
    let session = gated.on(world.session()).token(world.expired_token()).build();
    let refresh = session.refresh();
    tokio::pin!(refresh);
    tokio::select! { biased; _ = &mut refresh => panic!("it did not wait"), () = gated.entered() => {} }
    pass(6).await;
    let token = refresh.await.unwrap();
    pass(53).await;
    world.round_trips().await;
    assert_eq!(gated.entered.available_permits(), 0);
    pass(2).await;
    world.round_trips().await;
    assert!(session.save_error().unwrap().is_timeout());
    pass(2).await;
    gated.entered().await;
    // The second call ends, and then the first, which may have written over it: the token is saved once
    // more.
    gated.permits.add_permits(3);
    session.shutdown().await.unwrap();
    assert_eq!(gated.saved.access_tokens(), [token.access_token(); 3]);
    assert!(session.save_error().is_none());
}

#[tokio::test]
async fn a_newer_token_takes_the_place_of_an_unsaved_one_and_is_saved_last() {
    let world = World::new().await;
    let gated = Gated::new();
    let session = gated.on(world.session()).token(world.expired_token()).build();
    let first = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await.unwrap() }
    });
    gated.entered().await;
    pass(6).await;
    let first = first.await.unwrap();
    // The first token's save still runs; two more tokens come meanwhile.
    let mut newest = None;
    for _ in 0..2 {
        let session = session.clone();
        let refresh = tokio::spawn(async move { session.refresh().await.unwrap() });
        world.provider.wait_for_token_requests(2).await;
        while !refresh.is_finished() {
            pass(6).await;
            tokio::task::yield_now().await;
        }
        newest = Some(refresh.await.unwrap());
    }
    gated.permits.add_permits(10);
    session.shutdown().await.unwrap();
    let saved = gated.saved.access_tokens();
    let newest = newest.unwrap();
    assert_eq!(saved.last().unwrap(), newest.access_token());
    assert!(saved.iter().filter(|token| *token == newest.access_token()).count() <= 2);
    assert!(
        saved.iter().all(|token| token == first.access_token() || token == newest.access_token()),
        "the middle one was skipped"
    );
    assert_eq!(world.provider.counts().reuse_detected, 0);
}

#[tokio::test]
async fn strict_saving_gives_the_error_and_keeps_the_token_for_the_next_attempt() {
    let world = World::new().await;
    let (builder, calls) = failing(world.session(), 2, &world.saved);
    let session = builder.strict_saving().token(world.expired_token()).build();
    let http = world.http(&session);
    for _ in 0..3 {
        assert!(ours(&world.get(&http).await.unwrap_err()).is_save());
    }
    assert_eq!(world.provider.counts().api_requests, 0);
    while calls.load(Ordering::SeqCst) < 3 {
        pass(30).await;
        tokio::task::yield_now().await;
    }
    pass(30).await;
    assert_eq!(world.get(&http).await.unwrap(), 200);
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (1, 0));
    assert_eq!(world.shown(), [world.saved.last().access_token()]);
}

#[tokio::test]
async fn the_savers_error_is_shown_where_there_is_no_access_token() {
    let world = World::new().await;
    let builder = world.session().strict_saving();
    let session = builder.on_new_token(|_| async { Err::<(), _>("disk full") }).build();
    let token: Token = serde_json::from_value(serde_json::json!({"refresh_token": "rt"})).unwrap();
    let error = session.set_token(token).await.unwrap_err();
    assert!(error.is_save());
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk full");
}

#[tokio::test]
async fn a_token_whose_first_save_failed_is_used_as_soon_as_the_second_one_succeeds() {
    let world = World::new().await;
    let (builder, calls) = failing(world.session(), 1, &world.saved);
    let session = builder.strict_saving().token(world.expired_token()).build();
    let http = world.http(&session);
    assert!(ours(&world.get(&http).await.unwrap_err()).is_save());
    assert!(session.save_error().unwrap().is_save());
    pass(2).await;
    world.round_trips().await;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert!(session.save_error().is_none());
    for _ in 0..3 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    assert_eq!(world.shown(), vec![world.saved.last().access_token(); 3]);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn after_set_token_has_failed_the_account_before_is_not_served() {
    let world = World::new().await;
    let (builder, _) = failing(world.session(), 1, &world.saved);
    let session = builder.strict_saving().token(world.token()).build();
    let http = world.http(&session);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    let other_account = world.token();
    assert!(session.set_token(other_account.clone()).await.unwrap_err().is_save());
    for _ in 0..3 {
        assert!(ours(&world.get(&http).await.unwrap_err()).is_save());
        assert!(session.header().is_none() && session.current_token().is_none());
    }
    assert_eq!(world.provider.counts().api_requests, 1);
    pass(2).await;
    world.round_trips().await;
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.shown().last().unwrap(), other_account.access_token());
    assert_eq!(world.saved.access_tokens(), [other_account.access_token()]);
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_saver_that_takes_six_seconds_each_time_is_slow_and_not_a_failure() {
    for strict in [false, true] {
        let world = World::new().await;
        let gated = Gated::new();
        let builder = gated.on(world.session()).token(world.expired_token());
        let session = if strict { builder.strict_saving().build() } else { builder.build() };
        let http = world.http(&session);
        for renewals in 1..=2 {
            let request = tokio::spawn({
                let request = http.get(world.provider.api_url());
                async move { request.send().await.map(|response| response.status()) }
            });
            gated.entered().await;
            assert!(session.save_error().is_none(), "the first call is running");
            pass(5).await;
            let outcome = request.await.unwrap();
            let error = session.save_error().unwrap();
            assert!(error.is_save() && error.is_timeout(), "{error}");
            assert_eq!(error.to_string(), "the new token was not saved within 5s; saving goes on");
            if strict {
                assert!(ours(&outcome.unwrap_err()).is_timeout());
            } else {
                assert_eq!(outcome.unwrap(), 200);
            }
            pass(1).await;
            gated.permits.add_permits(1);
            session.shutdown().await.unwrap();
            assert!(session.save_error().is_none());
            assert_eq!(world.get(&http).await.unwrap(), 200);
            assert_eq!(world.provider.counts().token_requests, renewals);
            assert_eq!(gated.saved.count() as u64, renewals);
            world.clock.forward(3600.0);
        }
    }
}

/// A saver each of whose calls does its work elsewhere, on a thread that nobody can stop, and ends when
/// it is told to.
#[derive(Clone, Default)]
struct OnThreads {
    file: Saved,
    calls: Arc<std::sync::Mutex<Vec<Arc<Notify>>>>,
}

impl OnThreads {
    fn on(&self, builder: SessionBuilder) -> SessionBuilder {
        let this = self.clone();
        builder.on_new_token(move |token: Token| {
            let (this, gate) = (this.clone(), Arc::new(Notify::new()));
            this.calls.lock().unwrap().push(gate.clone());
            // It goes on although the future of the call is dropped.
            let work = tokio::spawn(async move {
                gate.notified().await;
                this.file.push(token);
            });
            async move { work.await.map_err(std::io::Error::other) }
        })
    }

    fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// Ends the call with this number.
    fn end(&self, call: usize) {
        self.calls.lock().unwrap()[call].notify_one();
    }
}

#[tokio::test]
async fn a_call_that_ends_after_a_newer_token_was_saved_is_followed_by_another() {
    let world = World::new().await;
    let saver = OnThreads::default();
    let session = saver.on(world.session()).token(world.expired_token()).build();
    let renewal = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    while saver.count() < 1 {
        tokio::task::yield_now().await;
    }
    pass(5).await;
    let first = renewal.await.unwrap().unwrap();
    // A minute later it is set aside; a newer token comes, and is saved.
    world.clock.forward(3600.0);
    pass(56).await;
    let renewal = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    while saver.count() < 2 {
        world.round_trips().await;
        pass(1).await;
    }
    world.round_trips().await;
    for call in 1..saver.count() {
        saver.end(call);
    }
    let second = renewal.await.unwrap().unwrap();
    while session.save_error().is_some() {
        world.round_trips().await;
        for call in 1..saver.count() {
            saver.end(call);
        }
        pass(1).await;
    }
    assert_eq!(saver.file.last().access_token(), second.access_token());
    // At last the first call gets to write.
    let calls = saver.count();
    saver.end(0);
    world.round_trips().await;
    assert_eq!(saver.file.last().access_token(), first.access_token(), "over the newer one");
    assert_eq!(saver.count(), calls + 1, "which is saved once more");
    saver.end(calls);
    session.shutdown().await.unwrap();
    assert_eq!(saver.file.last().access_token(), second.access_token());
    assert!(session.save_error().is_none());
    assert_eq!(world.provider.counts().reuse_detected, 0);
}

#[tokio::test]
async fn savers_that_hang_for_ever_are_not_called_again_and_again() {
    let world = World::new().await;
    let saver = OnThreads::default();
    let session = saver.on(world.session()).token(world.expired_token()).build();
    let http = world.http(&session);
    let request = tokio::spawn({
        let request = http.get(world.provider.api_url());
        async move { request.send().await.unwrap().status() }
    });
    for _ in 0..600 {
        tokio::task::yield_now().await;
        world.plain_turns().await;
        pass(1).await;
    }
    assert_eq!(request.await.unwrap(), 200);
    // One, and the two that may be set aside.
    assert_eq!(saver.count(), 3);
    // Somebody waits for that, and is told.
    let shutdown = tokio::spawn({
        let session = session.clone();
        async move { session.shutdown().await }
    });
    for _ in 0..60 {
        world.plain_turns().await;
        pass(1).await;
    }
    assert!(shutdown.await.unwrap().unwrap_err().is_timeout());
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(saver.count(), 3, "nothing was dropped and made again");
    for call in 0..3 {
        saver.end(call);
    }
    world.round_trips().await;
    // The third had been set aside meanwhile; it is made again after a backoff.
    pass(30).await;
    world.round_trips().await;
    assert_eq!(saver.count(), 4);
    saver.end(3);
    session.shutdown().await.unwrap();
    assert!(session.save_error().is_none());
}

#[tokio::test]
async fn set_token_saves_first_voids_the_renewal_under_way_and_is_saved_last() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let http = world.http(&session);
    let hold = world.provider.pause_token_requests();
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.token().await.unwrap() }
    });
    world.provider.wait_for_token_requests(1).await;
    let new_login = world.token();
    session.set_token(new_login.clone()).await.unwrap();
    assert_eq!(world.saved.access_tokens(), [new_login.access_token()]);
    drop(hold);
    // The waiters for the renewal get the token that replaced it.
    assert_eq!(waiting.await.unwrap().access_token(), new_login.access_token());
    assert_eq!(world.get(&http).await.unwrap(), 200);
    session.shutdown().await.unwrap();
    assert_eq!(world.saved.access_tokens(), [new_login.access_token()]);
    assert_eq!(world.shown(), [new_login.access_token()]);
}

#[tokio::test]
async fn the_same_token_set_again_amid_its_renewal_loses_no_login() {
    let world = World::new().await;
    let old = world.expired_token();
    let session = world.saving().token(old.clone()).build();
    let hold = world.provider.pause_token_requests();
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    world.provider.wait_for_token_requests(1).await;
    session.set_token(old).await.unwrap();
    drop(hold);
    let renewed = waiting.await.unwrap().unwrap();
    assert_eq!(world.saved.last().access_token(), renewed.access_token());
    world.clock.forward(3600.0);
    session.token().await.unwrap();
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
}

#[tokio::test]
async fn a_token_set_while_an_older_one_is_being_saved_is_saved_last() {
    let world = World::new().await;
    let gated = Gated::new();
    let session = gated.on(world.session()).token(world.expired_token()).build();
    let renewal = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    gated.entered().await;
    let new_login = world.token();
    let setting = tokio::spawn({
        let (session, token) = (session.clone(), new_login.clone());
        async move { session.set_token(token).await }
    });
    tokio::task::yield_now().await;
    gated.permits.add_permits(2);
    setting.await.unwrap().unwrap();
    assert_eq!(renewal.await.unwrap().unwrap().access_token(), new_login.access_token());
    session.shutdown().await.unwrap();
    let saved = gated.saved.access_tokens();
    assert_eq!(saved.len(), 2);
    assert_eq!(saved[1], new_login.access_token());
}

#[tokio::test]
async fn rotation_replaces_the_refresh_token_replacement() {
    let world = World::new().await;
    let first = world.expired_token();
    let session = world.saving().token(first.clone()).build();
    for _ in 0..3 {
        session.refresh().await.unwrap();
    }
    let presented: Vec<String> = presented(&world);
    assert_eq!(presented.len(), 3);
    assert_eq!(presented[0], first.refresh_token().unwrap());
    assert_eq!(presented.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    assert!(world.provider.accepts_refresh_token(world.saved.last().refresh_token().unwrap()));
}

#[tokio::test]
async fn an_answer_without_a_refresh_token_keeps_the_old_one_preservation() {
    let world = World::with(|p| p.rotation(false)).await;
    let first = world.expired_token();
    let session = world.saving().token(first.clone()).build();
    for _ in 0..3 {
        session.refresh().await.unwrap();
    }
    assert_eq!(presented(&world), [first.refresh_token().unwrap(); 3]);
    assert_eq!(world.saved.last().refresh_token(), first.refresh_token());
}

fn presented(world: &World) -> Vec<String> {
    let requests = world.provider.token_requests();
    requests.iter().map(|request| request.param("refresh_token").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_token_saver_may_be_a_type_of_the_applications_own() {
    struct Own(Saved, Arc<Notify>);
    #[async_trait::async_trait]
    impl reqwest_oauth2::TokenSaver for Own {
        async fn save(&self, token: Token) -> Result<(), reqwest_oauth2::BoxError> {
            self.0.push(token);
            self.1.notify_one();
            Ok(())
        }
    }
    let world = World::new().await;
    let notify = Arc::new(Notify::new());
    let session = world
        .session()
        .saver(Own(world.saved.clone(), notify.clone()))
        .token(world.expired_token())
        .build();
    session.refresh().await.unwrap();
    notify.notified().await;
    assert_eq!(world.saved.count(), 1);
}

/// Owns the session that it saves for.
struct Owner {
    session: Session,
    saved: Saved,
}

#[async_trait::async_trait]
impl TokenSaver for Owner {
    async fn save(&self, token: Token) -> Result<(), BoxError> {
        self.saved.push(token);
        Ok(())
    }
}

fn owner(world: &World) -> Arc<Owner> {
    Arc::new_cyclic(|owner| Owner {
        session: world.session().token(world.expired_token()).weak_saver(owner.clone()).build(),
        saved: world.saved.clone(),
    })
}

#[tokio::test]
async fn a_saver_that_owns_the_session_is_dropped_with_its_last_owner() {
    let world = World::new().await;
    let owner = owner(&world);
    let token = owner.session.refresh().await.unwrap();
    assert_eq!(world.saved.access_tokens(), [token.access_token()]);
    let gone = Arc::downgrade(&owner);
    drop(owner);
    assert!(gone.upgrade().is_none());
}

#[tokio::test]
async fn once_a_weak_saver_is_gone_no_refresh_token_is_presented() {
    let world = World::new().await;
    let owner = owner(&world);
    let session = owner.session.clone();
    drop(owner);
    let error = session.refresh().await.unwrap_err();
    assert!(error.is_save() || error.is_transient(), "{error}");
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_weak_saver_that_goes_while_a_token_request_is_under_way_leaves_nothing_running() {
    let world = World::new().await;
    let owner = owner(&world);
    let session = owner.session.clone();
    let other = session.clone();
    let hold = world.provider.pause_token_requests();
    let refresh = tokio::spawn(async move { session.refresh().await });
    world.provider.wait_for_token_requests(1).await;
    drop(owner);
    drop(hold);
    refresh.await.unwrap().unwrap();
    assert_eq!(world.saved.count(), 0);
    // Nothing tries again.
    assert!(other.save_error().is_none());
    other.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_sign_in_that_is_never_polled_changes_nothing_and_one_that_is_polled_goes_on() {
    let world = World::new().await;
    let (old, new) = (world.token(), world.token());
    let session = world.saving().token(old.clone()).build();
    drop(session.set_token(new.clone()));
    session.shutdown().await.unwrap();
    assert_eq!(session.token().await.unwrap().access_token(), old.access_token());
    assert_eq!(world.saved.count(), 0);
    assert!(polled(1, session.set_token(new.clone())).await.is_none());
    session.shutdown().await.unwrap();
    assert_eq!(session.token().await.unwrap().access_token(), new.access_token());
    assert_eq!(world.saved.access_tokens(), [new.access_token()]);
}

/// As an application does that loads its token anew for each job.
#[tokio::test]
async fn the_token_that_is_saved_still_set_again_loses_no_login() {
    let world = World::new().await;
    let old = world.expired_token();
    let (builder, _) = failing(world.session(), 2, &world.saved);
    let session = builder.token(old.clone()).build();
    let renewed = session.token().await.unwrap();
    session.set_token(old).await.unwrap();
    assert_eq!(session.token().await.unwrap().access_token(), renewed.access_token());
    while world.saved.count() == 0 {
        pass(1).await;
        world.round_trips().await;
    }
    assert_eq!(world.saved.last().access_token(), renewed.access_token());
    world.clock.forward(3600.0);
    session.token().await.unwrap();
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
}

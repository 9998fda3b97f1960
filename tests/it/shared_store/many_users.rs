//! Many users behind one client.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_oauth2::store::{Record, TokenKey, TokenStore};
use reqwest_oauth2::testing::PauseGuard;
use reqwest_oauth2::{Token, UserId, UserSessions, UserSessionsBuilder};

use crate::faulty_store::{Calls, Fault as StoreFault, FaultyStore};
use crate::support::{World, ours, pass, plain_http, polled};

pub struct Service {
    pub world: World,
    pub store: FaultyStore,
}

impl Service {
    pub async fn new() -> Self {
        Self { world: World::new().await, store: FaultyStore::default() }
    }

    pub fn builder(&self) -> UserSessionsBuilder {
        let clock = self.world.clock.reader();
        UserSessions::builder(self.world.app())
            .configure_sessions(|session| session.clock(clock))
            .store(self.store.clone())
    }

    pub fn http(&self, sessions: &UserSessions) -> ClientWithMiddleware {
        ClientBuilder::new(plain_http())
            .with(sessions.middleware([self.world.provider.origin()]).unwrap())
            .build()
    }

    pub async fn get(
        &self,
        http: &ClientWithMiddleware,
        user: &str,
    ) -> reqwest_middleware::Result<StatusCode> {
        let request = http.get(self.world.provider.api_url());
        Ok(request.with_extension(UserId::from(user)).send().await?.status())
    }

    /// Puts a token into the store, as another process would.
    pub async fn store(&self, user: &str, token: &Token) {
        let key = TokenKey::new(&self.world.provider.token_url(), "foo", user);
        let record = Record::new(serde_json::to_string(token).unwrap());
        let _ = self.store.compare_and_swap(&key, None, &record).await.unwrap();
    }
}

#[tokio::test]
async fn each_request_carries_its_users_token() {
    let service = Service::new().await;
    let sessions = service.builder().build();
    let http = service.http(&sessions);
    let (alice, bob) = (service.world.token(), service.world.token());
    sessions.sign_in("alice", alice.clone()).await.unwrap();
    service.store("bob", &bob).await;
    for user in ["alice", "bob", "alice"] {
        assert_eq!(service.get(&http, user).await.unwrap(), 200);
    }
    let shown = service.world.shown();
    assert_eq!(shown, [&alice, &bob, &alice].map(|token| token.access_token().to_owned()));
    assert_eq!(sessions.loaded_sessions(), 2);
}

#[tokio::test]
async fn a_user_is_loaded_once_however_many_requests_ask() {
    let service = Service::new().await;
    service.store("alice", &service.world.token()).await;
    let sessions = service.builder().build();
    let http = service.http(&sessions);
    let all = join_all((0..100).map(|_| service.get(&http, "alice"))).await;
    assert!(all.into_iter().all(|status| status.unwrap() == 200));
    assert_eq!(service.store.loads(), 1);
}

#[tokio::test]
async fn where_sessions_are_renewed_by_hand_users_are_loaded_too() {
    let service = Service::new().await;
    service.store("alice", &service.world.token()).await;
    let clock = service.world.clock.reader();
    let sessions = UserSessions::builder(service.world.app())
        .configure_sessions(|session| session.clock(clock).manual_refresh())
        .store(service.store.clone())
        .build();
    let http = service.http(&sessions);
    assert_eq!(service.get(&http, "alice").await.unwrap(), 200);
    let error = ours(&service.get(&http, "nobody").await.unwrap_err());
    assert!(error.is_reauthorization_required(), "{error}");
}

#[tokio::test]
async fn a_request_without_a_user_or_of_an_unknown_one_is_not_sent() {
    let service = Service::new().await;
    let sessions = service.builder().build();
    let http = service.http(&sessions);
    let error = http.get(service.world.provider.api_url()).send().await.unwrap_err();
    assert!(ours(&error).is_config(), "{error}");
    assert!(ours(&error).to_string().contains("with_extension"), "{error}");
    for _ in 0..3 {
        let error = ours(&service.get(&http, "nobody").await.unwrap_err());
        assert!(error.is_reauthorization_required(), "{error}");
    }
    assert_eq!(sessions.loaded_sessions(), 0, "and takes up no room");
    assert_eq!(service.world.provider.counts().api_requests, 0);
    assert_eq!(service.store.loads(), 1, "that there is no such user is remembered for a moment");
    service.store("nobody", &service.world.token()).await;
    pass(1).await;
    assert_eq!(service.get(&http, "nobody").await.unwrap(), 200);
}

#[tokio::test]
async fn a_request_to_another_origin_needs_no_user() {
    let service = Service::new().await;
    let other = World::new().await;
    let http = service.http(&service.builder().build());
    assert_eq!(http.get(other.provider.api_url()).send().await.unwrap().status(), 401);
    assert_eq!(other.provider.counts().api_without_token, 1);
}

#[tokio::test]
async fn what_goes_wrong_for_one_user_touches_no_other() {
    let service = Service::new().await;
    let sessions = service.builder().build();
    let http = service.http(&sessions);
    sessions.sign_in("dead", service.world.expired_token()).await.unwrap();
    service.world.provider.revoke_families();
    sessions.sign_in("alive", service.world.expired_token()).await.unwrap();
    let broken = Record::new("no token");
    let key = TokenKey::new(&service.world.provider.token_url(), "foo", "broken");
    let _ = service.store.compare_and_swap(&key, None, &broken).await.unwrap();
    let (dead, alive, broken) = tokio::join!(
        service.get(&http, "dead"),
        service.get(&http, "alive"),
        service.get(&http, "broken")
    );
    assert!(ours(&dead.unwrap_err()).is_reauthorization_required());
    assert_eq!(alive.unwrap(), 200);
    assert!(ours(&broken.unwrap_err()).is_store());
    assert_eq!(service.get(&http, "alive").await.unwrap(), 200);
}

#[tokio::test]
async fn a_401_renews_that_users_token_and_the_request_is_sent_again() {
    let service = Service::new().await;
    let sessions = service.builder().build();
    let http = service.http(&sessions);
    for user in ["alice", "bob"] {
        sessions.sign_in(user, service.world.token()).await.unwrap();
    }
    service.world.provider.revoke_access_tokens();
    assert_eq!(service.get(&http, "alice").await.unwrap(), 200);
    assert_eq!(service.world.provider.counts().token_requests, 1);
    assert_eq!(service.get(&http, "bob").await.unwrap(), 200);
    assert_eq!(service.world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn signing_out_ends_one_login_and_a_new_one_may_begin() {
    let service = Service::new().await;
    let sessions = service.builder().build();
    let http = service.http(&sessions);
    for user in ["alice", "bob"] {
        sessions.sign_in(user, service.world.token()).await.unwrap();
    }
    sessions.sign_out("alice").await.unwrap();
    assert_eq!(sessions.loaded_sessions(), 1);
    let error = ours(&service.get(&http, "alice").await.unwrap_err());
    assert!(error.is_reauthorization_required());
    assert_eq!(service.get(&http, "bob").await.unwrap(), 200);

    sessions.sign_in("alice", service.world.token()).await.unwrap();
    assert_eq!(service.get(&http, "alice").await.unwrap(), 200);
}

#[tokio::test]
async fn no_more_users_than_the_bound_are_in_memory() {
    let service = Service::new().await;
    let sessions = service.builder().max_sessions(64).build();
    for i in 0..500 {
        let user = format!("user {i}");
        service.store(&user, &service.world.token()).await;
        sessions.for_user(user.as_str()).token().await.unwrap();
        assert!(sessions.loaded_sessions() <= 64);
    }
    assert_eq!(service.store.loads(), 500);
    // Evicted users are loaded again.
    sessions.for_user("user 0").token().await.unwrap();
}

#[tokio::test]
async fn a_session_with_unsaved_state_stays() {
    let service = Service::new().await;
    let sessions = service.builder().max_sessions(32).build();
    service.store("unsaved", &service.world.expired_token()).await;
    let hold = service.world.provider.pause_token_requests();
    let renewal = tokio::spawn({
        let session = sessions.for_user("unsaved");
        async move { session.token().await }
    });
    service.world.provider.wait_for_token_requests(1).await;
    service.store.always(Calls::Swaps, StoreFault::FailBefore);
    drop(hold);
    let renewed = renewal.await.unwrap().unwrap();
    service.store.heal();
    // Before the next attempt at saving comes, the bound is passed many times over, by users who are
    // seen more often.
    let crowd = || {
        for i in 0..500 {
            let _ = sessions.for_user(format!("user {i}"));
            let _ = sessions.for_user(format!("user {i}"));
        }
    };
    crowd();
    let kept = sessions.for_user("unsaved");
    assert_eq!(kept.current_token().unwrap().access_token(), renewed.access_token());
    assert!(kept.save_error().is_some());
    pass(60).await;
    kept.shutdown().await.unwrap();
    drop(kept);
    // Now that it is saved, and nobody holds it, it may go.
    crowd();
    assert!(sessions.for_user("unsaved").current_token().is_none());
    assert_eq!(service.world.provider.counts().token_requests, 1);
}

/// `shutdown` does not end before the renewal that this holds up.
async fn shutdown_waits(service: &Service, sessions: &UserSessions, hold: PauseGuard) {
    let ending = tokio::spawn({
        let sessions = sessions.clone();
        async move { sessions.shutdown().await }
    });
    service.world.round_trips().await;
    assert!(!ending.is_finished(), "its renewal is under way");
    drop(hold);
    ending.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_session_that_somebody_holds_stays_and_is_waited_for() {
    let service = Service::new().await;
    let sessions = service.builder().max_sessions(8).idle_timeout(Duration::from_secs(600)).build();
    service.store("alice", &service.world.expired_token()).await;
    let held = sessions.for_user("alice");
    for _ in 0..3 {
        for i in 0..100 {
            let _ = sessions.for_user(format!("user {i}"));
        }
        pass(600).await;
    }
    let hold = service.world.provider.pause_token_requests();
    assert!(polled(1, held.token()).await.is_none());
    drop(held);
    service.world.provider.wait_for_token_requests(1).await;
    shutdown_waits(&service, &sessions, hold).await;
    let key = TokenKey::new(&service.world.provider.token_url(), "foo", "alice");
    let stored = service.store.stored(&key).unwrap();
    let token: Token = serde_json::from_str(stored.json()).unwrap();
    assert!(service.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    assert_eq!(service.world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_session_that_somebody_holds_stays_after_a_sign_out_and_is_waited_for() {
    let service = Service::new().await;
    let sessions = service.builder().build();
    for locally in [false, true] {
        sessions.sign_in("alice", service.world.token()).await.unwrap();
        let held = sessions.for_user("alice");
        if locally {
            sessions.sign_out_locally("alice").await.unwrap();
        } else {
            sessions.sign_out("alice").await.unwrap();
        }
        held.set_token(service.world.expired_token()).await.unwrap();
        let before = service.world.provider.counts().token_requests;
        let hold = service.world.provider.pause_token_requests();
        assert!(polled(1, held.token()).await.is_none());
        service.world.provider.wait_for_token_requests(before + 1).await;
        shutdown_waits(&service, &sessions, hold).await;
        drop(held);
        sessions.sign_out("alice").await.unwrap();
        assert_eq!(sessions.loaded_sessions(), 0);
    }
}

/// The guard does not hold the session, and the application holds nothing else.
#[tokio::test]
async fn a_user_who_is_kept_fresh_stays_in_memory() {
    let service = Service::new().await;
    let sessions = service.builder().max_sessions(2).build();
    sessions.sign_in("alice", service.world.token()).await.unwrap();
    let guard = sessions.for_user("alice").keep_fresh().unwrap();
    service.world.round_trips().await;
    let crowd = async || {
        for i in 0..50 {
            let user = format!("user {i}");
            sessions.sign_in(user.as_str(), service.world.token()).await.unwrap();
            // They are seen more often.
            let _ = (sessions.for_user(user.as_str()), sessions.for_user(user.as_str()));
        }
    };
    crowd().await;
    service.world.clock.forward(3400.0);
    pass(30).await;
    service.world.round_trips().await;
    assert_eq!(service.world.provider.counts().token_requests, 1);
    drop(guard);
    service.world.plain_turns().await;
    crowd().await;
    assert!(sessions.for_user("alice").current_token().is_none());
}

#[tokio::test]
async fn more_busy_users_than_the_bound_lose_nothing_and_make_room_afterwards() {
    let service = Service::new().await;
    let sessions = service.builder().max_sessions(8).build();
    let users: Vec<String> = (0..64).map(|i| format!("user {i}")).collect();
    for user in &users {
        service.store(user, &service.world.expired_token()).await;
    }
    let hold = service.world.provider.pause_token_requests();
    for user in &users {
        // Nobody waits for it any more.
        assert!(polled(1, sessions.for_user(user.as_str()).token()).await.is_none());
    }
    service.world.provider.wait_for_token_requests(64).await;
    assert_eq!(sessions.loaded_sessions(), 64);
    drop(hold);
    sessions.shutdown().await.unwrap();
    for user in &users {
        let token = sessions.for_user(user.as_str()).token().await.unwrap();
        assert!(service.world.provider.accepts_access_token(token.access_token()));
    }
    // The next user finds room again.
    drop(sessions.for_user("newcomer"));
    assert_eq!(sessions.loaded_sessions(), 8);
    let counts = service.world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (64, 0));
}

#[tokio::test]
async fn idle_sessions_go_and_those_in_use_stay() {
    let service = Service::new().await;
    let sessions = service.builder().idle_timeout(Duration::from_secs(600)).build();
    for user in ["used", "idle"] {
        service.store(user, &service.world.token()).await;
        sessions.for_user(user).token().await.unwrap();
    }
    let newcomer = |i: u32| sessions.for_user(format!("newcomer {i}"));
    pass(599).await;
    newcomer(0);
    assert!(sessions.for_user("idle").current_token().is_some(), "not yet");
    for i in 1..=2 {
        pass(600).await;
        sessions.for_user("used");
        newcomer(i);
    }
    assert!(sessions.for_user("used").current_token().is_some());
    assert!(sessions.for_user("idle").current_token().is_none());
}

#[tokio::test]
async fn debug_shows_no_token() {
    let service = Service::new().await;
    let sessions = service.builder().build();
    let token = service.world.token();
    sessions.sign_in("alice", token.clone()).await.unwrap();
    let shown = format!("{sessions:?} {:?}", service.http(&sessions));
    assert!(!shown.contains(token.access_token()), "{shown}");
    assert!(shown.contains("loaded_sessions: 1"), "{shown}");
}

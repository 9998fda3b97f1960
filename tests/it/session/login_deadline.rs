//! The refresh token's own deadline, where the provider says it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{Error, Session, Token};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::support::{World, ours, pass};

const HOUR: f64 = 3600.0;
const NS: Duration = Duration::from_nanos(1);

fn reply(members: &Value) -> Fault {
    Fault::Reply {
        status: 200,
        content_type: "application/json".to_owned(),
        body: members.to_string(),
    }
}

/// So many seconds from now on the test's clock.
fn after(world: &World, seconds: u64) -> DateTime<Utc> {
    (world.clock.now() + Duration::from_secs(seconds)).into()
}

/// The provider's next answer has these members too.
fn answers(world: &World, more: &Value) {
    let mut members = world.provider.log_in();
    for (name, value) in more.as_object().unwrap() {
        members[name] = value.clone();
    }
    world.provider.fail_next(reply(&members));
}

/// A session whose access token has expired, and whose login ends after so many seconds.
fn session(world: &World, seconds: u64) -> Session {
    let token = world.expired_token().with_refresh_token_expires_at(after(world, seconds));
    world.saving().token(token).build()
}

#[track_caller]
fn is_expired(error: &Error) {
    assert!(error.is_reauthorization_required(), "{error}");
    let text = error.to_string();
    assert!(text.contains("the refresh token has expired"), "{text}");
}

#[tokio::test]
async fn it_counts_from_before_the_token_request_and_is_saved_as_a_date() {
    for name in ["refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"] {
        let world = World::new().await;
        let session = world.saving().token(world.expired_token()).build();
        assert_eq!(session.login_expires_at(), None);
        let deadline = after(&world, 86_400);
        let hold = world.provider.pause_token_requests();
        answers(&world, &json!({name: 86_400}));
        let refresh = tokio::spawn({
            let session = session.clone();
            async move { session.refresh().await }
        });
        world.provider.wait_for_token_requests(1).await;
        world.clock.forward(45.0);
        drop(hold);
        let token = refresh.await.unwrap().unwrap();
        assert_eq!(session.login_expires_at(), Some(deadline));
        assert_eq!(token.refresh_token_expires_at(), Some(deadline));
        let stored = serde_json::to_value(world.saved.last()).unwrap();
        assert_eq!(stored[name], 86_400);
        assert_eq!(stored["refresh_token_expires_at"], deadline.timestamp());
        // A day later it says the same.
        world.clock.forward(86_400.0);
        let loaded: Token = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(loaded.refresh_token_expires_at(), Some(deadline));
        assert_eq!(serde_json::to_value(&loaded).unwrap(), stored);
    }
}

#[tokio::test]
async fn after_it_a_session_asks_for_a_new_login_without_a_request_to_the_nanosecond() {
    let world = World::new().await;
    let session = session(&world, 60);
    world.clock.forward(60.0);
    is_expired(&session.token().await.unwrap_err());
    is_expired(&session.refresh().await.unwrap_err());
    let http = world.http(&session);
    is_expired(&ours(&world.get(&http).await.unwrap_err()));
    assert_eq!(world.provider.counts().token_requests, 0);
    // The clock is set right: nothing was decided for good.
    world.clock.back(NS.as_secs_f64());
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn the_access_token_serves_while_it_lives() {
    let world = World::new().await;
    let token = world.token().with_refresh_token_expires_at(after(&world, 60));
    let session = world.saving().token(token.clone()).build();
    let http = world.http(&session);
    for (moved, status) in [(100.0, 200), (3400.0, 200), (89.0, 200)] {
        world.clock.forward(moved);
        assert_eq!(world.get(&http).await.unwrap(), status);
    }
    world.clock.forward(1.0);
    is_expired(&ours(&world.get(&http).await.unwrap_err()));
    assert_eq!(world.shown(), [token.access_token(); 3]);
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_rejected_token_of_an_expired_login_is_told_to_the_caller() {
    let world = World::new().await;
    let token = world.token().with_refresh_token_expires_at(after(&world, 60));
    let session = world.saving().token(token).build();
    world.clock.forward(60.0);
    world.provider.reject_all(true);
    is_expired(&ours(&world.get(&world.http(&session)).await.unwrap_err()));
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn nothing_is_marked_in_the_store_and_another_clock_goes_on() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let token = world.expired_token().with_refresh_token_expires_at(after(&world, 60));
    let right = world.clock.reader();
    let wrong = {
        let clock = world.clock.clone();
        move || clock.now() + Duration::from_secs(86_400)
    };
    let of = |store: &Arc<MemoryStore>| world.session().store(store.clone(), "alice");
    let first = of(&store).build();
    first.set_token(token).await.unwrap();
    let (ahead, good) = (of(&store).clock(wrong).build(), of(&store).clock(right).build());
    for _ in 0..2 {
        is_expired(&ahead.token().await.unwrap_err());
        pass(60).await;
    }
    assert_eq!(world.provider.counts().token_requests, 0);
    good.token().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 1);
    // It is the newest token, and its login has no deadline that is known.
    pass(60).await;
    assert_eq!(good.login_expires_at(), None);
    ahead.refresh().await.unwrap();
}

#[tokio::test]
async fn a_grant_is_asked_in_place_of_a_refresh_token_that_has_expired() {
    let world = World::new().await;
    let token = world.expired_token().with_refresh_token_expires_at(after(&world, 60));
    let grant = || async { Token::new("of-the-grant") };
    let session = world.session().grant(grant).token(token).build();
    world.clock.forward(60.0);
    assert_eq!(session.token().await.unwrap().access_token(), "of-the-grant");
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn what_a_renewal_says_of_it_and_what_it_leaves_out() {
    let old = "the old one";
    for (members, expected) in [
        // The same refresh token, and nothing said.
        (json!({"access_token": "a"}), Some(86_400)),
        (json!({"access_token": "a", "refresh_token": old}), Some(86_400)),
        (json!({"access_token": "a", "refresh_token_expires_at": null}), Some(86_400)),
        // A new number.
        (json!({"access_token": "a", "refresh_expires_in": 60}), Some(60)),
        (json!({"access_token": "a", "refresh_token": "new", "refresh_expires_in": 60}), Some(60)),
        // No limit any more.
        (json!({"access_token": "a", "refresh_expires_in": 0}), None),
        (json!({"access_token": "a", "refresh_expires_in": "never"}), None),
        // Nobody knows whether the window slides.
        (json!({"access_token": "a", "refresh_token": "new"}), None),
        (json!({"access_token": "a", "refresh_token": "new", "refresh_expires_in": -1}), None),
    ] {
        let world = World::new().await;
        let token = world
            .expired_token()
            .with_refresh_token(old)
            .with_refresh_token_expires_at(after(&world, 86_400));
        let session = world.saving().token(token).build();
        world.provider.fail_next(reply(&members));
        session.refresh().await.unwrap();
        session.shutdown().await.unwrap();
        let expected = expected.map(|seconds| after(&world, seconds));
        assert_eq!(session.login_expires_at(), expected, "{members}");
        assert_eq!(world.saved.last().refresh_token_expires_at(), expected, "{members}");
    }
}

#[tokio::test]
async fn a_refresh_token_in_an_unusable_answer_has_no_deadline() {
    let world = World::new().await;
    let session = session(&world, 60);
    world.provider.fail_next(reply(&json!({"refresh_token": "new"})));
    session.token().await.unwrap_err();
    session.shutdown().await.unwrap();
    assert_eq!(world.saved.last().refresh_token(), Some("new"));
    assert_eq!(session.login_expires_at(), None);
}

#[tokio::test]
async fn no_login_is_over_when_it_is_issued() {
    for members in [
        json!({"refresh_expires_in": 0}),
        json!({"refresh_token_expires_in": -86_400}),
        json!({"refresh_token_expires_at": "2001-09-09T01:46:41Z"}),
        json!({"refresh_token_expires_at": 1_700_000_000}),
        json!({"refresh_token_expires_in": i64::MAX, "refresh_expires_in": {}}),
    ] {
        let world = World::new().await;
        let session = world.saving().token(world.expired_token()).build();
        answers(&world, &members);
        session.refresh().await.unwrap();
        session.shutdown().await.unwrap();
        assert_eq!(session.login_expires_at(), None, "{members}");
        // Nor when it is loaded again.
        let stored = serde_json::to_string(&world.saved.last()).unwrap();
        let loaded: Token = serde_json::from_str(&stored).unwrap();
        assert_eq!(loaded.refresh_token_expires_at(), None, "{members}");
        world.clock.forward(2.0 * HOUR);
        session.token().await.unwrap();
    }
}

#[tokio::test]
async fn a_stored_deadline_that_nobody_can_mean_is_none() {
    for absurd in [
        json!("soon"),
        json!({}),
        json!([1]),
        json!(true),
        json!(1e300),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(""),
    ] {
        let world = World::new().await;
        let mut stored = serde_json::to_value(world.expired_token()).unwrap();
        stored["refresh_token_expires_at"] = absurd.clone();
        let token: Token = serde_json::from_value(stored).unwrap();
        let session = world.saving().token(token).build();
        session.token().await.unwrap_or_else(|error| panic!("{absurd}: {error}"));
        assert_eq!(world.provider.counts().token_requests, 1, "{absurd}");
    }
    // The latest that there is.
    let world = World::new().await;
    let token = world.expired_token().with_refresh_token_expires_at(DateTime::<Utc>::MAX_UTC);
    let text = serde_json::to_string(&token).unwrap();
    let loaded: Token = serde_json::from_str(&text).unwrap();
    world.saving().token(loaded).build().token().await.unwrap();
    world.saving().token(world.expired_token()).build().token().await.unwrap();
}

#[tokio::test]
async fn a_new_login_goes_on() {
    let world = World::new().await;
    let session = session(&world, 60);
    world.clock.forward(60.0);
    is_expired(&session.token().await.unwrap_err());
    let deadline = after(&world, 86_400);
    session.set_token(world.token().with_refresh_token_expires_at(deadline)).await.unwrap();
    session.token().await.unwrap();
    assert_eq!(session.login_expires_at(), Some(deadline));
    session.sign_out().await.unwrap();
    assert_eq!(session.login_expires_at(), None);
}

#[tokio::test]
async fn a_session_that_renews_by_hand_says_so_too() {
    let world = World::new().await;
    let token = world.expired_token().with_refresh_token_expires_at(after(&world, 60));
    let session = world.session().manual_refresh().token(token).build();
    assert!(session.token().await.unwrap_err().is_expired());
    world.clock.forward(60.0);
    is_expired(&session.token().await.unwrap_err());
    is_expired(&session.refresh().await.unwrap_err());
}

//! The deadline is absolute, and nobody waits while the token is still good.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest_oauth2::testing::Fault;

use crate::support::World;

#[tokio::test]
async fn a_valid_token_is_sent_and_nothing_is_asked_for() {
    let world = World::new().await;
    let token = world.token();
    let session = world.saving().token(token.clone()).build();
    let http = world.http(&session);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.shown(), [token.access_token()]);
    assert_eq!(world.provider.counts().token_requests, 0);
    assert_eq!(world.saved.count(), 0);
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_saved_before_its_first_use() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let http = world.http(&session);
    for _ in 0..3 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    let saved = world.saved.access_tokens();
    assert_eq!(saved.len(), 1);
    assert_eq!(world.shown(), [&*saved[0]; 3]);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn the_deadline_counts_from_before_the_token_request() {
    let world = World::with(|p| p.lifetime(Duration::from_secs(600))).await;
    let session = world.saving().token(world.expired_token()).build();
    let asked_at = world.clock.now();
    let hold = world.provider.pause_token_requests();
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    world.provider.wait_for_token_requests(1).await;
    world.clock.forward(45.0);
    drop(hold);
    let token = refresh.await.unwrap().unwrap();
    assert_eq!(
        token.expires_at().unwrap(),
        DateTime::<Utc>::from(asked_at + Duration::from_secs(600))
    );
    // It survives the way through storage to the microsecond.
    let loaded: reqwest_oauth2::Token =
        serde_json::from_str(&serde_json::to_string(&world.saved.last()).unwrap()).unwrap();
    assert_eq!(loaded.expires_at(), token.expires_at());
}

#[tokio::test]
async fn a_due_token_serves_while_one_renewal_runs_in_the_background() {
    let world = World::new().await;
    let old = world.token();
    let session = world.saving().token(old.clone()).build();
    let http = world.http(&session);
    world.clock.forward(3500.0);
    let hold = world.provider.pause_token_requests();
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    world.provider.wait_for_token_requests(1).await;
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.shown(), vec![old.access_token(); 6]);
    let mut updates = session.subscribe();
    drop(hold);
    let new = updates.next().await.unwrap();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.shown().last().unwrap(), new.access_token());
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_request_waits_only_once_the_token_has_expired() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    let hold = world.provider.pause_token_requests();
    // A tenth of the lifetime at most ten seconds: 3590 s.
    world.clock.forward(3_589.999_999);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    world.clock.forward(0.000_001);
    let waiting = world.get(&http);
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("it did not wait"),
        () = world.provider.wait_for_token_requests(1) => {}
    }
    assert_eq!(world.provider.counts().api_requests, 1);
    drop(hold);
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_token_of_unknown_lifetime_is_used_until_a_401() {
    let world = World::with(|p| p.no_expires_in()).await;
    let session = world.session().token(world.expired_token()).build();
    let http = world.http(&session);
    for _ in 0..3 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
        // Longer than a token lives, were it known.
        world.clock.forward(1000.0);
    }
    assert_eq!(session.token().await.unwrap().expires_at(), None);
    assert_eq!(world.provider.counts().token_requests, 1);
    world.clock.forward(3600.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 2);
    assert_eq!(world.provider.counts().api_unauthorized, 1);
}

/// A response with an access token that the API accepts, and these members.
fn reply(world: &World, members: &str) -> Fault {
    let access = world.token();
    Fault::Reply {
        status: 200,
        content_type: "application/json".to_owned(),
        body: format!(r#"{{"access_token":"{}",{members}}}"#, access.access_token()),
    }
}

fn seconds(time: std::time::SystemTime) -> u64 {
    time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_token_issued_as_already_expired_is_used_until_a_401() {
    let now = seconds(World::new().await.clock.now());
    // Each with a provider whose clock is two hours behind ours.
    let (then, date) = (now - 2 * 3600 + 60, "2027-01-15T06:01:00Z");
    for members in [
        r#""expires_in":-1"#.to_owned(),
        r#""expires_in":"-30""#.to_owned(),
        r#""expires_in":-9223372036854775808"#.to_owned(),
        format!(r#""expires_in":{then}"#),
        format!(r#""expires_at":{then}"#),
        format!(r#""expires_at":"{then}""#),
        format!(r#""expires_at":{then}000"#),
        format!(r#""expires_at":{then},"expires_in":null"#),
        format!(r#""expires_on":"{then}""#),
        format!(r#""expires":{then}"#),
        format!(r#""expires":"{date}""#),
        format!(r#""expiry":"{date}""#),
        r#""expires":"Fri, 15 Jan 2027 06:01:00 GMT""#.to_owned(),
        r#""expires_at":5"#.to_owned(),
    ] {
        let world = World::new().await;
        world.provider.fail_next(reply(&world, &members));
        let session = world.saving().token(world.expired_token()).build();
        let http = world.http(&session);
        for _ in 0..5 {
            assert_eq!(world.get(&http).await.unwrap(), 200);
        }
        assert_eq!(session.token().await.unwrap().expires_at(), None, "{members}");
        session.shutdown().await.unwrap();
        assert_eq!(world.provider.counts().token_requests, 1, "{members}");
        // Nor does the next process renew what was saved.
        let next = world.saving().token(world.saved.last()).build();
        assert_eq!(world.get(&world.http(&next)).await.unwrap(), 200);
        assert_eq!(world.provider.counts().token_requests, 1, "{members}");
        world.provider.revoke_access_tokens();
        assert_eq!(world.get(&http).await.unwrap(), 200);
        assert_eq!(world.provider.counts().token_requests, 2, "{members}");
    }
}

#[tokio::test]
async fn a_token_of_a_provider_whose_clock_is_ahead_is_used_until_a_401() {
    let world = World::new().await;
    let then = seconds(world.clock.now()) + 3 * 3600;
    world.provider.fail_next(reply(&world, &format!(r#""expires_at":{then}"#)));
    let session = world.session().token(world.expired_token()).build();
    let http = world.http(&session);
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    assert_eq!(world.provider.counts().token_requests, 1);
    world.clock.forward(3600.0);
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    assert_eq!(world.provider.counts().token_requests, 2);
    assert_eq!(world.provider.counts().api_unauthorized, 1);
}

#[tokio::test]
async fn deadlines_under_other_names_and_in_other_units_are_kept() {
    let then = seconds(World::new().await.clock.now()) + 600;
    for members in [
        format!(r#""expires_on":"{then}""#),
        format!(r#""expires":{then}"#),
        r#""expires":"2027-01-15T08:10:00Z""#.to_owned(),
        r#""expires":"Fri, 15 Jan 2027 08:10:00 GMT""#.to_owned(),
        r#""expires_in_sec":600,"expires_in":600000"#.to_owned(),
        format!(r#""expires_in":{then}"#),
        format!(r#""expires_at":{then}000"#),
        format!(r#""expires_in":null,"expires_at":{then}"#),
        r#""expires_in":600,"ext_expires_in":7200"#.to_owned(),
    ] {
        let world = World::new().await;
        world.provider.fail_next(reply(&world, &members));
        let session = world.saving().token(world.expired_token()).build();
        let http = world.http(&session);
        assert_eq!(world.get(&http).await.unwrap(), 200);
        for token in [session.token().await.unwrap(), world.saved.last()] {
            let expires_at = token.expires_at().unwrap().timestamp();
            assert_eq!(u64::try_from(expires_at), Ok(then), "{members}");
        }
        world.clock.forward(600.0);
        assert_eq!(world.get(&http).await.unwrap(), 200);
        assert_eq!(world.provider.counts().token_requests, 2, "{members}");
    }
}

#[tokio::test]
async fn a_stored_token_that_has_expired_is_renewed_once_before_its_first_use() {
    let now = seconds(World::new().await.clock.now());
    for members in [
        r#""expires_in":-30"#.to_owned(),
        r#""expires_in":"-30""#.to_owned(),
        r#""expires_in":-1"#.to_owned(),
        format!(r#""expires_at":{}"#, now - 1),
        format!(r#""expires_on":"{}""#, now - 7200),
        r#""expires_at":5"#.to_owned(),
    ] {
        let world = World::new().await;
        let valid = world.token();
        let stored = format!(
            r#"{{"access_token":"{}","refresh_token":"{}",{members}}}"#,
            valid.access_token(),
            valid.refresh_token().unwrap()
        );
        let stored: reqwest_oauth2::Token = serde_json::from_str(&stored).unwrap();
        for is_set in [false, true] {
            let world = World::new().await;
            // Relative ones count by the machine's clock, which is far behind the test's.
            let mut stored = stored.clone();
            let other = world.token();
            stored = stored.with_refresh_token(other.refresh_token().unwrap());
            let builder = world.saving();
            let session =
                if is_set { builder.build() } else { builder.token(stored.clone()).build() };
            if is_set {
                session.set_token(stored.clone()).await.unwrap();
            }
            let http = world.http(&session);
            for _ in 0..5 {
                assert_eq!(world.get(&http).await.unwrap(), 200, "{members}");
            }
            assert!(!world.shown().contains(&stored.access_token().to_owned()));
            assert_eq!(world.provider.counts().token_requests, 1, "{members}");
        }
    }
}

#[tokio::test]
async fn a_lead_of_the_applications_own_is_kept_where_only_the_deadline_is_known() {
    for (left, lead, renewals) in [(60, 300, 1), (500, 300, 0)] {
        let world = World::new().await;
        let expires_at = world.clock.now() + Duration::from_secs(left);
        let token = world.token().with_expires_at(expires_at.into());
        let session =
            world.saving().refresh_lead(Duration::from_secs(lead)).token(token.clone()).build();
        let http = world.http(&session);
        for _ in 0..3 {
            assert_eq!(world.get(&http).await.unwrap(), 200);
            session.shutdown().await.unwrap();
        }
        assert_eq!(world.shown()[0], token.access_token(), "nobody waits");
        assert_eq!(world.provider.counts().token_requests, renewals, "{left}");
    }
}

#[tokio::test]
async fn a_lead_that_is_longer_than_tokens_live_costs_no_renewal_for_each_request() {
    let world = World::with(|p| p.lifetime(Duration::from_secs(60))).await;
    let expires_at = world.clock.now() + Duration::from_secs(60);
    let token = world.token().with_expires_at(expires_at.into());
    let session = world.saving().refresh_lead(Duration::from_secs(300)).token(token).build();
    let http = world.http(&session);
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
        session.shutdown().await.unwrap();
    }
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_clock_that_jumps_forward_costs_one_renewal() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    world.clock.forward(86_400.0 * 400.0);
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    assert_eq!(world.provider.counts().token_requests, 1);
    assert_eq!(world.provider.counts().reuse_detected, 0);
}

#[tokio::test]
async fn a_clock_that_jumps_back_heals_by_a_401() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    world.clock.back(86_400.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 0);
    // The hour is over by the provider's count; by ours a day and an hour are left.
    world.provider.revoke_access_tokens();
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    assert_eq!(world.provider.counts().token_requests, 1);
    world.clock.forward(86_400.0);
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    assert_eq!(world.provider.counts().token_requests, 2);
    // And right to the epoch, where no deadline can be negative.
    world.clock.back(1_800_000_000.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
}

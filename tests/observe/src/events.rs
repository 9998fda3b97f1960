//! What an operator sees: the exact events with their fields and spans, and the exact metrics.

use reqwest_oauth2::store::{FileStore, MemoryStore};
use reqwest_oauth2::testing::{DpopRules, Fault};
use reqwest_oauth2::{Session, Token};
use std::sync::Arc;
use tracing::Instrument;

use crate::capture::Capture;
use crate::support::{World, pass};

/// A provider's answer, in its span, within that of a renewal.
const ANSWERED: &str = "DEBUG renewal/provider_request provider_answered duration_ms=0 endpoint=token endpoint outcome=ok";

#[tokio::test]
async fn a_renewal_that_is_saved() {
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let http = world.http(&session);
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    assert_eq!(
        capture.events(),
        [
            "DEBUG renewal renewal_started cause=expired generation=1",
            ANSWERED,
            "DEBUG saving token_saved duration_ms=0",
            "INFO renewal renewal_finished duration_ms=0 generation=2 lifetime_s=3600",
        ]
    );
    assert_eq!(
        capture.metrics(),
        [
            "oauth2_provider_request_duration_seconds{endpoint=token endpoint} [0.0]",
            "oauth2_provider_requests_total{endpoint=token endpoint,outcome=ok} 1",
            "oauth2_renewal_duration_seconds{} [0.0]",
            "oauth2_renewals_total{outcome=renewed} 1",
            "oauth2_saves_total{outcome=saved} 1",
            "oauth2_unsaved_tokens{} 0",
        ]
    );
}

#[tokio::test]
async fn a_fresh_token_is_silent() {
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    session.token().await.unwrap();
    assert!(
        capture.events().is_empty() && capture.metrics().is_empty() && capture.links().is_empty()
    );
}

#[tokio::test]
async fn a_failure_that_passes() {
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    world.provider.fail_next(Fault::Status(503));
    session.refresh().await.unwrap_err();
    session.refresh().await.unwrap_err(); // forbidden by the backoff: no renewal, no event
    pass(60).await;
    session.refresh().await.unwrap();
    assert_eq!(
        capture.events(),
        [
            "DEBUG renewal renewal_started cause=expired generation=1",
            "DEBUG renewal/provider_request provider_failed duration_ms=0 endpoint=token endpoint outcome=refused status=503",
            "WARN renewal renewal_failed attempt=1 duration_ms=0 error=the token endpoint refused the request (status 503)",
            "DEBUG renewal renewal_started cause=expired generation=1",
            ANSWERED,
            "INFO renewal renewal_finished duration_ms=0 generation=2 lifetime_s=3600",
        ]
    );
    assert_eq!(
        capture.metrics(),
        [
            "oauth2_provider_request_duration_seconds{endpoint=token endpoint} [0.0, 0.0]",
            "oauth2_provider_requests_total{endpoint=token endpoint,outcome=ok} 1",
            "oauth2_provider_requests_total{endpoint=token endpoint,outcome=refused} 1",
            "oauth2_renewal_duration_seconds{} [0.0, 0.0]",
            "oauth2_renewals_total{outcome=failed} 1",
            "oauth2_renewals_total{outcome=renewed} 1",
        ]
    );
}

#[tokio::test]
async fn a_login_that_has_ended_is_one_error() {
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    world.provider.revoke_families();
    for _ in 0..3 {
        assert!(session.refresh().await.unwrap_err().is_reauthorization_required());
    }
    let events = capture.events();
    assert_eq!(events.len(), 3, "{events:#?}");
    assert_eq!(
        events[1],
        "DEBUG renewal/provider_request provider_failed code=invalid_grant duration_ms=0 endpoint=token endpoint outcome=refused status=400"
    );
    let ended = "ERROR renewal reauthorization_required code=invalid_grant duration_ms=0 error=reauthorization required: ";
    assert!(events[2].starts_with(ended), "{}", events[2]);
    assert!(events[2].ends_with(" response_lost=false"), "{}", events[2]);
    let metrics = capture.metrics();
    let count = "oauth2_renewals_total{outcome=reauthorization_required} 1";
    assert!(metrics.iter().any(|metric| metric == count), "{metrics:#?}");
}

#[tokio::test]
async fn a_login_that_expires_is_told_before_and_after() {
    let world = World::new().await;
    let deadline = world.clock.now() + std::time::Duration::from_secs(90_000);
    let token = world.expired_token().with_refresh_token_expires_at(deadline.into());
    let refresh_token = token.refresh_token().unwrap().to_owned();
    let session = world.session().token(token).build();
    let answer = |access_token: &str| Fault::Reply {
        status: 200,
        content_type: "application/json".to_owned(),
        body: format!(
            r#"{{"access_token": "{access_token}", "refresh_token": "{refresh_token}", "expires_in": 3600}}"#
        ),
    };
    let capture = Capture::new();
    let _on = capture.on();
    for (access_token, later) in [("a", 3_599.0), ("b", 1.0), ("c", 80_000.0), ("d", 6_400.0)] {
        world.provider.fail_next(answer(access_token));
        session.refresh().await.unwrap();
        world.clock.forward(later);
    }
    for _ in 0..3 {
        assert!(session.refresh().await.unwrap_err().is_reauthorization_required());
    }
    let mut events = capture.events();
    events.retain(|event| !event.contains("provider_") && !event.contains("DEBUG"));
    let renewed = |generation: u8| {
        format!(
            "INFO renewal renewal_finished duration_ms=0 generation={generation} lifetime_s=3600"
        )
    };
    let ended = "ERROR  reauthorization_required duration_ms=0 error=reauthorization required: the refresh token has expired, by the deadline that the provider gave and this machine's clock; log in again and pass the token to Session::set_token; for a custom grant, fix the grant response_lost=false";
    assert_eq!(
        events,
        [
            renewed(2),
            renewed(3),
            renewed(4),
            "WARN  login_expires_soon left_s=86400".to_owned(),
            renewed(5),
            ended.to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_deadline_that_cannot_be_read_is_told_and_one_that_can_is_not() {
    for (expires_in, told) in [("3600", 0), ("\"soon\"", 1)] {
        let capture = Capture::new();
        let _on = capture.on();
        let world = World::new().await;
        let session = world.session().token(world.expired_token()).build();
        world.provider.fail_next(Fault::Reply {
            status: 200,
            content_type: "application/json".to_owned(),
            body: format!(r#"{{"access_token": "a", "expires_in": {expires_in}}}"#),
        });
        session.refresh().await.unwrap();
        let events = capture.events();
        let warnings = events.iter().filter(|event| event.contains("expires_in_invalid")).count();
        assert_eq!(warnings, told, "{expires_in}: {events:#?}");
    }
}

#[tokio::test]
async fn with_a_store_an_ended_login_is_looked_into_again_and_reported_once() {
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let session = world.session().store(store, "alice").build();
    session.set_token(world.token()).await.unwrap();
    world.provider.revoke_families();
    assert!(session.refresh().await.unwrap_err().is_reauthorization_required());
    for _ in 0..2 {
        pass(60).await;
        assert!(session.refresh().await.unwrap_err().is_reauthorization_required());
    }
    let events = capture.events();
    let of = |name: &str| events.iter().filter(|event| event.contains(name)).count();
    assert_eq!(of("ERROR renewal reauthorization_required "), 1, "{events:#?}");
    assert_eq!(of("DEBUG renewal reauthorization_still_required"), 2, "{events:#?}");
    assert_eq!(of("alice"), 0, "{events:#?}");
}

#[tokio::test]
async fn a_user_who_has_never_logged_in_alarms_nobody() {
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::new().await;
    let session = world.session().store(MemoryStore::new(), "alice").build();
    assert!(session.token().await.unwrap_err().is_reauthorization_required());
    assert_eq!(
        capture.events(),
        [
            "DEBUG renewal renewal_started cause=no_token generation=0",
            "DEBUG renewal reauthorization_still_required"
        ]
    );
    assert!(capture.metrics().is_empty());
}

#[tokio::test]
async fn a_rejected_token_that_nothing_renews_alarms_nobody() {
    let world = World::new().await;
    let session = world.session().store(MemoryStore::new(), "alice").build();
    session.set_token(world.token().with_refresh_token("")).await.unwrap();
    let http = world.http(&session);
    world.provider.reject_all(true);
    let capture = Capture::new();
    let _on = capture.on();
    assert_eq!(world.get(&http).await.unwrap(), 401);
    assert_eq!(
        capture.events(),
        [
            "INFO  token_rejected generation=1",
            "DEBUG renewal renewal_started cause=rejected generation=1",
            "DEBUG renewal rejected_token_kept",
        ]
    );
    assert_eq!(capture.metrics(), ["oauth2_token_rejections_total{outcome=renewed} 1"]);
}

#[tokio::test]
async fn a_saver_that_fails() {
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::new().await;
    let saver = |_: Token| async { Err::<(), _>(std::io::Error::other("disk full")) };
    let session = world.session().token(world.expired_token()).on_new_token(saver).build();
    session.refresh().await.unwrap();
    assert_eq!(
        capture.events()[2..],
        [
            "ERROR saving save_failed attempt=1 error=the new token could not be saved; it is kept in memory and saving is tried again",
            "INFO renewal renewal_finished duration_ms=0 generation=2 lifetime_s=3600",
        ]
    );
    let metrics = capture.metrics();
    assert_eq!(metrics[4..], ["oauth2_saves_total{outcome=failed} 1", "oauth2_unsaved_tokens{} 1"]);
}

#[tokio::test]
async fn a_token_of_a_sibling() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let sibling = || world.session().store(store.clone(), "alice").build();
    let (one, other) = (sibling(), sibling());
    one.set_token(world.token()).await.unwrap();
    other.token().await.unwrap();
    one.refresh().await.unwrap();
    let capture = Capture::new();
    let _on = capture.on();
    other.refresh().await.unwrap();
    assert_eq!(
        capture.events(),
        [
            "DEBUG renewal renewal_started cause=manual generation=1",
            "DEBUG renewal token_adopted duration_ms=0 generation=2 lifetime_s=3600",
        ]
    );
    assert_eq!(
        capture.metrics(),
        ["oauth2_renewal_duration_seconds{} [0.0]", "oauth2_renewals_total{outcome=adopted} 1"]
    );
}

#[tokio::test]
async fn a_401() {
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    world.provider.reject_all(true);
    for _ in 0..3 {
        assert_eq!(world.get(&http).await.unwrap(), 401);
    }
    assert_eq!(
        capture.events(),
        [
            "INFO  token_rejected generation=1",
            "DEBUG renewal renewal_started cause=rejected generation=1",
            ANSWERED,
            "INFO renewal renewal_finished duration_ms=0 generation=2 lifetime_s=3600",
            "WARN  unauthorized_after_renewal generation=2",
        ]
    );
    let rejections: Vec<_> =
        capture.metrics().into_iter().filter(|metric| metric.contains("rejections")).collect();
    assert_eq!(
        rejections,
        [
            "oauth2_token_rejections_total{outcome=not_fixed} 1",
            "oauth2_token_rejections_total{outcome=renewed} 1",
        ]
    );
}

#[tokio::test]
async fn each_target_of_a_login_is_named() {
    const A: &str = "https://a.example/";
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::with(|provider| provider.resources([A])).await;
    let session = world.session().token(world.expired_token()).build();
    let a = session.for_resource(A).unwrap().with_scope("read").unwrap();
    let refused = session.for_resources(["urn:b", "urn:c"]).unwrap();
    let hold = world.provider.pause_token_requests();
    // All of them at once: each is told within its own span.
    let waiting = [refused, a.clone(), session.clone()].map(|session| {
        tokio::spawn(async move {
            session.token().await.map_err(|e| e.error_code().unwrap().to_owned())
        })
    });
    world.provider.wait_for_token_requests(1).await;
    world.plain_turns().await;
    drop(hold);
    let [refused, for_a, own] = waiting;
    assert_eq!(refused.await.unwrap().unwrap_err(), "invalid_target");
    let (for_a, own) = (for_a.await.unwrap().unwrap(), own.await.unwrap().unwrap());
    assert_ne!(for_a.access_token(), own.access_token());
    let mut events = capture.events();
    events.sort();
    let of_a = "renewal{resource=https://a.example/}{scope=read}";
    let (others, named_a) = ("renewal{resource=urn:b urn:c}", format!("resource={A} scope=read"));
    let refusal = "error=the token endpoint refused the request (status 400): invalid_target; ask for a resource or audience that the provider knows, and that the client may have";
    assert_eq!(
        events,
        [
            "DEBUG renewal renewal_started cause=expired generation=1".to_owned(),
            ANSWERED.to_owned(),
            format!("DEBUG {of_a} renewal_started cause=no_token generation=0 {named_a}"),
            ANSWERED.replacen("renewal", of_a, 1),
            format!(
                "DEBUG {others} renewal_started cause=no_token generation=0 resource=urn:b urn:c"
            ),
            format!(
                "DEBUG {others}/provider_request provider_failed code=invalid_target duration_ms=0 endpoint=token endpoint outcome=refused status=400"
            ),
            "INFO renewal renewal_finished duration_ms=0 generation=2 lifetime_s=3600".to_owned(),
            format!(
                "INFO {of_a} renewal_finished duration_ms=0 generation=3 lifetime_s=3600 {named_a}"
            ),
            format!(
                "WARN {others} renewal_failed attempt=1 code=invalid_target duration_ms=0 {refusal} resource=urn:b urn:c"
            ),
        ]
    );
    // A 401 to one of them, and the provider down for it.
    world.provider.reject_all(true);
    world.provider.fail_next(Fault::Status(503));
    world.get(&world.http(&a)).await.unwrap_err();
    assert_eq!(
        capture.events().split_off(events.len()),
        [
            format!("INFO  token_rejected generation=3 {named_a}"),
            format!("DEBUG {of_a} renewal_started cause=rejected generation=3 {named_a}"),
            format!(
                "DEBUG {of_a}/provider_request provider_failed duration_ms=0 endpoint=token endpoint outcome=refused status=503"
            ),
            format!(
                "WARN {of_a} renewal_failed attempt=1 duration_ms=0 error=the token endpoint refused the request (status 503) {named_a}"
            ),
        ]
    );
    session.shutdown().await.unwrap();
    assert_eq!(capture.open(), Vec::<String>::new());
}

#[tokio::test]
async fn what_fails_for_all_targets_is_one_event_and_ends_each_span() {
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    let a = session.for_resource("urn:a").unwrap();
    let hold = world.provider.pause_token_requests();
    world.provider.fail_next(Fault::Status(503));
    let waiting = [a, session].map(|session| {
        tokio::spawn(async move { session.token().await.unwrap_err().is_transient() })
    });
    world.provider.wait_for_token_requests(1).await;
    world.plain_turns().await;
    drop(hold);
    for waiting in waiting {
        assert!(waiting.await.unwrap());
    }
    let mut events = capture.events();
    events.retain(|event| !event.contains("provider_request"));
    assert_eq!(
        events,
        [
            "DEBUG renewal{resource=urn:a} renewal_started cause=no_token generation=0 resource=urn:a",
            "DEBUG renewal renewal_started cause=expired generation=1",
            // At the same instant the login's own is next.
            "WARN renewal renewal_failed attempt=1 duration_ms=0 error=the token endpoint refused the request (status 503)",
        ]
    );
    assert_eq!(capture.open(), Vec::<String>::new());
}

#[tokio::test]
async fn a_bearer_token_that_is_accepted_in_place_of_a_bound_one() {
    let capture = Capture::new();
    let _on = capture.on();
    let mut rules = DpopRules::default();
    rules.issues_bearer = true;
    let world = World::with(|p| p.dpop(rules)).await;
    let app = world.app().dpop().or_bearer().clock(world.clock.reader());
    app.token_request("client_credentials").send().await.unwrap();
    assert_eq!(
        capture.events(),
        [
            "WARN provider_request token_not_bound",
            "DEBUG provider_request provider_answered duration_ms=0 endpoint=token endpoint outcome=ok",
        ]
    );
    assert_eq!(capture.metrics()[0], "oauth2_anomalies_total{kind=token_not_bound} 1");
}

#[tokio::test]
async fn a_sign_out() {
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::new().await;
    let app = world.app().revocation_endpoint(world.provider.revocation_url()).unwrap();
    let session = Session::builder(app).clock(world.clock.reader()).token(world.token()).build();
    world.provider.fail_next_revocation(503, None);
    session.sign_out().await.unwrap_err();
    session.sign_out().await.unwrap();
    assert_eq!(
        capture.events(),
        [
            "DEBUG provider_request provider_failed duration_ms=0 endpoint=revocation endpoint outcome=refused status=503",
            "WARN  sign_out_failed error=the revocation endpoint refused the request (status 503)",
            "DEBUG provider_request provider_answered duration_ms=0 endpoint=revocation endpoint outcome=ok",
            "DEBUG provider_request provider_answered duration_ms=0 endpoint=revocation endpoint outcome=ok",
            "INFO  signed_out",
        ]
    );
    assert_eq!(
        capture.metrics()[3..],
        [
            "oauth2_sign_outs_total{outcome=failed} 1",
            "oauth2_sign_outs_total{outcome=signed_out} 1"
        ]
    );
}

#[tokio::test]
async fn a_renewal_is_a_root_that_follows_from_the_request_that_caused_it() {
    let capture = Capture::new();
    let _on = capture.on();
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let http = world.http(&session);
    let request = tracing::error_span!("request");
    assert_eq!(world.get(&http).instrument(request).await.unwrap(), 200);
    assert_eq!(capture.links(), ["renewal follows from request", "saving follows from renewal"]);
    // Nothing is left open by then.
    session.shutdown().await.unwrap();
    assert_eq!(capture.open(), Vec::<String>::new());
}

#[cfg(unix)]
#[tokio::test]
async fn a_token_file_that_others_could_read() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    for mode in [0o644, 0o660, 0o604, 0o777] {
        let capture = Capture::new();
        let _on = capture.on();
        let world = World::new().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token.json");
        std::fs::write(&path, serde_json::to_string(&world.token()).unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let session = world.session().store(FileStore::file(&path), "alice").build();
        session.refresh().await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let mut events = capture.events();
        events.retain(|event| event.contains("token_file_exposed"));
        let warning = format!("WARN renewal token_file_exposed path={path:?} tightened=true");
        assert_eq!(events, [warning], "once");
    }
}

//! Revocation, introspection, and the end of a login.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest_oauth2::testing::{Fault, Provider};
use reqwest_oauth2::{OAuthClient, Session, Token, TokenTypeHint};

use crate::support::{World, ours, pass, polled};

fn app(world: &World) -> OAuthClient {
    let app = world.app().revocation_endpoint(world.provider.revocation_url()).unwrap();
    app.introspection_endpoint(world.provider.introspection_url()).unwrap()
}

/// What the provider was asked to revoke, in order: the hints, and the tokens.
fn revoked(provider: &Provider) -> Vec<(String, String)> {
    let requests = provider.revocation_requests();
    let param = |request: &reqwest_oauth2::testing::RecordedTokenRequest, name| {
        request.param(name).unwrap().to_owned()
    };
    requests.iter().map(|r| (param(r, "token_type_hint"), param(r, "token"))).collect()
}

/// Both tokens as they are to be revoked.
fn both(token: &Token) -> [(String, String); 2] {
    [
        ("refresh_token".to_owned(), token.refresh_token().unwrap().to_owned()),
        ("access_token".to_owned(), token.access_token().to_owned()),
    ]
}

/// A session whose saver remembers what it was told, deletions included.
fn session(world: &World) -> (Session, Arc<AtomicUsize>) {
    let deletions = Arc::new(AtomicUsize::new(0));
    let (saved, counter) = (world.saved.clone(), deletions.clone());
    let session = Session::builder(app(world))
        .clock(world.clock.reader())
        .token(world.token())
        .on_new_token(move |token: Token| {
            saved.push(token);
            async { Ok::<(), std::io::Error>(()) }
        })
        .on_sign_out(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            async { Ok::<(), std::io::Error>(()) }
        })
        .build();
    (session, deletions)
}

#[tokio::test]
async fn signing_out_revokes_deletes_and_stops_renewing() {
    let world = World::new().await;
    let (session, deletions) = session(&world);
    let token = session.refresh().await.unwrap();
    let http = world.http(&session);
    session.sign_out().await.unwrap();
    assert_eq!(deletions.load(Ordering::SeqCst), 1);
    assert!(!world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    assert!(!world.provider.accepts_access_token(token.access_token()));
    assert!(session.current_token().is_none());
    for _ in 0..3 {
        let error = ours(&world.get(&http).await.unwrap_err());
        assert!(error.is_reauthorization_required());
        assert!(error.to_string().contains("the session has signed out"), "{error}");
        pass(3600).await;
    }
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_requests, counts.revocations), (1, 0, 2));
    assert_eq!(revoked(&world.provider), both(&token));
    // Another login begins.
    session.set_token(world.token()).await.unwrap();
    assert_eq!(world.get(&http).await.unwrap(), 200);
}

#[tokio::test]
async fn a_provider_that_is_down_gets_the_revocation_with_the_next_call() {
    let world = World::new().await;
    let (session, deletions) = session(&world);
    let token = session.token().await.unwrap();
    world.provider.fail_next_revocation(503, Some("120"));
    let error = session.sign_out().await.unwrap_err();
    assert_eq!(error.status().unwrap(), 503);
    assert_eq!(error.retry_after().unwrap().as_secs(), 120);
    assert!(error.is_transient());
    // The login has ended here all the same, and what was saved is deleted.
    assert_eq!(deletions.load(Ordering::SeqCst), 1);
    assert!(session.token().await.unwrap_err().is_reauthorization_required());
    assert!(world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    pass(3600).await;
    world.round_trips().await;
    assert_eq!(world.provider.counts().revocations, 1, "it is the application's to call again");
    session.sign_out().await.unwrap();
    assert!(!world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    assert_eq!(world.provider.counts().revocations, 3);
}

#[tokio::test]
async fn a_provider_that_revokes_no_access_tokens_is_no_failure() {
    let world = World::new().await;
    // Another refusal of the access token is one, and of the refresh token too: the other one is revoked
    // all the same.
    for (refused, code) in [
        ([false, true], None),
        ([false, true], Some("invalid_request")),
        ([true, false], Some("unsupported_token_type")),
        ([true, true], Some("unsupported_token_type")),
        // Of an invalid token "the purpose of the revocation request […] is already achieved".
        ([false, true], Some("invalid_token")),
        ([true, false], Some("invalid_token")),
        ([true, true], Some("invalid_token")),
    ] {
        let (session, _) = session(&world);
        let token = session.current_token().unwrap();
        let before = world.provider.counts().revocations;
        for refused in refused {
            // A status that is no failure lets a request through.
            if refused {
                world.provider.refuse_next_revocation(code.unwrap_or("unsupported_token_type"));
            } else {
                world.provider.fail_next_revocation(200, None);
            }
        }
        let outcome = session.sign_out().await;
        let found = outcome.as_ref().err().and_then(|error| error.error_code());
        let code = code.filter(|code| *code != "invalid_token");
        assert_eq!((outcome.is_err(), found), (code.is_some(), code), "{refused:?}");
        assert_eq!(world.provider.counts().revocations, before + 2);
        assert_eq!(revoked(&world.provider)[before as usize..], both(&token));
    }
}

#[tokio::test]
async fn a_login_without_a_refresh_token_has_its_access_token_revoked() {
    let world = World::new().await;
    let token: Token = serde_json::from_value(serde_json::json!({
        "access_token": world.token().access_token(), "token_type": "Bearer",
    }))
    .unwrap();
    let session = Session::builder(app(&world)).token(token.clone()).build();
    session.sign_out().await.unwrap();
    assert!(!world.provider.accepts_access_token(token.access_token()));
    let expected = ("access_token".to_owned(), token.access_token().to_owned());
    assert_eq!(revoked(&world.provider), [expected]);
}

/// It is signed out at once, and the provider is asked in the background.
#[tokio::test]
async fn a_sign_out_here_and_now_does_not_depend_on_the_provider() {
    for status in [400, 403, 404, 405, 429, 500, 503] {
        let world = World::new().await;
        let (session, deletions) = session(&world);
        let token = session.token().await.unwrap();
        for _ in 0..2 {
            world.provider.fail_next_revocation(status, None);
        }
        session.sign_out_locally().await.unwrap();
        assert_eq!(deletions.load(Ordering::SeqCst), 1, "{status}");
        assert!(session.token().await.unwrap_err().is_reauthorization_required());
        session.shutdown().await.unwrap();
        assert!(world.provider.counts().revocations >= 1, "{status}");
        world.provider.clear_faults();
        // It was tried once. It is tried again when the application says so.
        pass(3600).await;
        world.round_trips().await;
        assert!(world.provider.accepts_refresh_token(token.refresh_token().unwrap()), "{status}");
        session.sign_out().await.unwrap();
        assert!(!world.provider.accepts_refresh_token(token.refresh_token().unwrap()), "{status}");
        assert!(!world.provider.accepts_access_token(token.access_token()), "{status}");
    }
}

#[tokio::test]
async fn a_sign_out_here_and_now_does_not_wait_for_the_provider() {
    let world = World::new().await;
    let (session, deletions) = session(&world);
    let token = session.token().await.unwrap();
    let hold = world.provider.pause_revocations();
    session.sign_out_locally().await.unwrap();
    assert_eq!(deletions.load(Ordering::SeqCst), 1);
    assert!(world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    let ending = tokio::spawn({
        let session = session.clone();
        async move { session.shutdown().await }
    });
    world.round_trips().await;
    assert!(!ending.is_finished(), "the end of the process waits for it");
    drop(hold);
    ending.await.unwrap().unwrap();
    assert_eq!(revoked(&world.provider), both(&token));
}

/// In the foreground nothing is left for later.
#[tokio::test]
async fn a_sign_out_in_the_foreground_waits_for_the_attempt_and_not_for_success() {
    let world = World::new().await;
    let session = || Session::builder(app(&world)).token(world.token()).foreground().build();
    let (one, other) = (session(), session());
    one.sign_out_locally().await.unwrap();
    assert_eq!(world.provider.counts().revocations, 2);
    world.provider.fail_next_revocation(503, None);
    other.sign_out_locally().await.unwrap();
    assert_eq!(world.provider.counts().revocations, 3);
}

/// Nobody listens there.
#[tokio::test]
async fn offline_it_is_signed_out_all_the_same() {
    let world = World::new().await;
    let app = world.app().revocation_endpoint("http://127.0.0.1:9/revoke").unwrap();
    let session = Session::builder(app).token(world.token()).foreground().build();
    session.sign_out_locally().await.unwrap();
    assert!(session.current_token().is_none());
    let error = session.sign_out().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_sign_out_here_and_now_says_that_what_was_saved_is_not_deleted() {
    let world = World::new().await;
    let session = Session::builder(app(&world))
        .token(world.token())
        .on_sign_out(|| async { Err::<(), _>(std::io::Error::other("locked")) })
        .build();
    let error = session.sign_out_locally().await.unwrap_err();
    assert_eq!(error.to_string(), "what was saved could not be deleted; it is tried again");
    assert!(session.current_token().is_none());
}

#[tokio::test]
async fn signing_out_amid_a_renewal_deletes_at_once_and_revokes_what_the_renewal_brings() {
    let world = World::new().await;
    let (session, deletions) = session(&world);
    let hold = world.provider.pause_token_requests();
    assert!(polled(1, session.refresh()).await.is_none());
    world.provider.wait_for_token_requests(1).await;
    let signing_out = tokio::spawn({
        let session = session.clone();
        async move { session.sign_out().await }
    });
    world.round_trips().await;
    assert_eq!(deletions.load(Ordering::SeqCst), 1, "it does not wait for the provider");
    assert!(session.current_token().is_none());
    assert_eq!(world.provider.counts().revocations, 0);
    drop(hold);
    signing_out.await.unwrap().unwrap();
    session.shutdown().await.unwrap();
    let counts = world.provider.counts();
    // The refresh token that was replaced meanwhile, and the one that took its place.
    assert_eq!((counts.tokens_issued, counts.revocations, counts.reuse_detected), (1, 4, 0));
    assert_eq!((world.saved.count(), deletions.load(Ordering::SeqCst)), (0, 1));
    assert!(session.token().await.unwrap_err().is_reauthorization_required());
}

#[tokio::test]
async fn a_sign_out_whose_caller_goes_away_is_carried_out() {
    let world = World::new().await;
    let (session, deletions) = session(&world);
    assert!(polled(1, session.sign_out()).await.is_none());
    session.shutdown().await.unwrap();
    assert_eq!(deletions.load(Ordering::SeqCst), 1);
    assert_eq!(world.provider.counts().revocations, 2);
    assert!(session.token().await.is_err());
}

#[tokio::test]
async fn without_a_revocation_endpoint_what_was_saved_is_deleted_all_the_same() {
    let world = World::new().await;
    let deletions = Arc::new(AtomicUsize::new(0));
    let counter = deletions.clone();
    let session = world
        .session()
        .token(world.token())
        .on_sign_out(move || {
            let call = counter.fetch_add(1, Ordering::SeqCst);
            async move { if call == 0 { Err(std::io::Error::other("locked")) } else { Ok(()) } }
        })
        .build();
    // The login has ended; the deletion is tried again.
    let error = session.sign_out().await.unwrap_err();
    assert!(error.is_save());
    assert_eq!(error.to_string(), "what was saved could not be deleted; it is tried again");
    assert!(session.token().await.unwrap_err().is_reauthorization_required());
    session.shutdown().await.unwrap();
    assert_eq!(deletions.load(Ordering::SeqCst), 2);
    assert_eq!(world.provider.counts().revocations, 0);
}

#[tokio::test]
async fn revocation() {
    let world = World::new().await;
    let app = app(&world);
    let token = world.token();
    app.revoke(token.access_token(), TokenTypeHint::AccessToken).await.unwrap();
    assert!(!world.provider.accepts_access_token(token.access_token()));
    assert!(world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    app.revoke(token.refresh_token().unwrap(), TokenTypeHint::RefreshToken).await.unwrap();
    assert!(!world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
    // A token that the provider does not know is no error.
    app.revoke("unknown", TokenTypeHint::RefreshToken).await.unwrap();
    world.provider.refuse_next_revocation("invalid_token");
    app.revoke("unknown", TokenTypeHint::RefreshToken).await.unwrap();
    let error = app.secret("wrong").revoke("x", TokenTypeHint::AccessToken).await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_client"));
    let error = world.app().revoke("x", TokenTypeHint::AccessToken).await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("revocation_endpoint"), "{error}");
    for bad in ["http://provider.example/revoke", "/revoke"] {
        assert!(world.app().revocation_endpoint(bad).unwrap_err().is_config());
    }
}

/// Then it is about what authenticates the request.
#[tokio::test]
async fn a_revocation_that_is_refused_for_an_invalid_token_with_another_status_has_failed() {
    let world = World::new().await;
    let app = world.app().revocation_endpoint(world.provider.token_url()).unwrap();
    for status in [401, 403, 503] {
        world.provider.fail_next(Fault::OAuthError { status, code: "invalid_token".to_owned() });
        let error = app.revoke("x", TokenTypeHint::AccessToken).await.unwrap_err();
        assert_eq!(error.error_code(), Some("invalid_token"), "{status}");
    }
}

#[tokio::test]
async fn the_body_of_a_successful_revocation_is_not_looked_at() {
    let world = World::new().await;
    let app = world.app().revocation_endpoint(world.provider.token_url()).unwrap();
    world.provider.fail_next(Fault::HtmlPage);
    app.revoke("x", TokenTypeHint::AccessToken).await.unwrap();
    let request = world.provider.token_requests().pop().unwrap();
    let pairs: Vec<_> = request.params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(pairs, [("token", "x"), ("token_type_hint", "access_token")]);
}

#[tokio::test]
async fn introspection() {
    let world = World::new().await;
    let app = app(&world);
    let token = world.token();
    let found = app.introspect(token.access_token(), TokenTypeHint::AccessToken).await.unwrap();
    assert!(found.active);
    assert_eq!(found.members["client_id"], "foo");
    let found = app.introspect("unknown", TokenTypeHint::AccessToken).await.unwrap();
    assert!(!found.active && found.members.is_empty());
    for body in [r#"{"active":"true"}"#, r#"{"active":1}"#, "{}"] {
        world.provider.answer_next_introspection(body.to_owned());
        let error = app.introspect("x", TokenTypeHint::AccessToken).await.unwrap_err();
        assert!(
            error.is_malformed_response() && error.to_string().contains("active is not a boolean"),
            "{error}"
        );
    }
    let error = world.app().introspect("x", TokenTypeHint::AccessToken).await.unwrap_err();
    assert!(error.is_config());
}

#[tokio::test]
async fn a_login_that_begins_while_a_sign_out_waits_stays() {
    let world = World::new().await;
    let (session, deletions) = session(&world);
    let hold = world.provider.pause_token_requests();
    assert!(polled(1, session.refresh()).await.is_none());
    world.provider.wait_for_token_requests(1).await;
    let signing_out = tokio::spawn({
        let session = session.clone();
        async move { session.sign_out().await }
    });
    world.round_trips().await;
    let new_login = world.token();
    session.set_token(new_login.clone()).await.unwrap();
    drop(hold);
    signing_out.await.unwrap().unwrap();
    session.shutdown().await.unwrap();
    assert_eq!(session.current_token().unwrap().access_token(), new_login.access_token());
    assert!(world.provider.accepts_refresh_token(new_login.refresh_token().unwrap()));
    // The old login's was deleted, and then the new one's saved.
    assert_eq!(deletions.load(Ordering::SeqCst), 1);
    assert_eq!(world.saved.access_tokens(), [new_login.access_token()]);
}

#[tokio::test]
async fn a_token_that_strict_saving_keeps_back_is_the_one_that_is_revoked() {
    let world = World::new().await;
    let session = Session::builder(app(&world))
        .clock(world.clock.reader())
        .token(world.token())
        .strict_saving()
        .on_new_token(|_| async { Err::<(), _>(std::io::Error::other("disk full")) })
        .on_sign_out(|| async { Ok::<(), std::io::Error>(()) })
        .build();
    let new_login = world.token();
    assert!(session.set_token(new_login.clone()).await.unwrap_err().is_save());
    session.sign_out().await.unwrap();
    assert!(!world.provider.accepts_refresh_token(new_login.refresh_token().unwrap()));
}

#[tokio::test]
async fn a_session_that_renews_by_hand_says_so_too() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).manual_refresh().build();
    session.sign_out().await.unwrap();
    let error = ours(&world.get(&world.http(&session)).await.unwrap_err());
    assert!(error.is_reauthorization_required(), "{error}");
}

#[tokio::test]
async fn a_login_that_begins_before_a_sign_out_gets_to_work_stays() {
    let world = World::new().await;
    let (session, deletions) = session(&world);
    let signing_out = session.sign_out();
    tokio::pin!(signing_out);
    assert!(polled(1, &mut signing_out).await.is_none());
    let new_login = world.token();
    session.set_token(new_login.clone()).await.unwrap();
    signing_out.await.unwrap();
    assert_eq!(session.current_token().unwrap().access_token(), new_login.access_token());
    assert!(world.provider.accepts_refresh_token(new_login.refresh_token().unwrap()));
    assert_eq!(deletions.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_login_that_the_provider_does_not_revoke_keeps_no_later_one_from_being_revoked() {
    let world = World::new().await;
    let (session, _) = session(&world);
    let logins = [session.current_token().unwrap(), world.token()];
    for login in &logins {
        session.set_token(login.clone()).await.unwrap();
        for _ in 0..2 {
            world.provider.refuse_next_revocation("invalid_request");
        }
        session.sign_out().await.unwrap_err();
    }
    assert_eq!(revoked(&world.provider), logins.each_ref().map(both).concat());
}

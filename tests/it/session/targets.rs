//! Several resources, one login: one refresh token, an access token for each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest_middleware::ClientBuilder;
use reqwest_oauth2::store::{MemoryStore, TokenKey};
use reqwest_oauth2::testing::{Fault, RecordedTokenRequest};
use reqwest_oauth2::{
    ClientCredentials, Error, RequestError, RequestOptions, Session, Token, UserId, UserSessions,
};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::faulty_store::{Calls, Fault as StoreFault, FaultyStore};
use crate::support::{World, ours, pass};

const A: &str = "https://a.example/";
const B: &str = "https://b.example/";

/// Which resource and scope each token request asked for; empty: none.
fn asked(world: &World) -> Vec<String> {
    let of = |request: &RecordedTokenRequest| {
        let named = |(name, _): &&(String, String)| name == "resource" || name == "scope";
        let values = request.params.iter().filter(named).map(|(_, value)| &**value);
        let mut values: Vec<_> = values.collect();
        values.sort_unstable();
        values.join("+")
    };
    world.provider.token_requests().iter().map(of).collect()
}

/// The refresh tokens that were presented, in order.
fn presented(world: &World) -> Vec<String> {
    let requests = world.provider.token_requests();
    requests.iter().map(|request| request.param("refresh_token").unwrap().to_owned()).collect()
}

async fn token_of(session: &Session) -> String {
    session.token().await.unwrap().access_token().to_owned()
}

#[track_caller]
fn is_for(world: &World, access_token: &str, resources: &[&str]) {
    assert!(world.provider.accepts_access_token(access_token));
    assert_eq!(world.provider.resources_of(access_token), resources);
}

#[tokio::test]
async fn three_targets_that_expire_at_once_make_three_requests_one_at_a_time() {
    let world = Arc::new(World::new().await);
    let session = world.saving().token(world.token()).build();
    let handles =
        [session.clone(), session.for_resource(A).unwrap(), session.for_resource(B).unwrap()];
    for handle in &handles {
        handle.token().await.unwrap();
    }
    world.clock.forward(3600.0);
    let before = world.provider.counts().token_requests;
    let saved = world.saved.count();
    let hold = world.provider.pause_token_requests();
    let barrier = Arc::new(Barrier::new(51));
    let mut callers = JoinSet::new();
    for n in 0..50 {
        let (handle, barrier) = (handles[n % 3].clone(), barrier.clone());
        callers.spawn(async move {
            barrier.wait().await;
            (n % 3, token_of(&handle).await)
        });
    }
    barrier.wait().await;
    world.provider.wait_for_token_requests(before + 1).await;
    // Each caller has run up to its wait.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.round_trips().await;
    assert_eq!(world.provider.counts().token_requests, before + 1, "one at a time");
    drop(hold);
    let mut tokens: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (handle, token) in callers.join_all().await {
        tokens.entry(handle).or_default().push(token);
    }
    for (handle, resources) in [(0, vec![]), (1, vec![A]), (2, vec![B])] {
        let of_handle = &tokens[&handle];
        assert!(of_handle.iter().all(|token| *token == of_handle[0]));
        is_for(&world, &of_handle[0], &resources);
    }
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (before + 3, 0));
    let mut asked = asked(&world).split_off(usize::try_from(before).unwrap());
    asked.sort();
    assert_eq!(asked, ["", A, B]);
    // Each presents what the one before has brought.
    let refresh_tokens = presented(&world);
    let last = world.saved.last().refresh_token().unwrap().to_owned();
    assert!(!refresh_tokens.contains(&last));
    let distinct: std::collections::BTreeSet<_> = refresh_tokens.iter().collect();
    assert_eq!(distinct.len(), refresh_tokens.len());
    assert_eq!(world.saved.count(), saved + 3);
}

#[tokio::test]
async fn each_is_asked_for_once_and_cached() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let a = session.for_resource(A).unwrap();
    assert!(a.header().is_none() && a.current_token().is_none());
    let first = token_of(&a).await;
    let another_handle = session.for_resource(A).unwrap();
    for handle in [&a, &another_handle] {
        assert_eq!(token_of(handle).await, first);
        assert_eq!(handle.header().unwrap(), format!("Bearer {first}"));
        assert_eq!(handle.current_token().unwrap().access_token(), first);
    }
    assert_ne!(token_of(&session).await, first);
    assert_eq!(asked(&world), [A]);
    // What is asked for says which it is, in any order.
    let both = session.for_resources([B, A]).unwrap();
    let again = session.for_resources([A, B, A]).unwrap();
    assert_eq!(token_of(&both).await, token_of(&again).await);
    is_for(&world, &token_of(&both).await, &[A, B]);
    let narrow = a.with_scope("read").unwrap();
    assert_eq!(narrow.token().await.unwrap().scope(), Some("read"));
    assert_eq!(asked(&world), [A.to_owned(), format!("{A}+{B}"), format!("{A}+read")]);
}

#[tokio::test]
async fn they_replace_the_clients_parameters_and_no_scope_is_too_wide_to_ask_for() {
    let graph = "https://graph.example/Mail.Read";
    let world = World::with(|provider| provider.more_scopes([graph])).await;
    let app = world.app().refresh_param("scope", "read").refresh_param("resource", B);
    let session = Session::builder(app).clock(world.clock.reader()).token(world.token()).build();
    let mail = session.with_scope(graph).unwrap();
    assert_eq!(mail.token().await.unwrap().scope(), Some(graph));
    session.for_resource(A).unwrap().token().await.unwrap();
    session.refresh().await.unwrap();
    let [of_scope, of_resource, own] = &asked(&world)[..] else { panic!() };
    assert_eq!(
        [of_scope, of_resource, own],
        [&format!("{B}+{graph}"), &format!("{A}+read"), &format!("{B}+read")]
    );
}

#[tokio::test]
async fn after_a_restart_none_is_asked_for_again() {
    let world = World::new().await;
    let login = world.token();
    let session = world.saving().token(login.clone()).build();
    let expected = [
        token_of(&session.for_resource(A).unwrap()).await,
        token_of(&session.with_scope("read").unwrap()).await,
    ];
    assert_eq!(world.saved.count(), 2);
    let text = serde_json::to_string(&world.saved.last()).unwrap();
    let saved: Token = serde_json::from_str(&text).unwrap();
    let session = world.saving().token(saved).build();
    let loaded = [
        token_of(&session.for_resource(A).unwrap()).await,
        token_of(&session.with_scope("read").unwrap()).await,
    ];
    assert_eq!(loaded, expected);
    assert_eq!(token_of(&session).await, login.access_token());
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn a_sibling_finds_all_of_them_in_the_record() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let open = || world.session().store(store.clone(), "u").build();
    let (one, other) = (open(), open());
    one.set_token(world.token()).await.unwrap();
    let a = token_of(&one.for_resource(A).unwrap()).await;
    let b = token_of(&one.for_resource(B).unwrap()).await;
    assert_eq!(token_of(&other.for_resource(B).unwrap()).await, b);
    assert_eq!(token_of(&other.for_resource(A).unwrap()).await, a);
    // What the other one renews the first one takes, and so on, with one refresh token.
    world.clock.forward(3600.0);
    let a = token_of(&other.for_resource(A).unwrap()).await;
    assert_eq!(token_of(&one.for_resource(A).unwrap()).await, a);
    let b = token_of(&one.for_resource(B).unwrap()).await;
    assert_eq!(token_of(&other.for_resource(B).unwrap()).await, b);
    let own = token_of(&other).await;
    assert_eq!(token_of(&one).await, own);
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (5, 0));
    assert_eq!(asked(&world), [A, B, A, B, ""]);
}

#[tokio::test]
async fn a_refused_target_ends_nothing_else_and_is_left_alone_for_a_minute() {
    let world = World::with(|provider| provider.resources([A])).await;
    let store = Arc::new(MemoryStore::new());
    let open = || world.session().store(store.clone(), "u").build();
    let session = open();
    session.set_token(world.token()).await.unwrap();
    let refused = session.for_resource(B).unwrap();
    let wide = session.with_scope("admin").unwrap();
    for (handle, code) in [(&refused, "invalid_target"), (&wide, "invalid_scope")] {
        let error = handle.token().await.unwrap_err();
        assert_eq!(error.error_code(), Some(code));
        assert!(!error.is_reauthorization_required() && !error.is_transient());
        assert!(error.to_string().contains("; ask for "), "{error}");
        // The failure is remembered.
        assert_eq!(handle.token().await.unwrap_err().error_code(), Some(code));
    }
    assert_eq!(asked(&world), [B, "admin"]);
    token_of(&session.for_resource(A).unwrap()).await;
    world.clock.forward(3600.0);
    token_of(&session).await;
    assert_eq!(asked(&world), [B, "admin", A, ""]);
    // Nor does it keep other sessions from anything.
    let sibling = open();
    token_of(&sibling).await;
    assert_eq!(world.provider.counts().token_requests, 4);
    let error = sibling.for_resource(B).unwrap().token().await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_target"));
    for (seconds, requests) in [(59, 5), (2, 6)] {
        crate::support::pass(seconds).await;
        let _ = refused.token().await.unwrap_err();
        assert_eq!(world.provider.counts().token_requests, requests, "{seconds}");
    }
}

#[tokio::test]
async fn a_refused_target_that_is_kept_fresh_is_looked_at_when_it_may_be_asked_for_again() {
    let world = World::with(|provider| provider.resources([A])).await;
    let looks = Arc::new(AtomicUsize::new(0));
    let clock = {
        let (looks, now) = (looks.clone(), world.clock.reader());
        move || {
            looks.fetch_add(1, Ordering::Relaxed);
            now()
        }
    };
    let session = world.session().clock(clock).token(world.token()).build();
    world.provider.fail_next(Fault::Status(503));
    let _guard = session.for_resource(B).unwrap().keep_fresh().unwrap();
    world.provider.wait_for_token_requests(1).await;
    world.round_trips().await;
    pass(3).await;
    world.provider.wait_for_token_requests(2).await;
    world.round_trips().await;
    let before = looks.load(Ordering::Relaxed);
    for _ in 0..10 {
        world.round_trips().await;
    }
    assert_eq!(looks.load(Ordering::Relaxed), before);
    pass(62).await;
    world.provider.wait_for_token_requests(3).await;
}

#[tokio::test]
async fn those_who_wait_for_others_do_not_get_the_refusal_of_a_target() {
    let world = Arc::new(World::with(|provider| provider.resources([A])).await);
    let session = world.saving().token(world.expired_token()).build();
    let (a, refused) = (session.for_resource(A).unwrap(), session.for_resource(B).unwrap());
    let hold = world.provider.pause_token_requests();
    let mut callers = JoinSet::new();
    for handle in [refused.clone(), a, session.clone(), refused] {
        callers.spawn(async move {
            handle.token().await.map_err(|e| e.error_code().map(str::to_owned))
        });
    }
    world.provider.wait_for_token_requests(1).await;
    world.plain_turns().await;
    drop(hold);
    let outcomes = callers.join_all().await;
    let refusals = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    let refusals: Vec<_> = refusals.collect();
    assert_eq!(refusals, [&Some("invalid_target".to_owned()); 2]);
    assert_eq!(world.provider.counts().token_requests, 3);
}

#[tokio::test]
async fn what_asks_for_the_persons_consent_to_another_resource_ends_no_login() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let of_microsoft =
        "AADSTS65001: The user or administrator has not consented to use the application";
    let second_factor = "AADSTS50076: you must use multi-factor authentication to access 'x'";
    for (n, body) in [
        json!({"error": "invalid_grant", "error_description": of_microsoft}),
        json!({"error": "invalid_grant", "error_description": second_factor, "suberror": "basic_action"}),
        json!({"error": "interaction_required"}),
        json!({"error": "consent_required"}),
        json!({"error": "invalid_request", "error_description": "unknown resource"}),
    ]
    .into_iter()
    .enumerate()
    {
        let other = session.for_resource(format!("urn:{n}")).unwrap();
        world.provider.fail_next(Fault::Reply {
            status: 400,
            content_type: "application/json".to_owned(),
            body: body.to_string(),
        });
        let error = other.token().await.unwrap_err();
        assert!(!error.is_reauthorization_required(), "{error}");
        assert_eq!(error.error_code(), body["error"].as_str());
        session.refresh().await.unwrap();
    }
    // A refresh token that is dead is dead for all.
    world.provider.revoke_families();
    let error = session.for_resource(A).unwrap().token().await.unwrap_err();
    assert!(error.is_reauthorization_required(), "{error}");
    assert!(session.refresh().await.unwrap_err().is_reauthorization_required());
    assert_eq!(world.provider.counts().token_requests, 11);
}

#[tokio::test]
async fn what_blames_the_refresh_token_ends_the_login_whichever_resource_it_is_for() {
    for (own, suberror) in
        [(true, "basic_action"), (false, "bad_token"), (false, "token_expired"), (false, "")]
    {
        let world = World::new().await;
        let session = world.saving().token(world.token()).build();
        world.provider.fail_next(Fault::Reply {
            status: 400,
            content_type: "application/json".to_owned(),
            body: json!({"error": "invalid_grant", "suberror": suberror}).to_string(),
        });
        let error = match own {
            true => session.refresh().await.unwrap_err(),
            false => session.for_resource(A).unwrap().token().await.unwrap_err(),
        };
        assert!(error.is_reauthorization_required(), "{suberror}: {error}");
    }
}

#[tokio::test]
async fn a_backoff_is_the_logins() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    world.provider.fail_next(Fault::Status(503));
    assert!(session.for_resource(A).unwrap().token().await.unwrap_err().is_transient());
    assert!(session.for_resource(B).unwrap().token().await.unwrap_err().is_transient());
    assert!(session.refresh().await.unwrap_err().is_transient());
    // The login's own token is good all the same.
    token_of(&session).await;
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_401_renews_the_token_that_it_is_about_and_no_other() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let a = session.for_resource(A).unwrap();
    let (own, first) = (token_of(&session).await, token_of(&a).await);
    let http = world.http(&a);
    world.provider.revoke_access_tokens();
    let hold = world.provider.pause_token_requests();
    let ((), status) = tokio::join!(
        async {
            world.provider.wait_for_token_requests(2).await;
            // Nobody uses the rejected one meanwhile; everybody uses the login's own.
            assert_eq!(a.header(), None);
            assert_eq!(session.header().unwrap(), format!("Bearer {own}"));
            drop(hold);
        },
        world.get(&http)
    );
    assert_eq!(status.unwrap(), 200);
    let second = token_of(&a).await;
    assert_ne!(second, first);
    assert_eq!(world.shown(), [first.clone(), second.clone()]);
    assert_eq!(token_of(&session).await, own);
    assert_eq!(asked(&world), [A, A]);
    // By hand, too, and late ones cost nothing.
    let rejected = a.current_token().unwrap();
    assert!(a.mark_rejected(&rejected));
    assert!(a.header().is_none() && session.header().is_some());
    assert_eq!(asked(&world), [A, A]);
    let third = a.renew_rejected(&rejected).await.unwrap().unwrap();
    assert_eq!(third.access_token(), token_of(&a).await);
    assert_ne!(third.access_token(), second);
    let late: Token = serde_json::from_value(json!({"access_token": first})).unwrap();
    assert_eq!(
        a.renew_rejected(&late).await.unwrap().unwrap().access_token(),
        third.access_token()
    );
    // The login's own token of that text is none of this one's.
    assert_eq!(session.renew_rejected(&late).await.unwrap().unwrap().access_token(), own);
    assert_eq!(asked(&world), [A, A, A]);
}

#[tokio::test]
async fn a_sign_in_voids_them_all_and_a_sign_out_revokes_them_all() {
    let world = World::new().await;
    let app = world.app().revocation_endpoint(world.provider.revocation_url()).unwrap();
    let session = Session::builder(app).clock(world.clock.reader()).token(world.token()).build();
    let (a, b) = (session.for_resource(A).unwrap(), session.for_resource(B).unwrap());
    let first = [token_of(&a).await, token_of(&b).await];
    session.set_token(world.token()).await.unwrap();
    assert!(a.header().is_none() && b.current_token().is_none());
    let second = [token_of(&a).await, token_of(&b).await];
    assert!(second.iter().all(|token| !first.contains(token)));
    let own = token_of(&session).await;
    // Through any handle it is the login's.
    a.sign_out().await.unwrap();
    let requests = world.provider.revocation_requests();
    let revoked: Vec<_> = requests.iter().map(|request| request.param("token").unwrap()).collect();
    assert_eq!(revoked[1..], [&*own, &*second[0], &*second[1]]);
    for handle in [&session, &a, &b] {
        assert!(handle.token().await.unwrap_err().is_reauthorization_required());
        assert!(handle.header().is_none());
    }
    assert_eq!(world.provider.counts().token_requests, 4);
}

#[tokio::test]
async fn a_renewal_for_a_target_of_a_login_that_is_replaced_is_void() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let a = session.for_resource(A).unwrap();
    let hold = world.provider.pause_token_requests();
    let waiting = tokio::spawn({
        let a = a.clone();
        async move { token_of(&a).await }
    });
    world.provider.wait_for_token_requests(1).await;
    let login = world.token();
    session.set_token(login.clone()).await.unwrap();
    drop(hold);
    let token = waiting.await.unwrap();
    let presented = presented(&world);
    assert_eq!(presented[1], login.refresh_token().unwrap());
    assert_eq!(token_of(&a).await, token);
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn a_session_with_a_grant_says_what_to_do_instead() {
    let world = World::new().await;
    let session = world.session().grant(ClientCredentials::new()).build();
    let says = |error: Error| {
        assert!(error.is_config());
        assert!(error.to_string().contains("make a session for each"), "{error}");
    };
    says(session.for_resource(A).unwrap_err());
    says(session.with_scope("read").unwrap_err());
}

#[tokio::test]
async fn what_other_programs_make_of_the_file_gives_no_token_of_another_login() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let first = token_of(&session.for_resource(A).unwrap()).await;
    let mut stored = serde_json::to_value(world.saved.last()).unwrap();
    let other_login = world.provider.log_in();
    for (name, value) in other_login.as_object().unwrap() {
        stored[name] = value.clone();
    }
    stored["expires_at"] = Value::Null;
    let session = world.saving().token(serde_json::from_value(stored).unwrap()).build();
    let second = token_of(&session.for_resource(A).unwrap()).await;
    assert_ne!(first, second);
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn a_request_through_a_handle_carries_its_token() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let a = session.for_resource(A).unwrap();
    let plain = crate::support::plain_http();
    let request = || plain.get(world.provider.api_url()).build().unwrap();
    a.execute(&plain, request()).await.unwrap();
    session.execute(&plain, request()).await.unwrap();
    let api = a.api([world.provider.origin()]).unwrap();
    api.execute(&plain, request()).await.unwrap();
    let (own, other) = (token_of(&session).await, token_of(&a).await);
    assert_eq!(world.shown(), [other.clone(), own, other]);
    // Of a login that has ended the error comes through the layer.
    session.sign_out().await.unwrap();
    let error = ours(&world.get(&world.http(&a)).await.unwrap_err());
    assert!(error.is_reauthorization_required());
}

#[tokio::test]
async fn a_request_may_choose_its_own_target() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let plain = crate::support::plain_http();
    let request = || plain.get(world.provider.api_url()).build().unwrap();
    let options = |resource| RequestOptions::new().resource(resource).unwrap();
    session.execute_with(&plain, request(), options(A)).await.unwrap();
    // In place of what the handle is for.
    let b = session.for_resource(B).unwrap();
    b.execute_with(&plain, request(), options(A)).await.unwrap();
    let narrow = || RequestOptions::new().scope("read").unwrap();
    session.execute_with(&plain, request(), narrow()).await.unwrap();
    let http = world.http(&session);
    http.get(world.provider.api_url()).with_extension(options(A)).send().await.unwrap();
    let a = token_of(&session.for_resource(A).unwrap()).await;
    let read = token_of(&session.with_scope("read").unwrap()).await;
    assert_eq!(world.shown(), [a.clone(), a.clone(), read, a]);
    assert_eq!(asked(&world), [A, "read"]);
    assert!(RequestOptions::new().resource("a b").unwrap_err().is_config());
    assert!(RequestOptions::new().scope("").unwrap_err().is_config());
    // Each replaces what it names, and nothing else.
    let of_b = b.with_scope("write").unwrap();
    of_b.execute_with(&plain, request(), narrow()).await.unwrap();
    let read_of_b = token_of(&b.with_scope("read").unwrap()).await;
    of_b.execute_with(&plain, request(), options(A)).await.unwrap();
    let write_of_a = token_of(&session.for_resource(A).unwrap().with_scope("write").unwrap()).await;
    assert_eq!(world.shown()[4..], [read_of_b, write_of_a]);
    assert_eq!(asked(&world)[2..], [format!("{B}+read"), format!("{A}+write")]);
    // A session that cannot have one says so, and sends nothing.
    let session = world.session().grant(ClientCredentials::new()).build();
    let error = session.execute_with(&plain, request(), options(A)).await.unwrap_err();
    let RequestError::Token(error) = error else { panic!("{error:?}") };
    assert!(error.is_config(), "{error}");
    assert_eq!(world.provider.counts().token_requests, 4);
    assert_eq!(world.shown().len(), 6);
}

#[tokio::test]
async fn each_of_many_users_has_tokens_for_each_target() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let open = || {
        let clock = world.clock.reader();
        let sessions = UserSessions::builder(world.app()).store(store.clone());
        sessions.configure_sessions(|session| session.clock(clock)).max_sessions(1).build()
    };
    let sessions = open();
    for user in ["alice", "bob"] {
        sessions.sign_in(user, world.token()).await.unwrap();
    }
    let a = sessions.for_resource(A).unwrap();
    let http = ClientBuilder::new(crate::support::plain_http())
        .with(a.middleware([world.provider.origin()]).unwrap())
        .build();
    let get = |user: &'static str| {
        http.get(world.provider.api_url()).with_extension(UserId::from(user)).send()
    };
    // One session is in memory at a time, and what it has learned is in the store.
    for _ in 0..2 {
        for user in ["alice", "bob"] {
            assert_eq!(get(user).await.unwrap().status(), 200);
        }
    }
    let shown = world.shown();
    assert_eq!(shown[..2], shown[2..]);
    assert_ne!(shown[0], shown[1]);
    assert!(shown.iter().all(|token| world.provider.resources_of(token) == [A]));
    let bob = a.for_user("bob").token().await.unwrap();
    assert_eq!(bob.access_token(), shown[1]);
    assert_eq!(a.header(&UserId::from("bob")).unwrap(), format!("Bearer {}", shown[1]));
    // Through the plain handle a request may choose.
    let plain = sessions.api([world.provider.origin()]).unwrap();
    let options = RequestOptions::new().user("bob").resource(A).unwrap();
    let client = crate::support::plain_http();
    let request = client.get(world.provider.api_url()).build().unwrap();
    plain.execute_with(&client, request, options).await.unwrap();
    assert_eq!(world.shown()[4], shown[1]);
    assert_eq!(asked(&world), [A, A]);
    // Another process.
    assert_eq!(token_of(&open().for_resource(A).unwrap().for_user("alice")).await, shown[0]);
    assert_eq!(world.provider.counts().token_requests, 2);
    sessions.shutdown().await.unwrap();
}

#[tokio::test]
async fn each_of_many_targets_that_are_refused_is_asked_for_once() {
    let world = World::new().await;
    let code = "invalid_target".to_owned();
    world.provider.fail_always(Fault::OAuthError { status: 400, code });
    let session = world.session().token(world.token()).build();
    for _ in 0..2 {
        for tenant in 0..40 {
            let handle = session.for_resource(format!("https://{tenant}.example/")).unwrap();
            handle.token().await.unwrap_err();
        }
    }
    assert_eq!(world.provider.counts().token_requests, 40);
}

#[tokio::test]
async fn with_the_provider_down_a_401_for_another_target_takes_no_token_from_good_paths() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let other = session.for_resource(A).unwrap();
    other.token().await.unwrap();
    let get = async |session: &Session, path: &str| {
        world.provider.reject_all(path == "/bad");
        world.http(session).get(world.provider.api_url() + path).send().await
    };
    assert_eq!(get(&session, "/good").await.unwrap().status(), 200);
    world.provider.fail_always(Fault::Status(503));
    for handle in [&other, &session] {
        assert_eq!(ours(&get(handle, "/bad").await.unwrap_err()).status().unwrap(), 503);
    }
    assert_eq!(get(&session, "/good").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_store_that_takes_no_more_than_it_must_has_the_newest_refresh_token() {
    let world = World::new().await;
    let store = FaultyStore::default();
    store.always(Calls::Swaps, StoreFault::TooLarge(64 * 1024));
    let open = || world.session().store(store.clone(), "u").build();
    let session = open();
    session.set_token(world.token()).await.unwrap();
    for i in 0..40 {
        let resource = format!("https://{i}.example/{}", "x".repeat(3000));
        token_of(&session.for_resource(&resource).unwrap()).await;
        session.shutdown().await.unwrap();
        assert!(session.save_error().is_none());
        let key = TokenKey::new(&world.provider.token_url(), "foo", "u");
        let record = store.stored(&key).unwrap();
        let stored: Token = serde_json::from_str(record.json()).unwrap();
        assert!(world.provider.accepts_refresh_token(stored.refresh_token().unwrap()), "{i}");
    }
    // The next process goes on.
    world.clock.forward(3600.0);
    token_of(&open()).await;
    assert_eq!(world.provider.counts().reuse_detected, 0);
}

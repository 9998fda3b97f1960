//! Metadata, challenges and registrations that are not what they should be, on the way from an API's answer to
//! a login: a typed error each, and so many requests and no more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::Request;
use reqwest_oauth2::testing::{Counts, Fault, ResourceDocument};
use reqwest_oauth2::{Challenge, Error, OAuthClient, RequestError, ResourceSession};
use serde_json::{Map, Value, json};

use super::answer;
use super::sessions::{asked, browsed, get, login, session, world};
use crate::support::{World, pass, plain_http};

/// What five requests come to, one after the other: the same error each time.
async fn five(world: &World, session: &ResourceSession) -> (Error, Counts) {
    let http = plain_http();
    let mut errors = Vec::new();
    for _ in 0..5 {
        let request = http.get(world.provider.api_url()).build().unwrap();
        match session.execute(&http, request).await.unwrap_err() {
            RequestError::Token(error) => errors.push(error),
            RequestError::Send(error) => panic!("{error}"),
        }
    }
    let error = errors.swap_remove(0);
    assert!(errors.iter().all(|other| other.to_string() == error.to_string()), "{errors:?}");
    (error, world.provider.counts())
}

/// Nobody was registered, asked or given a token.
#[track_caller]
fn assert_nothing_more(counts: &Counts) {
    assert_eq!((counts.registrations, counts.authorizations, counts.token_requests), (0, 0, 0));
    assert_eq!((counts.api_requests, counts.api_without_token), (5, 5));
}

#[tokio::test]
async fn resource_metadata_that_is_none_is_read_once_a_minute() {
    use ResourceDocument::{AtPath, AtRoot, InChallenge};
    let elsewhere = World::new().await;
    let location = elsewhere.provider.api_url();
    let page = |content_type: &str, body: &str| Fault::Reply {
        status: 200,
        content_type: content_type.to_owned(),
        body: body.to_owned(),
    };
    for fault in [
        Fault::EndlessBody,
        Fault::HtmlPage,
        Fault::CutBody,
        Fault::Redirect { status: 301, location: location.clone() },
        Fault::Redirect { status: 307, location },
        page("text/html", "{}"),
        page("application/json", "[]"),
        page("application/json", "{\"resource\":7}"),
        page("application/json", &"[".repeat(100_000)),
        page("image/png", "\u{89}PNG"),
    ] {
        for (document, requests) in [(InChallenge, 1), (AtPath, 2), (AtRoot, 2)] {
            let world = World::with(|p| p.protected_resource([document]).registration(true)).await;
            world.provider.fail_resource_metadata(fault.clone());
            let session = session(&world, login(&world));
            let (error, counts) = five(&world, &session).await;
            assert!(!error.is_reauthorization_required());
            assert_eq!(counts.resource_metadata_requests, requests, "{fault:?} {document:?}");
            assert_eq!(counts.metadata_requests, 0);
            assert_nothing_more(&counts);
        }
    }
    let counts = elsewhere.provider.counts();
    assert_eq!((counts.api_requests, counts.metadata_requests), (0, 0));
}

/// Five requests at an API whose metadata are edited so.
async fn with_resource(
    edit: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static,
) -> (Error, Counts) {
    let world = world(|p| p.resource_metadata(edit)).await;
    five(&world, &session(&world, login(&world))).await
}

#[tokio::test]
async fn after_a_minute_the_metadata_is_read_again() {
    let world = world(|p| p).await;
    world.provider.fail_resource_metadata(Fault::HtmlPage);
    let session = session(&world, login(&world));
    five(&world, &session).await;
    pass(60).await;
    five(&world, &session).await;
    assert_eq!(world.provider.counts().resource_metadata_requests, 2);
    world.provider.clear_faults();
    pass(60).await;
    assert_eq!(get(&world, &session, "").await, 200);
    assert_eq!(world.provider.counts().resource_metadata_requests, 3);
}

#[tokio::test]
async fn servers_that_cannot_be_asked_are_not_asked() {
    let of_a_thousand: Vec<String> =
        (0..1000).map(|number| format!("https://as{number}.example")).collect();
    for (servers, why) in [
        (json!(of_a_thousand), "it names 1000 authorization servers, more than 20"),
        (json!("https://issuer.example"), "its authorization_servers is not a list"),
        (json!({ "0": "https://issuer.example" }), "its authorization_servers is not a list"),
        (json!([7]), "one of its authorization servers is not a string"),
        (json!([null]), "one of its authorization servers is not a string"),
        (json!([""]), "is not an absolute URL"),
        (json!(["issuer.example"]), "is not an absolute URL"),
        (json!(["http://issuer.example"]), "it is plain http"),
        (json!(["https://issuer.example?a"]), "it has a query"),
        (json!(["https://issuer.example#a"]), "it has a fragment"),
        (json!(["https://user:pw@issuer.example"]), "it has user info"),
    ] {
        let (error, counts) = with_resource(move |members| {
            members.insert("authorization_servers".into(), servers.clone());
        })
        .await;
        assert!(error.is_config() && error.to_string().contains(why), "{error}");
        assert_eq!((counts.resource_metadata_requests, counts.metadata_requests), (1, 0), "{why}");
        assert_nothing_more(&counts);
    }
}

#[tokio::test]
async fn a_slash_more_is_another_issuer() {
    let (error, counts) = with_resource(|members| {
        let issuer = members["authorization_servers"][0].as_str().unwrap();
        members.insert("authorization_servers".into(), json!([format!("{issuer}/")]));
    })
    .await;
    assert!(error.is_config() && error.to_string().contains("not the one that was asked for"));
    assert_eq!((counts.resource_metadata_requests, counts.metadata_requests), (1, 2));
    assert_nothing_more(&counts);
}

#[tokio::test]
async fn a_server_that_is_named_twenty_times_is_asked_once_and_one_that_is_not_named_at_its_origin()
{
    for (number, requests) in [(20, 1), (0, 1)] {
        let world = world(|p| {
            p.resource_metadata(move |members| {
                let issuer = members["authorization_servers"][0].clone();
                members.insert("authorization_servers".into(), vec![issuer; number].into());
            })
        })
        .await;
        let session = session(&world, login(&world));
        assert_eq!(get(&world, &session, "").await, 200);
        let counts = world.provider.counts();
        assert_eq!((counts.resource_metadata_requests, counts.metadata_requests), (1, requests));
        assert_eq!((counts.registrations, counts.authorizations), (1, 1));
    }
}

#[tokio::test]
async fn metadata_of_another_resource_leads_nowhere() {
    for other in [json!("https://evil.example/api"), json!(null), json!(["x"]), json!("")] {
        let (error, counts) = with_resource(move |members| {
            members.insert("resource".into(), other.clone());
        })
        .await;
        assert!(
            error.is_config() && error.to_string().contains("it is the metadata of"),
            "{error}"
        );
        assert_eq!((counts.resource_metadata_requests, counts.metadata_requests), (1, 0));
        assert_nothing_more(&counts);
    }
}

#[tokio::test]
async fn a_server_whose_metadata_is_none_is_asked_at_each_location_once_a_minute() {
    let elsewhere = World::new().await;
    let location = elsewhere.provider.token_url();
    for fault in [
        Fault::EndlessBody,
        Fault::HtmlPage,
        Fault::Redirect { status: 302, location: location.clone() },
        Fault::Redirect { status: 308, location },
        Fault::Status(404),
    ] {
        let world = world(|p| p).await;
        world.provider.fail_metadata(fault.clone());
        let (error, counts) = five(&world, &session(&world, login(&world))).await;
        assert!(!error.is_reauthorization_required(), "{fault:?}");
        assert_eq!((counts.resource_metadata_requests, counts.metadata_requests), (1, 2));
        assert_nothing_more(&counts);
    }
    assert_eq!(elsewhere.provider.counts().token_requests, 0);
}

/// As renewals honour it, up to an hour.
#[tokio::test]
async fn a_server_that_says_when_it_may_be_asked_again_is_not_asked_before() {
    for (retry_after, seconds) in [("600", 600), ("1", 60), ("1000000", 3600)] {
        let world = world(|p| p).await;
        let fault = Fault::TooManyRequests { retry_after: retry_after.to_owned() };
        world.provider.fail_metadata(fault);
        let session = session(&world, login(&world));
        // There are two locations.
        assert_eq!(five(&world, &session).await.1.metadata_requests, 2);
        pass(seconds - 1).await;
        assert_eq!(five(&world, &session).await.1.metadata_requests, 2, "{retry_after}");
        pass(1).await;
        assert_eq!(five(&world, &session).await.1.metadata_requests, 4, "{retry_after}");
    }
}

/// A world whose API asks with this challenge; `{url}` stands for where the metadata is.
async fn challenging(field: &str) -> World {
    let world = world(|p| p).await;
    let bare = plain_http().get(world.provider.api_url()).send().await.unwrap();
    let url = Challenge::all(bare.headers())[0].resource_metadata().unwrap().to_owned();
    world.provider.set_challenge(Some(&field.replace("{url}", &url)));
    world
}

#[tokio::test]
async fn of_several_challenges_the_one_that_names_the_metadata_is_taken() {
    for (field, scope) in [
        (r#"Bearer resource_metadata="{url}", Bearer scope="b""#, None),
        (r#"Bearer realm="x", Bearer scope="b", resource_metadata="{url}""#, Some("b")),
        (r#"DPoP algs="ES256", Bearer scope="b", resource_metadata="{url}""#, Some("b")),
        (r#"DPoP algs="ES256", resource_metadata="{url}", Bearer scope="b""#, None),
        (r#"Bearer scope="b", DPoP scope="d", resource_metadata="{url}""#, Some("d")),
        (r#"Basic realm="x", scope="a", Negotiate YWJj==, Bearer resource_metadata="{url}""#, None),
    ] {
        let world = challenging(field).await;
        let session = session(&world, login(&world));
        assert_eq!(get(&world, &session, "").await, 200, "{field}");
        assert_eq!(asked(&world, "scope").as_deref(), scope, "{field}");
        let counts = world.provider.counts();
        // One of them was the test's own, to see the challenge.
        assert_eq!((counts.api_requests, counts.resource_metadata_requests), (1 + 2, 1));
    }
}

#[tokio::test]
async fn a_challenge_that_names_no_place_is_an_error_and_nothing_is_asked() {
    for (field, why) in [
        (r#"Bearer resource_metadata="""#, "is not an absolute URL"),
        ("Bearer resource_metadata=", "is not an absolute URL"),
        (r#"Bearer resource_metadata="/meta""#, "is not an absolute URL"),
        (r#"Bearer resource_metadata="data:application/json,{}""#, "its scheme is not https"),
        (r#"Bearer resource_metadata="http://meta.example/""#, "it is plain http"),
        (r#"Bearer resource_metadata="https://me:pw@meta.example/""#, "it has user info"),
        (r#"Bearer resource_metadata="{url}#a""#, "it has a fragment"),
    ] {
        let world = challenging(field).await;
        let (error, counts) = five(&world, &session(&world, login(&world))).await;
        assert!(error.is_config() && error.to_string().contains(why), "{field}: {error}");
        assert_eq!((counts.resource_metadata_requests, counts.metadata_requests), (0, 0));
        assert_eq!((counts.registrations, counts.authorizations), (0, 0));
    }
}

#[tokio::test]
async fn what_breaks_the_grammar_of_a_challenge_is_a_bare_challenge() {
    let long = "a".repeat(9000);
    for field in [
        "Bearer",
        "",
        "Bearer scope",
        r#"Bearer scope="a"#,
        r#"Bearer scope="a", scope="b""#,
        "scope=a",
        r#"{"error":"unauthorized"}"#,
        &format!("Bearer scope={long}"),
        // A scope that none may have.
        r#"Bearer scope="   ""#,
    ] {
        // The metadata is looked for.
        let world = world(|p| p.protected_resource([ResourceDocument::AtRoot])).await;
        world.provider.set_challenge(Some(field));
        let session = session(&world, login(&world));
        assert_eq!(get(&world, &session, "").await, 200, "{field:.100}");
        assert_eq!(asked(&world, "scope"), None, "{field:.100}");
        let counts = world.provider.counts();
        assert_eq!(
            (counts.api_requests, counts.resource_metadata_requests),
            (2, 2),
            "{field:.100}"
        );
        assert_eq!((counts.registrations, counts.authorizations), (1, 1));
    }
}

#[tokio::test]
async fn a_scope_with_characters_that_none_may_have_is_asked_of_nobody() {
    let world = challenging(r#"Bearer scope="a \"b\"", resource_metadata="{url}""#).await;
    let session = session(&world, login(&world));
    let (error, counts) = five(&world, &session).await;
    assert!(error.is_config() && error.to_string().contains("scope"), "{error}");
    assert_eq!((counts.authorizations, counts.token_requests), (0, 0));
    assert_eq!(counts.registrations, 1);
}

#[tokio::test]
async fn more_scopes_than_anybody_reads_are_not_asked_for() {
    let names: Vec<String> = (0..10_000).map(|number| format!("s{number}")).collect();
    let world = world(|p| {
        p.resource_metadata(move |members| {
            members.insert("scopes_supported".into(), json!(names));
        })
    })
    .await;
    let session = session(&world, login(&world));
    assert_eq!(get(&world, &session, "").await, 200);
    assert_eq!(asked(&world, "scope"), None);
    assert_eq!(world.provider.counts().authorizations, 1);
}

/// Five requests with a registration that is answered so.
async fn registered(edit: fn(&mut Map<String, Value>)) -> (World, Error, Counts) {
    let world = world(|p| p.registration_response(edit)).await;
    let session = session(&world, login(&world));
    let (error, counts) = five(&world, &session).await;
    (world, error, counts)
}

#[tokio::test]
async fn c7591_3_2_1_a_registration_that_is_none_is_asked_for_once_a_minute() {
    type Edit = fn(&mut Map<String, Value>);
    let cases: [(Edit, &str); 6] = [
        (|members| drop(members.remove("client_id")), "client_id is missing"),
        (|members| drop(members.insert("client_id".into(), json!(7))), "client_id is missing"),
        (
            |members| drop(members.insert("client_id".into(), json!("a\r\nb"))),
            "has characters that are not allowed",
        ),
        (
            |members| drop(members.insert("redirect_uris".into(), json!(["https://evil.example"]))),
            "it is for other redirect URIs than were asked for",
        ),
        (
            |members| drop(members.insert("redirect_uris".into(), json!([]))),
            "it is for other redirect URIs than were asked for",
        ),
        (
            |members| {
                members.insert("token_endpoint_auth_method".into(), json!("client_secret_post"));
            },
            "client_secret is missing",
        ),
    ];
    for (edit, why) in cases {
        let (_world, error, counts) = registered(edit).await;
        assert!(error.is_malformed_response() && error.to_string().contains(why), "{error}");
        assert_eq!((counts.registrations, counts.authorizations, counts.token_requests), (1, 0, 0));
        assert_eq!((counts.resource_metadata_requests, counts.metadata_requests), (1, 1));
    }
}

#[tokio::test]
async fn c7591_3_2_1_a_secret_that_has_ended_is_one_registration_a_login() {
    for (ends, registrations) in
        [(json!(0), 1), (json!(1), 2), (json!(1e300), 1), (json!("soon"), 1), (json!(-1), 1)]
    {
        let world = world(|p| {
            p.registration_response(move |members| {
                members.insert("client_secret_expires_at".into(), ends.clone());
            })
        })
        .await;
        let login = OAuthClient::for_resource(world.provider.api_url())
            .in_browser("https://service.example/cb", browsed);
        let session = session(&world, login);
        for logins in 1..=2 {
            assert_eq!(get(&world, &session, "").await, 200);
            assert_eq!(world.provider.counts().authorizations, logins);
            world.provider.revoke_families();
        }
        assert_eq!(world.provider.counts().registrations, registrations);
    }
}

#[tokio::test]
async fn an_id_of_another_client_logs_nobody_in() {
    // The server knows that client by other redirect URIs, or by a secret.
    let (world, error, counts) =
        registered(|members| drop(members.insert("client_id".into(), json!("foo")))).await;
    assert!(!error.is_reauthorization_required(), "{error}");
    assert_eq!((counts.registrations, counts.authorizations), (1, 1));
    for request in world.provider.token_requests() {
        assert_eq!(request.param("client_secret"), None);
    }
}

/// A session that is logged in with the scope `a`, and what the API answers from then on.
async fn logged_in() -> (World, ResourceSession) {
    let world = world(|p| p.require_scope("/api", "a")).await;
    let session = session(&world, login(&world));
    assert_eq!(get(&world, &session, "").await, 200);
    assert_eq!(asked(&world, "scope").as_deref(), Some("a"));
    (world, session)
}

#[tokio::test]
async fn mcp_step_a_a_403_that_asks_for_nothing_new_is_returned() {
    let many: Vec<String> = (0..10_000).map(|number| format!("s{number}")).collect();
    let many = format!("Bearer error=insufficient_scope, scope=\"{}\"", many.join(" "));
    for (field, logins) in [
        ("Bearer error=insufficient_scope, scope=a", 0),
        (r#"Bearer error=insufficient_scope, scope="a a""#, 0),
        (r#"Bearer error=insufficient_scope, scope="""#, 0),
        (r#"Bearer error=insufficient_scope, scope="  ""#, 0),
        (&many, 0),
        // It does not say what it wants: a new login may bring it, once.
        ("Bearer error=insufficient_scope", 1),
        (r#"Bearer error=insufficient_scope, scope="b", scope="c""#, 1),
    ] {
        let (world, session) = logged_in().await;
        let before = world.provider.counts();
        let sent = AtomicUsize::new(0);
        let api = |request: Request| {
            sent.fetch_add(1, Ordering::Relaxed);
            async move { Ok::<_, std::convert::Infallible>(answer(&request, 403, Some(field))) }
        };
        for _ in 0..5 {
            let request = plain_http().get(world.provider.api_url()).build().unwrap();
            assert_eq!(session.execute(&api, request).await.unwrap().status(), 403);
        }
        let counts = world.provider.counts();
        assert_eq!(counts.authorizations - before.authorizations, logins, "{field:.60}");
        assert_eq!(counts.refreshes, 0);
        assert_eq!(sent.load(Ordering::Relaxed) as u64, 5 + logins, "{field:.60}");
        assert_eq!(get(&world, &session, "").await, 200, "the login is as good as before");
    }
}

#[tokio::test]
async fn c9470_4_a_a_server_that_wants_another_login_for_ever_has_three_a_request() {
    let (world, session) = logged_in().await;
    let sent = AtomicUsize::new(0);
    let api = |request: Request| {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let field =
            format!("Bearer error=insufficient_user_authentication, acr_values=level{number}");
        async move { Ok::<_, std::convert::Infallible>(answer(&request, 401, Some(&field))) }
    };
    let request = plain_http().get(world.provider.api_url()).build().unwrap();
    assert_eq!(session.execute(&api, request).await.unwrap().status(), 401);
    let counts = world.provider.counts();
    assert_eq!((counts.authorizations, counts.refreshes), (1 + 3, 0));
    assert_eq!(sent.load(Ordering::Relaxed), 4);
    assert_eq!((counts.registrations, counts.resource_metadata_requests), (1, 1 + 3));
}

#[tokio::test]
async fn a_person_who_says_no_to_more_keeps_what_there_is() {
    let world = world(|p| p.require_scope("/api", "a").require_scope("/api/admin", "b")).await;
    let session = session(&world, login(&world));
    assert_eq!(get(&world, &session, "").await, 200);
    world.provider.deny_next_authorization("access_denied", None);
    for _ in 0..5 {
        let request = plain_http().get(world.provider.api_url() + "/admin").build().unwrap();
        let error = session.execute(&plain_http(), request).await.unwrap_err();
        assert_eq!(Error::find_in(&error).unwrap().error_code(), Some("access_denied"));
        assert_eq!(get(&world, &session, "").await, 200);
    }
    let counts = world.provider.counts();
    assert_eq!((counts.authorizations, counts.token_requests, counts.refreshes), (2, 1, 0));
    // Later they agree.
    pass(60).await;
    assert_eq!(get(&world, &session, "/admin").await, 200);
    assert_eq!(world.provider.counts().authorizations, 3);
}

#[tokio::test]
async fn a_person_who_says_no_on_another_device_is_asked_once_a_minute() {
    let world = world(|p| p).await;
    let provider = world.provider.clone();
    let shown = Arc::new(tokio::sync::Semaphore::new(0));
    let shows = shown.clone();
    let login = OAuthClient::for_resource(world.provider.api_url()).on_device(move |login| {
        assert!(provider.deny_device(login.user_code()));
        shows.add_permits(1);
    });
    let session = session(&world, login);
    for round in 1..=2 {
        let request = || plain_http().get(world.provider.api_url()).build().unwrap();
        let first = tokio::spawn({
            let (session, request) = (session.clone(), request());
            async move { session.execute(&plain_http(), request).await }
        });
        shown.acquire().await.unwrap().forget();
        world.plain_turns().await;
        pass(5).await;
        for outcome in [first.await.unwrap(), session.execute(&plain_http(), request()).await] {
            let error = outcome.unwrap_err();
            assert_eq!(Error::find_in(&error).unwrap().error_code(), Some("access_denied"));
        }
        assert_eq!(world.provider.device_requests().len(), round);
        assert_eq!(world.provider.counts().token_requests, round as u64);
        pass(60).await;
    }
}

#[tokio::test]
async fn requests_that_want_different_things_at_once_get_both() {
    let world = world(|p| {
        let p = p.require_scope("/api", "a").require_scope("/api/b", "b");
        p.require_scope("/api/c", "c")
    })
    .await;
    let session = session(&world, login(&world));
    assert_eq!(get(&world, &session, "").await, 200);
    let both = futures_util::future::join(get(&world, &session, "/b"), get(&world, &session, "/c"));
    assert_eq!(both.await, (200, 200));
    let scope = asked(&world, "scope").unwrap();
    assert!(["a b c", "a c b"].contains(&&*scope), "{scope}");
    let counts = world.provider.counts();
    assert_eq!((counts.authorizations, counts.refreshes, counts.registrations), (3, 0, 1));
}

#[tokio::test]
async fn mcp_tok_a_a_renewal_in_flight_at_a_server_that_is_replaced_changes_nothing() {
    let other = World::with(|p| p.registration(true)).await;
    let servers = Arc::new(Mutex::new(None::<String>));
    let named = servers.clone();
    let world = world(|p| {
        p.protected_resource([ResourceDocument::AtPath]).resource_metadata(move |members| {
            if let Some(server) = &*named.lock().unwrap() {
                members.insert("authorization_servers".into(), json!([server]));
            }
        })
    })
    .await;
    let session = session(&world, login(&world));
    let url = world.provider.api_url();
    // The API takes tokens of either, and wants the other one's for its new part.
    let api = |request: Request| {
        let bearer = request.headers().get("authorization").map(|value| value.to_str().unwrap());
        let token = bearer.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
        let (old, new) = (
            world.provider.accepts_access_token(token),
            other.provider.accepts_access_token(token),
        );
        let is_new_part = request.url().path().ends_with("/new");
        async move {
            Ok::<_, std::convert::Infallible>(match (new, old, is_new_part) {
                (true, ..) | (_, true, false) => answer(&request, 200, None),
                (_, true, true) => {
                    answer(&request, 403, Some("Bearer error=insufficient_scope, scope=new"))
                }
                _ => answer(&request, 401, Some("Bearer")),
            })
        }
    };
    let send = async |path: &str| {
        let request = plain_http().get(url.clone() + path).build().unwrap();
        session.execute(&api, request).await.unwrap().status().as_u16()
    };
    assert_eq!(send("").await, 200);
    let old = session.session().await.unwrap().unwrap();
    let first = old.token().await.unwrap();
    // Due: the renewal is under way, and its answer is held back.
    let pause = world.provider.pause_token_requests();
    world.clock.forward(3500.0);
    assert_eq!(send("").await, 200);
    world.provider.wait_for_token_requests(2).await;
    *servers.lock().unwrap() = Some(other.provider.issuer());
    assert_eq!(send("/new").await, 200);
    let new = session.session().await.unwrap().unwrap().token().await.unwrap();
    assert!(other.provider.accepts_access_token(new.access_token()));
    drop(pause);
    // What the old server issued stays with the old login.
    old.shutdown().await.unwrap();
    let renewed = old.current_token().unwrap();
    assert_ne!(renewed.refresh_token(), first.refresh_token());
    assert_eq!(send("").await, 200);
    let after = session.session().await.unwrap().unwrap().token().await.unwrap();
    assert_eq!(after.access_token(), new.access_token());
    let issued = [&first, &renewed]
        .map(|token| [token.access_token().to_owned(), token.refresh_token().unwrap().to_owned()]);
    for request in other.provider.token_requests() {
        assert_eq!(request.param("grant_type"), Some("authorization_code"));
        let sent = format!("{:?}", request.params);
        assert!(issued.iter().flatten().all(|secret| !sent.contains(secret)));
    }
    assert_eq!(world.provider.counts().refreshes, 1);
    assert_eq!(
        (other.provider.counts().token_requests, other.provider.counts().registrations),
        (1, 1)
    );
}

//! A new refresh token in a response that is otherwise unusable: it replaces the old one, and is saved
//! before anything else.

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{Error, Grant, GrantContext, OAuthClient, Session, Token};
use serde_json::{Value, json};

use crate::support::{World, ours, pass};

/// Responses that bring this refresh token and no access token that can be used.
fn unusable(refresh_token: &str) -> Vec<Fault> {
    let members = [
        json!({}),
        json!({"access_token": null}),
        json!({"access_token": ""}),
        json!({"access_token": 123, "token_type": "Bearer"}),
        json!({"access_token": "a\r\nX: y", "expires_in": 3600}),
        json!({"access_token": "unusable", "token_type": "mac"}),
        json!({"access_token": "unusable", "token_type": "User Access Token", "expires_in": -1}),
    ];
    let mut replies: Vec<(u16, &str, String)> = members
        .into_iter()
        .map(|mut members| {
            members["refresh_token"] = refresh_token.into();
            (200, "application/json", members.to_string())
        })
        .collect();
    let pair = format!(r#""access_token":"unusable","refresh_token":"{refresh_token}""#);
    replies.extend(
        [
            // Cut off, nested and named otherwise.
            format!(r#"{{{pair},"expires_in":36"#),
            format!(r#"{{"data":{{{pair}}}}}"#),
            format!(r#"{{"accessToken":"unusable","refreshToken":"{refresh_token}"}}"#),
        ]
        .map(|body| (200, "application/json", body)),
    );
    let json = replies[0].2.clone();
    let form = format!("access_token=&refresh_token={refresh_token}");
    let alone = format!("token_type=bearer&refresh_token={refresh_token}");
    replies.extend([
        (201, "text/html", json),
        (203, "application/x-www-form-urlencoded", form),
        (200, "application/x-www-form-urlencoded", alone),
    ]);
    let reply = |(status, content_type, body): (u16, &str, String)| Fault::Reply {
        status,
        content_type: content_type.to_owned(),
        body,
    };
    replies.into_iter().map(reply).collect()
}

/// A success with these members in its body.
fn success(members: &str) -> Fault {
    Fault::Reply {
        status: 200,
        content_type: "application/json".to_owned(),
        body: format!("{{{members}}}"),
    }
}

fn refresh_token(world: &World) -> String {
    world.token().refresh_token().unwrap().to_owned()
}

/// The refresh tokens that were presented, in order.
fn presented(world: &World) -> Vec<String> {
    let requests = world.provider.token_requests();
    requests.iter().map(|r| r.param("refresh_token").unwrap().to_owned()).collect()
}

/// What a saver was given: access and refresh token.
fn saved(world: &World, n: usize) -> (String, String) {
    assert_eq!(world.saved.count(), n);
    let token = world.saved.last();
    (token.access_token().to_owned(), token.refresh_token().unwrap().to_owned())
}

#[tokio::test]
async fn the_new_refresh_token_is_saved_and_presented_next() {
    let number = unusable("x").len();
    for n in 0..number {
        let world = World::new().await;
        let old = world.expired_token();
        let (before, new) = (old.refresh_token().unwrap().to_owned(), refresh_token(&world));
        let session = world.saving().token(old.clone()).build();
        world.provider.fail_next(unusable(&new).swap_remove(n));
        let mut errors: Vec<Error> = Vec::new();
        for _ in 0..3 {
            errors.push(session.token().await.unwrap_err());
        }
        for error in &errors {
            assert!(error.is_malformed_response() && error.is_transient(), "{error}");
            assert!(
                error.to_string().ends_with("; the new refresh token in it is kept"),
                "{error}"
            );
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(&new) && !shown.contains(&before), "{shown}");
        }
        session.shutdown().await.unwrap();
        assert_eq!(saved(&world, 1), (old.access_token().to_owned(), new.clone()));
        assert_eq!(presented(&world), [&*before]);
        pass(2).await;
        let token = session.token().await.unwrap();
        assert!(world.provider.accepts_access_token(token.access_token()));
        assert_eq!(presented(&world), [before, new]);
        let newest = token.refresh_token().unwrap().to_owned();
        assert_eq!(saved(&world, 2), (token.access_token().to_owned(), newest));
        assert_eq!(world.provider.counts().reuse_detected, 0);
    }
}

#[tokio::test]
async fn the_old_access_token_serves_while_it_lives() {
    let world = World::new().await;
    let old = world.token();
    let (before, new) = (old.refresh_token().unwrap().to_owned(), refresh_token(&world));
    let session = world.saving().token(old.clone()).build();
    let http = world.http(&session);
    world.clock.forward(3500.0);
    world.provider.fail_next(unusable(&new).swap_remove(0));
    let error = session.refresh().await.unwrap_err();
    assert!(error.is_malformed_response(), "{error}");
    for _ in 0..3 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
        assert_eq!(session.current_token().unwrap().access_token(), old.access_token());
    }
    assert_eq!(world.shown(), [old.access_token(); 3]);
    assert_eq!(saved(&world, 1), (old.access_token().to_owned(), new.clone()));
    pass(2).await;
    assert_eq!(world.get(&http).await.unwrap(), 200);
    session.shutdown().await.unwrap();
    assert_eq!(presented(&world), [before, new]);
    assert_ne!(session.token().await.unwrap().access_token(), old.access_token());
}

#[tokio::test]
async fn an_access_token_that_a_server_has_rejected_is_not_sent_again() {
    let world = World::new().await;
    let old = world.token();
    let new = refresh_token(&world);
    let session = world.saving().token(old.clone()).build();
    let http = world.http(&session);
    world.provider.revoke_access_tokens();
    world.provider.fail_next(unusable(&new).swap_remove(0));
    for _ in 0..3 {
        assert!(ours(&world.get(&http).await.unwrap_err()).is_malformed_response());
    }
    assert_eq!(world.shown(), [old.access_token()]);
    pass(2).await;
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(presented(&world)[1], new);
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn whoever_saves_without_a_saver_gets_it_too() {
    let world = World::new().await;
    let old = world.token();
    let new = refresh_token(&world);
    let session = world.session().token(old.clone()).build();
    let http = world.http(&session);
    let mut updates = session.subscribe();
    world.provider.fail_next(unusable(&new).swap_remove(0));
    session.refresh().await.unwrap_err();
    let update = updates.next().await.unwrap();
    assert_eq!((update.access_token(), update.refresh_token()), (old.access_token(), Some(&*new)));
    let response = http.get(world.provider.api_url()).send().await.unwrap();
    let reqwest_oauth2::TokenUpdated(update) = response.extensions().get().unwrap();
    assert_eq!(update.refresh_token(), Some(&*new));
}

#[tokio::test]
async fn a_refresh_token_that_comes_back_as_it_was_is_not_saved_again() {
    let world = World::new().await;
    let old = world.expired_token();
    let session = world.saving().token(old.clone()).build();
    world.provider.fail_next(unusable(old.refresh_token().unwrap()).swap_remove(0));
    let error = session.token().await.unwrap_err();
    assert!(error.to_string().contains("access_token is missing"), "{error}");
    assert!(!error.to_string().contains("kept"), "{error}");
    assert_eq!(world.saved.count(), 0);
    pass(2).await;
    session.token().await.unwrap();
    assert_eq!(presented(&world), [old.refresh_token().unwrap(); 2]);
}

#[tokio::test]
async fn a_session_without_an_access_token_saves_the_refresh_token_alone_and_loads_it() {
    let world = World::new().await;
    let (before, new) = (refresh_token(&world), refresh_token(&world));
    let session = world.saving().refresh_token(before.clone()).build();
    world.provider.fail_next(unusable(&new).swap_remove(0));
    session.token().await.unwrap_err();
    session.shutdown().await.unwrap();
    assert_eq!(saved(&world, 1), (String::new(), new.clone()));
    let stored = serde_json::to_string(&world.saved.last()).unwrap();
    let loaded: Token = serde_json::from_str(&stored).unwrap();
    assert_eq!((loaded.access_token(), loaded.refresh_token()), ("", Some(&*new)));
    let next = world.saving().token(loaded).build();
    assert!(next.current_token().is_none() && next.header().is_none());
    let http = world.http(&next);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(presented(&world), [before, new]);
}

#[tokio::test]
async fn repeated_unusable_answers_rotate_on_and_back_off() {
    let world = World::new().await;
    let old = world.expired_token();
    let mut tokens = vec![old.refresh_token().unwrap().to_owned()];
    let session = world.saving().token(old).build();
    for _ in 0..5 {
        let new = refresh_token(&world);
        world.provider.fail_next(unusable(&new).swap_remove(0));
        tokens.push(new);
        session.token().await.unwrap_err();
        session.token().await.unwrap_err();
        assert_eq!(presented(&world).len(), tokens.len() - 1);
        pass(30).await;
    }
    session.token().await.unwrap();
    assert_eq!(presented(&world), tokens);
    assert_eq!(world.saved.count(), 6);
}

#[tokio::test]
async fn a_new_refresh_token_beside_an_error_code_is_saved_and_presented_next() {
    for members in [
        r#""access_token":"a","error":"partial_scope""#,
        r#""error":"invalid_grant""#,
        r#""access_token":"a","error":{"code":"refresh_token_reused"}"#,
        r#""error":"server_error""#,
        r#""error":"incorrect_client_credentials""#,
        r#""error":{"message":"no code"}"#,
    ] {
        let world = World::new().await;
        let old = world.expired_token();
        let (before, new) = (old.refresh_token().unwrap().to_owned(), refresh_token(&world));
        let session = world.saving().token(old.clone()).build();
        world.provider.fail_next(success(&format!(r#"{members},"refresh_token":"{new}""#)));
        for _ in 0..3 {
            let error = session.token().await.unwrap_err();
            assert_eq!(error.status().unwrap(), 200, "{error}");
            assert!(!error.is_malformed_response() && !error.is_reauthorization_required());
            assert!(
                error.to_string().ends_with("; the new refresh token in it is kept"),
                "{error}"
            );
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(&new) && !shown.contains(&before), "{shown}");
        }
        session.shutdown().await.unwrap();
        assert_eq!(saved(&world, 1), (old.access_token().to_owned(), new.clone()), "{members}");
        assert_eq!(presented(&world), [&*before], "{members}");
        pass(2).await;
        session.token().await.unwrap();
        assert_eq!(presented(&world), [before, new], "{members}");
        assert_eq!(world.provider.counts().reuse_detected, 0);
    }
}

#[tokio::test]
async fn a_refusal_of_the_new_refresh_token_ends_the_login() {
    let world = World::new().await;
    let old = world.expired_token();
    let (before, new) = (old.refresh_token().unwrap().to_owned(), refresh_token(&world));
    let session = world.saving().token(old).build();
    for _ in 0..2 {
        // To the second request it is the one that was presented.
        world
            .provider
            .fail_next(success(&format!(r#""error":"invalid_grant","refresh_token":"{new}""#)));
    }
    assert!(!session.token().await.unwrap_err().is_reauthorization_required());
    pass(2).await;
    let error = session.token().await.unwrap_err();
    assert!(error.is_reauthorization_required(), "{error}");
    assert_eq!(presented(&world), [before, new]);
}

#[tokio::test]
async fn a_member_that_nobody_needs_costs_no_new_refresh_token() {
    let deep = |depth| format!(r#""x":{}{}"#, "[".repeat(depth), "]".repeat(depth));
    for member in [
        r#""name":"Bob \ud83d""#,
        r#""\ude00":"Bob""#,
        r#""team":{"name":"\udc00\ud83d"}"#,
        r#""x":1e400"#,
        r#""x":{"n":[-1e400]}"#,
        r#""x":NaN"#,
        &deep(127),
        &deep(10_000),
    ] {
        let world = World::new().await;
        let old = world.expired_token();
        let (before, new) = (old.refresh_token().unwrap().to_owned(), refresh_token(&world));
        let session = world.saving().token(old).build();
        world.provider.fail_next(success(&format!(
            r#"{member},"access_token":"a","refresh_token":"{new}","expires_in":3600"#
        )));
        assert_eq!(session.token().await.unwrap().access_token(), "a", "{member}");
        assert_eq!(saved(&world, 1), ("a".to_owned(), new.clone()));
        let stored = serde_json::to_string(&world.saved.last()).unwrap();
        let loaded: Token = serde_json::from_str(&stored).unwrap();
        assert_eq!(loaded.extra(), world.saved.last().extra(), "{member}");
        serde_json::from_str::<Value>(&stored).unwrap();
        session.refresh().await.unwrap();
        assert_eq!(presented(&world), [before, new], "{member}");
        assert_eq!(world.provider.counts().reuse_detected, 0);
    }
}

/// A grant of the application's that presents the refresh token itself.
struct Own(OAuthClient);

#[async_trait::async_trait]
impl Grant for Own {
    async fn token(&self, context: &GrantContext<'_>) -> Result<Token, Error> {
        let previous = context.previous_token().unwrap().refresh_token().unwrap();
        self.0.token_request("refresh_token").param("refresh_token", previous).send().await
    }
}

#[tokio::test]
async fn that_of_an_own_grant_is_kept_too() {
    let world = World::new().await;
    let old = world.expired_token();
    let (before, new) = (old.refresh_token().unwrap().to_owned(), refresh_token(&world));
    let saver = world.saved.clone();
    let session = Session::from_grant(Own(world.app()))
        .clock(world.clock.reader())
        .token(old.clone())
        .on_new_token(move |token: Token| {
            saver.push(token);
            async { Ok::<(), std::io::Error>(()) }
        })
        .build();
    world.provider.fail_next(unusable(&new).swap_remove(0));
    assert!(session.token().await.unwrap_err().is_malformed_response());
    session.shutdown().await.unwrap();
    assert_eq!(saved(&world, 1), (old.access_token().to_owned(), new.clone()));
    pass(2).await;
    session.token().await.unwrap();
    assert_eq!(presented(&world), [before, new]);
}

#[tokio::test]
async fn what_is_left_out_of_a_refresh_stays_in_the_token_and_in_what_is_saved() {
    let world = World::new().await;
    let mut login = world.provider.log_in();
    let kept = json!({"id_token": "e.y.J", "instance_url": "https://eu1.example", "refresh_token_expires_in": 86_400,
                      "team": {"id": 7}});
    for (name, value) in kept.as_object().unwrap() {
        login[name] = value.clone();
    }
    login["scope"] = "read".into();
    let session = world.saving().token(crate::support::token(&login)).build();
    let reply = |members: Value| Fault::Reply {
        status: 200,
        content_type: "application/json".to_owned(),
        body: members.to_string(),
    };
    let mut expected = kept.clone();
    for answer in [
        json!({"access_token": "a", "expires_in": 60}),
        json!({"access_token": "b", "expires_in": 60, "refresh_token": null, "scope": null}),
        json!({"access_token": "c", "expires_in": 60, "id_token": "new", "refresh_token": "rt2"}),
        json!({"access_token": "d"}),
        json!({"access_token": "e", "expires_in": 60, "id_token": null, "instance_url": null, "team": null,
               "refresh_token_expires_in": null}),
    ] {
        if let Some(value) = answer.get("id_token").filter(|value| !value.is_null()) {
            expected["id_token"] = value.clone();
        }
        world.provider.fail_next(reply(answer.clone()));
        let token = session.refresh().await.unwrap();
        session.shutdown().await.unwrap();
        for token in [token, world.saved.last()] {
            assert_eq!(token.access_token(), answer["access_token"]);
            assert_eq!(json!(token.extra()), expected, "{answer}");
            assert_eq!(token.scope(), Some("read"));
            assert!(token.refresh_token().is_some());
            assert_eq!(token.expires_at().is_some(), answer.get("expires_in").is_some());
        }
    }
    assert_eq!(presented(&world).last().unwrap(), "rt2");
    let stored = serde_json::to_value(world.saved.last()).unwrap();
    for name in ["instance_url", "refresh_token_expires_in", "team"] {
        assert_eq!(stored[name], kept[name]);
    }
}

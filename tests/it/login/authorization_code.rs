//! Authorization code with PKCE.

use std::time::Duration;

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{OAuthClient, PendingLogin, Pkce, RequestKinds, Session};

use super::{REDIRECT_URI, app, browse, get, query, world};
use crate::support::World;

fn begin(app: &OAuthClient) -> PendingLogin {
    app.authorization_code(REDIRECT_URI).unwrap().scope("read").begin().unwrap()
}

#[tokio::test]
async fn the_whole_callback_url_becomes_a_token_that_a_session_keeps_fresh() {
    let world = world().await;
    let app = app(&world);
    let request = app.authorization_code(REDIRECT_URI).unwrap();
    let request = request
        .scopes(["read", "write"])
        .extra_param("access_type", "offline")
        .extra_param("prompt", "consent");
    let login = request.begin().unwrap();
    let sent = query(login.url());
    let names: Vec<_> = sent.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "access_type",
            "prompt",
            "response_type",
            "client_id",
            "redirect_uri",
            "scope",
            "state",
            "code_challenge",
            "code_challenge_method"
        ]
    );
    let value = |name: &str| sent.iter().find(|(n, _)| n == name).unwrap().1.clone();
    assert_eq!(value("response_type"), "code");
    assert_eq!(value("client_id"), "foo");
    assert_eq!(value("redirect_uri"), REDIRECT_URI);
    assert_eq!(value("scope"), "read write");
    assert_eq!(value("state").len(), 43);
    assert_eq!(value("state"), login.state());
    assert_eq!(value("code_challenge").len(), 43);
    assert_eq!(value("code_challenge_method"), "S256");
    assert_eq!(value("access_type"), "offline");

    let callback = browse(login.url()).await;
    // The callback may land on another process.
    let login: PendingLogin =
        serde_json::from_str(&serde_json::to_string(&login).unwrap()).unwrap();
    let token = login.finish(&app, &callback).await.unwrap();
    let requests = world.provider.token_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].param("grant_type"), Some("authorization_code"));
    assert_eq!(requests[0].param("redirect_uri"), Some(REDIRECT_URI));
    assert_eq!(requests[0].param("code_verifier").unwrap().len(), 43);
    assert!(requests[0].authorization.as_deref().unwrap().starts_with("Basic "));

    let session = Session::builder(app).token(token).build();
    let http = world.http(&session);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    world.clock.forward(3600.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn a_public_client_sends_its_id_with_the_code() {
    let world =
        World::with(|p| p.public_client("cli").redirect_uri(REDIRECT_URI).require_pkce(true)).await;
    let app = OAuthClient::new("cli", world.provider.token_url()).unwrap();
    let app = app.authorization_endpoint(world.provider.authorize_url()).unwrap();
    let login = begin(&app);
    let callback = browse(login.url()).await;
    login.finish(&app, callback).await.unwrap();
    let requests = world.provider.token_requests();
    assert_eq!(requests[0].param("client_id"), Some("cli"));
    assert_eq!(requests[0].authorization, None);
}

#[tokio::test]
async fn a_login_whose_code_was_not_sent_can_be_finished_still() {
    let world = world().await;
    let app = app(&world);
    let login = begin(&app);
    let callback = browse(login.url()).await;
    // A port that nobody listens on: bound, never listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let proxy = format!("http://{}", socket.local_addr().unwrap());
    let no_way = reqwest::Client::builder().proxy(reqwest::Proxy::all(proxy).unwrap());
    for (broken, reason) in [
        (app.clone().http_client(no_way.build().unwrap()), "cannot be reached"),
        (
            app.clone().shape_requests(RequestKinds::ALL, |_| async { Err("no".into()) }),
            "nothing was sent",
        ),
    ] {
        let error = login.clone().finish(&broken, &callback).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains(reason), "{error}");
    }
    assert_eq!(world.provider.counts().token_requests, 0);
    login.clone().finish(&app, &callback).await.unwrap();
    let error = login.finish(&app, &callback).await.unwrap_err();
    assert!(error.is_callback(), "{error}");
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_bare_code_is_enough_for_those_who_compared_the_state() {
    let world = world().await;
    let app = app(&world);
    let login = begin(&app);
    let callback = query(&browse(login.url()).await);
    let value = |name: &str| callback.iter().find(|(n, _)| n == name).unwrap().1.clone();
    assert_eq!(value("state"), login.state());
    assert!(login.finish_with_code(&app, value("code")).await.is_ok());
}

#[tokio::test]
async fn no_code_is_none_and_the_login_can_be_finished_still() {
    let world = world().await;
    let app = app(&world);
    let login = begin(&app);
    for none in ["", " \n"] {
        let error = login.clone().finish_with_code(&app, none).await.unwrap_err();
        assert!(error.is_callback() && error.to_string().contains("it has no code"), "{error}");
    }
    assert_eq!(world.provider.counts().token_requests, 0);
    let callback = query(&browse(login.url()).await);
    // As it is read from a terminal.
    let line = get(&callback, "code") + "\r\n";
    assert!(login.finish_with_code(&app, line).await.is_ok());
}

#[tokio::test]
async fn what_is_refused_but_a_refresh_is_not_told_of_refresh_tokens() {
    let world = world().await;
    let app = app(&world);
    let refusals = [(400, r#"{"error":"redirect_uri_mismatch"}"#), (400, ""), (403, "")];
    for (status, body) in refusals {
        world.provider.fail_next(Fault::Reply {
            status,
            content_type: "application/json".to_owned(),
            body: body.to_owned(),
        });
        let login = begin(&app);
        let callback = browse(login.url()).await;
        let error = login.finish(&app, callback).await.unwrap_err();
        assert_eq!(error.status().unwrap(), status);
        assert!(!error.to_string().contains("refresh token"), "{error}");
    }
}

#[tokio::test]
async fn what_a_framework_gives_of_the_callback_is_enough() {
    let world = world().await;
    let app = app(&world);
    for part in [1, 2] {
        let login = begin(&app);
        let callback = browse(login.url()).await;
        let callback = match part {
            1 => callback.strip_prefix("https://me.example").unwrap(),
            _ => callback.split_once('?').unwrap().1,
        };
        assert!(login.finish(&app, callback).await.is_ok(), "{callback}");
    }
}

#[tokio::test]
async fn methods_of_proof() {
    let world = world().await;
    let app = app(&world);
    for (pkce, method) in
        [(Pkce::S256, Some("S256")), (Pkce::Plain, Some("plain")), (Pkce::Off, None)]
    {
        let login = app.authorization_code(REDIRECT_URI).unwrap().pkce(pkce).begin().unwrap();
        let sent = query(login.url());
        let found = sent
            .iter()
            .find(|(name, _)| name == "code_challenge_method")
            .map(|(_, value)| value.as_str());
        assert_eq!(found, method);
        let callback = browse(login.url()).await;
        let login: PendingLogin =
            serde_json::from_str(&serde_json::to_string(&login).unwrap()).unwrap();
        login.finish(&app, callback).await.unwrap();
        let last = world.provider.token_requests().pop().unwrap();
        assert_eq!(last.param("code_verifier").is_some(), method.is_some());
    }
}

#[tokio::test]
async fn a_callback_that_is_not_the_answer_is_refused_before_anything_is_sent() {
    let world = World::with(|p| p.redirect_uri(REDIRECT_URI)).await;
    let app = app(&world).issuer(world.provider.origin());
    type Tamper = fn(&mut Vec<(String, String)>);
    let cases: [(&str, Tamper, &str); 10] = [
        ("wrong state", |p| set(p, "state", "wrong"), "the state does not match"),
        ("no state", |p| p.retain(|(name, _)| name != "state"), "it has no state"),
        ("empty state", |p| set(p, "state", ""), "it has no state"),
        ("two states", |p| p.push(("state".into(), "x".into())), "it has a parameter twice"),
        ("two codes", |p| p.push(("code".into(), "x".into())), "it has a parameter twice"),
        (
            "another issuer",
            |p| set(p, "iss", "https://evil.example"),
            "it comes from another issuer",
        ),
        (
            "the issuer with a slash",
            |p| {
                let iss = get(p, "iss") + "/";
                set(p, "iss", &iss)
            },
            "it comes from another issuer",
        ),
        ("no code", |p| p.retain(|(name, _)| name != "code"), "it has neither a code nor an error"),
        (
            "an error of another issuer",
            |p| {
                set(p, "iss", "https://evil.example");
                p.push(("error".into(), "access_denied".into()));
            },
            "it comes from another issuer (it reports the error access_denied; anybody can have sent it)",
        ),
        (
            "an error with a wrong state",
            |p| {
                set(p, "state", "wrong");
                p.push(("error".into(), "access_denied".into()))
            },
            "the state does not match (it reports the error access_denied; anybody can have sent it)",
        ),
    ];
    for (what, tamper, why) in cases {
        world.provider.tamper_next_callback(tamper);
        let login = begin(&app);
        let callback = browse(login.url()).await;
        let secrets = [login.state().to_owned(), get(&query(&callback), "code")];
        let error = login.finish(&app, callback).await.unwrap_err();
        assert!(error.is_callback() && !error.is_transient(), "{what}: {error}");
        assert_eq!(
            error.to_string(),
            format!("the callback does not belong to this login: {why}; begin the login again"),
            "{what}"
        );
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            assert!(!format!("{error:?}").contains(secret.as_str()), "{what}");
        }
    }
    assert_eq!(world.provider.counts().token_requests, 0);
    // And the login can be begun again.
    let login = begin(&app);
    let callback = browse(login.url()).await;
    assert!(login.finish(&app, callback).await.is_ok());
}

fn set(parameters: &mut Vec<(String, String)>, name: &str, value: &str) {
    parameters.retain(|(n, _)| n != name);
    parameters.push((name.to_owned(), value.to_owned()));
}

#[tokio::test]
async fn the_callback_of_another_login_is_refused() {
    let world = world().await;
    let app = app(&world);
    let (mine, other) = (begin(&app), begin(&app));
    let callback = browse(other.url()).await;
    assert!(mine.finish(&app, callback).await.unwrap_err().is_callback());
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_login_is_finished_once_whatever_its_clones_try() {
    let world = world().await;
    let app = app(&world);
    let login = begin(&app);
    let callback = browse(login.url()).await;
    let stored = serde_json::to_string(&login).unwrap();
    // What is refused uses nothing up: anybody can send a callback.
    for forged in ["/cb?code=x&state=x", "/cb?error=access_denied", "/elsewhere"] {
        assert!(login.clone().finish(&app, forged).await.unwrap_err().is_callback());
    }
    login.clone().finish(&app, &callback).await.unwrap();
    for again in [
        login.clone().finish(&app, &callback).await.unwrap_err(),
        login.clone().finish_with_code(&app, "another code").await.unwrap_err(),
        login.clone().clone().finish(&app, &callback).await.unwrap_err(),
    ] {
        assert!(again.is_callback() && !again.is_transient());
        assert_eq!(
            again.to_string(),
            "the callback does not belong to this login: the login is finished already; begin the login again"
        );
    }
    assert_eq!(world.provider.counts().token_requests, 1);
    // A copy that another process has stored knows nothing of it: there it is the provider's word.
    let copy: PendingLogin = serde_json::from_str(&stored).unwrap();
    let error = copy.finish(&app, &callback).await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_grant"));
}

#[tokio::test]
async fn of_clones_that_finish_at_once_one_sends_the_code() {
    let world = world().await;
    let app = app(&world);
    let login = begin(&app);
    let callback = browse(login.url()).await;
    let all = (0..8).map(|_| login.clone().finish(&app, &callback));
    let outcomes = futures_util::future::join_all(all).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let refused = |outcome: &&Result<_, reqwest_oauth2::Error>| {
        outcome.as_ref().is_err_and(reqwest_oauth2::Error::is_callback)
    };
    assert_eq!(outcomes.iter().filter(refused).count(), 7);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn an_error_that_nobody_vouches_for_is_shown_and_not_believed() {
    let world = world().await;
    let app = app(&world).issuer("https://provider.example");
    let login = begin(&app);
    let state = login.state();
    let late = app.authorization_code(REDIRECT_URI).unwrap().lifetime(Duration::ZERO);
    let late = late.begin().unwrap();
    let reports = "it reports the error access_denied: no \\u{1b}[31mway; anybody can have sent it";
    let error = "error=access_denied&error_description=no+%1b[31mway";
    for (login, callback, why) in [
        (&login, format!("?{error}"), "it has no state"),
        (&login, format!("?{error}&state="), "it has no state"),
        (&login, format!("?{error}&state=wrong"), "the state does not match"),
        (
            &login,
            format!("?{error}&state={state}&iss=https://evil.example"),
            "it comes from another issuer",
        ),
        (&late, format!("?{error}&state={}", late.state()), "it comes too late"),
    ] {
        let error = login.clone().finish(&app, &callback).await.unwrap_err();
        assert!(error.is_callback() && !error.is_transient(), "{callback}");
        assert_eq!((error.error_code(), error.error_description()), (None, None), "{callback}");
        assert_eq!(
            error.to_string(),
            format!(
                "the callback does not belong to this login: {why} ({reports}); begin the login again"
            )
        );
    }
    // Neither a secret nor a flood of text.
    let long = "x ".repeat(1000);
    let hostile = format!("?error={long}&error_description={state}+and+s3cret&code=s3cret");
    let error = login.finish(&app, hostile).await.unwrap_err().to_string();
    assert!(error.contains("[redacted] and [redacted]"), "{error}");
    assert!(error.chars().count() < 300, "{error}");
}

#[tokio::test]
async fn a_browser_that_comes_back_too_late_is_told_so() {
    let world = world().await;
    let app = app(&world);
    let request = app.authorization_code(REDIRECT_URI).unwrap().lifetime(Duration::from_secs(60));
    let (early, late) = (request.begin().unwrap(), request.begin().unwrap());
    let callbacks = [browse(early.url()).await, browse(late.url()).await];
    world.clock.forward(59.0);
    assert!(early.finish(&app, &callbacks[0]).await.is_ok());
    world.clock.forward(1.0);
    let error = late.finish(&app, &callbacks[1]).await.unwrap_err();
    assert!(error.is_callback() && error.to_string().contains("too late"), "{error}");
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_code_goes_to_no_other_providers_token_endpoint() {
    let (world, evil) = (world().await, world().await);
    let login = begin(&app(&world));
    let callback = browse(login.url()).await;
    let error = login.clone().finish(&app(&evil), &callback).await.unwrap_err();
    assert!(error.is_config(), "{error}");
    let error = login.finish_with_code(&app(&evil), "code").await.unwrap_err();
    assert!(error.is_config(), "{error}");
    assert_eq!(evil.provider.counts().token_requests, 0);
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn an_issuer_that_promises_iss_must_send_it() {
    let world = World::with(|p| p.redirect_uri(REDIRECT_URI).send_iss(false)).await;
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap().secret("potato");
    let login = begin(&app);
    let callback = browse(login.url()).await;
    let promised = world.provider.counts().metadata_requests;
    assert_eq!(promised, 1);
    let result = login.finish(&app, &callback).await;
    // The provider's metadata says what it does: without the promise the callback is believed.
    assert!(result.is_ok(), "{result:?}");

    let world = World::with(|p| {
        p.redirect_uri(REDIRECT_URI).send_iss(false).metadata(|members| {
            members.insert("authorization_response_iss_parameter_supported".into(), true.into());
        })
    })
    .await;
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap().secret("potato");
    let login = begin(&app);
    let callback = browse(login.url()).await;
    let error = login.finish(&app, &callback).await.unwrap_err();
    assert!(
        error.is_callback() && error.to_string().contains("does not name its issuer"),
        "{error}"
    );
}

#[tokio::test]
async fn the_providers_refusal_is_its_own_error() {
    let world = world().await;
    let app = app(&world);
    world.provider.deny_next_authorization("access_denied", Some("the \u{1b}[31mperson\n said no"));
    let login = begin(&app);
    let callback = browse(login.url()).await;
    let error = login.finish(&app, callback).await.unwrap_err();
    assert_eq!(error.error_code(), Some("access_denied"));
    assert_eq!(error.error_description(), Some(r"the \u{1b}[31mperson\n said no"));
    assert_eq!(error.status(), None);
    assert!(!error.is_callback() && !error.is_transient());
    assert_eq!(
        error.to_string(),
        r"the authorization endpoint refused the request: access_denied: the \u{1b}[31mperson\n said no"
    );
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn what_the_application_gets_wrong_is_said_before_anyone_is_sent_anywhere() {
    let world = world().await;
    let app = app(&world);
    for redirect_uri in [
        "/cb",
        "https://me.example/cb#x",
        "http://me.example/cb",
        "myapp:/cb",
        "java.script:alert(1)",
        "https://me@evil.example/cb",
    ] {
        assert!(app.authorization_code(redirect_uri).unwrap_err().is_config(), "{redirect_uri}");
        assert!(app.implicit(redirect_uri).unwrap_err().is_config(), "{redirect_uri}");
    }
    for redirect_uri in ["com.example.app:/", "vscode://publisher.extension/cb"] {
        let login = app.authorization_code(redirect_uri).unwrap().begin().unwrap();
        assert_eq!(get(&query(login.url()), "redirect_uri"), redirect_uri);
        let callback = format!("{redirect_uri}?code=x&state={}", login.state());
        let error = login.finish(&app, callback).await.unwrap_err();
        assert_eq!(error.error_code(), Some("invalid_grant"), "it was exchanged");
    }
    let no_endpoint = world.app().authorization_code(REDIRECT_URI).unwrap_err();
    assert!(no_endpoint.is_config() && no_endpoint.to_string().contains("authorization_endpoint"));
    let request = app.authorization_code(REDIRECT_URI).unwrap();
    for name in ["state", "redirect_uri", "client_id", "response_type", "code_challenge"] {
        let error = request.clone().extra_param(name, "x").begin().unwrap_err();
        assert!(error.is_config() && error.to_string().contains(name), "{error}");
    }
    for scope in ["a\"b", "a\\b", "a\nb", "é"] {
        assert!(request.clone().scope(scope).begin().unwrap_err().is_config(), "{scope}");
    }
}

#[tokio::test]
async fn logins_show_no_secret_and_never_repeat() {
    let world = world().await;
    let app = app(&world);
    let request = app.authorization_code(REDIRECT_URI).unwrap();
    let (one, other) = (request.begin().unwrap(), request.begin().unwrap());
    assert_ne!(one.state(), other.state());
    assert!(!format!("{one:?} {request:?}").contains(one.state()));
    let stored: serde_json::Value = serde_json::to_value(&one).unwrap();
    assert!(!format!("{one:?}").contains(stored["verifier"].as_str().unwrap()));
}

#[tokio::test]
async fn an_endpoints_own_query_is_kept() {
    let world = world().await;
    let app =
        world.app().authorization_endpoint(world.provider.authorize_url() + "?tenant=1").unwrap();
    let login = begin(&app);
    assert_eq!(query(login.url())[0], ("tenant".to_owned(), "1".to_owned()));
}

#[tokio::test]
async fn no_parameter_is_in_a_request_twice() {
    let world = world().await;
    let url = world.provider.authorize_url();
    for name in ["state", "client_id", "redirect_uri", "response_type", "code_challenge", "scope"] {
        let error = world.app().authorization_endpoint(format!("{url}?{name}=x")).unwrap_err();
        assert!(error.is_config() && error.to_string().contains(name), "{error}");
    }
    let app = world.app().authorization_endpoint(format!("{url}?tenant=1")).unwrap();
    let app = app.authorization_param("prompt", "consent").authorization_param("hd", "a.example");
    let request = app.authorization_code(REDIRECT_URI).unwrap();
    let error = request.clone().extra_param("tenant", "2").begin().unwrap_err();
    assert!(error.is_config() && error.to_string().contains("\"tenant\""), "{error}");
    let error = request.clone().extra_param("hl", "a").extra_param("hl", "b").begin().unwrap_err();
    assert!(error.is_config() && error.to_string().contains("\"hl\""), "{error}");
    let error = request.clone().extra_param("resource", "https://a.example/#x").begin();
    assert!(error.unwrap_err().is_config());
    // What one request says replaces what the client says of all; a resource may come again.
    let request = request.extra_param("prompt", "login");
    let request = request.extra_param("resource", "https://a.example");
    let login = request.extra_param("resource", "https://b.example").begin().unwrap();
    let sent = query(login.url());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        sent[..5],
        [
            pair("tenant", "1"),
            pair("hd", "a.example"),
            pair("prompt", "login"),
            pair("resource", "https://a.example"),
            pair("resource", "https://b.example"),
        ]
    );
}

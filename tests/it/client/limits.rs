//! Every token request is bounded: its time, its size, its redirects, its TLS.

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{OAuthClient, Session};

use crate::support::{World, pass, plain_http};

#[tokio::test]
async fn a_token_request_ends_at_its_total_timeout_however_the_provider_dawdles() {
    for fault in [Fault::Hang, Fault::SlowBody] {
        let world = World::new().await;
        world.provider.fail_always(fault.clone());
        let session = world.session().token(world.expired_token()).build();
        let waiting = tokio::spawn({
            let session = session.clone();
            async move { session.token().await.unwrap_err() }
        });
        // The limit is one for the renewal: no time is left for a second try.
        world.provider.wait_for_token_requests(1).await;
        pass(29).await;
        world.round_trips().await;
        assert!(!waiting.is_finished());
        pass(1).await;
        let error = waiting.await.unwrap();
        assert!(
            error.is_timeout() && error.is_transient() && error.is_response_lost(),
            "{fault:?}"
        );
        assert_eq!(error.to_string(), "no complete response from the token endpoint within 30s");
        assert!(session.token().await.is_err());
        assert_eq!(world.provider.counts().token_requests, 1, "{fault:?}");
        world.provider.clear_faults();
        pass(30).await;
        assert!(session.token().await.is_ok());
    }
}

#[tokio::test]
async fn an_endless_answer_ends_at_the_size_limit() {
    let world = World::new().await;
    world.provider.fail_always(Fault::EndlessBody);
    let session = world.session().token(world.expired_token()).build();
    let error = session.token().await.unwrap_err();
    assert!(error.is_malformed_response() && error.is_transient());
    assert_eq!(
        error.to_string(),
        "the token endpoint's response (status 200 OK) cannot be used: it is longer than 1048576 bytes (OAuthClient::max_response_bytes)"
    );
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn the_size_limit_is_exact() {
    let world = World::new().await;
    let body = r#"{"access_token":"at"}"#;
    for (limit, fits) in [(body.len(), true), (body.len() - 1, false)] {
        world.provider.fail_next(Fault::Reply {
            status: 200,
            content_type: "application/json".to_owned(),
            body: body.to_owned(),
        });
        let app = world.app().max_response_bytes(limit);
        let token = app.token_request("client_credentials").send().await;
        assert_eq!(token.is_ok(), fits);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let (world, other) = (World::new().await, World::new().await);
        world
            .provider
            .fail_always(Fault::Redirect { status, location: other.provider.token_url() });
        let session = world.session().token(world.expired_token()).build();
        let error = session.token().await.unwrap_err();
        assert!(error.is_malformed_response(), "{status}: {error}");
        assert_eq!(error.status().unwrap(), status);
        assert_eq!(other.provider.counts().token_requests, 0);
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}

#[tokio::test]
async fn an_answer_that_came_by_a_redirect_of_the_applications_own_client_is_refused() {
    let (world, other) = (World::new().await, World::new().await);
    world
        .provider
        .fail_always(Fault::Redirect { status: 307, location: other.provider.token_url() });
    let app = world.app().http_client(plain_http());
    let session =
        Session::builder(app).clock(world.clock.reader()).token(world.expired_token()).build();
    let error = session.token().await.unwrap_err();
    assert!(error.to_string().contains("redirect::Policy::none()"), "{error}");
}

#[tokio::test]
async fn plain_http_off_loopback_is_refused_before_any_connection() {
    for url in ["http://provider.example/token", "http://192.0.2.1/token", "http://0.0.0.0/token"] {
        let error = OAuthClient::new("foo", url).unwrap_err();
        assert!(error.is_config() && error.to_string().contains("plain http"), "{url}");
        assert!(OAuthClient::new_over_plain_http("foo", url).is_ok());
    }
}

#[tokio::test]
async fn answers_that_are_no_token_are_errors_and_are_never_saved() {
    for (fault, shows) in [
        (Fault::HtmlPage, "neither JSON nor a form"),
        (
            Fault::Reply { status: 200, content_type: String::new(), body: String::new() },
            "it is empty",
        ),
        (
            Fault::Reply {
                status: 200,
                content_type: "application/json".to_owned(),
                body: r#"{"access_token":"a\r\nb"}"#.to_owned(),
            },
            "characters that are not allowed in a header",
        ),
    ] {
        let world = World::new().await;
        world.provider.fail_always(fault);
        let session = world.saving().token(world.expired_token()).build();
        let error = session.token().await.unwrap_err();
        assert!(error.is_malformed_response() && error.to_string().contains(shows), "{error}");
        assert_eq!(world.saved.count(), 0);
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}

#[test]
fn a_token_that_cannot_stand_in_a_header_is_refused_where_it_is_made_and_where_it_is_loaded() {
    for text in ["", "a\r\nb", "a\0b", "\u{7f}", "gr\u{fc}n"] {
        let error = reqwest_oauth2::Token::new(text).unwrap_err();
        assert!(error.is_config());
        let stored = serde_json::json!({ "access_token": text }).to_string();
        let error = serde_json::from_str::<reqwest_oauth2::Token>(&stored).unwrap_err();
        assert!(error.to_string().contains("not allowed in a header"), "{error}");
    }
}

#[tokio::test]
async fn durations_without_end_are_no_panic() {
    let world = World::with(|p| p.redirect_uri("https://me.example/cb")).await;
    let forever = std::time::Duration::MAX;
    let app = world.app().timeout(forever);
    let app = app.authorization_endpoint(world.provider.authorize_url()).unwrap();
    let request = app.authorization_code("https://me.example/cb").unwrap().lifetime(forever);
    let login = request.begin().unwrap();
    let callback = crate::login::browse(login.url()).await;
    let token = login.finish(&app, callback).await.unwrap();
    let session = Session::builder(app)
        .clock(world.clock.reader())
        .token(token)
        .refresh_lead(forever)
        .expiry_margin(forever)
        .save_wait_timeout(forever)
        .grant_timeout(forever)
        .backoff(forever, forever)
        .on_new_token(|_| async { Ok::<(), std::io::Error>(()) })
        .build();
    session.refresh().await.unwrap();
    world.provider.fail_always(Fault::Status(503));
    for _ in 0..2 {
        assert!(session.refresh().await.unwrap_err().is_transient());
    }
    assert_eq!(world.provider.counts().token_requests, 3);
}

/// In a process of its own, for the proxy of the environment is read once.
#[test]
fn a_token_request_to_loopback_passes_by_the_environments_proxy() {
    if std::env::var_os("HTTP_PROXY").is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            world.session().token(world.expired_token()).build().refresh().await.unwrap();
        });
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let this = std::env::current_exe().unwrap();
    let status = std::process::Command::new(this)
        .args(["--exact", "bounds::a_token_request_to_loopback_passes_by_the_environments_proxy"])
        .env("HTTP_PROXY", &proxy)
        .env("http_proxy", &proxy)
        .env("NO_PROXY", "")
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(listener.accept().is_err(), "the proxy was spoken to");
}

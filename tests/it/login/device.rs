//! Device authorization: a login on another device.

use std::time::Duration;

use reqwest_oauth2::testing::{Fault, ProviderBuilder};
use reqwest_oauth2::{ClientAuthentication, Error, OAuthClient, PendingDeviceLogin};
use serde_json::json;

use crate::support::{World, pass, polled};

async fn begin(
    set_up: impl FnOnce(ProviderBuilder) -> ProviderBuilder,
) -> (World, PendingDeviceLogin) {
    let world = World::with(set_up).await;
    let login = app(&world).device_authorization().scope("read").begin().await.unwrap();
    (world, login)
}

fn app(world: &World) -> OAuthClient {
    world.app().device_authorization_endpoint(world.provider.device_authorization_url()).unwrap()
}

/// Waits in a task of its own; each call of `polls` lets one interval pass.
macro_rules! waiting {
    ($login:ident) => {
        tokio::spawn(async move {
            let mut login = $login;
            login.wait().await
        })
    };
}

#[tokio::test]
async fn codes_for_display_then_polls_until_the_person_agrees() {
    let (world, login) = begin(|p| p.device_interval(None)).await;
    assert!(login.verification_uri().starts_with("http"));
    assert!(login.verification_uri_complete().unwrap().contains(login.user_code()));
    assert!(!login.members().contains_key("device_code"));
    assert!(login.expires_in() > Duration::from_secs(500));
    let user_code = login.user_code().to_owned();
    assert!(!format!("{login:?}").contains(&user_code));
    let waiting = waiting!(login);
    tokio::task::yield_now().await;
    for polls in 1..=3 {
        // No interval in the answer: five seconds.
        pass(4).await;
        world.round_trips().await;
        assert_eq!(world.provider.counts().token_requests, polls - 1);
        pass(1).await;
        world.provider.wait_for_token_requests(polls).await;
        world.round_trips().await;
    }
    world.provider.approve_device(&user_code);
    pass(5).await;
    let token = waiting.await.unwrap().unwrap();
    assert!(world.provider.accepts_access_token(token.access_token()));
    assert_eq!(world.provider.counts().token_requests, 4);
    let last = world.provider.token_requests().pop().unwrap();
    assert_eq!(last.param("grant_type"), Some("urn:ietf:params:oauth:grant-type:device_code"));
}

/// The next poll, which makes this many, comes after so many seconds and not one sooner.
async fn polled_after(world: &World, polls: u64, interval: u64) {
    pass(interval - 1).await;
    world.round_trips().await;
    assert_eq!(world.provider.counts().token_requests, polls - 1, "poll {polls}");
    pass(1).await;
    world.provider.wait_for_token_requests(polls).await;
    world.round_trips().await;
    assert_eq!(world.provider.counts().token_requests, polls);
}

#[tokio::test]
async fn slow_down_adds_five_seconds_for_good() {
    let (world, login) = begin(|p| p.device_interval(Some(Duration::from_secs(1)))).await;
    world.provider.slow_down_next_poll();
    let waiting = waiting!(login);
    tokio::task::yield_now().await;
    for (polls, interval) in [(1, 1), (2, 6), (3, 6), (4, 6)] {
        polled_after(&world, polls, interval).await;
    }
    waiting.abort();
}

#[tokio::test]
async fn retry_after_makes_the_next_wait_longer_and_no_other() {
    for fault in [
        Fault::OAuthError { status: 429, code: "slow_down".to_owned() },
        Fault::OAuthError { status: 400, code: "authorization_pending".to_owned() },
        Fault::TooManyRequests { retry_after: "60".to_owned() },
    ] {
        let world = World::with(|p| p.device_interval(Some(Duration::from_secs(5)))).await;
        let app = app(&world).map_http_response(|_, mut response| {
            if response.status() != 200 && !response.body().ends_with(b"still\"}") {
                response.headers_mut().insert("retry-after", "60".parse().unwrap());
            }
            response
        });
        let login = app.device_authorization().begin().await.unwrap();
        world.provider.fail_next(fault.clone());
        for _ in 0..2 {
            world.provider.fail_next(reply(
                400,
                "application/json",
                r#"{"error":"authorization_pending","x":"still"}"#,
            ));
        }
        let waiting = waiting!(login);
        tokio::task::yield_now().await;
        let interval = if matches!(&fault, Fault::OAuthError { status: 400, .. }) { 5 } else { 10 };
        for (polls, interval) in [(1, 5), (2, 60), (3, interval)] {
            polled_after(&world, polls, interval).await;
        }
        waiting.abort();
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_used_ends_the_waiting() {
    for (content_type, body) in [
        ("application/json", r#"{"access_token":"x","token_type":"User Access Token"}"#),
        ("application/json", r#"{"access_token":"a\r\nb"}"#),
        ("application/json", r#"{"data":{"access_token":"x"}}"#),
        ("application/x-www-form-urlencoded", "access_token=x&token_type=mac"),
    ] {
        let (world, login) = begin(|p| p).await;
        world.provider.fail_always(reply(200, content_type, body));
        let waiting = waiting!(login);
        tokio::task::yield_now().await;
        pass(5).await;
        world.provider.wait_for_token_requests(1).await;
        world.round_trips().await;
        assert!(waiting.is_finished(), "{body}");
        let error = waiting.await.unwrap().unwrap_err();
        assert!(error.is_malformed_response(), "{error}");
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}

#[tokio::test]
async fn a_request_without_an_answer_doubles_the_interval() {
    let (world, login) = begin(|p| p.device_interval(Some(Duration::from_secs(2)))).await;
    world.provider.fail_next(Fault::Status(503));
    let waiting = waiting!(login);
    tokio::task::yield_now().await;
    for (polls, interval) in [(1, 2), (2, 4), (3, 4)] {
        polled_after(&world, polls, interval).await;
    }
    waiting.abort();
}

#[tokio::test]
async fn an_interval_below_a_second_is_a_second() {
    let (world, login) = begin(|p| p.device_interval(Some(Duration::from_millis(500)))).await;
    let waiting = waiting!(login);
    tokio::task::yield_now().await;
    for polls in 1..=3 {
        tokio::time::advance(Duration::from_millis(900)).await;
        world.round_trips().await;
        assert_eq!(world.provider.counts().token_requests, polls - 1, "poll {polls}");
        tokio::time::advance(Duration::from_millis(101)).await;
        world.provider.wait_for_token_requests(polls).await;
        world.round_trips().await;
        assert_eq!(world.provider.counts().token_requests, polls);
    }
    waiting.abort();
}

#[tokio::test]
async fn an_interval_below_a_second_doubles_through_an_outage() {
    let (world, login) = begin(|p| p.device_interval(Some(Duration::from_millis(500)))).await;
    world.provider.fail_always(Fault::Status(503));
    let waiting = waiting!(login);
    tokio::task::yield_now().await;
    for (polls, interval) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16)] {
        polled_after(&world, polls, interval).await;
    }
    waiting.abort();
}

#[tokio::test]
async fn no_interval_is_rounded_down_or_nothing() {
    for (interval, seconds) in [
        (json!(5), 5),
        (json!("7"), 7),
        (json!(0.5), 1),
        (json!("0.9"), 1),
        (json!(1e-9), 1),
        (json!(1), 1),
        (json!(1.5), 2),
        (json!("5.01"), 6),
        (json!(1e30), 300),
        // What is no time at all: the default.
        (json!(0), 5),
        (json!("0"), 5),
        (json!(0.0), 5),
        (json!(-0.5), 5),
        (json!("-0.5"), 5),
        (json!(-3), 5),
        (json!(null), 5),
        (json!("soon"), 5),
    ] {
        let mut members = codes();
        members["interval"] = interval.clone();
        let login = begin_with(members).await.1.unwrap();
        let shown = format!("{login:?}");
        assert!(shown.contains(&format!("interval: {seconds}s")), "{interval}: {shown}");
    }
}

fn reply(status: u16, content_type: &str, body: &str) -> Fault {
    Fault::Reply { status, content_type: content_type.to_owned(), body: body.to_owned() }
}

#[tokio::test]
async fn what_is_not_the_providers_word_ends_no_waiting() {
    let page = |status| reply(status, "text/html", "<html><body>Not now</body></html>");
    let code = |status, code: &str| Fault::OAuthError { status, code: code.to_owned() };
    for fault in [
        Fault::CloseBeforeIssue,
        Fault::CutBody,
        Fault::HtmlPage,
        Fault::TooManyRequests { retry_after: "1".to_owned() },
        Fault::Redirect { status: 302, location: "https://portal.example/".to_owned() },
        page(403),
        page(404),
        page(407),
        page(429),
        page(502),
        reply(200, "", ""),
        reply(200, "application/json", r#"{"access"#),
        Fault::Status(400),
        Fault::Status(503),
        code(429, "who_knows"),
        code(503, "server_error"),
        code(200, "ratelimited"),
        code(400, "temporarily_unavailable"),
    ] {
        let (world, login) = begin(|p| p.device_interval(Some(Duration::from_secs(2)))).await;
        let user_code = login.user_code().to_owned();
        world.provider.fail_next(fault.clone());
        let waiting = waiting!(login);
        tokio::task::yield_now().await;
        pass(2).await;
        world.provider.wait_for_token_requests(1).await;
        world.round_trips().await;
        world.provider.approve_device(&user_code);
        pass(3).await;
        world.round_trips().await;
        assert_eq!(world.provider.counts().token_requests, 1, "{fault:?}");
        assert!(!waiting.is_finished(), "{fault:?}");
        pass(1).await;
        assert!(waiting.await.unwrap().is_ok(), "{fault:?}");
        assert_eq!(world.provider.counts().token_requests, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn any_other_code_ends_the_waiting() {
    for code in ["access_denied", "expired_token", "invalid_grant", "invalid_client", "who_knows"] {
        let (world, login) = begin(|p| p).await;
        world.provider.fail_next(Fault::OAuthError { status: 400, code: code.to_owned() });
        let waiting = waiting!(login);
        tokio::task::yield_now().await;
        pass(5).await;
        assert_eq!(waiting.await.unwrap().unwrap_err().error_code(), Some(code));
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}

#[tokio::test]
async fn a_code_that_a_secret_is_part_of_is_understood() {
    let set_up = |p: ProviderBuilder| p.client("foo", "pending");
    let world = World::with(set_up).await;
    let app = app(&world).secret("pending");
    let login = app.device_authorization().begin().await.unwrap();
    let user_code = login.user_code().to_owned();
    let waiting = waiting!(login);
    tokio::task::yield_now().await;
    pass(5).await;
    world.provider.wait_for_token_requests(1).await;
    world.round_trips().await;
    world.provider.approve_device(&user_code);
    pass(5).await;
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn after_an_outage_the_provider_is_asked_once_more_before_the_code_expires() {
    let (world, login) = begin(|p| p.device_lifetime(Duration::from_secs(60))).await;
    let user_code = login.user_code().to_owned();
    world.provider.fail_always(Fault::Status(503));
    let waiting = waiting!(login);
    tokio::task::yield_now().await;
    for (polls, interval) in [(1, 5), (2, 10), (3, 20)] {
        pass(interval).await;
        world.provider.wait_for_token_requests(polls).await;
        world.round_trips().await;
    }
    // 25 seconds are left, and the interval is 40.
    world.provider.clear_faults();
    world.provider.approve_device(&user_code);
    pass(13).await;
    assert!(waiting.await.unwrap().is_ok());
    assert_eq!(world.provider.counts().token_requests, 4);
}

#[tokio::test]
async fn a_refusal_ends_the_waiting() {
    let (world, login) = begin(|p| p).await;
    world.provider.deny_device(login.user_code());
    let waiting = waiting!(login);
    tokio::task::yield_now().await;
    pass(5).await;
    assert_eq!(waiting.await.unwrap().unwrap_err().error_code(), Some("access_denied"));
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_code_that_expires_ends_the_waiting_without_the_providers_word() {
    let (world, login) = begin(|p| p.device_lifetime(Duration::from_secs(12))).await;
    let waiting = waiting!(login);
    tokio::task::yield_now().await;
    for polls in 1..=2 {
        pass(5).await;
        world.provider.wait_for_token_requests(polls).await;
        world.round_trips().await;
    }
    pass(2).await;
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.error_code(), Some("expired_token"));
    assert_eq!(
        error.to_string(),
        "the token endpoint refused the request: expired_token: the user code has expired; begin the login again"
    );
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn waiting_can_be_given_up_and_taken_up() {
    let (world, mut login) = begin(|p| p).await;
    assert!(polled(1, login.wait()).await.is_none());
    pass(5).await;
    world.round_trips().await;
    assert_eq!(world.provider.counts().token_requests, 0, "dropped, it asks nothing");
    world.provider.approve_device(login.user_code());
    let waiting = waiting!(login);
    tokio::task::yield_now().await;
    pass(5).await;
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn an_answer_that_lacks_what_is_needed_names_it() {
    let world = World::new().await;
    // The token endpoint answers in its place: no codes in it.
    let app = world.app().device_authorization_endpoint(world.provider.token_url()).unwrap();
    world.provider.fail_next(Fault::Reply {
        status: 200,
        content_type: String::new(),
        body: r#"{"user_code":"ABCD"}"#.to_owned(),
    });
    let error = app.device_authorization().begin().await.unwrap_err();
    assert!(error.is_malformed_response());
    assert_eq!(
        error.to_string(),
        "the device authorization endpoint's response (status 200 OK) cannot be used: device_code is missing"
    );
    let error = world.app().device_authorization().begin().await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("device_authorization_endpoint"));
}

/// A response of the device authorization endpoint with these members.
async fn begin_with(members: serde_json::Value) -> (World, Result<PendingDeviceLogin, Error>) {
    let world = World::new().await;
    // The token endpoint responds in its place.
    let app = world.app().device_authorization_endpoint(world.provider.token_url()).unwrap();
    world.provider.fail_next(Fault::Reply {
        status: 200,
        content_type: "application/json".to_owned(),
        body: members.to_string(),
    });
    let login = app.device_authorization().begin().await;
    (world, login)
}

fn codes() -> serde_json::Value {
    json!({
        "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
        "user_code": "WDJB-MJHT",
        "verification_uri": "https://example.com/device",
        "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
        "expires_in": 1800,
        "interval": 5,
    })
}

#[tokio::test]
async fn a_hook_that_panics_over_the_token_ends_the_waiting() {
    let token = r#"{"data":{"access_token":"x"}}"#;
    let pending = r#"{"error":"authorization_pending"}"#;
    for (status, body, ends) in [(200, token, true), (400, pending, false)] {
        let world = World::new().await;
        let login = app(&world)
            .map_response(|_| panic!("over everything"))
            .device_authorization()
            .begin()
            .await
            .unwrap();
        world.provider.fail_always(reply(status, "application/json", body));
        let waiting = waiting!(login);
        tokio::task::yield_now().await;
        pass(5).await;
        world.provider.wait_for_token_requests(1).await;
        world.round_trips().await;
        assert_eq!(waiting.is_finished(), ends, "{body}");
        if ends {
            let error = waiting.await.unwrap().unwrap_err();
            assert!(error.is_malformed_response(), "{error}");
            assert!(error.to_string().contains("map_response panicked"), "{error}");
        }
    }
}

#[tokio::test]
async fn codes_in_form_encoding_are_read() {
    let world = World::new().await;
    let app = world.app().device_authorization_endpoint(world.provider.token_url()).unwrap();
    world.provider.fail_next(Fault::Reply {
        status: 200,
        content_type: "application/x-www-form-urlencoded".to_owned(),
        body: "device_code=D1&user_code=WDJB-MJHT&verification_uri=https%3A%2F%2Fexample.com%2Fdevice&expires_in=900&interval=5".to_owned(),
    });
    let login = app.device_authorization().begin().await.unwrap();
    assert_eq!(login.user_code(), "WDJB-MJHT");
    assert_eq!(login.verification_uri(), "https://example.com/device");
}

#[tokio::test]
async fn a_client_that_authenticates_by_basic_names_its_id_too() {
    let (world, login) = begin_with(codes()).await;
    assert_eq!(login.unwrap().user_code(), "WDJB-MJHT");
    let request = &world.provider.token_requests()[0];
    assert_eq!(request.authorization.as_deref(), Some("Basic Zm9vOnBvdGF0bw=="));
    assert_eq!(request.params, [("client_id".to_owned(), "foo".to_owned())]);
    // Once, where the method puts it there anyway.
    for method in [ClientAuthentication::ClientSecretPost, ClientAuthentication::None] {
        let app = world.app().authentication(method);
        let app = app.device_authorization_endpoint(world.provider.token_url()).unwrap();
        assert!(app.device_authorization().begin().await.is_err());
        let request = world.provider.token_requests().pop().unwrap();
        let ids: Vec<_> = request.params.iter().filter(|(name, _)| name == "client_id").collect();
        assert_eq!(ids, [&("client_id".to_owned(), "foo".to_owned())], "{method:?}");
    }
}

#[tokio::test]
async fn what_no_terminal_should_print_and_no_person_should_open_is_refused() {
    let (_world, login) = begin_with(codes()).await;
    let login = login.unwrap();
    assert_eq!(login.verification_uri(), "https://example.com/device");
    assert_eq!(
        login.verification_uri_complete(),
        Some("https://example.com/device?user_code=WDJB-MJHT")
    );
    let long = "A".repeat(101);
    for (name, value) in [
        ("user_code", "\u{1b}]0;pwned\u{7}"),
        ("user_code", "\u{1b}[2JABCD"),
        ("user_code", "AB\nCD"),
        ("user_code", "AB\rCD"),
        ("user_code", "AB\u{9b}31mCD"),
        ("user_code", "AB\u{202e}CD"),
        ("user_code", "AB\u{2066}CD"),
        ("user_code", "AB\u{200b}CD"),
        ("user_code", "AB\u{feff}CD"),
        ("user_code", "AB\u{61c}CD"),
        ("user_code", "AB\u{ad}CD"),
        ("user_code", "AB\u{e0041}CD"),
        ("user_code", &long),
    ] {
        let mut members = codes();
        members[name] = value.into();
        let error = begin_with(members).await.1.unwrap_err();
        assert!(error.is_malformed_response(), "{value:?}: {error}");
        assert_eq!(
            error.to_string(),
            "the device authorization endpoint's response (status 200 OK) cannot be used: user_code is too long, or has characters that cannot be shown"
        );
    }
    for uri in [
        "javascript:alert(1)",
        "javascript://example.com/%0aalert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "vscode://example.com/",
        "http://example.com/device",
        "https://example.com@evil.example/",
        "https://example.com/\u{1b}[31m",
        "https://example.com/\u{202e}moc",
        "https://example.com/a b",
        "java\nscript:alert(1)",
        "ht\ntps://example.com/",
        " https://example.com/",
        "https:example.com",
        "https:\\\\example.com",
        "//example.com/device",
        "example.com/device",
    ] {
        for name in ["verification_uri", "verification_uri_complete"] {
            let mut members = codes();
            members[name] = uri.into();
            let error = begin_with(members).await.1.unwrap_err();
            assert!(error.is_malformed_response(), "{name} {uri:?}: {error}");
            let expected = format!("{name} is not an https URL that can be shown");
            assert!(error.to_string().ends_with(&expected), "{error}");
        }
    }
}

#[tokio::test]
async fn other_members_can_be_printed_and_foreign_hosts_look_foreign() {
    let mut members = codes();
    members["verification_uri"] = "https://ex\u{430}mple.com/device".into();
    members["message"] = "open\nthe page \u{1b}[31mnow\u{202e}".into();
    members["more"] = json!({ "deep": ["a\u{7}b", 7] });
    let login = begin_with(members).await.1.unwrap();
    assert_eq!(login.verification_uri(), "https://xn--exmple-4nf.com/device");
    assert_eq!(
        login.members()["message"],
        r"open\nthe page \u{1b}[31mnow\u{202e}".replace(r"\n", "\n")
    );
    assert_eq!(login.members()["more"], json!({ "deep": [r"a\u{7}b", 7] }));
    assert_eq!(login.members()["verification_uri"], "https://ex\u{430}mple.com/device");
}

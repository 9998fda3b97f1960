//! Every request of ours, to a server that sends back what it was sent, in each way that comes to mind.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use reqwest_oauth2::{
    ClientAuthentication, ClientCredentials, Error, ExchangeToken, Grant, JwtBearer, OAuthClient,
    Session, TokenExchange, TokenKind,
};
use serde_json::json;

use crate::logins::{self, PASSWORD, REDIRECT_URI, SECRET};
use crate::show::Show;

const WAYS: usize = 12;

/// The answer of that number to a request with these headers and this body.
fn answer(way: usize, headers: &HeaderMap, body: &str) -> axum::response::Response {
    let credentials = headers.get(header::AUTHORIZATION).map_or("", |v| v.to_str().unwrap());
    let values: Vec<_> =
        url::form_urlencoded::parse(body.as_bytes()).map(|(_, value)| value.into_owned()).collect();
    let (values, whole) = (values.join(" "), format!("{credentials} {body}"));
    let html = |status: u16, text: String| {
        let status = StatusCode::from_u16(status).unwrap();
        (status, [(header::CONTENT_TYPE, "text/html")], text).into_response()
    };
    let json = |status: u16, value: serde_json::Value| {
        let status = StatusCode::from_u16(status).unwrap();
        (status, axum::body::Body::from(value.to_string())).into_response()
    };
    match way {
        0 => json(400, json!({"error": "invalid_request", "error_description": values})),
        1 => json(400, json!({"error": "invalid_client", "error_description": whole})),
        2 => json(503, json!({"error": values, "error_description": whole})),
        3 => json(400, json!({"error": whole, "error_uri": format!("https://x.example/?{body}")})),
        4 => html(200, values),
        5 => html(500, whole),
        6 => html(200, format!(r#"{{"access_token": "{values}"#)),
        7 => json(200, json!({"token_type": values, "access_token": whole, "active": values})),
        8 => html(400, format!("error=oops&error_description={body}")),
        9 => html(200, whole.repeat(200)),
        10 => {
            let location = format!("https://127.0.0.1:1/?{body}");
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
        }
        _ => json(200, json!({"access_token": "", (values.clone()): whole, "scope": values})),
    }
}

pub async fn all(show: &Show) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let way = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let now = way.clone();
    let server = axum::Router::new().fallback(move |headers: HeaderMap, body: String| {
        let way = now.load(std::sync::atomic::Ordering::SeqCst);
        async move { answer(way, &headers, &body) }
    });
    let server = tokio::spawn(async move { axum::serve(listener, server).await });
    for number in 0..WAYS {
        way.store(number, std::sync::atomic::Ordering::SeqCst);
        for method in [
            ClientAuthentication::ClientSecretBasic,
            ClientAuthentication::ClientSecretPost,
            ClientAuthentication::Detect,
        ] {
            let app = app(&origin).authentication(method).response_limit(10_000);
            requests(show, &app).await;
        }
        let discovered = OAuthClient::discover(&origin, "foo").await;
        show.error(&discovered.unwrap_err());
    }
    server.abort();
}

fn app(origin: &str) -> OAuthClient {
    let url = |path: &str| format!("{origin}/{path}?key={}", logins::QUERY);
    OAuthClient::new("foo", url("token"))
        .and_then(|app| app.authorization_endpoint(url("authorize")))
        .and_then(|app| app.revocation_endpoint(url("revoke")))
        .and_then(|app| app.introspection_endpoint(url("introspect")))
        .and_then(|app| app.device_authorization_endpoint(url("device")))
        .unwrap()
        .secret(SECRET)
}

async fn requests(show: &Show, app: &OAuthClient) {
    let refresh = "refresh-token/of+the=echo% chamber";
    let values = [
        ("code", "code-of/the+echo= chamber"),
        ("refresh token", refresh),
        ("assertion", ASSERTION),
        ("subject token", SUBJECT),
    ];
    for (what, value) in values {
        show.secret(what, value);
    }
    show.outcome(&app.password("alice", PASSWORD).send().await);
    let login = app.authorization_code(REDIRECT_URI).unwrap().begin().unwrap();
    show.secret("state", login.state());
    let kept = serde_json::to_value(&login).unwrap();
    show.secret("verifier", kept["verifier"].as_str().unwrap());
    show.outcome(&login.finish_with_code(app, values[0].1).await);
    for kind in [TokenKind::AccessToken, TokenKind::RefreshToken] {
        if let Err(error) = app.revoke(refresh, kind).await {
            show.error(&error);
        }
        match app.introspect(refresh, kind).await {
            Ok(introspection) => show.note(&introspection),
            Err(error) => show.error(&error),
        }
    }
    if let Err(error) = app.device_authorization().param("x", "y").begin().await {
        show.error(&error);
    }
    grant(show, app, ClientCredentials::new()).await;
    grant(show, app, JwtBearer::new(|| async { Ok::<_, Error>(ASSERTION.to_owned()) })).await;
    let subject = || async { Ok::<_, Error>(ExchangeToken::jwt(SUBJECT)) };
    grant(show, app, TokenExchange::new(subject)).await;
    let token = reqwest_oauth2::Token::new("access-token-of-the-echo").unwrap();
    let token = token.with_refresh_token(refresh);
    show.token(&token);
    let session = Session::builder(app.clone()).token(token).build();
    show.outcome(&session.refresh().await);
    if let Err(error) = session.sign_out().await {
        show.error(&error);
    }
    show.note(&session);
}

const ASSERTION: &str = "assertion.of.the/echo+chamber=";
const SUBJECT: &str = "subject-token.of.the/echo+chamber=";

async fn grant(show: &Show, app: &OAuthClient, grant: impl Grant) {
    show.outcome(&Session::builder(app.clone()).grant(grant).build().token().await);
}

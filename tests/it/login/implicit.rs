//! The implicit grant.

use reqwest_oauth2::PendingImplicitLogin;

use super::{REDIRECT_URI, app, browse, get, query, world};

#[tokio::test]
async fn implicit_takes_the_token_from_the_fragment() {
    let world = world().await;
    let app = app(&world);
    let login = app.implicit(REDIRECT_URI).unwrap().scopes(["read"]).begin().unwrap();
    assert_eq!(get(&query(login.url()), "response_type"), "token");
    let callback = browse(login.url()).await;
    assert!(callback.contains("#access_token="));
    let login: PendingImplicitLogin =
        serde_json::from_str(&serde_json::to_string(&login).unwrap()).unwrap();
    let token = login.clone().finish(&app, &callback).unwrap();
    assert!(world.provider.accepts_access_token(token.access_token()));
    assert_eq!(token.refresh_token(), None);
    assert_eq!(token.expires_at().unwrap().timestamp(), 1_800_000_000 + 3600);
    assert!(token.extra().is_empty(), "{:?}", token.extra());
    let error = login.finish(&app, callback.replace("state=", "state=x")).unwrap_err();
    assert!(error.is_callback());
    assert_eq!(world.provider.counts().token_requests, 0);
    let login = app.implicit(REDIRECT_URI).unwrap().begin().unwrap();
    let callback = browse(login.url()).await;
    let forged = callback.replace("state=", "state=x");
    assert!(login.clone().finish(&app, forged).unwrap_err().is_callback());
    assert!(login.clone().finish(&app, &callback).is_ok());
    let error = login.finish(&app, &callback).unwrap_err();
    assert!(error.is_callback() && error.to_string().contains("finished already"), "{error}");
}

#[tokio::test]
async fn an_implicit_token_of_an_unknown_type_is_refused() {
    let world = world().await;
    let app = app(&world);
    let login = app.implicit(REDIRECT_URI).unwrap().begin().unwrap();
    let fragment = "access_token=2YotnFZFEjr1zCsicMWpAA&token_type=example&expires_in=3600";
    let callback = format!("{REDIRECT_URI}#{fragment}&state={}", login.state());
    let error = login.finish(&app, callback).unwrap_err();
    assert!(error.is_malformed_response() && error.to_string().contains("\"example\""), "{error}");
    assert!(!format!("{error:?}").contains("2Yot"));
}

//! Each way to the first token, and what goes wrong on it.

use reqwest::header::LOCATION;
use reqwest_oauth2::testing::{Fault, ProviderBuilder, ResourceDocument};
use reqwest_oauth2::{
    Asked, Authorize as _, BrowserLogin, Challenge, ClientMetadata, Error, OAuthClient,
    PendingImplicitLogin, PendingLogin, Pkce, ProtectedResource, Provider, Session,
};
use serde_json::{Map, Value};
use url::Url;

use crate::log::Log;
use crate::secrets::Secrets;
use crate::support::{World, plain_http};

const REDIRECT_URI: &str = "https://me.example/cb";

pub async fn run(log: &Log, secrets: &mut Secrets) {
    let world = World::with(|provider| provider.redirect_uri(REDIRECT_URI)).await;
    secrets.plant("client secret", "potato");
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
    let app = app.secret("potato").clock(world.clock.reader());
    log.show(&app);
    log.show(app.provider().unwrap());
    authorization_code(log, secrets, &app, &world).await;
    implicit(log, secrets, &app).await;
    password(log, secrets, &app, &world).await;
    device(log, secrets, &world).await;
    discovery(log, secrets, &world).await;
    resource(log, secrets).await;
    resource_session(log, secrets).await;
}

/// From a bare 401 to a session, and one step up.
async fn resource_session(log: &Log, secrets: &mut Secrets) {
    let world = World::with(|provider| {
        let provider = provider.protected_resource([ResourceDocument::InChallenge]);
        provider.registration(true).require_scope("/api/admin", "admin")
    })
    .await;
    let shown = log.clone();
    let open = move |login: BrowserLogin| {
        shown.show(&login);
        async move {
            let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
            let response = http.no_proxy().build().unwrap().get(login.url()).send().await.unwrap();
            login.finish(response.headers()[LOCATION].to_str().unwrap()).await
        }
    };
    let login = OAuthClient::for_resource(world.provider.api_url()).in_browser(REDIRECT_URI, open);
    log.show(&login);
    let hook = {
        let (log, login) = (log.clone(), login.clone());
        move |asked: Asked| {
            let (log, login) = (log.clone(), login.clone());
            async move {
                log.show(&asked);
                log.show(&asked.discover().await?);
                let authorized = login.authorize(asked).await?;
                log.show(&authorized);
                Ok(authorized)
            }
        }
    };
    let builder = Session::on_challenge(world.provider.api_url(), hook).unwrap();
    log.show(&builder);
    let session = builder.clock(world.clock.reader()).build();
    let http = plain_http();
    let get = async |path: &str| {
        let request = http.get(world.provider.api_url() + path).build().unwrap();
        session.execute(&http, request).await.unwrap().status().as_u16()
    };
    assert_eq!((get("").await, get("/admin").await), (200, 200));
    log.show(&session);
    log.show(&session.api());
    let plain = session.session().await.unwrap().unwrap();
    secrets.plant_token(&plain.token().await.unwrap());
    for request in world.provider.token_requests() {
        secrets.plant("code or verifier", request.param("code").unwrap());
        secrets.plant("code or verifier", request.param("code_verifier").unwrap());
    }
    // A plain session's error that asks for more.
    let world = World::with(|provider| provider.require_scope("/api", "admin")).await;
    let session = world.session().token(world.token()).build();
    let request = http.get(world.provider.api_url()).build().unwrap();
    let error = session.execute(&http, request).await.unwrap_err();
    log.show(Error::find_in(&error).unwrap().step_up().unwrap());
    log.show_error(&error);
}

/// From an API to a registered client.
async fn resource(log: &Log, secrets: &mut Secrets) {
    log.show(&ResourceDocument::InChallenge);
    let open = |provider: ProviderBuilder| {
        provider.protected_resource([ResourceDocument::InChallenge]).registration(true)
    };
    let world = World::with(open).await;
    let response = plain_http().get(world.provider.api_url()).send().await.unwrap();
    let challenge = Challenge::all(response.headers()).swap_remove(0);
    log.show(&challenge);
    let found = ProtectedResource::discover(response.url(), Some(&challenge)).await;
    let resource = found.unwrap().unwrap();
    log.show(&resource);
    let provider = resource.provider(&world.provider.issuer()).await.unwrap().unwrap();
    let metadata = ClientMetadata::new("My service").redirect_uri(REDIRECT_URI);
    log.show(&metadata);
    let registration = provider.register(&metadata).await.unwrap();
    log.show(&registration);
    let kept = serde_json::to_value(&registration).unwrap();
    secrets.plant("secret of a registration", kept["client_secret"].as_str().unwrap());
    let client = provider.registered_client(&registration).unwrap();
    log.show(&client);
    // The answer with the secret is no registration of this client.
    let secret = secrets.plant("secret of another's registration", "reg-s3cret-of-another");
    let answer = move |members: &mut Map<String, Value>| {
        members.insert("redirect_uris".into(), serde_json::json!(["https://else.example"]));
        members.insert("client_secret".into(), secret.clone().into());
    };
    let world = World::with(|provider| open(provider).registration_response(answer)).await;
    let provider = Provider::discover(world.provider.issuer()).await.unwrap().unwrap();
    log.show_error(&provider.register(&metadata).await.unwrap_err());
}

/// What is in a login that only the process which began it may know.
fn plant_login(secrets: &mut Secrets, login: &impl serde::Serialize) {
    let document = serde_json::to_value(login).unwrap();
    for name in ["state", "code_verifier", "verifier"] {
        if let Some(value) = document.get(name).and_then(|value| value.as_str()) {
            secrets.plant("state or verifier", value);
        }
    }
}

async fn authorization_code(log: &Log, secrets: &mut Secrets, app: &OAuthClient, world: &World) {
    log.show(&Pkce::default());
    let begin = |secrets: &mut Secrets| -> PendingLogin {
        let request = app.authorization_code(REDIRECT_URI).unwrap().scope("read");
        log.show(&request);
        let login = request.begin().unwrap();
        log.show(&login);
        plant_login(secrets, &login);
        login
    };
    let login = begin(secrets);
    assert!(serde_json::to_string(&login).unwrap().contains("erifier"), "it is planted");
    let callback = browse(login.url(), secrets).await;
    let again = login.clone();
    let token = login.finish(app, &callback).await.unwrap();
    secrets.plant_token(&token);
    log.show(&token);
    // A clone sends the code no second time; the error shows neither it nor the state.
    log.show_error(&again.finish(app, &callback).await.unwrap_err());
    let login = begin(secrets);
    log.show_error(&login.finish(app, &callback).await.unwrap_err());
    let login = begin(secrets);
    let code = code(&browse(login.url(), secrets).await);
    let token = login.finish_with_code(app, code).await.unwrap();
    secrets.plant_token(&token);
    for callback in [
        format!("{REDIRECT_URI}?code=c0de-in-vain&state=another-state-1&code=twice-a-code"),
        format!("{REDIRECT_URI}?error=denied-with-c0de-in-vain&state=another-state-1"),
        "https://c0de-in-vain@else.example/?state=another-state-1".to_owned(),
        "not a url: c0de-in-vain".to_owned(),
    ] {
        log.show_error(&begin(secrets).finish(app, callback).await.unwrap_err());
    }
    secrets.plant("code", "c0de-in-vain");
    secrets.plant("state", "another-state-1");
    secrets.plant("code", "twice-a-code");
    // The token endpoint echoes what it was sent.
    let login = begin(secrets);
    let callback = browse(login.url(), secrets).await;
    world.provider.fail_next(Fault::Reply {
        status: 400,
        content_type: "application/json".into(),
        body: serde_json::json!({
            "error": "invalid_grant",
            "error_description": format!("no such code: {} of potato", self::code(&callback)),
        })
        .to_string(),
    });
    log.show_error(&login.finish(app, &callback).await.unwrap_err());
}

async fn implicit(log: &Log, secrets: &mut Secrets, app: &OAuthClient) {
    let begin = |secrets: &mut Secrets| -> PendingImplicitLogin {
        let request = app.implicit(REDIRECT_URI).unwrap().scope("read");
        log.show(&request);
        let login = request.begin().unwrap();
        log.show(&login);
        plant_login(secrets, &login);
        login
    };
    let login = begin(secrets);
    let callback = browse(login.url(), secrets).await;
    let other = begin(secrets);
    log.show_error(&other.finish(app, &callback).unwrap_err());
    let token = login.finish(app, &callback).unwrap();
    secrets.plant_token(&token);
    log.show(&token);
}

async fn password(log: &Log, secrets: &mut Secrets, app: &OAuthClient, world: &World) {
    let right = secrets.plant("password", "A3ddj3w");
    let wrong = secrets.plant("password", "hunter2 & hunter3");
    let request = app.password("johndoe", &right);
    log.show(&request);
    let token = request.send().await.unwrap();
    secrets.plant_token(&token);
    log.show_error(&app.password("johndoe", &wrong).send().await.unwrap_err());
    world.provider.fail_next(Fault::Reply {
        status: 400,
        content_type: "text/plain".into(),
        body: format!("wrong password: {wrong}"),
    });
    log.show_error(&app.password("johndoe", &wrong).send().await.unwrap_err());
}

async fn device(log: &Log, secrets: &mut Secrets, world: &World) {
    let app = world.app();
    let app = app
        .device_authorization_endpoint(world.provider.device_authorization_url())
        .unwrap()
        .clock(world.clock.reader());
    let request = app.device_authorization().scope("read");
    log.show(&request);
    let mut login = request.begin().await.unwrap();
    log.show(&login);
    world.provider.approve_device(login.user_code());
    let waiting = login.wait();
    tokio::pin!(waiting);
    let token = loop {
        tokio::select! {
            biased;
            token = &mut waiting => break token.unwrap(),
            () = world.round_trips() => crate::support::pass(5).await,
        }
    };
    secrets.plant_token(&token);
    let request = world.provider.token_requests().pop().unwrap();
    secrets.plant("device code", request.param("device_code").unwrap());
    log.show(&request);
}

async fn discovery(log: &Log, secrets: &mut Secrets, world: &World) {
    let key = secrets.plant("key in a URL", "k3y-in-a-query");
    let config = |error: Result<OAuthClient, Error>| log.show_error(&error.unwrap_err());
    config(OAuthClient::discover(format!("https://user:{key}@host.example"), "foo").await);
    config(OAuthClient::discover(format!("http://host.example/?{key}"), "foo").await);
    config(OAuthClient::new("foo", format!("not a url {key}")));
    config(OAuthClient::new("foo", format!("http://{key}@host.example/token")));
    config(OAuthClient::new("foo", format!("http://host.example/token?key={key}")));
    world.provider.fail_metadata(Fault::Redirect {
        status: 302,
        location: format!("https://else.example/?{key}"),
    });
    config(OAuthClient::discover(world.provider.issuer(), "foo").await);
    world.provider.fail_metadata(Fault::Reply {
        status: 200,
        content_type: "application/json".into(),
        body: r#"{"issuer":"https://else.example"}"#.into(),
    });
    config(OAuthClient::discover(world.provider.issuer(), "foo").await);
}

/// Where the provider sends a browser that goes to the login, with all that it brings.
async fn browse(url: &str, secrets: &mut Secrets) -> String {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let response = http.build().unwrap().get(url).send().await.unwrap();
    let callback = response.headers()[LOCATION].to_str().unwrap().to_owned();
    let url = Url::parse(&callback).unwrap();
    let fragment = url::form_urlencoded::parse(url.fragment().unwrap_or_default().as_bytes());
    for (name, value) in url.query_pairs().chain(fragment) {
        if ["code", "access_token", "state"].contains(&&*name) {
            secrets.plant("code, token or state in a callback", value);
        }
    }
    callback
}

fn code(callback: &str) -> String {
    let url = Url::parse(callback).unwrap();
    url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

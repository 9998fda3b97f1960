//! Every way to a first token, against a provider that gives it.

use reqwest_oauth2::{
    BasicEncoding, ClientAuthentication, ClientCredentials, Error, ExchangeToken, ImplicitLogin,
    JwtBearer, Login, OAuthClient, Pkce, Session, Token, TokenExchange, TokenKind,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::show::Show;
use crate::support::{World, pass};

pub const REDIRECT_URI: &str = "https://me.example/cb";
/// With all that encodings and escapes change.
pub const SECRET: &str = "p0tato/+ %\"\\ü=sauce&more-of-it";
pub const QUERY: &str = "key-in-the-query-of-the-token-endpoint";
pub const PASSWORD: &str = "c0rrect h0rse/battery&staple";

pub async fn world(show: &Show) -> World {
    show.secret("client secret", SECRET);
    show.secret("query", QUERY);
    World::with(|p| {
        p.client("foo", SECRET)
            .redirect_uri(REDIRECT_URI)
            .accept_assertions(|_| true)
            .issue_refresh_token_for_client_credentials(true)
    })
    .await
}

pub fn app(world: &World) -> OAuthClient {
    let provider = &world.provider;
    OAuthClient::new("foo", format!("{}?key={QUERY}", provider.token_url()))
        .and_then(|app| app.authorization_endpoint(provider.authorize_url()))
        .and_then(|app| app.revocation_endpoint(provider.revocation_url()))
        .and_then(|app| app.introspection_endpoint(provider.introspection_url()))
        .and_then(|app| app.device_authorization_endpoint(provider.device_authorization_url()))
        .unwrap()
        .secret(SECRET)
        .clock(world.clock.reader())
}

pub async fn all(show: &Show) {
    let world = world(show).await;
    let app = app(&world);
    show.note(&app);
    code(show, &app).await;
    implicit(show, &app).await;
    device(show, &world, &app).await;
    grants(show, &world, &app).await;
    for method in [
        ClientAuthentication::ClientSecretBasic,
        ClientAuthentication::ClientSecretPost,
        ClientAuthentication::Detect,
        ClientAuthentication::None,
    ] {
        show.note(&method);
        for encoding in [BasicEncoding::Form, BasicEncoding::Percent, BasicEncoding::Raw] {
            show.note(&encoding);
            let app = app.clone().authentication(method).basic_encoding(encoding);
            show.note(&app);
            show.outcome(&app.token_request("client_credentials").send().await);
        }
    }
    let token = world.token();
    show.token(&token);
    for kind in [TokenKind::AccessToken, TokenKind::RefreshToken] {
        show.note(&kind);
        show.note(&app.introspect(token.access_token(), kind).await.unwrap());
        app.revoke(token.refresh_token().unwrap(), kind).await.unwrap();
    }
    show.note(&OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap());
    from_the_oauth2_crate(show);
    show.provider(&world.provider);
}

async fn code(show: &Show, app: &OAuthClient) {
    for pkce in [Pkce::S256, Pkce::Plain, Pkce::Off] {
        show.note(&pkce);
        let request = app.authorization_code(REDIRECT_URI).unwrap().scope("read").pkce(pkce);
        show.note(&request);
        for by_code in [false, true] {
            let login = request.begin().unwrap();
            show.note(&login);
            show.secret("state", login.state());
            let callback = visit(login.url()).await;
            let url = url::Url::parse(&callback).unwrap();
            let (_, code) = url.query_pairs().find(|(name, _)| name == "code").unwrap();
            show.secret("code", &code);
            // Not the answer to another login.
            let other = request.begin().unwrap();
            show.secret("state", other.state());
            show.error(&other.finish(app, &callback).await.unwrap_err());
            let refused = callback.replace("code=", "error_description=");
            show.error(&login.clone().finish(app, refused).await.unwrap_err());
            let twice: Login =
                serde_json::from_str(&serde_json::to_string(&login).unwrap()).unwrap();
            show.outcome(&if by_code {
                login.finish_with_code(app, &code).await
            } else {
                login.finish(app, &callback).await
            });
            show.outcome(&twice.finish(app, &callback).await);
        }
    }
}

async fn implicit(show: &Show, app: &OAuthClient) {
    let request = app.implicit(REDIRECT_URI).unwrap();
    show.note(&request);
    let login = request.begin().unwrap();
    show.note(&login);
    show.secret("state", login.state());
    let callback = visit(login.url()).await;
    let again: ImplicitLogin =
        serde_json::from_str(&serde_json::to_string(&login).unwrap()).unwrap();
    show.outcome(&login.finish(app, &callback));
    let error = again.clone().finish(app, callback.replace("access_token=", "x=")).unwrap_err();
    show.error(&error);
    show.error(&again.finish(app, callback.replace("state=", "state=x")).unwrap_err());
}

async fn device(show: &Show, world: &World, app: &OAuthClient) {
    let request = app.device_authorization().scope("read");
    show.note(&request);
    let mut login = request.begin().await.unwrap();
    show.note(&login);
    show.secret("user code", login.user_code());
    world.provider.approve_device(login.user_code());
    {
        let wait = login.wait();
        tokio::pin!(wait);
        let token = loop {
            tokio::select! {
                biased;
                token = &mut wait => break token,
                () = world.round_trips() => pass(5).await,
            }
        };
        show.outcome(&token);
    }
    show.note(&login);
}

async fn grants(show: &Show, world: &World, app: &OAuthClient) {
    show.secret("password", PASSWORD);
    let request = app.password("alice", PASSWORD).extra("assertion", "extra-assertion-of-mine");
    show.secret("assertion", "extra-assertion-of-mine");
    show.note(&request);
    show.outcome(&request.send().await);
    let credentials = ClientCredentials::new().param("api_key", "key-among-the-parameters");
    show.secret("parameter", "key-among-the-parameters");
    show.note(&credentials);
    let bearer = JwtBearer::new(|| async { Ok::<_, Error>("signed-assertion-of-mine".to_owned()) });
    show.note(&bearer);
    let exchange = |show: &Show| {
        show.note(&ExchangeToken::jwt("subject-token-of-alice"));
        TokenExchange::new(|| async {
            Ok::<_, Error>(ExchangeToken::access_token("subject-token-of-alice"))
        })
        .actor(|| async { Ok::<_, Error>(ExchangeToken::jwt("actor-token-of-the-agent")) })
    };
    show.secret("subject token", "subject-token-of-alice");
    show.note(&exchange(show));
    let builder = || Session::builder(app.clone()).clock(world.clock.reader());
    for session in [
        builder().grant(credentials).build(),
        builder().grant(bearer).build(),
        builder().grant(exchange(show)).build(),
        Session::from_grant(|| async { Token::new("token-out-of-the-vault") }).build(),
    ] {
        show.outcome(&session.token().await);
        show.outcome(&session.refresh().await);
        show.note(&session);
    }
    show.note(&reqwest_oauth2::presets::lokalise("foo").unwrap().secret(SECRET));
}

fn from_the_oauth2_crate(show: &Show) {
    let json = r#"{"access_token": "access-of-the-oauth2-crate", "token_type": "bearer",
        "refresh_token": "refresh-of-the-oauth2-crate", "id_token": "id-token.in.the-extra-members"}"#;
    show.secret("id token", "id-token.in.the-extra-members");
    let response: oauth2::basic::BasicTokenResponse = serde_json::from_str(json).unwrap();
    show.token(&Token::try_from(&response).unwrap());
    show.token(&serde_json::from_str(json).unwrap());
    show.error(&Token::new("has a space and\na newline").unwrap_err());
    show.secret("access token", "has a space and\na newline");
}

/// Where the provider sends a browser, which logs nothing here.
async fn visit(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = tokio::net::TcpStream::connect((host, port)).await.unwrap();
    let target = &url[url::Position::BeforePath..];
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    location.to_owned()
}

//! Every flow of the crate, by one client.

use reqwest_oauth2::{
    ClientCredentials, ClientMetadata, JwtBearer, Provider, Session, SigningKey, Token,
    TokenExchange, TokenTypeHint, TypedToken,
};
use serde_json::{Map, json};

use crate::browse::REDIRECT_URI;
use crate::server::{Peer, Server};
use crate::signing_key;

pub(crate) async fn flows(peer: &Peer<'_>) {
    let token = client_credentials(peer).await;
    exchange(peer, token).await;
    jwt_bearer(peer).await;
    device(peer).await;
    code_and_refresh(peer).await;
}

async fn client_credentials(peer: &Peer<'_>) -> Token {
    let grant = ClientCredentials::new().scope("api:read");
    let session = Session::builder(peer.app.clone()).grant(grant).build();
    assert_eq!(peer.call(&session).await, 200);
    session.token().await.unwrap()
}

async fn exchange(peer: &Peer<'_>, subject: Token) {
    let subject = TypedToken::access_token(subject.access_token());
    let grant =
        TokenExchange::new(move || std::future::ready(Ok::<_, std::io::Error>(subject.clone())));
    let session = Session::builder(peer.app.clone()).grant(grant.scope("api:read")).build();
    assert_eq!(peer.call(&session).await, 200);
}

async fn jwt_bearer(peer: &Peer<'_>) {
    let (key, audience) = (signing_key(peer.server), peer.server.issuer.clone());
    let grant = JwtBearer::new(move || {
        let (key, audience) = (key.clone(), audience.clone());
        async move {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let claims = Map::from_iter([
                ("iss".to_owned(), json!("https://idp.example")),
                ("sub".to_owned(), json!("alice")),
                ("aud".to_owned(), json!(audience)),
                ("exp".to_owned(), json!(now.as_secs() + 60)),
            ]);
            key.sign_jwt(claims).await
        }
    });
    let session = Session::builder(peer.app.clone()).grant(grant.scope("api:read")).build();
    assert_eq!(peer.call(&session).await, 200);
}

async fn device(peer: &Peer<'_>) {
    let request = peer.app.device_authorization().scope("openid api:read");
    let mut login = request.begin().await.unwrap();
    peer.server.agree(login.user_code()).await;
    let session = Session::builder(peer.app.clone()).token(login.wait().await.unwrap()).build();
    assert_eq!(peer.call(&session).await, 200);
}

/// A login in a browser; then its token is renewed, looked at, and revoked.
async fn code_and_refresh(peer: &Peer<'_>) {
    let first = log_in(peer).await;
    let session = Session::builder(peer.app.clone()).token(first.clone()).build();
    assert_eq!(peer.call(&session).await, 200);
    let second = session.refresh().await.unwrap();
    assert_ne!(second.access_token(), first.access_token());
    assert_eq!(peer.call(&session).await, 200);

    let refresh_token = session.current_token().unwrap().refresh_token().unwrap().to_owned();
    let known = peer.app.introspect(&refresh_token, TokenTypeHint::RefreshToken).await.unwrap();
    assert!(known.active);
    session.sign_out().await.unwrap();
    let known = peer.app.introspect(&refresh_token, TokenTypeHint::RefreshToken).await.unwrap();
    assert!(!known.active);
}

/// A login that is saved, and goes on in a process that knows nothing but what was saved.
pub(crate) async fn restart(before: &Peer<'_>, after: &Peer<'_>) {
    let saved = serde_json::to_string(&log_in(before).await).unwrap();
    let token: Token = serde_json::from_str(&saved).unwrap();
    let session = Session::builder(after.app.clone()).token(token).build();
    session.refresh().await.unwrap();
    assert_eq!(after.call(&session).await, 200);
}

/// A client that the server learns of here, with its public key alone.
pub(crate) async fn registered(server: &Server, key: SigningKey) {
    let http = server.client(None);
    let provider = Provider::discover_with(&server.issuer, http.clone()).await.unwrap().unwrap();
    let metadata = ClientMetadata::new("Registered").redirect_uri(REDIRECT_URI).signing_key(&key);
    let registration = provider.register(&metadata).await.unwrap();
    let app = provider.registered_client(&registration).unwrap().signing_key(key);
    let peer = server.peer(app.dpop(), http);
    let session = Session::builder(peer.app.clone()).token(log_in(&peer).await).build();
    assert_eq!(peer.call(&session).await, 200);
}

async fn log_in(peer: &Peer<'_>) -> Token {
    let request = peer.app.authorization_code(REDIRECT_URI).unwrap().scope("openid api:read");
    let login = if peer.pushes { request.push().await } else { request.begin() }.unwrap();
    let callback = peer.server.browse(login.url()).await;
    login.finish(&peer.app, callback).await.unwrap()
}

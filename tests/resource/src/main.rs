//! A program that knows the URL of an API, and nothing else: it has a person log in, once and twice more when
//! the API wants more, and then goes on alone for ten lifetimes of the token.
//!
//! Run by `HUMAN=1 tests/interop/run tests/interop/browser`, which is the person. It says where to log in, and
//! what the API answered; at the end it compares what the provider has counted.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../../../examples/login/loopback.rs"]
mod loopback;
mod provider;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use loopback::Loopback;
use provider::Provider;
use reqwest_oauth2::{BoxError, BrowserLogin, OAuthClient, ResourceLogin, ResourceSession, Token};

const EXPIRIES: u64 = 10;
const LOGINS: u64 = 3;

#[tokio::main]
async fn main() {
    let resource = std::env::var("RESOURCE").expect("tests/interop/run sets it");
    let on_device = std::env::args().nth(1).as_deref() == Some("--device");
    let (client_ids, saved) =
        (Arc::<Mutex<BTreeSet<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
    let (ids, saves) = (client_ids.clone(), saved.clone());
    let login = OAuthClient::for_resource(&resource).client_name("ten expiries").configure_client(
        move |client| {
            ids.lock().unwrap().insert(client.client_id().to_owned());
            client
        },
    );
    let login = if on_device { with_code(login) } else { in_browser(login).await };
    let session = login
        .session()
        .unwrap()
        .configure_sessions(move |session| {
            let saves = saves.clone();
            session.on_new_token(move |token: Token| {
                saves.lock().unwrap().push(token);
                async { Ok::<(), std::io::Error>(()) }
            })
        })
        .build();

    for path in ["", "/admin", "/money"] {
        get(&session, format!("{resource}{path}")).await;
    }
    session.shutdown().await.unwrap();
    let logged_in = client_ids.lock().unwrap().clone();
    let [client_id] = &Vec::from_iter(logged_in)[..] else { panic!("it registered once") };
    let provider = Provider::of_environment();
    let before = provider.count(client_id, "/by_grant/refresh_token").await;

    for number in 1..=EXPIRIES {
        let token = saved.lock().unwrap().last().unwrap().clone();
        provider.until_expired(token.access_token()).await;
        get(&session, format!("{resource}/admin")).await;
        let renewed = saved.lock().unwrap().last().unwrap().clone();
        assert_ne!(renewed.refresh_token().unwrap(), token.refresh_token().unwrap());
        assert!(!provider.is_valid(token.refresh_token().unwrap()).await, "{number}: it rotates");
        assert!(provider.is_valid(renewed.refresh_token().unwrap()).await);
    }
    session.shutdown().await.unwrap();

    let refreshes = provider.count(client_id, "/by_grant/refresh_token").await;
    assert_eq!(refreshes - before, EXPIRIES);
    let saves = saved.lock().unwrap().len() as u64;
    assert_eq!(provider.count(client_id, "/token_success").await, LOGINS + refreshes);
    assert_eq!(saves, LOGINS + refreshes, "each token is saved once");
    assert_eq!(provider.count(client_id, "/reuse_detected").await, 0);
    assert_eq!(provider.count(client_id, "/grants_revoked").await, 0);
    println!("{} expiries, {} renewals", EXPIRIES, refreshes - before);
}

/// A request; the API answers it.
async fn get(session: &ResourceSession, url: String) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.get(&url).build().unwrap();
    let status = session.execute(&http, request).await.unwrap().status();
    assert_eq!(status, 200, "{url}");
    println!("{status} {url}");
}

async fn in_browser(login: ResourceLogin) -> ResourceLogin {
    let loopback = Loopback::bind(0).await.unwrap();
    let redirect_uri = loopback.redirect_uri();
    let port = redirect_uri.parse::<reqwest::Url>().unwrap().port().unwrap();
    let ready = Arc::new(Mutex::new(Some(loopback)));
    login.in_browser(redirect_uri, move |login: BrowserLogin| {
        let ready = ready.lock().unwrap().take();
        async move {
            let loopback = match ready {
                Some(loopback) => loopback,
                None => Loopback::bind(port).await?,
            };
            println!("to log in, open\n  {}", login.url());
            let finish = async |callback| Ok::<_, BoxError>(login.finish(callback).await?);
            loopback.answer(finish).await
        }
    })
}

fn with_code(login: ResourceLogin) -> ResourceLogin {
    login.on_device(|login| {
        println!("to log in, open\n  {}", login.verification_uri());
        println!("and type in\n  {}", login.user_code());
    })
}

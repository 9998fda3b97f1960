//! The recommended flow with what is left without default features: no `reqwest_middleware`, no store in
//! files; a plain client, and `Session::execute`.
#![cfg(test)]
#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::sync::{Arc, Mutex};

use reqwest_oauth2::testing::Provider;
use reqwest_oauth2::{OAuthClient, Session, Token};

#[tokio::test]
async fn the_recommended_flow() {
    let provider = Provider::builder().start().await.unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest_oauth2::redirect_policy())
        .build()
        .unwrap();
    let client = OAuthClient::new("foo", provider.token_url()).unwrap().secret("potato");
    let saved: Arc<Mutex<Vec<Token>>> = Arc::default();
    let saver = saved.clone();
    let stored: Token = serde_json::from_value(provider.log_in()).unwrap();
    let session = Session::builder(client.http_client(http.clone()))
        .token(stored)
        .on_new_token(move |token: Token| {
            saver.lock().unwrap().push(token);
            async { Ok::<_, std::io::Error>(()) }
        })
        .build();
    // The stored token has been revoked: it is renewed, saved, and the request sent again.
    provider.revoke_access_tokens();
    let request = http.get(provider.api_url()).build().unwrap();
    assert_eq!(session.execute(&http, request).await.unwrap().status(), 200);
    session.shutdown().await.unwrap();
    assert_eq!(saved.lock().unwrap().len(), 1);
    assert_eq!(provider.counts().token_requests, 1);
}

#[test]
fn neither_reqwest_middleware_nor_the_file_store_is_built() {
    let tree = Command::new(std::env::var("CARGO").unwrap())
        .args(["tree", "-p", "plain", "-e", "normal,features", "--prefix", "none", "--offline"])
        .output()
        .unwrap();
    assert!(tree.status.success(), "{tree:?}");
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("reqwest-oauth2 feature \"testing\""), "{tree}");
    for absent in ["reqwest-middleware v", "feature \"middleware\"", "feature \"file-store\""] {
        assert!(!tree.contains(absent), "{absent}");
    }
}

//! Every flow, with each way of client authentication that has a key, against the real, certified
//! `oidc-provider`; two of the clients keep to the FAPI 2.0 security profile.
//!
//! Run by `tests/interop/run cargo test -p fapi`. Without the server it says so and ends well, unless
//! `REQUIRE_INTEROP=1`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod flows;
mod server;

use flows::flows;
use reqwest_oauth2::{ClientAuthentication, SigningKey};
use server::{Peer, Server};

const CASES: [&str; 2] = ["signed-secret", "self-signed"];

#[tokio::main]
async fn main() {
    let Ok(issuer) = std::env::var("OIDC_ISSUER") else {
        let required = std::env::var_os("REQUIRE_INTEROP").is_some();
        println!("these tests need the server: tests/interop/run cargo test -p fapi");
        let (failed, skipped) = if required { (CASES.len(), 0) } else { (0, CASES.len()) };
        println!("0 passed, {failed} failed, {skipped} skipped");
        std::process::exit(i32::from(required));
    };
    let server = Server::new(issuer);
    for case in CASES {
        flows(&peer(&server, case).await).await;
        println!("ok: {case}");
    }
    println!("{} passed, 0 failed, 0 skipped", CASES.len());
}

/// The client of that name, as the server knows it.
async fn peer<'a>(server: &'a Server, name: &str) -> Peer<'a> {
    match name {
        "signed-secret" => {
            let http = server.client(None);
            let app =
                server.discover(name, &http).await.secret("a-secret-of-32-bytes-for-tests-only");
            server.peer(app.authentication(ClientAuthentication::ClientSecretJwt), http)
        }
        "self-signed" => {
            let http = server.client(Some(name));
            let app = server.discover(name, &http).await;
            server
                .peer(app.authentication(ClientAuthentication::SelfSignedTlsClientAuth), http)
                .with_certificate()
        }
        other => panic!("no client is called {other}"),
    }
}

/// The key that signs assertions.
fn signing_key(server: &Server) -> SigningKey {
    SigningKey::from_pem(server.file("assertion.key")).unwrap()
}

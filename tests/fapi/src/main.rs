//! Every flow, with each way of client authentication that has a key, against the real, certified
//! `oidc-provider`; two of the clients keep to the FAPI 2.0 security profile.
//!
//! Run by `tests/interop/run cargo test -p fapi`. Without the server it says so and ends well, unless
//! `REQUIRE_INTEROP=1`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../../interop/browse.rs"]
mod browse;
mod flows;
mod server;

use flows::{flows, registered, restart};
use reqwest_oauth2::{ClientAuthentication, SigningKey};
use serde_json::{Value, json};
use server::{Peer, Server};

const CASES: [&str; 5] = ["fapi", "fapi-mtls", "signing", "signed-secret", "self-signed"];
const REGISTERED: &str = "a client that registers itself with its public key";

#[tokio::main]
async fn main() {
    let Ok(issuer) = std::env::var("OIDC_ISSUER") else {
        let required = std::env::var_os("REQUIRE_INTEROP").is_some();
        println!("these tests need the server: tests/interop/run cargo test -p fapi");
        let cases = CASES.len() + 1;
        let (failed, skipped) = if required { (cases, 0) } else { (0, cases) };
        println!("0 passed, {failed} failed, {skipped} skipped");
        std::process::exit(i32::from(required));
    };
    let server = Server::new(issuer);
    for case in CASES {
        let nonces = server.stats().await["nonces_asked"].as_u64().unwrap();
        let first = peer(&server, case).await;
        flows(&first).await;
        restart(&first, &peer(&server, case).await).await;
        check(&server.stats().await, case, nonces);
        println!("ok: {case}");
    }
    registered(&server, signing_key(&server)).await;
    println!("ok: {REGISTERED}");
    println!("{} passed, 0 failed, 0 skipped", CASES.len() + 1);
}

/// The client of that name, as the server knows it.
async fn peer<'a>(server: &'a Server, name: &str) -> Peer<'a> {
    match name {
        "fapi" | "signing" => {
            let http = server.client(None);
            let app = server.discover(name, &http).await.signing_key(signing_key(server));
            server.peer(app.dpop(), http)
        }
        "fapi-mtls" => {
            let http = server.client(Some("client"));
            let app = server.discover(name, &http).await;
            server
                .peer(app.authentication(ClientAuthentication::TlsClientAuth), http)
                .with_certificate()
        }
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

/// What the server has counted. One that wants nonces asks
/// each process for the first one, and for no other.
fn check(stats: &Value, case: &str, nonces: u64) {
    let is_bound = ["fapi", "signing"].contains(&case);
    let (asked, errors) =
        if is_bound { (2, json!({ "use_dpop_nonce": 2 })) } else { (0, json!({})) };
    assert_eq!(stats["nonces_asked"], nonces + asked, "{case}");
    assert_eq!(stats["proofs_replayed"], 0, "{case}");
    assert_eq!(stats["proof_errors"], json!({}), "{case}");
    let client = &stats["by_client"][case];
    assert_eq!(client["token_errors"], errors, "{case}");
    assert_eq!(client["reuse_detected"], 0, "{case}");
    assert_eq!(client["grants_revoked"], 1, "{case}: signing out is all that ended a login");
}

/// The key that signs assertions.
fn signing_key(server: &Server) -> SigningKey {
    SigningKey::from_pem(server.file("assertion.key")).unwrap().with_key_id("assertion")
}

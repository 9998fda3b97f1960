//! Keys that sign, and keys that are refused.

use reqwest_oauth2::serde_json::Map;
use reqwest_oauth2::testing::{DpopNonces, DpopRules};
use reqwest_oauth2::{Session, SigningKey};

use crate::log::Log;
use crate::secrets::Secrets;
use crate::support::World;

const JWK: &str = include_str!("../../../src/keys/test_keys/ec.jwk");
const D: &str = "rKrHQYEVsMWUMeyYXMDlkDw3tvE65LYDpFOl7k35b_0";

pub async fn run(log: &Log, secrets: &mut Secrets) {
    assert!(JWK.contains(D));
    secrets.plant("private key", D);
    let key = SigningKey::from_jwk(JWK).unwrap();
    log.show(&key);
    log.show(&key.algorithm());
    let pem = key.to_pem().unwrap().unwrap();
    let pem = secrets.plant("private key", pem);
    let jwt = key.sign_jwt(Map::new()).await.unwrap();
    secrets.plant("assertion", jwt);

    let (cut, twice) = (&pem[..pem.len() - 40], pem.repeat(2));
    let mistyped = pem.replace("PRIVATE", "SECRET");
    for pem in [cut, &twice, &mistyped, &pem.replace('/', "-"), D] {
        log.show_error(&SigningKey::from_pem(pem).unwrap_err());
    }
    for (from, to) in [("\"x\"", "\"z\""), ("P-256", D), ("\"ES256\"", "7"), ("\"kid\"", "\"d\"")] {
        log.show_error(&SigningKey::from_jwk(JWK.replace(from, to)).unwrap_err());
    }
}

/// Logins whose tokens are bound to a key: bound, restored, refused, and without the key.
pub async fn bound(log: &Log, secrets: &mut Secrets) {
    let mut rules = DpopRules::default();
    rules.nonces = DpopNonces::EachAnswer { window: 1 };
    log.show(&rules);
    log.show(&rules.nonces);
    let world = World::with(|p| p.dpop(rules)).await;
    let app = world.app().dpop().clock(world.clock.reader());
    log.show(&app);
    let request = app.clone().authorization_endpoint(world.provider.authorize_url()).unwrap();
    let login = request.authorization_code("https://app.example/cb").unwrap().begin().unwrap();
    log.show(&login);
    let kept = serde_json::to_value(&login).unwrap();
    plant_key(secrets, kept["dpop_key"].as_str().unwrap());

    let token = app.password("johndoe", "A3ddj3w").send().await.unwrap();
    secrets.plant_token(&token);
    log.show(&token);
    let stored = serde_json::to_value(&token).unwrap();
    plant_key(secrets, stored["dpop_key"].as_str().unwrap());
    let session = Session::builder(app).token(token).build();
    let http = world.http(&session);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    secrets.plant_token(&session.refresh().await.unwrap());
    assert_eq!(world.get(&http).await.unwrap(), 200);

    let mut damaged = stored;
    damaged["dpop_jkt"] = "another".into();
    let error = serde_json::from_value::<reqwest_oauth2::Token>(damaged.clone()).unwrap_err();
    log.show_error(&error);
    damaged["dpop_key"] = D.into();
    let error = serde_json::from_value::<reqwest_oauth2::Token>(damaged).unwrap_err();
    log.show_error(&error);
}

/// Each line of a PEM, but for the first and the last.
fn plant_key(secrets: &mut Secrets, pem: &str) {
    let lines: Vec<&str> = pem.lines().collect();
    for line in &lines[1..lines.len() - 1] {
        secrets.plant("key of the login", *line);
    }
}

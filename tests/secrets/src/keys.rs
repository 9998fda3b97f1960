//! Keys that sign, and keys that are refused.

use reqwest_oauth2::SigningKey;
use reqwest_oauth2::serde_json::Map;

use crate::log::Log;
use crate::secrets::Secrets;

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

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::public_key::PublicKey;
use super::{Signer, SigningAlgorithm, SigningKey};
use crate::error::{BoxError, Error};

const EC: &str = include_str!("test_keys/ec.pem");
const EC_JWK: &str = include_str!("test_keys/ec.jwk");
const RSA: &str = include_str!("test_keys/rsa.pem");
const RSA_JWK: &str = include_str!("test_keys/rsa.jwk");
const ED: &str = include_str!("test_keys/ed.pem");

/// The modulus of RFC 7638 §3.1.
const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

fn object(json: Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

/// The key in `json`, with these members in place of its own; null: without that one.
fn jwk_with(json: &str, members: Value) -> Result<SigningKey, Error> {
    let mut jwk: Map<String, Value> = serde_json::from_str(json).unwrap();
    for (name, value) in object(members) {
        if value.is_null() {
            jwk.remove(&name);
        } else {
            jwk.insert(name, value);
        }
    }
    SigningKey::from_jwk(Value::Object(jwk).to_string())
}

fn public_key(key: &SigningKey) -> PublicKey {
    PublicKey::of_jwk(&key.public_jwk()).unwrap()
}

/// Header and claims of a JWT whose signature is one of the key's.
fn verified(key: &SigningKey, jwt: &str) -> (String, String) {
    let (message, signature) = jwt.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(public_key(key).verifies(key.algorithm(), message.as_bytes(), &signature));
    let (header, claims) = message.split_once('.').unwrap();
    let text = |part| String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (text(header), text(claims))
}

#[test]
fn thumbprints_are_those_of_the_published_keys() {
    // V12, RFC 9449; V13, RFC 7638 §3.1; RFC 8037 Appendix A.3.
    for (jwk, thumbprint) in [
        (
            json!({"kty": "EC", "crv": "P-256", "use": "sig",
                "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}),
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        ),
        (
            json!({"kty": "RSA", "n": N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
    ] {
        assert_eq!(PublicKey::of_jwk(&object(jwk)).unwrap().thumbprint(), thumbprint);
    }
}

#[tokio::test]
async fn headers_are_those_of_rfc_7523() {
    // V6. Member for member, whatever the order in which serde_json writes them.
    let headers = [
        (EC, "16", "eyJhbGciOiJFUzI1NiIsImtpZCI6IjE2In0"),
        (RSA, "22", "eyJhbGciOiJSUzI1NiIsImtpZCI6IjIyIn0"),
    ];
    for (pem, key_id, encoded) in headers {
        let key = SigningKey::from_pem(pem).unwrap().with_key_id(key_id);
        let jwt = key.sign_jwt(Map::new()).await.unwrap();
        assert_eq!(jwt.split('.').next(), Some(encoded));
        verified(&key, &jwt);
    }
}

async fn jws(key: &SigningKey, payload: &[u8]) -> String {
    String::from_utf8(key.sign_jws(&key.jws_header([]), payload).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_key_that_is_here_signs_any_number_of_texts_under_one_header_without_a_wait() {
    use SigningAlgorithm::*;
    for algorithm in [Es256, EdDsa, Ps256] {
        let key = SigningKey::generate_for(algorithm).unwrap();
        let header = key.jws_header([("typ", "x".into())]);
        for payload in ["", "{}", &"a long one".repeat(30)] {
            let jws = key.sign_jws_here(&header, payload.as_bytes()).unwrap().unwrap();
            let (header, text) = verified(&key, str::from_utf8(&jws).unwrap());
            let expected = format!(r#"{{"alg":"{algorithm}","typ":"x"}}"#);
            assert_eq!((&*header, &*text), (&*expected, payload));
        }
    }
    let key = elsewhere(Does::Sign);
    assert!(key.sign_jws_here(&key.jws_header([]), b"{}").is_none());
}

#[tokio::test]
async fn signatures_are_those_of_others() {
    // RFC 8037 Appendix A.4, and `openssl dgst -sha256 -sign`: neither has a random part.
    let key = SigningKey::from_jwk(
        r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    )
    .unwrap();
    assert_eq!(
        jws(&key, b"Example of Ed25519 signing").await,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
    let key = SigningKey::from_pem(RSA).unwrap();
    assert_eq!(
        jws(&key, b"potato").await,
        "eyJhbGciOiJSUzI1NiJ9.cG90YXRv.ESRrwgoiU7w7ipNx3LSF2q5ng3VoTM0kew9_PK4EIv5vb4dawqs2GiZz8itDXNx5NSCSInTthhz7fJvFsrxt7f7IGrc60bI2gfS_N5prWsmfnWPMc5qHk95sg4dJkKfz9ROwzVK-qQ4AGxjzNlg5NmCSKHHbkihanizKjSj1Pww8INrn-YpAkADxGHxza9EaQHpPcJu4zVjgcsa-4U31uYgXZmV-rm1dlDgbSEqqrsKLaQ93Z9RAHOf0nTfEAdF6Fnr7nCEDmIYw7DLbAn05ZFVg3wdAVRAZ-KvwcvHnrp8vo2F5S1ddpCmOgqWO3QxfssX1GKm8UbOYxy97DSg9-w"
    );
}

#[tokio::test]
async fn keys_are_generated_written_read_and_sign_the_same_in_every_form() {
    use SigningAlgorithm::*;
    for algorithm in [Es256, EdDsa, Ps256, Rs256] {
        let key = SigningKey::generate_for(algorithm).unwrap();
        let pem = key.to_pem().unwrap().unwrap();
        let again = SigningKey::from_pem(pem).unwrap();
        let again = again.with_algorithm(algorithm).unwrap().with_key_id("k");
        assert_eq!(again.thumbprint(), key.thumbprint());
        let claims = object(json!({"iss": "foo", "jti": "1"}));
        let jwt = again.sign_jwt(claims).await.unwrap();
        let (header, claims) = verified(&key, &jwt);
        assert_eq!(header, format!(r#"{{"alg":"{algorithm}","kid":"k"}}"#));
        assert_eq!(claims, r#"{"iss":"foo","jti":"1"}"#);
        // A text that had to grow has left a copy behind.
        let jws = key.sign_jws(&key.jws_header([]), b"{}").await.unwrap();
        assert_eq!(jws.capacity(), jws.len());
    }
    assert_ne!(
        SigningKey::generate().unwrap().thumbprint(),
        SigningKey::generate().unwrap().thumbprint()
    );
}

#[test]
fn all_forms_of_a_key_are_read() {
    let ec = SigningKey::from_pem(EC).unwrap();
    let rsa = SigningKey::from_pem(RSA).unwrap();
    assert_eq!((ec.algorithm(), ec.key_id()), (SigningAlgorithm::Es256, None));
    assert_eq!(rsa.algorithm(), SigningAlgorithm::Rs256);
    assert_eq!(SigningKey::from_pem(ED).unwrap().algorithm(), SigningAlgorithm::EdDsa);
    let same = |key: SigningKey, as_this: &SigningKey| key.thumbprint() == as_this.thumbprint();
    // Of OpenSSL's, with the curve in a block of its own.
    assert!(same(SigningKey::from_pem(include_str!("test_keys/ec_sec1.pem")).unwrap(), &ec));
    assert!(same(SigningKey::from_pem(include_str!("test_keys/rsa_pkcs1.pem")).unwrap(), &rsa));
    assert!(same(SigningKey::from_pem(EC.replace('\n', "\r\n")).unwrap(), &ec));
    assert!(same(SigningKey::from_pem(format!("Bag Attributes\n{EC}\n")).unwrap(), &ec));
    assert!(same(SigningKey::from_jwk(RSA_JWK).unwrap(), &rsa));
    let jwk = SigningKey::from_jwk(EC_JWK).unwrap();
    assert_eq!((jwk.algorithm(), jwk.key_id()), (SigningAlgorithm::Es256, Some("16")));
    assert_eq!(
        Value::Object(jwk.public_jwk()),
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "16",
            "x": "PfCmqCUG5HSTdBCU0df12JAYnW3HrCNvthEBjZuOM9U",
            "y": "wJtmBVjkfLUZckFFdJqErGxzR4TTEZ3IDOODYmYeg_4"})
    );
    assert!(same(jwk, &ec));
    let ps256 = jwk_with(RSA_JWK, json!({"alg": "PS256", "key_ops": ["sign"]})).unwrap();
    assert_eq!(ps256.algorithm(), SigningAlgorithm::Ps256);
}

#[track_caller]
fn assert_config(result: Result<SigningKey, Error>, message: &str) {
    let error = result.unwrap_err();
    assert!(error.is_config());
    assert_eq!(error.to_string(), message);
}

const CUT: &str = "the PEM is cut off: a block has no -----END line of its own";
const ENCRYPTED: &str =
    "the key in the PEM is encrypted; decrypt it first, for example with `openssl pkey`";
const WEAK: &str = "the RSA key is too weak: it has less than 2048 bits; make a new one";
const STRANGERS: &str = "the public part of the key does not belong to its private part";
const OTHER_KIND: &str =
    "the JWK's kind of key cannot be used: it is neither EC with P-256, OKP with Ed25519 nor RSA";
const NO_PRIVATE: &str = "the JWK has no private part (\"d\"); it is a public or a symmetric key";

#[test]
fn a_pem_that_is_no_private_key_is_refused() {
    let cut = &EC[..EC.len() - 30];
    let other_label = EC.replace("END PRIVATE", "END PUBLIC");
    let not_base64 = EC.replace("MIGH", "M*GH");
    let shorter = EC.replace("MIGHAgEAMBMG", "");
    for (pem, message) in [
        ("", "the key is not PEM: it has no -----BEGIN line"),
        (EC_JWK, "the key is not PEM: it has no -----BEGIN line"),
        (&format!("{EC}{RSA}"), "the PEM has 2 blocks; pass the one with the private key"),
        (&EC.repeat(3), "the PEM has 3 blocks; pass the one with the private key"),
        (cut, CUT),
        (&other_label, CUT),
        (&not_base64, "the text between the lines of the PEM is not base64"),
        (include_str!("test_keys/ec_encrypted.pem"), ENCRYPTED),
        (include_str!("test_keys/ec_sec1_encrypted.pem"), ENCRYPTED),
        (include_str!("test_keys/rsa_1024.pem"), WEAK),
        (include_str!("test_keys/rsa_1024_pkcs1.pem"), WEAK),
        (
            include_str!("test_keys/ec_public.pem"),
            "the PEM has no usable private key, only: PUBLIC KEY",
        ),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----",
            "the PEM has no usable private key, only: OPENSSH PRIVATE KEY",
        ),
    ] {
        assert_config(SigningKey::from_pem(pem), message);
    }
    for pem in [include_str!("test_keys/p384.pem"), &shorter] {
        let error = SigningKey::from_pem(pem).unwrap_err();
        assert!(error.is_config() && error.to_string().contains("neither P-256"), "{error}");
    }
    let endless = "x".repeat(64 * 1024 + 1);
    assert_config(
        SigningKey::from_pem(&endless),
        "the key is not PEM: it is not text, or too long",
    );
    assert_config(SigningKey::from_pem([0xff]), "the key is not PEM: it is not text, or too long");
    assert_config(SigningKey::from_jwk(&endless), "the JWK is too long");
}

#[test]
fn a_jwk_that_cannot_sign_is_refused() {
    let other_y = "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA";
    let other_point = json!({"x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "y": other_y});
    let missing = |name| format!("the JWK's member \"{name}\" is missing, or is not base64url");
    for (json, members, message) in [
        (EC_JWK, json!({"d": null}), NO_PRIVATE.to_owned()),
        (EC_JWK, json!({"kty": "oct", "d": null, "k": "AAAA"}), NO_PRIVATE.to_owned()),
        (EC_JWK, other_point, STRANGERS.to_owned()),
        (EC_JWK, json!({"x": null}), missing("x")),
        (EC_JWK, json!({"y": "AAAA="}), missing("y")),
        (EC_JWK, json!({"d": "*"}), missing("d")),
        (EC_JWK, json!({"crv": "P-384"}), OTHER_KIND.to_owned()),
        (EC_JWK, json!({"kty": "OKP"}), OTHER_KIND.to_owned()),
        (EC_JWK, json!({"alg": "RS256"}), "the key's kind does not fit RS256".to_owned()),
        (
            EC_JWK,
            json!({"alg": "ES384"}),
            "the JWK's \"alg\" is none of ES256, EdDSA, PS256 and RS256".to_owned(),
        ),
        (
            EC_JWK,
            json!({"use": "enc"}),
            "the JWK is not for signing, by its \"use\" or \"key_ops\"".to_owned(),
        ),
        (
            EC_JWK,
            json!({"key_ops": ["deriveKey"]}),
            "the JWK is not for signing, by its \"use\" or \"key_ops\"".to_owned(),
        ),
        (RSA_JWK, json!({"qi": null}), missing("qi")),
        (RSA_JWK, json!({"oth": []}), "the JWK is an RSA key of more than two primes".to_owned()),
        (RSA_JWK, json!({"n": N}), STRANGERS.to_owned()),
        (include_str!("test_keys/rsa_1024.jwk"), json!({}), WEAK.to_owned()),
    ] {
        assert_config(jwk_with(json, members), &message);
    }
    // A point that is not on the curve.
    let error = jwk_with(EC_JWK, json!({"y": other_y})).unwrap_err();
    assert!(
        error.is_config() && error.to_string().starts_with("the key cannot be used"),
        "{error}"
    );
    // What was read is not repeated: it may be the secret.
    for text in [
        "",
        "potato",
        r#"{"keys":[]}"#,
        r#"{"kty":"EC","d":["potato"]}"#,
        r#"{"kty":"EC","kty":"EC"}"#,
    ] {
        let error = SigningKey::from_jwk(text).unwrap_err();
        assert!(error.is_config() && !error.to_string().contains("potato"), "{error}");
    }
    assert_config(
        SigningKey::from_pem(EC).unwrap().with_algorithm(SigningAlgorithm::Ps256),
        "the key's kind does not fit PS256",
    );
}

/// What a signer elsewhere does.
#[derive(Clone, Copy)]
enum Does {
    Sign,
    SignDer,
    Fail,
    Hang,
    Panic,
    Return(&'static [u8]),
    SignSomethingElse,
}

struct Elsewhere {
    key: SigningKey,
    does: Does,
}

#[async_trait]
impl Signer for Elsewhere {
    fn algorithm(&self) -> SigningAlgorithm {
        self.key.algorithm()
    }

    fn public_jwk(&self) -> Map<String, Value> {
        self.key.public_jwk()
    }

    fn key_id(&self) -> Option<String> {
        Some("elsewhere".to_owned())
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BoxError> {
        let sign = async |message| self.key.sign(message).await.map(|signed| signed.to_vec());
        match self.does {
            Does::Sign => Ok(sign(message).await?),
            Does::SignDer => {
                // The first byte of R and S is kept positive.
                let fixed = sign(message).await?;
                let (r, s) = fixed.split_at(32);
                let number = |n: &[u8]| [&[2, 33, 0], n].concat();
                Ok([&[0x30, 70][..], &number(r), &number(s)].concat())
            }
            Does::Fail => Err("the KMS is down".into()),
            Does::Hang => std::future::pending().await,
            Does::Panic => panic!("on purpose"),
            Does::Return(bytes) => Ok(bytes.to_vec()),
            Does::SignSomethingElse => Ok(sign(b"something else").await?),
        }
    }
}

fn elsewhere(does: Does) -> SigningKey {
    let key = SigningKey::from_pem(EC).unwrap();
    SigningKey::from_signer(Elsewhere { key, does }).unwrap()
}

#[tokio::test]
async fn a_signer_elsewhere_signs() {
    for does in [Does::Sign, Does::SignDer] {
        let key = elsewhere(does);
        let jwt = key.sign_jwt(Map::new()).await.unwrap();
        let (header, _) = verified(&key, &jwt);
        assert_eq!(header, r#"{"alg":"ES256","kid":"elsewhere"}"#);
        assert!(key.to_pem().unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_signer_that_fails_hangs_or_returns_something_else_is_an_error() {
    use std::error::Error as _;
    let stranger = "the signature of the signer does not match its public key";
    for (does, why, is_timeout) in [
        (Does::Fail, "the signer failed", false),
        (Does::Hang, "the signer took longer than 2s", true),
        (Does::Panic, "the signer panicked; see the panic message on stderr", false),
        (Does::Return(&[]), stranger, false),
        (Does::Return(&[0x30; 1024 * 1024]), stranger, false),
        (Does::Return(&[0; 64]), stranger, false),
        (Does::SignSomethingElse, stranger, false),
    ] {
        let key = elsewhere(does).sign_timeout(Duration::from_secs(2));
        let error = key.sign_jwt(Map::new()).await.unwrap_err();
        let message = format!("no signature could be made, and nothing was sent: {why}");
        assert!(error.is_signing() && error.is_transient(), "{error}");
        assert_eq!((error.to_string().as_str(), error.is_timeout()), (&*message, is_timeout));
        assert_eq!(error.source().is_some(), matches!(does, Does::Fail));
    }
}

#[test]
fn a_signer_elsewhere_needs_a_runtime_and_says_so() {
    use futures_util::FutureExt;
    let signed = elsewhere(Does::Sign).sign_jwt(Map::new()).now_or_never().unwrap();
    assert!(signed.unwrap_err().to_string().starts_with("no Tokio runtime"));
}

#[test]
fn a_signer_with_a_public_key_that_cannot_be_used_is_refused() {
    struct Wrong(SigningAlgorithm, Value);
    #[async_trait]
    impl Signer for Wrong {
        fn algorithm(&self) -> SigningAlgorithm {
            self.0
        }

        fn public_jwk(&self) -> Map<String, Value> {
            object(self.1.clone())
        }

        async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, BoxError> {
            Ok(Vec::new())
        }
    }
    use SigningAlgorithm::{Es256, Ps256};
    let unusable = "the public JWK cannot be used: it is neither EC with P-256, OKP with Ed25519 nor RSA of 2048 to 8192 bits, or a member is missing or not base64url";
    let rsa = |n: &str| json!({"kty": "RSA", "n": n, "e": "AQAB"});
    let x = "PfCmqCUG5HSTdBCU0df12JAYnW3HrCNvthEBjZuOM9U";
    for (algorithm, jwk, message) in [
        (Es256, json!({}), unusable),
        (Es256, json!({"kty": "EC", "crv": "P-256", "x": x}), unusable),
        (Es256, json!({"kty": "EC", "crv": "P-256", "x": x, "y": "AAAA"}), unusable),
        (Ps256, rsa(&N[..N.len() / 2]), unusable),
        (Ps256, rsa(&N.repeat(5)), unusable),
        (Es256, rsa(N), "the key's kind does not fit ES256"),
        (Es256, serde_json::from_str(EC_JWK).unwrap(), "the public JWK has a private part"),
    ] {
        assert_config(SigningKey::from_signer(Wrong(algorithm, jwk)), message);
    }
    assert_config(elsewhere(Does::Sign).with_algorithm(Ps256), "the key's kind does not fit PS256");
}

#[test]
fn debug_shows_no_private_part() {
    let key = SigningKey::from_jwk(EC_JWK).unwrap();
    assert_eq!(
        format!("{key:?}"),
        format!(
            r#"SigningKey {{ algorithm: Es256, key_id: Some("16"), thumbprint: "{}", is_elsewhere: false, .. }}"#,
            key.thumbprint()
        )
    );
}

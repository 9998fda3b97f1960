//! Dynamic client registration (RFC 7591), and clients that are known by a document.

use std::time::{Duration, UNIX_EPOCH};

use reqwest_oauth2::testing::{AuthMethod, ProviderBuilder};
use reqwest_oauth2::{ClientMetadata, Error, Provider, Registration};
use serde_json::{Map, Value, json};

use crate::login::browse;
use crate::support::World;
use crate::support::site::Site;

const CALLBACK: &str = "http://127.0.0.1:8914/callback";

fn metadata() -> ClientMetadata {
    ClientMetadata::new("My tool").redirect_uri(CALLBACK)
}

async fn open(set_up: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> (World, Provider) {
    let world = World::with(|p| set_up(p.registration(true))).await;
    let provider = Provider::discover(world.provider.issuer()).await.unwrap().unwrap();
    (world, provider)
}

#[tokio::test]
async fn c7591_3_1_what_an_application_says_of_itself() {
    let (world, provider) = open(|p| p).await;
    let service = ClientMetadata::new("My service")
        .redirect_uri("https://service.example/callback")
        .member("client_uri", "https://service.example")
        .member("software_id", "a1");
    for metadata in [metadata(), service, ClientMetadata::new("My device")] {
        provider.register(&metadata).await.unwrap();
    }
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    assert_eq!(
        world.provider.registrations(),
        [
            json!({
                "application_type": "native",
                "client_name": "My tool",
                "grant_types": ["authorization_code", "refresh_token"],
                "redirect_uris": [CALLBACK],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
            }),
            json!({
                "application_type": "web",
                "client_name": "My service",
                "client_uri": "https://service.example",
                "grant_types": ["authorization_code", "refresh_token"],
                "redirect_uris": ["https://service.example/callback"],
                "response_types": ["code"],
                "software_id": "a1",
                "token_endpoint_auth_method": "client_secret_basic",
            }),
            json!({
                "application_type": "native",
                "client_name": "My device",
                "grant_types": [device, "refresh_token"],
                "redirect_uris": [],
                "response_types": [],
                "token_endpoint_auth_method": "none",
            }),
        ]
    );
}

#[tokio::test]
async fn c7591_2_the_method_is_one_that_the_provider_supports() {
    use AuthMethod::{ClientSecretBasic, ClientSecretPost};
    // The embedded provider adds `none`, since anybody may register.
    for (listed, native, web) in [
        (Some(json!(["client_secret_post"])), "client_secret_post", "client_secret_post"),
        (Some(json!(["client_secret_post", "none"])), "none", "client_secret_post"),
        (Some(json!(["private_key_jwt", "none"])), "none", "none"),
        (None, "client_secret_basic", "client_secret_basic"),
        (Some(json!([])), "client_secret_basic", "client_secret_basic"),
    ] {
        let edit = move |members: &mut Map<String, Value>| match &listed {
            Some(methods) => {
                members.insert("token_endpoint_auth_methods_supported".into(), methods.clone());
            }
            None => {
                members.remove("token_endpoint_auth_methods_supported");
            }
        };
        let (world, provider) =
            open(|p| p.auth_methods([ClientSecretBasic, ClientSecretPost]).metadata(edit)).await;
        let service = ClientMetadata::new("s").redirect_uri("https://service.example/cb");
        for metadata in [metadata(), service] {
            let registration = provider.register(&metadata).await.unwrap();
            // It can be used.
            let client = provider.registered_client(&registration).unwrap();
            let revoked = client.revoke("x", reqwest_oauth2::TokenTypeHint::AccessToken).await;
            assert!(revoked.is_ok(), "{revoked:?}");
        }
        let asked = world.provider.registrations();
        let methods: Vec<&Value> =
            asked.iter().map(|body| &body["token_endpoint_auth_method"]).collect();
        assert_eq!(methods, [native, web]);
    }
    let edit = |members: &mut Map<String, Value>| {
        let methods = json!(["private_key_jwt"]);
        members.insert("token_endpoint_auth_methods_supported".into(), methods);
    };
    let (world, provider) = open(|p| p.metadata(edit)).await;
    assert!(provider.register(&metadata()).await.unwrap_err().is_config());
    assert_eq!(world.provider.counts().registrations, 0);
}

#[tokio::test]
async fn c7591_3_2_1_a_registration_is_kept_and_used_by_another_process() {
    let (world, provider) = open(|p| p.client_secret_lifetime(Duration::from_secs(3600))).await;
    let service = ClientMetadata::new("s").redirect_uri("https://service.example/cb");
    for (metadata, callback, secret) in
        [(metadata(), CALLBACK, false), (service, "https://service.example/cb", true)]
    {
        let registration = provider.register(&metadata).await.unwrap();
        let kept = serde_json::to_string(&registration).unwrap();
        assert_eq!(kept.contains("client_secret\""), secret, "{kept}");
        let registration: Registration = serde_json::from_str(&kept).unwrap();
        assert_eq!(registration.issuer(), world.provider.issuer());
        let ends = secret.then(|| world.clock.now() + Duration::from_secs(3600));
        assert_eq!(registration.secret_expires_at(), ends);
        let client = provider.registered_client(&registration).unwrap();
        let client = client.clock(world.clock.reader());
        assert_eq!(client.client_id(), registration.client_id());
        let login = client.authorization_code(callback).unwrap().begin().unwrap();
        let callback = browse(login.url()).await;
        assert!(login.finish(&client, callback).await.is_ok());
    }
    assert_eq!(world.provider.counts().registrations, 2);
}

#[tokio::test]
async fn c7591_no_issuer_sees_the_registration_with_another() {
    let (_one, of_one) = open(|p| p).await;
    let (other, of_other) = open(|p| p).await;
    let registration = of_one.register(&metadata()).await.unwrap();
    let error = of_other.registered_client(&registration).unwrap_err();
    assert!(error.is_config());
    assert_eq!(
        error.to_string(),
        "the registration is with another issuer; register with this one"
    );
    assert_eq!(other.provider.counts().token_requests, 0);
}

const ISSUER: &str = "https://issuer.example";

/// A registration that is answered so.
async fn answered(status: u16, body: String) -> Result<Registration, Error> {
    answered_to(&metadata(), status, body).await
}

async fn answered_to(
    metadata: &ClientMetadata,
    status: u16,
    body: String,
) -> Result<Registration, Error> {
    let document = json!({
        "issuer": ISSUER,
        "token_endpoint": "https://issuer.example/token",
        "registration_endpoint": "https://issuer.example/register",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
    });
    let site = Site::new([(200, document.to_string()), (status, body)]);
    let provider = Provider::discover_with(ISSUER, site.http()).await.unwrap().unwrap();
    let answer = provider.register(metadata).await;
    assert_eq!(site.asked_urls().len(), 2, "one registration request");
    answer
}

#[tokio::test]
async fn c7591_3_2_1_answers_that_are_no_registration_of_this_client() {
    let with = |members: Value| (201, members.to_string());
    for ((status, body), why) in [
        (with(json!({})), "client_id is missing"),
        (with(json!({ "client_id": "" })), "client_id is missing"),
        (with(json!({ "client_id": 7 })), "client_id is missing"),
        (with(json!({ "client_id": "a\nb" })), "has characters that are not allowed"),
        (with(json!({ "client_id": "a".repeat(5000) })), "is too long"),
        (
            with(json!({ "client_id": "a", "client_secret": "\u{0}" })),
            "characters that are not allowed",
        ),
        (
            with(json!({ "client_id": "a", "redirect_uris": ["https://other.example/cb"] })),
            "it is for other redirect URIs than were asked for",
        ),
        (
            with(json!({ "client_id": "a", "token_endpoint_auth_method": "private_key_jwt" })),
            "its token_endpoint_auth_method \"private_key_jwt\" is not one that was asked for",
        ),
        (
            with(json!({ "client_id": "a", "token_endpoint_auth_method": "client_secret_basic" })),
            "client_secret is missing",
        ),
        ((201, "<html></html>".to_owned()), "it is neither JSON nor a form"),
        ((200, "x".repeat(2_000_000)), "it is longer than"),
        ((302, String::new()), "no redirect is followed"),
    ] {
        let error = answered(status, body).await.unwrap_err();
        assert!(error.is_malformed_response(), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    let body = json!({ "error": "invalid_redirect_uri", "error_description": "no" }).to_string();
    let error = answered(400, body).await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_redirect_uri"));
}

/// Some servers read a URI and write it anew, with its path.
#[tokio::test]
async fn c7591_3_2_1_a_redirect_uri_may_come_back_in_another_form() {
    for (asked, registered, is_same) in [
        ("http://127.0.0.1:8914", "http://127.0.0.1:8914/", true),
        ("https://ME.example:443/cb", "https://me.example/cb", true),
        ("com.example.app:/cb", "com.example.app:/cb", true),
        ("http://127.0.0.1:8914/cb", "http://127.0.0.1:8914/cb/", false),
        ("http://127.0.0.1:8914", "http://127.0.0.1:8915/", false),
        ("http://127.0.0.1:8914", "8914", false),
    ] {
        let metadata = ClientMetadata::new("My tool").redirect_uri(asked);
        let body = json!({ "client_id": "a", "redirect_uris": [registered] }).to_string();
        let answer = answered_to(&metadata, 201, body).await;
        assert_eq!(answer.is_ok(), is_same, "{asked} {registered}");
    }
}

#[tokio::test]
async fn c7591_3_2_1_values_that_the_provider_leaves_out_or_changes() {
    let used = async |members: Value| answered(201, members.to_string()).await.unwrap();
    // More redirect URIs than were asked for, and members that nobody knows.
    let registration = used(json!({
        "client_id": "a", "redirect_uris": ["https://x.example", CALLBACK], "x": {},
    }))
    .await;
    assert_eq!((registration.client_id(), registration.issuer()), ("a", ISSUER));
    for (ends, expected) in [
        (json!(0), None),
        (Value::Null, None),
        (json!(-5), None),
        (json!("soon"), None),
        (json!(1_900_000_000), Some(1_900_000_000)),
        (json!(1.9e9), Some(1_900_000_000)),
        (json!("1900000000"), Some(1_900_000_000)),
        (json!("0"), None),
        (json!(1_900_000_000_000_i64), Some(1_900_000_000)),
    ] {
        let registration = used(json!({
            "client_id": "a", "client_secret": "s", "client_secret_expires_at": ends,
        }))
        .await;
        let expected = expected.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(registration.secret_expires_at(), expected, "{ends}");
    }
    // Far beyond any clock.
    used(json!({ "client_id": "a", "client_secret": "s", "client_secret_expires_at": 1e300 }))
        .await
        .secret_expires_at();
}

/// "The authorization server MUST return all registered metadata about this client": one that does not has
/// registered what was asked for.
#[tokio::test]
async fn c7591_3_2_1_a_method_that_is_left_out_is_the_one_that_was_asked_for() {
    for (listed, method) in [
        ("client_secret_post", "client_secret_post"),
        ("client_secret_basic", "client_secret_basic"),
        // A secret that nobody has asked for is for the default.
        ("none", "client_secret_basic"),
    ] {
        let document = json!({
            "issuer": ISSUER,
            "token_endpoint": "https://issuer.example/token",
            "registration_endpoint": "https://issuer.example/register",
            "token_endpoint_auth_methods_supported": [listed],
        });
        let registered = json!({ "client_id": "a", "client_secret": "s" });
        let site = Site::new([(200, document.to_string()), (201, registered.to_string())]);
        let provider = Provider::discover_with(ISSUER, site.http()).await.unwrap().unwrap();
        let registration = provider.register(&metadata()).await.unwrap();
        let kept = serde_json::to_value(&registration).unwrap();
        assert_eq!(kept["token_endpoint_auth_method"], method, "{listed}");
    }
}

#[tokio::test]
async fn a_provider_without_registration_is_an_error_that_says_what_to_do() {
    let world = World::new().await;
    let provider = Provider::discover(world.provider.issuer()).await.unwrap().unwrap();
    let error = provider.register(&metadata()).await.unwrap_err();
    assert!(error.is_config());
    assert_eq!(
        error.to_string(),
        "the provider has no registration endpoint; register the application by hand, and give its client id"
    );
}

#[tokio::test]
async fn a_client_that_is_known_by_its_document_logs_in() {
    const ID: &str = "https://tool.example/client.json";
    let document = metadata().document(ID);
    assert_eq!(
        document,
        json!({
            "client_id": ID,
            "application_type": "native",
            "client_name": "My tool",
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [CALLBACK],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        })
    );
    let world = World::with(|p| p.client_id_document(ID, &document)).await;
    let provider = Provider::discover(world.provider.issuer()).await.unwrap().unwrap();
    let supported = provider.member("client_id_metadata_document_supported");
    assert_eq!(supported, Some(&Value::Bool(true)));
    let client = provider.client(ID).clock(world.clock.reader());
    let login = client.authorization_code(CALLBACK).unwrap().begin().unwrap();
    let callback = browse(login.url()).await;
    assert!(login.finish(&client, callback).await.is_ok());
    assert_eq!(world.provider.token_requests()[0].param("client_id"), Some(ID));
}

#[cfg(feature = "keys")]
mod with_a_key {
    use reqwest_oauth2::{ClientAuthentication, SigningKey};

    use super::*;

    fn key() -> SigningKey {
        SigningKey::generate().unwrap().with_key_id("2026-11")
    }

    #[tokio::test]
    async fn c7591_2_a_client_is_registered_with_its_public_key_and_signs() {
        let (world, provider) = open(|p| p).await;
        let (key, next) = (key(), key().with_key_id("2027-01"));
        let metadata = metadata().signing_key(&key).signing_key(&next);
        let registration = provider.register(&metadata).await.unwrap();
        let asked = world.provider.registrations().pop().unwrap();
        assert_eq!(asked["jwks"], json!({ "keys": [key.public_jwk(), next.public_jwk()] }));
        assert_eq!(asked["token_endpoint_auth_method"], "private_key_jwt");
        assert_eq!(asked["token_endpoint_auth_signing_alg"], "ES256");
        assert!(asked["jwks"]["keys"][0].get("d").is_none());
        // Another process goes on with what was kept, and with the key.
        let kept = serde_json::to_string(&registration).unwrap();
        assert!(!kept.contains("client_secret") && !kept.contains("PRIVATE KEY"), "{kept}");
        let registration: Registration = serde_json::from_str(&kept).unwrap();
        let client = || {
            let client = provider.registered_client(&registration).unwrap();
            client.clock(world.clock.reader())
        };
        let signing = client().signing_key(key);
        let login = signing.authorization_code(CALLBACK).unwrap().begin().unwrap();
        let callback = browse(login.url()).await;
        login.finish(&signing, callback).await.unwrap();
        let request = world.provider.token_requests().pop().unwrap();
        assert!(request.param("client_assertion").is_some());
        assert_eq!((request.param("client_secret"), &request.authorization), (None, &None));
        assert_eq!(request.param("client_id"), Some("registered-1"));

        let send = async |client: reqwest_oauth2::OAuthClient| {
            client.token_request("client_credentials").send().await
        };
        send(signing).await.unwrap();
        let error = send(client()).await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains("OAuthClient::signing_key"));
        let other = SigningKey::generate().unwrap().with_key_id("2026-11");
        let error = send(client().signing_key(other)).await.unwrap_err();
        assert_eq!(error.error_code(), Some("invalid_client"));
        let error = send(client().authentication(ClientAuthentication::None)).await.unwrap_err();
        assert_eq!(error.error_code(), Some("invalid_client"));
    }

    #[tokio::test]
    async fn c7591_2_a_key_that_the_provider_does_not_take_is_an_error_before_anything_is_sent() {
        for (name, listed, why) in [
            (
                "token_endpoint_auth_methods_supported",
                json!(["client_secret_basic", "none"]),
                "by its metadata the provider does not authenticate clients with private_key_jwt; leave out ClientMetadata::signing_key",
            ),
            (
                "token_endpoint_auth_signing_alg_values_supported",
                json!(["RS256", "PS256"]),
                "by its metadata the provider does not take assertions that are signed with the algorithm of the key; give ClientMetadata::signing_key another key",
            ),
        ] {
            let edit = move |members: &mut Map<String, Value>| {
                members.insert(name.into(), listed.clone());
            };
            let (world, provider) = open(|p| p.metadata(edit)).await;
            let error = provider.register(&metadata().signing_key(&key())).await.unwrap_err();
            assert!(error.is_config());
            assert_eq!(error.to_string(), why);
            assert_eq!(world.provider.counts().registrations, 0);
        }
    }

    #[tokio::test]
    async fn c7591_2_an_empty_list_of_algorithms_lists_none() {
        let edit = |members: &mut Map<String, Value>| {
            let methods = json!(["private_key_jwt"]);
            members.insert("token_endpoint_auth_methods_supported".into(), methods);
            let name = "token_endpoint_auth_signing_alg_values_supported";
            members.insert(name.into(), json!([]));
        };
        let (_world, provider) = open(|p| p.metadata(edit)).await;
        provider.register(&metadata().signing_key(&key())).await.unwrap();
    }

    #[tokio::test]
    async fn c7591_3_2_1_a_secret_in_place_of_the_key_is_refused() {
        for method in ["client_secret_basic", "none"] {
            let edit = move |members: &mut Map<String, Value>| {
                members.insert("token_endpoint_auth_method".into(), method.into());
                members.insert("client_secret".into(), "s3cret".into());
            };
            let (_world, provider) = open(|p| p.registration_response(edit)).await;
            let error = provider.register(&metadata().signing_key(&key())).await.unwrap_err();
            assert!(error.is_malformed_response(), "{error}");
            let why =
                format!("its token_endpoint_auth_method {method:?} is not one that was asked for");
            assert!(error.to_string().contains(&why), "{error}");
            assert!(!format!("{error} {error:?}").contains("s3cret"));
        }
    }

    #[test]
    fn a_document_has_the_public_key() {
        let key = key();
        let document = metadata().signing_key(&key).document("https://tool.example/client.json");
        assert_eq!(document["token_endpoint_auth_method"], "private_key_jwt");
        assert_eq!(document["jwks"], json!({ "keys": [key.public_jwk()] }));
    }
}

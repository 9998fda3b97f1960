//! Discovery: RFC 8414 and OpenID Connect.

use reqwest_oauth2::testing::{Fault, MetadataDocument, ProviderBuilder};
use reqwest_oauth2::{Error, OAuthClient, Provider};
use serde_json::{Map, Value, json};

use crate::support::site::Site;
use crate::support::{World, pass};

async fn discover(
    set_up: impl FnOnce(ProviderBuilder) -> ProviderBuilder,
) -> (World, Result<OAuthClient, Error>) {
    let world = World::with(set_up).await;
    let client = OAuthClient::discover(world.provider.issuer(), "foo").await;
    (world, client)
}

#[tokio::test]
async fn every_endpoint_is_found_wherever_the_document_is() {
    use MetadataDocument::{OAuth, OpenIdConnect};
    for (path, documents, requests) in [
        ("", vec![OAuth, OpenIdConnect], 1),
        ("", vec![OpenIdConnect], 2),
        ("/tenant1", vec![OAuth, OpenIdConnect], 1),
        ("/tenant1", vec![OpenIdConnect], 2),
    ] {
        let note = format!("{path} {documents:?}");
        let (world, client) = discover(|p| p.issuer_path(path).discovery(documents)).await;
        let app = client.unwrap().secret("potato");
        assert_eq!(world.provider.counts().metadata_requests, requests, "{note}");
        assert!(app.token_request("client_credentials").send().await.is_ok());
        assert!(app.authorization_code("https://me.example/cb").is_ok());
        assert!(app.device_authorization().begin().await.is_ok());
        assert!(app.revoke("x", reqwest_oauth2::TokenTypeHint::AccessToken).await.is_ok());
        assert!(
            !app.introspect("x", reqwest_oauth2::TokenTypeHint::AccessToken).await.unwrap().active
        );
    }
}

#[tokio::test]
async fn a_provider_without_a_document_is_an_error_with_its_status() {
    let (world, client) = discover(|p| p.discovery([])).await;
    assert_eq!(client.unwrap_err().status().unwrap(), 404);
    assert_eq!(world.provider.counts().metadata_requests, 2);
}

#[tokio::test]
async fn a_document_that_is_not_that_issuers_is_discarded() {
    type Edit = fn(&mut Map<String, Value>);
    let edits: [(&str, Edit, &str); 7] = [
        (
            "a slash",
            |m| {
                let it = m["issuer"].as_str().unwrap().to_owned() + "/";
                m.insert("issuer".into(), it.into());
            },
            "its issuer is",
        ),
        (
            "another",
            |m| {
                m.insert("issuer".into(), "https://evil.example".into());
            },
            "its issuer is \"https://evil.example\"",
        ),
        (
            "none",
            |m| {
                m.remove("issuer");
            },
            "its issuer is \"\"",
        ),
        (
            "a number",
            |m| {
                m.insert("issuer".into(), 7.into());
            },
            "its issuer is \"\"",
        ),
        (
            "plain http",
            |m| {
                m.insert("token_endpoint".into(), "http://evil.example/token".into());
            },
            "the token_endpoint cannot be used: it is plain http",
        ),
        (
            "no URL",
            |m| {
                m.insert("authorization_endpoint".into(), "/authorize".into());
            },
            "the authorization_endpoint is not an absolute URL",
        ),
        (
            "no token endpoint",
            |m| {
                m.remove("token_endpoint");
            },
            "token_endpoint is missing",
        ),
    ];
    for (what, edit, why) in edits {
        let (_world, client) = discover(|p| p.metadata(edit)).await;
        let error = client.unwrap_err();
        assert!(
            error.is_malformed_response() && error.to_string().contains(why),
            "{what}: {error}"
        );
        // Nothing about it changes by waiting.
        assert!(error.is_config() && !error.is_transient(), "{what}: {error}");
    }
}

#[tokio::test]
async fn an_optional_endpoint_that_is_empty_is_none() {
    let (world, client) = discover(|p| {
        p.metadata(|members| {
            for name in ["registration_endpoint", "introspection_endpoint"] {
                members.insert(name.into(), "".into());
            }
            members
                .insert("mtls_endpoint_aliases".into(), serde_json::json!({"token_endpoint": ""}));
        })
    })
    .await;
    let client = client.unwrap();
    let provider = reqwest_oauth2::Provider::discover(world.provider.issuer()).await;
    let provider = provider.unwrap().unwrap();
    assert_eq!(provider.endpoint("registration_endpoint"), None);
    assert!(provider.endpoint("token_endpoint").is_some());
    let error = client.introspect("x", reqwest_oauth2::TokenTypeHint::AccessToken).await;
    assert!(error.unwrap_err().is_config());
    // One that nobody can do without is missing.
    let (_world, client) = discover(|p| {
        p.metadata(|members| {
            members.insert("token_endpoint".into(), "".into());
        })
    })
    .await;
    assert!(client.unwrap_err().to_string().contains("token_endpoint is missing"));
}

#[tokio::test]
async fn code_points_are_compared_and_nothing_is_normalised() {
    // The same text in Unicode's composed and decomposed forms is not the same issuer.
    let (_world, client) = discover(|p| {
        p.issuer_path("/caf%C3%A9").metadata(|members| {
            let other = members["issuer"].as_str().unwrap().replace("%C3%A9", "e%CC%81");
            members.insert("issuer".into(), other.into());
        })
    })
    .await;
    assert!(client.unwrap_err().is_malformed_response());
}

#[tokio::test]
async fn discovery_is_bounded_and_follows_no_redirect() {
    let other = World::new().await;
    for fault in [
        Fault::EndlessBody,
        Fault::HtmlPage,
        Fault::Redirect { status: 302, location: other.provider.token_url() },
    ] {
        let world = World::new().await;
        world.provider.fail_metadata(fault.clone());
        let error = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap_err();
        assert!(error.is_malformed_response() && error.is_transient(), "{fault:?}: {error}");
        assert_eq!(world.provider.counts().metadata_requests, 2, "{fault:?}");
    }
    assert_eq!(other.provider.counts().token_requests, 0);

    let world = World::new().await;
    world.provider.fail_metadata(Fault::Hang);
    let issuer = world.provider.issuer();
    let waiting =
        tokio::spawn(async move { OAuthClient::discover(issuer, "foo").await.unwrap_err() });
    while world.provider.counts().metadata_requests == 0 {
        tokio::task::yield_now().await;
    }
    pass(30).await;
    let error = waiting.await.unwrap();
    assert!(error.is_timeout());
    assert_eq!(error.to_string(), "no complete response from the metadata document within 30s");
}

#[tokio::test]
async fn an_issuer_that_is_none_is_refused_before_anything_is_asked() {
    for issuer in [
        "http://provider.example",
        "provider.example",
        "https://p.example?x",
        "https://p.example#x",
        "",
    ] {
        let error = OAuthClient::discover(issuer, "foo").await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains("issuer"), "{issuer}: {error}");
    }
}

fn document(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "https://issuer.example/authorize",
        "token_endpoint": "https://issuer.example/token",
    })
}

const ISSUER: &str = "https://issuer.example/tenant1";
const LOCATIONS: [&str; 3] = [
    "/.well-known/oauth-authorization-server/tenant1",
    "/.well-known/openid-configuration/tenant1",
    "/tenant1/.well-known/openid-configuration",
];

/// What servers answer where they have no metadata, or not just now.
fn misses() -> Vec<(u16, String)> {
    let other = document("https://other.example").to_string();
    let unfit = json!({ "issuer": ISSUER, "token_endpoint": "http://issuer.example/token" });
    vec![
        (200, "<!doctype html><html></html>".to_owned()),
        (200, String::new()),
        (200, "[]".to_owned()),
        (200, "{".to_owned()),
        (200, "x".repeat(2_000_000)),
        (200, other),
        (200, json!({ "issuer": ISSUER }).to_string()),
        (200, unfit.to_string()),
        (204, String::new()),
        (302, String::new()),
        (308, "<html></html>".to_owned()),
        (400, json!({ "error": "invalid_request" }).to_string()),
        (401, String::new()),
        (403, "<html></html>".to_owned()),
        (404, String::new()),
        (405, String::new()),
        (410, String::new()),
        (429, String::new()),
        (500, "oops".to_owned()),
        (503, String::new()),
    ]
}

#[tokio::test]
async fn mcp_disc_b_whatever_one_location_answers_the_next_is_asked() {
    for (status, body) in misses() {
        let note = format!("{status} {}", body.get(..40).unwrap_or(&body));
        for failing in 1..=2 {
            let miss = (status, body.clone());
            let found = (200, document(ISSUER).to_string());
            let site = Site::new(vec![miss; failing].into_iter().chain([found]));
            let client = site.discover(ISSUER).await;
            assert!(client.is_ok(), "{note}: {client:?}");
            assert_eq!(site.asked(), LOCATIONS[..=failing], "{note}");
        }
    }
}

#[tokio::test]
async fn the_error_says_what_each_location_answered() {
    let other = document("https://other.example").to_string();
    let site = Site::new([(404, String::new()), (200, other), (302, String::new())]);
    let error = site.discover(ISSUER).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("no metadata of this issuer can be used: at /.well-known/"), "{text}");
    for (location, answer) in LOCATIONS.iter().zip([
        "404",
        "its issuer is \"https://other.example\", not the one that was asked for; give it exactly as the provider names it",
        "302",
    ]) {
        let at = text.find(&format!("at {location}: ")).unwrap_or_else(|| panic!("{text}"));
        let end = text[at..].find("; at ").map_or(text.len(), |end| at + end);
        assert!(text[at..end].contains(answer), "{location}: {text}");
    }
    assert_eq!(site.asked(), LOCATIONS);

    // However much they answer.
    let long = json!({ "issuer": "\u{1b}x".repeat(100_000) }).to_string();
    let error = Site::new(vec![(200, long); 3]).discover(ISSUER).await.unwrap_err();
    assert!(error.to_string().len() < 5000, "{}", error.to_string().len());
    assert!(!error.to_string().contains('\u{1b}'));
}

#[tokio::test]
async fn a_wrong_issuer_does_not_pass_by_waiting_and_an_outage_does() {
    let other = || (200, document("https://other.example").to_string());
    let page = || (200, "<html></html>".to_owned());
    let status = |status| (status, String::new());
    for (answers, transient, malformed, decisive) in [
        ([other(), status(404), status(404)], false, true, 200),
        ([status(404), other(), status(404)], false, true, 200),
        ([page(), other(), page()], false, true, 200),
        ([status(404), status(404), status(404)], false, false, 404),
        ([other(), status(503), status(404)], true, false, 503),
        ([status(503), other(), status(404)], true, false, 503),
        ([status(404), status(404), status(429)], true, false, 429),
        ([status(500), status(404), status(404)], true, false, 500),
        ([page(), status(404), status(404)], true, true, 200),
    ] {
        let note = format!("{answers:?}");
        let error = Site::new(answers).discover(ISSUER).await.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{note}: {error}");
        assert_eq!(error.is_config(), !transient, "{note}: {error}");
        assert_eq!(error.is_malformed_response(), malformed, "{note}: {error}");
        assert_eq!(error.status().unwrap(), decisive, "{note}: {error}");
    }
}

#[tokio::test]
async fn a_public_issuer_leads_to_no_address_that_only_this_network_knows() {
    for host in [
        "127.0.0.1",
        "127.1.2.3:8080",
        "2130706433",
        "localhost",
        "localhost.:9",
        "a.localhost",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "[::1]",
        "[::]",
        "[fd00::1]",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[::ffff:7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[::127.0.0.1]",
    ] {
        for name in [
            "token_endpoint",
            "authorization_endpoint",
            "device_authorization_endpoint",
            "revocation_endpoint",
            "introspection_endpoint",
            "registration_endpoint",
            "pushed_authorization_request_endpoint",
        ] {
            for scheme in ["http", "https"] {
                let mut document = document(ISSUER);
                document[name] = format!("{scheme}://{host}/x").into();
                let site = Site::new(vec![(200, document.to_string()); 3]);
                let error = site.discover(ISSUER).await.unwrap_err();
                assert!(error.is_config() && error.is_malformed_response(), "{host}: {error}");
                let expected = format!("the {name} cannot be used: it");
                assert!(error.to_string().contains(&expected), "{host}: {error}");
                // Set by hand it is the application's own decision.
                let by_hand = OAuthClient::new("foo", format!("https://{host}/x"));
                assert!(by_hand.is_ok(), "{host}");
            }
        }
    }
    for host in
        ["issuer.example", "8.8.8.8", "203.0.113.7", "[2606:4700::1111]", "[::ffff:8.8.8.8]"]
    {
        let mut document = document(ISSUER);
        document["token_endpoint"] = format!("https://{host}/token").into();
        assert!(Site::new([(200, document.to_string())]).discover(ISSUER).await.is_ok(), "{host}");
    }
}

#[tokio::test]
async fn an_issuer_in_a_network_of_its_own_leads_there() {
    for (issuer, host, allowed) in [
        ("https://10.0.0.1", "10.9.9.9", true),
        ("https://10.0.0.1", "[fd00::1]", true),
        ("https://10.0.0.1", "8.8.8.8", true),
        ("https://10.0.0.1", "127.0.0.1", false),
        ("https://10.0.0.1", "169.254.169.254", false),
        ("https://[fd00::1]", "192.168.0.1", true),
        ("http://localhost:9", "127.0.0.1:9", true),
        ("http://[::1]:9", "localhost:9", true),
        ("http://127.0.0.1:9", "10.0.0.1", false),
        ("http://127.0.0.1:9", "169.254.169.254", false),
        ("http://127.0.0.1:9", "0.0.0.0", false),
    ] {
        let document =
            json!({ "issuer": issuer, "token_endpoint": format!("https://{host}/token") });
        let outcome = Site::new(vec![(200, document.to_string()); 3]).discover(issuer).await;
        assert_eq!(outcome.is_ok(), allowed, "{issuer} {host}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_provider_tells_what_its_metadata_says() {
    let mut document = document(ISSUER);
    document["scopes_supported"] = json!(["read", "offline_access"]);
    document["registration_endpoint"] = "https://issuer.example/register".into();
    document["require_pushed_authorization_requests"] = true.into();
    document["mtls_endpoint_aliases"] =
        json!({ "token_endpoint": "https://mtls.issuer.example/token", "other": 7 });
    let site = Site::new([(200, document.to_string())]);
    let provider = Provider::discover_with(ISSUER, site.http()).await.unwrap().unwrap();
    assert_eq!(provider.issuer(), ISSUER);
    assert_eq!(provider.member("scopes_supported"), Some(&json!(["read", "offline_access"])));
    assert_eq!(provider.member("absent"), None);
    let registration = provider.endpoint("registration_endpoint").unwrap();
    assert_eq!(registration.as_str(), "https://issuer.example/register");
    assert_eq!(provider.endpoint("revocation_endpoint"), None);
    let token = provider.mtls_endpoint("token_endpoint").unwrap();
    assert_eq!(token.as_str(), "https://mtls.issuer.example/token");
    assert_eq!(provider.mtls_endpoint("revocation_endpoint"), None);
    // Clients know where they come from.
    assert_eq!(provider.client("foo").provider().unwrap().issuer(), ISSUER);
    assert!(OAuthClient::new("foo", "https://issuer.example/token").unwrap().provider().is_none());
    assert_eq!(site.asked(), LOCATIONS[..1]);
}

#[tokio::test]
async fn a_provider_without_any_metadata_is_none_and_one_whose_metadata_is_unfit_an_error() {
    let absent = |status| (status, String::new());
    let site = Site::new([absent(404), absent(403), absent(405)]);
    assert!(Provider::discover_with(ISSUER, site.http()).await.unwrap().is_none());
    assert_eq!(site.asked(), LOCATIONS);
    for unfit in [absent(503), (200, "<html></html>".to_owned()), (302, String::new())] {
        let note = format!("{unfit:?}");
        let site = Site::new([absent(404), unfit, absent(404)]);
        let error = Provider::discover_with(ISSUER, site.http()).await.unwrap_err();
        assert!(error.is_transient(), "{note}: {error}");
    }
}

#[tokio::test]
async fn an_alias_leads_nowhere_that_its_endpoint_may_not() {
    for (alias, why) in [
        ("https://169.254.169.254/token", "its address leads to a link-local network"),
        ("http://issuer.example/token", "it is plain http"),
        ("/token", "is not an absolute URL"),
    ] {
        let mut document = document(ISSUER);
        document["mtls_endpoint_aliases"] = json!({ "token_endpoint": alias });
        let site = Site::new(vec![(200, document.to_string()); 3]);
        let error = Provider::discover_with(ISSUER, site.http()).await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains(why), "{alias}: {error}");
    }
}

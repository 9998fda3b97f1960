//! Discovery: RFC 8414 and OpenID Connect.

use reqwest_oauth2::testing::{Fault, MetadataDocument, ProviderBuilder};
use reqwest_oauth2::{Error, OAuthClient};
use serde_json::{Map, Value};

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
    }
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
        assert_eq!(world.provider.counts().metadata_requests, 1, "{fault:?}");
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

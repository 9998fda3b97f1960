//! Metadata of protected resources (RFC 9728).

use reqwest_oauth2::testing::{Fault, ProviderBuilder, ResourceDocument};
use reqwest_oauth2::{Challenge, Error, ProtectedResource};
use serde_json::{Value, json};
use url::Url;

use crate::support::site::Site;
use crate::support::{World, pass, plain_http};

const API: &str = "https://api.example/x";

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn challenge(field: &str) -> Challenge {
    let headers =
        http::HeaderMap::from_iter([(http::header::WWW_AUTHENTICATE, field.parse().unwrap())]);
    Challenge::all(&headers).swap_remove(0)
}

fn document(resource: &str) -> Value {
    json!({ "resource": resource, "authorization_servers": ["https://issuer.example"] })
}

async fn discover(
    site: &Site,
    challenge: Option<&Challenge>,
) -> Result<Option<ProtectedResource>, Error> {
    ProtectedResource::discover_with(&url(API), challenge, site.http()).await
}

/// The challenge of a bare request to the API, and the resource that it leads to.
async fn led_to(
    set_up: impl FnOnce(ProviderBuilder) -> ProviderBuilder,
) -> (World, Vec<Challenge>, Result<Option<ProtectedResource>, Error>) {
    let world = World::with(set_up).await;
    let response = plain_http().get(world.provider.api_url()).send().await.unwrap();
    assert_eq!(response.status(), 401);
    let challenges = Challenge::all(response.headers());
    let found = ProtectedResource::discover(response.url(), challenges.first()).await;
    (world, challenges, found)
}

#[tokio::test]
async fn mcp_disc_a_the_challenge_then_the_path_then_the_root() {
    use ResourceDocument::{AtPath, AtRoot, InChallenge};
    for (documents, requests) in [
        (vec![InChallenge], 1),
        (vec![InChallenge, AtPath, AtRoot], 1),
        (vec![AtPath], 1),
        (vec![AtPath, AtRoot], 1),
        (vec![AtRoot], 2),
    ] {
        let note = format!("{documents:?}");
        let (world, challenges, found) = led_to(|p| p.protected_resource(documents)).await;
        let resource = found.unwrap().unwrap();
        assert_eq!(resource.id(), world.provider.api_url(), "{note}");
        assert_eq!(resource.issuers(), [world.provider.issuer()], "{note}");
        assert_eq!(world.provider.counts().resource_metadata_requests, requests, "{note}");
        assert_eq!(challenges[0].resource_metadata().is_some(), note.contains("Challenge"));
        let provider = resource.provider(&world.provider.issuer()).await.unwrap().unwrap();
        assert_eq!(provider.issuer(), world.provider.issuer());
    }
}

#[tokio::test]
async fn an_api_without_metadata_is_none() {
    let (world, _, found) = led_to(|p| p).await;
    assert!(found.unwrap().is_none());
    assert_eq!(world.provider.counts().resource_metadata_requests, 2);
}

#[tokio::test]
async fn what_a_challenge_names_has_to_be_there_and_nothing_else_is_asked() {
    let (site, named) = (
        Site::new([(404, String::new())]),
        challenge(r#"Bearer resource_metadata="https://meta.example/a?b""#),
    );
    let error = discover(&site, Some(&named)).await.unwrap_err();
    assert!(error.is_config() && !error.is_transient(), "{error}");
    assert!(error.to_string().starts_with("no metadata of this resource can be used: at /a: "));
    assert_eq!(site.asked_urls(), ["https://meta.example/a?b"]);
}

#[tokio::test]
async fn c9728_7_4_a_and_c34_a_challenge_leads_nowhere_that_only_this_network_knows() {
    for (named, why) in [
        ("http://api.example/meta", "it is plain http"),
        ("/meta", "is not an absolute URL"),
        ("https://user:pw@api.example/meta", "it has user info"),
        ("file:///etc/passwd", "its scheme is not https"),
        ("https://127.0.0.1/meta", "its address leads to this machine (loopback)"),
        ("http://localhost:9/meta", "its address leads to this machine (loopback)"),
        ("https://169.254.169.254/meta", "its address leads to a link-local network"),
        ("https://10.0.0.1/meta", "its address leads to a private network"),
        ("https://[::ffff:10.0.0.1]/meta", "its address leads to a private network"),
        ("https://2130706433/meta", "its address leads to this machine (loopback)"),
    ] {
        let site = Site::new([]);
        let named = challenge(&format!("Bearer resource_metadata=\"{named}\""));
        let error = discover(&site, Some(&named)).await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains(why), "{error}");
        assert_eq!(site.asked_urls(), [""; 0]);
    }
}

#[tokio::test]
async fn c9728_3_3_a_metadata_of_another_resource_is_not_used() {
    for other in [
        "https://evil.example/x",
        "https://api.example/y",
        "https://api.example/x/y",
        "https://api.example/xy",
        "http://api.example/x",
        "https://api.example/x#y",
        "https://user@api.example/x",
        "",
        "x",
    ] {
        let site = Site::new(vec![(200, document(other).to_string()); 2]);
        let error = discover(&site, None).await.unwrap_err();
        assert!(error.is_config() && error.is_malformed_response(), "{other}: {error}");
        assert!(error.to_string().contains("it is the metadata of"), "{other}: {error}");
        assert_eq!(
            site.asked_urls(),
            [
                "https://api.example/.well-known/oauth-protected-resource/x",
                "https://api.example/.well-known/oauth-protected-resource"
            ]
        );
    }
    // The URL itself, or one above it: by whichever way the document was found.
    for own in [API, "https://api.example", "https://API.example:443/x/"] {
        let named = challenge(r#"Bearer resource_metadata="https://meta.example/""#);
        for named in [None, Some(&named)] {
            let site = Site::new([(200, document(own).to_string())]);
            assert_eq!(discover(&site, named).await.unwrap().unwrap().id(), own);
        }
    }
}

#[tokio::test]
async fn c36_a_resource_whose_servers_cannot_be_used_is_an_error() {
    let with = |servers: Value| {
        let mut document = document(API);
        document["authorization_servers"] = servers;
        document.to_string()
    };
    let one = json!("https://issuer.example");
    for (servers, why) in [
        (json!(vec![one.clone(); 1000]), "it names 1000 authorization servers, more than 20"),
        (json!(["http://issuer.example"]), "it is plain http"),
        (json!([one, "https://10.0.0.1"]), "its address leads to a private network"),
        (json!("https://issuer.example"), "its authorization_servers is not a list"),
        (json!([[]]), "one of its authorization servers is not a string"),
    ] {
        let site = Site::new(vec![(200, with(servers)); 2]);
        let error = discover(&site, None).await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains(why), "{error}");
        assert_eq!(site.asked_urls().len(), 2);
    }
    let site = Site::new([(200, json!({ "resource": API }).to_string())]);
    assert_eq!(discover(&site, None).await.unwrap().unwrap().issuers(), [""; 0]);
}

#[tokio::test]
async fn a_resource_that_names_itself_as_its_server_is_an_error_after_three_requests() {
    let document = json!({ "resource": API, "authorization_servers": [API] }).to_string();
    let site = Site::new(vec![(200, document); 4]);
    let resource = discover(&site, None).await.unwrap().unwrap();
    let error = resource.provider(API).await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("its issuer is \"\""), "{error}");
    assert_eq!(site.asked_urls().len(), 4);
}

#[tokio::test]
async fn an_issuer_that_the_resource_does_not_name_is_not_asked() {
    let site = Site::new([(200, document(API).to_string())]);
    let resource = discover(&site, None).await.unwrap().unwrap();
    for other in ["https://evil.example", "https://issuer.example/"] {
        assert!(resource.provider(other).await.unwrap_err().is_config());
    }
    assert_eq!(site.asked_urls().len(), 1);
}

#[tokio::test]
async fn scopes_and_other_members_are_told() {
    let mut document = document(API);
    document["scopes_supported"] = json!(["a", 7, "b"]);
    document["resource_name"] = "X".into();
    let site = Site::new([(200, document.to_string())]);
    let resource = discover(&site, None).await.unwrap().unwrap();
    assert_eq!(resource.scopes(), Some("a b"));
    assert_eq!(resource.member("resource_name"), Some(&json!("X")));
}

#[tokio::test]
async fn discovery_is_bounded_and_follows_no_redirect() {
    let other = World::new().await;
    let elsewhere = other.provider.api_url();
    for fault in [
        Fault::EndlessBody,
        Fault::HtmlPage,
        Fault::Redirect { status: 302, location: elsewhere.clone() },
        Fault::Redirect { status: 308, location: elsewhere.clone() },
    ] {
        let world = World::with(|p| p.protected_resource([ResourceDocument::AtPath])).await;
        world.provider.fail_resource_metadata(fault.clone());
        let api = url(&world.provider.api_url());
        let error = ProtectedResource::discover(&api, None).await.unwrap_err();
        assert!(error.is_malformed_response(), "{fault:?}: {error}");
        assert_eq!(world.provider.counts().resource_metadata_requests, 2, "{fault:?}");
    }
    assert_eq!(other.provider.counts().api_requests, 0);

    let world = World::with(|p| p.protected_resource([ResourceDocument::AtPath])).await;
    world.provider.fail_resource_metadata(Fault::Hang);
    let api = url(&world.provider.api_url());
    let waiting = tokio::spawn(async move { ProtectedResource::discover(&api, None).await });
    while world.provider.counts().resource_metadata_requests == 0 {
        tokio::task::yield_now().await;
    }
    pass(30).await;
    assert!(waiting.await.unwrap().unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_url_that_must_not_carry_a_token_is_refused_before_anything_is_asked() {
    for text in ["http://api.example/", "https://user@api.example/", "ftp://api.example/"] {
        assert!(ProtectedResource::discover(&url(text), None).await.unwrap_err().is_config());
    }
}

//! The token goes to the listed origins, and to nobody else.

use reqwest::header::AUTHORIZATION;
use reqwest_middleware::ClientBuilder;
use reqwest_oauth2::Origins;

use crate::support::{World, plain_http};

#[tokio::test]
async fn another_origin_never_sees_the_token_and_costs_no_renewal() {
    let (world, other) = (World::new().await, World::new().await);
    let session = world.session().token(world.expired_token()).build();
    let http = world.http(&session);
    let same_host_other_port = other.provider.api_url();
    assert_eq!(http.get(same_host_other_port).send().await.unwrap().status(), 401);
    let other_name = other.provider.api_url().replace("127.0.0.1", "localhost");
    assert_eq!(http.get(other_name).send().await.unwrap().status(), 401);
    assert_eq!(other.provider.counts().api_without_token, 2);
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_redirect_to_an_origin_that_is_not_listed_loses_the_token_and_its_401_renews_nothing() {
    let (world, other) = (World::new().await, World::new().await);
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    let request =
        http.get(world.provider.api_url()).header("x-redirect-to", other.provider.api_url());
    assert_eq!(request.send().await.unwrap().status(), 401);
    let counts = other.provider.counts();
    assert_eq!((counts.api_requests, counts.api_without_token), (1, 1));
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_redirect_within_the_origin_keeps_the_token() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    let request = http
        .get(world.provider.api_url())
        .header("x-redirect-to", world.provider.api_url() + "/there");
    // The header stays on the request, so the API redirects until reqwest has had enough.
    assert!(request.send().await.unwrap_err().is_redirect());
    assert_eq!(world.provider.counts().api_without_token, 0);
    assert!(world.provider.counts().api_ok > 1);
}

#[tokio::test]
async fn a_request_that_carries_authorization_is_left_alone() {
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    let http = world.http(&session);
    let request = http.get(world.provider.api_url()).header(AUTHORIZATION, "Basic Zm9vOmJhcg==");
    assert_eq!(request.send().await.unwrap().status(), 401);
    let seen = world.provider.api_requests();
    assert_eq!(seen[0].authorization.as_deref(), Some("Basic Zm9vOmJhcg=="));
    assert_eq!((seen.len(), world.provider.counts().token_requests), (1, 0));
}

#[tokio::test]
async fn user_info_in_a_url_is_the_callers_own_authorization() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    let url = world.provider.api_url().replace("http://", "http://user:pw@");
    assert_eq!(http.get(url).send().await.unwrap().status(), 401);
    assert!(world.shown().is_empty());
}

#[tokio::test]
async fn any_origin_means_any() {
    let (world, other) = (World::new().await, World::new().await);
    let session = world.session().token(world.token()).build();
    let http = ClientBuilder::new(plain_http())
        .with(session.middleware(Origins::any_origin()).unwrap())
        .build();
    assert_eq!(http.get(world.provider.api_url()).send().await.unwrap().status(), 200);
    http.get(other.provider.api_url()).send().await.unwrap();
    assert_eq!(other.provider.counts().api_without_token, 0);
}

#[tokio::test]
async fn an_origin_that_is_none_is_an_error_that_says_how_to_write_one() {
    let world = World::new().await;
    let session = world.session().build();
    let error = session.middleware(["https://api.example/v1?a"]).unwrap_err();
    assert!(error.is_config());
    assert_eq!(
        error.to_string(),
        "\"https://api.example/v1?a\" is not an origin: it has a query or a fragment; give scheme, host and port, and a path if only that is meant, such as https://api.example"
    );
}

#[tokio::test]
async fn a_token_for_a_path_goes_to_no_other_path_of_the_origin() {
    let world = World::new().await;
    let (tenant, origin) = (world.provider.api_url() + "/tenant-a", world.provider.origin());
    let session = world.session().token(world.token()).build();
    let origins = Origins::new([&tenant]).unwrap();
    let below = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest_oauth2::redirect_policy_within(origins.clone()))
        .build()
        .unwrap();
    let http = ClientBuilder::new(below).with(session.middleware(origins).unwrap()).build();
    for (path, status) in [
        ("/api/tenant-a", 200),
        ("/api/tenant-a/x", 200),
        ("/api/tenant-b", 401),
        ("/api/tenant-ab", 401),
        ("/api/tenant-a/../tenant-b", 401),
        ("/api/tenant-a/..%2ftenant-b", 401),
    ] {
        let response = http.get(format!("{origin}{path}")).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
    assert_eq!(world.provider.counts().api_without_token, 4);
    // A redirect within the origin, out of the path.
    let request = http.get(&tenant).header("x-redirect-to", world.provider.api_url() + "/tenant-b");
    assert_eq!(request.send().await.unwrap().status(), 307);
    let seen = world.provider.api_requests();
    assert_eq!((seen.len(), seen.last().unwrap().path_and_query.as_str()), (7, "/api/tenant-a"));
    // And one that stays below it is followed, with the token.
    let request = http.get(&tenant).header("x-redirect-to", format!("{tenant}/x"));
    assert!(request.send().await.unwrap_err().is_redirect());
    assert_eq!(world.provider.counts().api_without_token, 4);
}

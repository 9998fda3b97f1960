//! The token elsewhere than in `Authorization: Bearer`: each as sensitive as that.

use std::sync::Mutex;

use http::HeaderValue;
use reqwest::{Method, Request, Url};
use reqwest_oauth2::{Api, RequestError, Session, redirect_policy_within_origin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{World, plain_http};

/// What the client below was given: the header, and the query.
type Given = (Option<HeaderValue>, String);

/// Sends to the provider's API, which takes the token that `take` finds. What the client was given, and the
/// URL of the response.
async fn execute(
    world: &World,
    api: &Api,
    header: &str,
    take: impl Fn(&Given) -> String + Sync,
) -> (Vec<Given>, Url) {
    let (http, given) = (plain_http(), Mutex::new(Vec::new()));
    let send = |mut request: Request| {
        let found = request.headers_mut().remove(header);
        let found = (found, request.url().query().unwrap_or_default().to_owned());
        let bearer = format!("Bearer {}", take(&found));
        request.headers_mut().insert("authorization", bearer.parse().unwrap());
        given.lock().unwrap().push(found);
        http.execute(request)
    };
    let url = world.provider.api_url() + "?a=%20b";
    let request = Request::new(Method::GET, url.parse().unwrap());
    let response = api.execute(send, request).await.unwrap();
    assert_eq!(response.status(), 200);
    let url = response.url().clone();
    drop(response);
    (given.into_inner().unwrap(), url)
}

/// A session whose token is rejected at first, so that both ways to send are tried; and its API.
fn rejected(world: &World) -> (Session, Api) {
    let session = world.saving().token(world.token()).build();
    world.provider.revoke_access_tokens();
    let api = session.api([world.provider.origin()]).unwrap();
    (session, api)
}

#[tokio::test]
async fn another_header_and_another_scheme() {
    type SetUp = fn(Api) -> Api;
    let cases: [(&str, &str, SetUp); 4] = [
        ("x-shopify-access-token", "", |api| api.header("X-Shopify-Access-Token").unwrap()),
        ("authorization", "Zoho-oauthtoken ", |api| api.scheme("Zoho-oauthtoken").unwrap()),
        ("x-auth", "token ", |api| api.header("x-auth").unwrap().scheme("token").unwrap()),
        ("x-auth", "token ", |api| api.scheme("token").unwrap().header("x-auth").unwrap()),
    ];
    for (header, scheme, set_up) in cases {
        let world = World::new().await;
        let (session, api) = rejected(&world);
        let first = session.current_token().unwrap();
        let take = |(value, _): &Given| {
            let value = value.as_ref().unwrap().to_str().unwrap();
            value.strip_prefix(scheme).unwrap().to_owned()
        };
        let (given, _) = execute(&world, &set_up(api), header, take).await;
        let sent: Vec<_> = given.iter().map(|(value, _)| value.clone().unwrap()).collect();
        let tokens = [first.access_token().to_owned(), world.saved.last().access_token().into()];
        assert_eq!(sent, tokens.map(|token| format!("{scheme}{token}")));
        assert!(sent.iter().all(HeaderValue::is_sensitive));
        assert!(given.iter().all(|(_, query)| query == "a=%20b"));
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}

#[tokio::test]
async fn a_parameter_of_the_query_that_no_response_shows() {
    let world = World::new().await;
    let (session, api) = rejected(&world);
    let first = session.current_token().unwrap();
    let api = api.query_parameter("access_token").unwrap();
    let take = |(_, query): &Given| query.rsplit_once('=').unwrap().1.to_owned();
    let (given, url) = execute(&world, &api, "authorization", take).await;
    let tokens = [first.access_token().to_owned(), world.saved.last().access_token().into()];
    let sent: Vec<_> = given.into_iter().map(|(_, query)| query).collect();
    assert_eq!(sent, tokens.map(|token| format!("a=%20b&access_token={token}")));
    assert_eq!(url.as_str(), world.provider.api_url() + "?a=%20b");
}

#[tokio::test]
async fn no_error_shows_it() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let origin = format!("http://{nobody}");
    let api = session.api([&origin]).unwrap().query_parameter("access_token").unwrap();
    let request = || Request::new(Method::GET, format!("{origin}/x?a=b").parse().unwrap());
    let error = api.execute(&plain_http(), request()).await.unwrap_err();
    let RequestError::Send(sent) = &error else { panic!("{error}") };
    assert_eq!(sent.url().unwrap().as_str(), format!("{origin}/x?a=b"));
    let layer = reqwest_oauth2::OAuthMiddleware::from(api);
    let http = reqwest_middleware::ClientBuilder::new(plain_http()).with(layer).build();
    let through_layer = http.execute(request()).await.unwrap_err();
    assert_eq!(through_layer.url().unwrap().as_str(), format!("{origin}/x?a=b"));
    let token = session.current_token().unwrap();
    for shown in [format!("{error} {error:?} {sent}"), format!("{through_layer} {through_layer:?}")]
    {
        assert!(!shown.contains(token.access_token()), "{shown}");
    }
}

#[tokio::test]
async fn what_is_there_already_stays() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let api = session.api([world.provider.origin()]).unwrap();
    let in_header = api.clone().header("x-auth").unwrap();
    let in_query = api.query_parameter("access_token").unwrap();
    let http = plain_http();
    let get = |query: &str| http.get(world.provider.api_url() + query).header("x-auth", "own");
    for (api, query) in [(in_header, "?a=b"), (in_query, "?access%5Ftoken=own")] {
        let response = api.execute(&http, get(query).build().unwrap()).await.unwrap();
        assert_eq!(response.status(), 401);
    }
    let seen: Vec<_> = world.provider.api_requests();
    let urls: Vec<_> = seen.iter().map(|request| &*request.path_and_query).collect();
    assert_eq!(urls, ["/api?a=b", "/api?access%5Ftoken=own"]);
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_not_followed_with_the_policy() {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let location = world.provider.api_url();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = format!(
                "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let session = world.saving().token(world.token()).build();
    let api = session.api([&origin]).unwrap();
    let policy = redirect_policy_within_origin();
    let http = reqwest::Client::builder().no_proxy().redirect(policy).build().unwrap();
    for api in [api.clone().header("x-auth").unwrap(), api.query_parameter("t").unwrap()] {
        let request = http.get(&origin).build().unwrap();
        assert_eq!(api.execute(&http, request).await.unwrap().status(), 302);
    }
    assert_eq!(world.provider.counts().api_requests, 0);
}

#[tokio::test]
async fn what_cannot_be_a_place_is_refused() {
    let world = World::new().await;
    let api = world.session().build().api([world.provider.origin()]).unwrap();
    for name in ["", "a b", "a\r\nb", "é"] {
        assert!(api.clone().header(name).unwrap_err().is_config(), "{name:?}");
    }
    for scheme in ["", "a\nb", "é"] {
        assert!(api.clone().scheme(scheme).unwrap_err().is_config(), "{scheme:?}");
    }
    assert!(api.query_parameter("").unwrap_err().is_config());
}

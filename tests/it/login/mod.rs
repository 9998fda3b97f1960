//! The first token.

mod authorization_code;
mod device;
mod implicit;
mod loopback_example;
mod omitted_scope;
mod password;
mod pushed_request;

use reqwest::header::LOCATION;
use reqwest_oauth2::OAuthClient;
use url::Url;

use crate::support::World;

const REDIRECT_URI: &str = "https://me.example/cb";

async fn world() -> World {
    World::with(|p| p.redirect_uri(REDIRECT_URI)).await
}

/// The client, with the authorization endpoint, on the test's clock.
fn app(world: &World) -> OAuthClient {
    let app = world.app().authorization_endpoint(world.provider.authorize_url()).unwrap();
    app.clock(world.clock.reader())
}

/// Where the provider sends a browser that goes to the login.
pub async fn browse(url: &str) -> String {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let response = http.get(url).send().await.unwrap();
    assert_eq!(response.status(), 302);
    response.headers()[LOCATION].to_str().unwrap().to_owned()
}

fn query(url: &str) -> Vec<(String, String)> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

fn get(parameters: &[(String, String)], name: &str) -> String {
    parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

//! What the provider's tests share.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Response, redirect::Policy};
use reqwest_oauth2::testing::Provider;
use serde_json::Value;
use url::form_urlencoded::Serializer;

pub const FORM: &str = "application/x-www-form-urlencoded";

/// A token answer: its status and its JSON (null if it has none).
pub type Answer = (u16, Value);

pub fn http() -> Client {
    Client::builder().redirect(Policy::none()).no_proxy().build().unwrap()
}

pub fn form(params: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(params).finish()
}

/// A token request with these parameters and no authentication.
pub fn bare(provider: &Provider, params: &[(&str, &str)]) -> RequestBuilder {
    http().post(provider.token_url()).header(CONTENT_TYPE, FORM).body(form(params))
}

/// A token request of the default client.
pub fn request(provider: &Provider, params: &[(&str, &str)]) -> RequestBuilder {
    bare(provider, params).basic_auth("foo", Some("potato"))
}

pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

pub async fn refresh(provider: &Provider, token: &str) -> Answer {
    let params = [("grant_type", "refresh_token"), ("refresh_token", token)];
    answer(request(provider, &params)).await
}

pub async fn call(provider: &Provider, token: &str) -> Response {
    let call = http().get(provider.api_url()).header(AUTHORIZATION, format!("Bearer {token}"));
    call.send().await.unwrap()
}

/// A POST of the default client to another endpoint than the token endpoint.
pub fn post(url: String, params: &[(&str, &str)]) -> RequestBuilder {
    let post = http().post(url).header(CONTENT_TYPE, FORM).body(form(params));
    post.basic_auth("foo", Some("potato"))
}

pub fn assert_error(answer: &Answer, error: &str) {
    assert_eq!((answer.0, &answer.1["error"]), (400, &error.into()), "{answer:?}");
}

pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

pub fn access(value: &Value) -> String {
    text(value, "access_token")
}

pub fn refresh_of(value: &Value) -> String {
    text(value, "refresh_token")
}

/// A clock that tests move.
#[derive(Clone)]
pub struct Time(Arc<Mutex<SystemTime>>);

impl Time {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH)))
    }

    pub fn clock(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static {
        let time = self.clone();
        move || *time.0.lock().unwrap()
    }

    pub fn pass(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }
}

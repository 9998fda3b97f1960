//! Grants and client authentication of the embedded provider.

use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use reqwest_oauth2::testing::{AuthMethod, Provider};
use serde_json::{Value, json};
use url::Url;

use crate::support::provider_requests::{
    Answer, FORM, Time, access, answer, assert_error, bare, form, http, refresh, refresh_of,
    request, text,
};

const CLIENT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

#[tokio::test]
async fn client_credentials_without_and_with_refresh_token() {
    let provider = Provider::start().await.unwrap();
    let (status, json) = answer(request(&provider, &CLIENT)).await;
    assert_eq!(status, 200);
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["expires_in"], 3600);
    assert!(json["expires_in"].is_u64());
    assert_eq!(json["scope"], "read write");
    assert!(json.get("refresh_token").is_none());
    assert!(provider.accepts_access_token(&access(&json)));

    let builder = Provider::builder().issue_refresh_token_for_client_credentials(true);
    let provider = builder.start().await.unwrap();
    let (_, json) = answer(request(&provider, &CLIENT)).await;
    assert!(provider.accepts_refresh_token(&refresh_of(&json)));
}

#[tokio::test]
async fn password_grant() {
    let provider = Provider::start().await.unwrap();
    let with = |password| {
        let params = [("grant_type", "password"), ("username", "johndoe"), ("password", password)];
        answer(request(&provider, &params))
    };
    let (status, json) = with("A3ddj3w").await;
    assert_eq!(status, 200);
    assert!(provider.accepts_refresh_token(&refresh_of(&json)));
    let (status, json) = with("wrong").await;
    assert_eq!((status, &json["error"]), (400, &"invalid_grant".into()));
    let (status, json) = with("").await;
    assert_eq!((status, &json["error"]), (400, &"invalid_request".into()));
}

#[tokio::test]
async fn token_answers_are_not_stored() {
    let provider = Provider::start().await.unwrap();
    for secret in ["potato", "wrong"] {
        let request = bare(&provider, &CLIENT).basic_auth("foo", Some(secret));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    }
}

#[tokio::test]
async fn malformed_requests() {
    let provider = Provider::start().await.unwrap();
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[("grant_type", "magic")], "unsupported_grant_type"),
        (&[], "invalid_request"),
        (&[("grant_type", "")], "invalid_request"),
        (&[("grant_type", "refresh_token")], "invalid_request"),
        (&[("grant_type", "refresh_token"), ("refresh_token", "no")], "invalid_grant"),
        (&[("a", "1"), ("grant_type", "client_credentials"), ("a", "1")], "invalid_request"),
    ];
    for (params, error) in cases {
        let (status, json) = answer(request(&provider, params)).await;
        assert_eq!((status, &json["error"]), (400, &error.into()), "{params:?}");
    }

    let post = || http().post(provider.token_url()).basic_auth("foo", Some("potato"));
    let wrong =
        [post().body(form(&CLIENT)), post().header(CONTENT_TYPE, "application/json").body("{}")];
    for request in wrong {
        let (status, json) = answer(request).await;
        assert_eq!((status, &json["error"]), (400, &"invalid_request".into()));
    }
    let charset = "Application/X-WWW-Form-Urlencoded; charset=UTF-8";
    let (status, _) = answer(post().header(CONTENT_TYPE, charset).body(form(&CLIENT))).await;
    assert_eq!(status, 200);
    assert_eq!(provider.counts().token_requests, 9);
    assert_eq!(provider.counts().tokens_issued, 1);
}

#[tokio::test]
async fn only_post_and_only_known_paths() {
    let provider = Provider::start().await.unwrap();
    let response = http().get(provider.token_url()).send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()[ALLOW], "POST");
    for path in ["/", "/tokens", "/token/", "/apis"] {
        let response = http().post(provider.origin() + path).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
    }
    assert_eq!(provider.counts(), reqwest_oauth2::testing::Counts::default());
}

#[tokio::test]
async fn client_authentication_methods() {
    let post = |secret| [CLIENT[0], ("client_id", "foo"), ("client_secret", secret)];
    let (basic, post_body) = (AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost);
    for methods in [vec![basic, post_body], vec![basic], vec![post_body], vec![]] {
        let (basic_ok, post_ok) = (methods.contains(&basic), methods.contains(&post_body));
        let provider = Provider::builder().auth_methods(methods).start().await.unwrap();
        let expected = |ok| if ok { 200 } else { 401 };
        let basic = request(&provider, &CLIENT).send().await.unwrap();
        assert_eq!(basic.status(), expected(basic_ok));
        let body = bare(&provider, &post("potato")).send().await.unwrap();
        assert_eq!(body.status(), expected(post_ok));
        for refused in [
            bare(&provider, &post("wrong")),
            bare(&provider, &CLIENT),
            bare(&provider, &CLIENT).basic_auth("foo", Some("wrong")),
            bare(&provider, &CLIENT).basic_auth("bar", Some("potato")),
            bare(&provider, &CLIENT).bearer_auth("potato"),
            // The client comes before the grant.
            bare(&provider, &[("grant_type", "magic")]),
        ] {
            let response = refused.send().await.unwrap();
            assert_eq!(response.status(), 401);
            assert_eq!(response.headers()[WWW_AUTHENTICATE], r#"Basic realm="provider""#);
            assert!(response.text().await.unwrap().contains("invalid_client"));
        }
    }
}

#[tokio::test]
async fn one_authentication_method_in_each_request() {
    let provider = Provider::start().await.unwrap();
    let (status, _) = answer(request(&provider, &[CLIENT[0], ("client_id", "foo")])).await;
    assert_eq!(status, 200);
    for extra in [("client_id", "bar"), ("client_secret", "potato")] {
        let (status, json) = answer(request(&provider, &[CLIENT[0], extra])).await;
        assert_eq!((status, &json["error"]), (400, &"invalid_request".into()));
    }
}

#[tokio::test]
async fn basic_credentials_are_form_decoded() {
    let provider = Provider::builder().client("a:b", "p %+é").start().await.unwrap();
    let encoded = bare(&provider, &CLIENT).basic_auth("a%3Ab", Some("p+%25%2B%C3%A9"));
    assert_eq!(answer(encoded).await.0, 200);
    let raw = bare(&provider, &CLIENT).basic_auth("a:b", Some("p %+é"));
    assert_eq!(answer(raw).await.0, 401);
}

#[tokio::test]
async fn public_client() {
    let provider = Provider::builder().public_client("app").start().await.unwrap();
    let token = refresh_of(&provider.log_in());
    let params = [("grant_type", "refresh_token"), ("refresh_token", &token), ("client_id", "app")];
    let with_secret = [&params[..], &[("client_secret", "x")]].concat();
    for refused in [
        bare(&provider, &params[..2]),
        bare(&provider, &with_secret),
        bare(&provider, &params[..2]).basic_auth("app", Some("")),
    ] {
        assert_eq!(answer(refused).await.0, 401);
    }
    let (status, json) = answer(bare(&provider, &[CLIENT[0], params[2]])).await;
    assert_eq!((status, &json["error"]), (400, &"unauthorized_client".into()));
    let (status, json) = answer(bare(&provider, &params)).await;
    assert_eq!(status, 200);
    assert!(provider.accepts_access_token(&access(&json)));
}

#[tokio::test]
async fn scope_may_be_narrowed_but_not_widened() {
    let provider = Provider::start().await.unwrap();
    let token = refresh_of(&provider.log_in());
    let with = |scope| {
        let grant = [("grant_type", "refresh_token"), ("refresh_token", &*token), ("scope", scope)];
        answer(request(&provider, &grant))
    };
    let (status, json) = with("read admin").await;
    assert_eq!((status, &json["error"]), (400, &"invalid_scope".into()));
    assert!(provider.accepts_refresh_token(&token), "no rotation on an error");
    let (status, json) = with("read").await;
    assert_eq!((status, &json["scope"]), (200, &"read".into()));
    let (_, json) = refresh(&provider, &refresh_of(&json)).await;
    assert_eq!(json["scope"], "read write");
}

#[tokio::test]
async fn expires_in_on_the_wire() {
    let builder = Provider::builder().lifetime(Duration::from_millis(1500));
    let provider = builder.clone().start().await.unwrap();
    assert_eq!(provider.log_in()["expires_in"], 1.5);
    let provider = builder.no_expires_in().start().await.unwrap();
    assert!(provider.log_in().get("expires_in").is_none());
    let provider = Provider::builder().lifetime(Duration::MAX).start().await.unwrap();
    assert!(provider.accepts_access_token(&access(&provider.log_in())));
}

const CALLBACK: &str = "https://me.test/cb";

/// A client that has registered itself.
struct Registered<'a> {
    provider: &'a Provider,
    id: String,
    secret: String,
}

impl<'a> Registered<'a> {
    async fn new(provider: &'a Provider) -> Self {
        let metadata = json!({ "redirect_uris": [CALLBACK] }).to_string();
        let (status, json) =
            answer(http().post(provider.origin() + "/register").body(metadata)).await;
        assert_eq!(status, 201);
        Self { provider, id: text(&json, "client_id"), secret: text(&json, "client_secret") }
    }

    fn post(&self, url: String, params: &[(&str, &str)]) -> RequestBuilder {
        let post = http().post(url).header(CONTENT_TYPE, FORM).body(form(params));
        post.basic_auth(&self.id, Some(&self.secret))
    }

    async fn ask(&self, params: &[(&str, &str)]) -> Answer {
        answer(self.post(self.provider.token_url(), params)).await
    }

    async fn code(&self) -> String {
        let params = [("response_type", "code"), ("client_id", &*self.id)];
        let url = format!("{}?{}", self.provider.authorize_url(), form(&params));
        let response = http().get(url).send().await.unwrap();
        let callback = Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap();
        callback.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
    }

    async fn revoke(&self, token: &str) -> u16 {
        let request = self.post(self.provider.revocation_url(), &[("token", token)]);
        request.send().await.unwrap().status().as_u16()
    }
}

#[tokio::test]
async fn what_one_client_was_issued_no_other_can_use() {
    let provider = Provider::builder().registration(true).start().await.unwrap();
    let (one, other) = (Registered::new(&provider).await, Registered::new(&provider).await);

    let code = one.code().await;
    let params = [("grant_type", "authorization_code"), ("code", &code)];
    assert_error(&other.ask(&params).await, "invalid_grant");
    assert_error(&answer(request(&provider, &params)).await, "invalid_grant");
    let (status, login) = one.ask(&params).await;
    assert_eq!(status, 200);
    assert_error(&other.ask(&params).await, "invalid_grant");
    assert!(provider.accepts_access_token(&access(&login)), "the code came from elsewhere");

    let token = refresh_of(&login);
    let params = [("grant_type", "refresh_token"), ("refresh_token", &token)];
    assert_error(&other.ask(&params).await, "invalid_grant");
    let (status, login) = one.ask(&params).await;
    assert_eq!(status, 200);
    assert_error(&other.ask(&params).await, "invalid_grant");
    assert_eq!(provider.counts().reuse_detected, 0);

    let (_, device) = answer(one.post(provider.device_authorization_url(), &[])).await;
    assert!(provider.approve_device(&text(&device, "user_code")));
    let code = text(&device, "device_code");
    let params =
        [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", &code)];
    assert_error(&other.ask(&params).await, "invalid_grant");
    assert_eq!(one.ask(&params).await.0, 200);

    let token = access(&login);
    let (_, said) = answer(one.post(provider.introspection_url(), &[("token", &token)])).await;
    assert_eq!(said["client_id"], *one.id);

    for token in [access(&login), refresh_of(&login)] {
        assert_eq!(other.revoke(&token).await, 400);
    }
    assert!(provider.accepts_access_token(&access(&login)));
    assert!(provider.accepts_refresh_token(&refresh_of(&login)));
    assert_eq!(one.revoke(&refresh_of(&login)).await, 200);
    assert!(!provider.accepts_refresh_token(&refresh_of(&login)));
}

#[tokio::test]
async fn the_secret_of_a_registered_client_expires() {
    let time = Time::new();
    let builder = Provider::builder().registration(true).clock(time.clock());
    let provider = builder.client_secret_lifetime(Duration::from_secs(60)).start().await.unwrap();
    let client = Registered::new(&provider).await;
    time.pass(59);
    assert_eq!(client.ask(&CLIENT).await.0, 200);
    time.pass(1);
    let (status, json): (u16, Value) = client.ask(&CLIENT).await;
    assert_eq!((status, &json["error"]), (401, &"invalid_client".into()));
}

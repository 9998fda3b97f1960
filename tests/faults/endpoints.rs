//! The provider's endpoints, as the end of a chain of middleware.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Body, Request, Response, ResponseBuilderExt};
use reqwest_middleware::{Error, Middleware, Next, Result};
use serde_json::json;

use crate::fault_state::Outage;
use crate::model::Answer;
use crate::provider::Issued;
use crate::token_serial::TokenSerial;
use crate::world::{World, pause};

/// No `Retry-After` keeps a session from asking for longer.
const LONGEST_RETRY_AFTER: u64 = 3600;

pub struct Endpoints(pub World);

/// A token request, until it is answered.
struct Presented {
    world: World,
    refresh_token: TokenSerial,
    answered: bool,
}

impl Presented {
    fn answered(mut self, answer: Answer) {
        self.answered = true;
        self.world.with(|state| state.model.token_answered(self.refresh_token, answer));
    }
}

impl Drop for Presented {
    fn drop(&mut self) {
        if !self.answered {
            self.world.with(|state| state.model.token_request_dropped(self.refresh_token));
        }
    }
}

/// A revocation request that is not answered, until its caller gives it up.
struct HangingRevocation(World, TokenSerial);

impl Drop for HangingRevocation {
    fn drop(&mut self) {
        self.0.with(|state| state.model.revocation_answered(self.1, false));
    }
}

#[async_trait]
impl Middleware for Endpoints {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let body = request.body().and_then(Body::as_bytes).unwrap();
        let form = url::form_urlencoded::parse(body);
        let (_, presented) =
            form.into_owned().find(|(name, _)| name == "refresh_token" || name == "token").unwrap();
        let presented = TokenSerial::read(&presented).unwrap();
        if request.url().path() == "/revoke" {
            return self.revoke(&request, presented).await;
        }
        self.refresh(&request, presented).await
    }
}

impl Endpoints {
    async fn refresh(&self, request: &Request, presented: TokenSerial) -> Result<Response> {
        let (wait, outage) = self.0.with(|state| {
            state.model.note(format_args!("token request with {presented}"));
            state.model.presented(presented);
            let outage = state.outage.take();
            if let Some(outage) = outage {
                state.model.coverage.count(outage.name());
            }
            (state.wait(&[0, 0, 1, 40, 300]) + state.slow, outage)
        });
        let answered =
            Presented { world: self.0.clone(), refresh_token: presented, answered: false };
        pause(wait / 2).await;
        let issued = self.0.with(|state| {
            let issues = outage.is_none_or(Outage::is_after_issue);
            issues.then(|| state.provider.refresh(presented, self.0.clock().now())).flatten()
        });
        pause(wait / 2).await;
        let lost = || Error::middleware(std::io::Error::other("the connection is closed"));
        let later = |wait| Answer::Later(Duration::from_secs(wait));
        match outage {
            None => {
                answered.answered(issued.map_or(Answer::InvalidGrant, Answer::Token));
                let refused = || reply(request, 400, r#"{"error":"invalid_grant"}"#.to_owned());
                Ok(issued
                    .map_or_else(refused, |issued| reply(request, 200, token_response(&issued))))
            }
            Some(Outage::Status(status)) => {
                answered.answered(later(1));
                Ok(reply(request, status, "sorry".to_owned()))
            }
            Some(Outage::TooMany(seconds)) => {
                answered.answered(later(seconds.clamp(1, LONGEST_RETRY_AFTER)));
                let mut response = reply(request, 429, String::new());
                response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
                Ok(response)
            }
            Some(Outage::InvalidClient) => {
                answered.answered(later(60));
                Ok(reply(request, 401, r#"{"error":"invalid_client"}"#.to_owned()))
            }
            Some(Outage::Unreachable) => {
                answered.answered(later(1));
                Err(unreachable())
            }
            Some(Outage::Garbage | Outage::GarbageAfterIssue) => {
                answered.answered(Answer::Garbage);
                Ok(reply(request, 200, "<html>".to_owned()))
            }
            Some(Outage::LostBeforeIssue | Outage::LostAfterIssue) => {
                answered.answered(Answer::Lost);
                Err(lost())
            }
            Some(Outage::CutOff) => {
                answered.answered(Answer::Lost);
                let pieces = [Ok("{\"access_"), Err(std::io::Error::other("cut off"))];
                let body = Body::wrap_stream(futures_util::stream::iter(pieces));
                Ok(reply(request, 200, body))
            }
            Some(Outage::Hang | Outage::HangAfterIssue) => std::future::pending().await,
        }
    }

    async fn revoke(&self, request: &Request, presented: TokenSerial) -> Result<Response> {
        let (wait, outage) = self.0.with(|state| {
            state.model.note(format_args!("revocation request with {presented}"));
            (state.wait(&[0, 1, 40]) + state.slow, state.outage.take())
        });
        pause(wait).await;
        self.0.with(|state| {
            if outage.is_none_or(Outage::is_after_issue) {
                state.provider.revoke(presented);
            }
            state.model.revocation_answered(presented, outage.is_none());
        });
        match outage {
            None => Ok(reply(request, 200, String::new())),
            Some(Outage::Hang | Outage::HangAfterIssue) => {
                let _hanging = HangingRevocation(self.0.clone(), presented);
                std::future::pending().await
            }
            Some(Outage::Status(status)) => Ok(reply(request, status, String::new())),
            Some(_) => Err(unreachable()),
        }
    }
}

/// The body of an answer with a token.
pub fn token_response(issued: &Issued) -> String {
    let mut body = json!({ "access_token": issued.access.access(), "token_type": "Bearer" });
    if let Some(seconds) = issued.lifetime {
        body["expires_in"] = seconds.into();
    }
    if let Some(refresh_token) = issued.refresh {
        body["refresh_token"] = refresh_token.refresh().into();
    }
    body.to_string()
}

/// An answer from where the request went.
pub fn reply(request: &Request, status: u16, body: impl Into<Body>) -> Response {
    let response = http::Response::builder().status(status).url(request.url().clone());
    response.body(body.into()).unwrap().into()
}

/// That there was no connection, as reqwest says it.
pub fn unreachable() -> Error {
    #[derive(Debug)]
    struct Unreachable(&'static Arc<reqwest::Error>);

    impl std::fmt::Display for Unreachable {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("unreachable")
        }
    }

    impl std::error::Error for Unreachable {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&**self.0)
        }
    }

    static ERROR: OnceLock<Arc<reqwest::Error>> = OnceLock::new();
    Error::middleware(Unreachable(ERROR.get_or_init(|| Arc::new(no_connection()))))
}

/// Made by reqwest itself: nobody else can. The name is never looked up, so nothing is sent.
fn no_connection() -> reqwest::Error {
    struct Nowhere;

    impl reqwest::dns::Resolve for Nowhere {
        fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
            Box::pin(async { Err("no such host".into()) })
        }
    }

    let thread = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = reqwest::Client::builder().no_proxy();
        let client = client.dns_resolver(Nowhere).build().unwrap();
        runtime.block_on(client.get("http://provider.example").send()).unwrap_err()
    });
    let error = thread.join().unwrap();
    assert!(error.is_connect());
    error
}

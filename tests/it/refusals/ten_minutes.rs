//! A login survives whatever is answered in the provider's place.

use std::collections::VecDeque;

use reqwest::StatusCode;
use reqwest_middleware::ClientWithMiddleware;
use reqwest_oauth2::Session;
use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::testing::Fault;
use tokio::task::JoinHandle;

use crate::support::{World, ours, pass};

const PAGE: &str =
    "<!DOCTYPE html><html><head><title>Sorry</title></head><body>Come back</body></html>";

fn reply(status: u16, content_type: &str, body: &str) -> Fault {
    Fault::Reply { status, content_type: content_type.to_owned(), body: body.to_owned() }
}

/// Every kind of page, status and cut; none is the provider's word about the refresh token.
fn kinds() -> Vec<Fault> {
    let mut kinds = vec![
        Fault::HtmlPage,
        Fault::CloseBeforeIssue,
        Fault::CutBody,
        Fault::Hang,
        Fault::SlowBody,
        Fault::EndlessBody,
        Fault::TooManyRequests { retry_after: "7".to_owned() },
        Fault::TooManyRequests { retry_after: "soon".to_owned() },
        reply(200, "", ""),
        reply(200, "text/plain", "OK"),
        reply(200, "text/html", PAGE),
        reply(200, "application/json", "null"),
        reply(200, "application/json", "[]"),
        reply(200, "application/json", r#"{"access"#),
        reply(200, "application/json", r#"{"ok":false,"error":"internal_error"}"#),
        reply(200, "application/json", r#"{"ok":false,"error":"ratelimited"}"#),
        reply(204, "", ""),
        reply(
            400,
            "application/json",
            r#"{"error":"Access Denied","error_description":"You have made too many requests"}"#,
        ),
        reply(
            400,
            "application/json",
            r#"{"error":"invalid_grant","error_description":"token request is already being processed"}"#,
        ),
        reply(400, "application/json", r#"{"message":"no upstream"}"#),
        reply(401, "application/json", r#"{"message":"Login required"}"#),
        reply(403, "application/json", r#"{"error":"Token expired"}"#),
        reply(404, "application/json", r#"{"message":"Invalid code"}"#),
        reply(407, "application/json", r#"{"error":"login_required"}"#),
        reply(511, "application/json", r#"{"error":"login_required"}"#),
        reply(403, "application/json", r#"{"error":{"code":1020,"message":"blocked"}}"#),
        reply(404, "application/json", r#"{"status":404,"error":"Not Found","path":"/token"}"#),
        reply(502, "application/json", r#"{"error":"bad_gateway"}"#),
    ];
    for status in [301, 302, 303, 307, 308] {
        let location = "https://portal.example/login?token=x".to_owned();
        kinds.push(Fault::Redirect { status, location });
    }
    for status in [400, 403, 404, 405, 407, 408, 410, 425, 429, 451, 500, 502, 503, 504, 511, 599] {
        kinds.push(reply(status, "text/html", PAGE));
    }
    for status in [400, 403, 404, 405, 503] {
        kinds.push(Fault::Status(status));
    }
    // What blames the client is fixed by people.
    for code in ["invalid_client", "invalid_request", "unauthorized_client", "who_knows"] {
        kinds.push(Fault::OAuthError { status: 400, code: code.to_owned() });
    }
    kinds.push(Fault::Status(401));
    kinds.push(reply(401, "text/html", PAGE));
    kinds
}

/// A session with a token that has a minute left, its home and a client.
struct Login {
    world: World,
    session: Session,
    http: ClientWithMiddleware,
    under_way: VecDeque<JoinHandle<reqwest_middleware::Result<StatusCode>>>,
}

impl Login {
    async fn new(on_a_store: bool) -> Self {
        let world = World::new().await;
        let session = if on_a_store {
            world.session().store(MemoryStore::new(), "alice").build()
        } else {
            world.saving().build()
        };
        session.set_token(world.token()).await.unwrap();
        world.clock.forward(3540.0);
        let http = world.http(&session);
        Self { world, session, http, under_way: VecDeque::new() }
    }

    /// One request; then some time goes by.
    async fn step(&mut self, seconds: u64) {
        let request = self.http.get(self.world.provider.api_url());
        self.under_way.push_back(tokio::spawn(async { Ok(request.send().await?.status()) }));
        // What is under way arrives first: time that jumps meanwhile would be a time-out.
        self.world.round_trips().await;
        self.world.clock.forward(seconds as f64);
        pass(seconds).await;
    }

    /// What has come of the requests; none was asked to log in again.
    async fn outcomes(&mut self) -> Vec<bool> {
        let mut outcomes = Vec::new();
        while let Some(request) = self.under_way.pop_front() {
            let outcome = match request.await.unwrap() {
                Ok(status) => status == 200,
                Err(error) => {
                    assert!(!ours(&error).is_reauthorization_required(), "{error:?}");
                    false
                }
            };
            outcomes.push(outcome);
        }
        outcomes
    }

    /// The provider is back, and the first backoff is over.
    async fn recovers(&mut self, kind: &str) {
        self.world.provider.clear_faults();
        // Requests that hang get their time-out; then comes the longest backoff.
        for _ in 0..4 {
            self.step(31).await;
        }
        self.world.clock.forward(600.0);
        pass(600).await;
        self.world.round_trips().await;
        self.outcomes().await;
        for _ in 0..20 {
            assert_eq!(self.world.get(&self.http).await.unwrap(), 200, "{kind}");
        }
        self.session.shutdown().await.unwrap();
        let counts = self.world.provider.counts();
        assert_eq!((counts.tokens_issued, counts.reuse_detected), (1, 0), "{kind}");
        let token = self.session.token().await.unwrap();
        assert!(
            self.world.provider.accepts_refresh_token(token.refresh_token().unwrap()),
            "{kind}"
        );
    }
}

async fn survives_each(on_a_store: bool) {
    for kind in kinds() {
        let mut login = Login::new(on_a_store).await;
        login.world.provider.fail_always(kind.clone());
        for _ in 0..20 {
            login.step(30).await;
        }
        let kind = format!("{kind:?}");
        assert!(login.world.provider.counts().token_requests > 1, "{kind}");
        login.recovers(&kind).await;
        if !on_a_store {
            assert_eq!(login.world.saved.count(), 2, "{kind}");
        }
    }
}

async fn survives_all_in_turn(on_a_store: bool) {
    let mut login = Login::new(on_a_store).await;
    let kinds = kinds();
    let last = kinds.len() as u64;
    for kind in kinds {
        login.world.provider.fail_next(kind);
    }
    // The provider is asked until it has answered with each of them.
    while login.world.provider.counts().token_requests < last {
        login.step(30).await;
        let waits = login.under_way.len() as u64;
        assert!(waits < 100 * last, "it is not asked any more");
    }
    login.recovers("all in turn").await;
}

#[tokio::test]
async fn a_login_in_a_store_survives_ten_minutes_of_every_kind_of_page_status_and_cut() {
    survives_each(true).await;
    survives_all_in_turn(true).await;
}

#[tokio::test]
async fn a_login_of_a_saver_survives_ten_minutes_of_every_kind_of_page_status_and_cut() {
    survives_each(false).await;
    survives_all_in_turn(false).await;
}

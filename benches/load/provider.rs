//! The provider: it rotates refresh tokens, and ends a login when one is presented again too late.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use http::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Body, Request, Response, ResponseBuilderExt};
use reqwest_middleware::{Error, Middleware, Next, Result};
use reqwest_oauth2::Token;
use serde_json::json;
use tokio::time::Instant;

use crate::chance::Chance;

const LIFETIME: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Unavailable,
    TooManyRequests,
    InvalidClient,
    /// A firewall's page, with status 403.
    Forbidden,
    /// A captive portal's page, with status 200.
    Page,
    Slow,
    /// The connection breaks before the provider has read the request.
    LostBefore,
    HangsBefore,
    /// The provider has issued a new refresh token, and nobody hears of it.
    LostAfter,
    CutAfter,
    HangsAfter,
}

const FAULTS: [Fault; 11] = [
    Fault::Unavailable,
    Fault::TooManyRequests,
    Fault::InvalidClient,
    Fault::Forbidden,
    Fault::Page,
    Fault::Slow,
    Fault::LostBefore,
    Fault::HangsBefore,
    Fault::LostAfter,
    Fault::CutAfter,
    Fault::HangsAfter,
];

impl Fault {
    fn loses_answer(self) -> bool {
        matches!(self, Self::LostAfter | Self::CutAfter | Self::HangsAfter)
    }
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) token_requests: u64,
    /// Tokens, those of log-ins included.
    pub(crate) issued: u64,
    /// Logins that ended.
    pub(crate) ended: u64,
    /// Of them, those that had lost an answer with a new refresh token.
    pub(crate) ended_after_lost_answer: u64,
}

struct Login {
    /// The number of the newest refresh token.
    newest: u64,
    rotated_at: Instant,
    /// The answer with the newest refresh token was lost.
    is_answer_lost: bool,
    access_until: Instant,
}

struct State {
    chance: Chance,
    logins: HashMap<u64, Login>,
    dead: HashSet<u64>,
    next: u64,
    counts: Counts,
}

pub(crate) struct Provider {
    grace: Duration,
    state: Mutex<State>,
}

impl Provider {
    pub(crate) fn new(grace: Duration) -> Self {
        let state = State {
            chance: Chance::new(7),
            logins: HashMap::new(),
            dead: HashSet::new(),
            next: 0,
            counts: Counts::default(),
        };
        Self { grace, state: Mutex::new(state) }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state.lock().unwrap().counts
    }

    /// The token of a new login.
    pub(crate) fn log_in(&self) -> Token {
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        let id = state.next;
        let now = Instant::now();
        let login = Login {
            newest: 0,
            rotated_at: now,
            is_answer_lost: false,
            access_until: now + LIFETIME,
        };
        state.logins.insert(id, login);
        state.counts.issued += 1;
        serde_json::from_str(&answer(id, 0)).unwrap()
    }

    /// Whether the access token in the header is good. Those of a login are told apart by their age alone.
    pub(crate) fn accepts(&self, header: &str) -> bool {
        let state = self.state.lock().unwrap();
        let id =
            header.strip_prefix("Bearer at.").and_then(|rest| rest.split('.').next()?.parse().ok());
        let login = id.and_then(|id: u64| state.logins.get(&id));
        login.is_some_and(|login| Instant::now() < login.access_until)
    }

    /// The body of the answer, or `None` where the refresh token is dead.
    fn refresh(&self, refresh_token: &str, is_answer_lost: bool) -> Option<String> {
        let mut state = self.state.lock().unwrap();
        let mut parts = refresh_token.strip_prefix("rt.")?.split('.').map(|part| part.parse());
        let (id, serial): (u64, u64) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let now = Instant::now();
        if state.dead.contains(&id) {
            return None;
        }
        let login = state.logins.get_mut(&id)?;
        let is_newest = serial == login.newest;
        let is_in_grace = serial + 1 == login.newest && now < login.rotated_at + self.grace;
        if !is_newest && !is_in_grace {
            let was_lost = login.is_answer_lost;
            state.dead.insert(id);
            state.counts.ended += 1;
            state.counts.ended_after_lost_answer += u64::from(was_lost);
            return None;
        }
        if is_newest {
            login.newest += 1;
            login.rotated_at = now;
        }
        login.is_answer_lost = is_answer_lost;
        login.access_until = now + LIFETIME;
        let newest = login.newest;
        state.counts.issued += 1;
        Some(answer(id, newest))
    }
}

fn answer(login: u64, serial: u64) -> String {
    let text = json!({
        "access_token": format!("at.{login}.{serial}"),
        "refresh_token": format!("rt.{login}.{serial}"),
        "token_type": "Bearer",
        "expires_in": LIFETIME.as_secs(),
    });
    text.to_string()
}

#[async_trait]
impl Middleware for Provider {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let form = request.body().and_then(Body::as_bytes).unwrap();
        let form = std::str::from_utf8(form).unwrap();
        let token = form.split('&').find_map(|pair| pair.strip_prefix("refresh_token="));
        let refresh_token = token.unwrap().to_owned();
        let fault = {
            let mut state = self.state.lock().unwrap();
            state.counts.token_requests += 1;
            state.chance.one_of(&FAULTS)
        };
        let lost = || Error::middleware(std::io::Error::other("the connection is closed"));
        match fault {
            Some(Fault::Unavailable) => return Ok(reply(&request, 503, "")),
            Some(Fault::TooManyRequests) => {
                let mut response = reply(&request, 429, "");
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("30"));
                return Ok(response);
            }
            Some(Fault::InvalidClient) => {
                return Ok(reply(&request, 401, r#"{"error":"invalid_client"}"#));
            }
            Some(Fault::Forbidden) => return Ok(reply(&request, 403, "<html>")),
            Some(Fault::Page) => return Ok(reply(&request, 200, "<html>")),
            Some(Fault::Slow) => tokio::time::sleep(Duration::from_secs(20)).await,
            Some(Fault::LostBefore) => return Err(lost()),
            Some(Fault::HangsBefore) => std::future::pending().await,
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        let Some(body) = self.refresh(&refresh_token, fault.is_some_and(Fault::loses_answer))
        else {
            return Ok(reply(&request, 400, r#"{"error":"invalid_grant"}"#));
        };
        match fault {
            Some(Fault::LostAfter) => Err(lost()),
            Some(Fault::HangsAfter) => std::future::pending().await,
            Some(Fault::CutAfter) => {
                let pieces = [Ok("{\"access_"), Err(std::io::Error::other("cut off"))];
                let body = Body::wrap_stream(futures_util::stream::iter(pieces));
                Ok(reply(&request, 200, body))
            }
            _ => Ok(reply(&request, 200, body)),
        }
    }
}

fn reply(request: &Request, status: u16, body: impl Into<Body>) -> Response {
    let response = http::Response::builder().status(status).url(request.url().clone());
    response.body(body.into()).unwrap().into()
}

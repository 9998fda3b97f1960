//! The token endpoint, as a session reaches it; and the API, with a path for each target.

use std::time::Duration;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderValue};
use reqwest::{Body, Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::model::Answer;
use super::schedule::Aim;
use super::world::World;
use crate::endpoints::{reply, token_response, unreachable};
use crate::fault_state::Outage;
use crate::token_serial::TokenSerial;
use crate::world::pause;

pub const ORIGIN: &str = "https://api.example";

pub struct TokenEndpoint {
    pub world: World,
    pub session: usize,
}

/// A token request, until its answer has arrived.
struct UnderWay {
    world: World,
    session: usize,
    presented: TokenSerial,
    aim: Aim,
    /// The provider has done its work.
    issued: bool,
    is_answered: bool,
}

impl UnderWay {
    fn answered(mut self, answer: Answer) {
        self.is_answered = true;
        let (session, presented, aim) = (self.session, self.presented, self.aim);
        self.world.with(|state| state.model.answered(session, presented, aim, answer));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.is_answered {
            let answer = Answer::Lost { issued: self.issued };
            let (session, presented, aim) = (self.session, self.presented, self.aim);
            self.world.with(|state| state.model.answered(session, presented, aim, answer));
        }
    }
}

#[async_trait]
impl Middleware for TokenEndpoint {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let body = request.body().and_then(Body::as_bytes).unwrap();
        let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
        let param = |name: &str| {
            form.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
        };
        let presented = TokenSerial::read(param("refresh_token").unwrap()).unwrap();
        let aim = match (param("resource"), param("scope")) {
            (None, None) => Aim::Own,
            (Some(Aim::RESOURCE), None) => Aim::Resource,
            (None, Some(Aim::SCOPE)) => Aim::Scope,
            other => panic!("nobody wants {other:?}"),
        };
        self.refresh(&request, presented, aim).await
    }
}

impl TokenEndpoint {
    async fn refresh(
        &self,
        request: &Request,
        presented: TokenSerial,
        aim: Aim,
    ) -> Result<Response> {
        let (wait, outage) = self.world.with(|state| {
            state.model.presented(self.session, presented, aim);
            let outage = state.outage.take();
            if let Some(outage) = outage {
                state.model.coverage.count(outage.name());
            }
            (state.wait(&[0, 0, 1, 40, 300]) + state.slow, outage)
        });
        let mut under_way = UnderWay {
            world: self.world.clone(),
            session: self.session,
            presented,
            aim,
            issued: false,
            is_answered: false,
        };
        pause(wait / 2).await;
        // A provider compares the target before it takes the refresh token.
        let is_refused = self.world.with(|state| state.refused.contains(&aim));
        let issues = outage.is_none_or(Outage::is_after_issue) && !is_refused;
        let issued = self.world.with(|state| {
            let now = self.world.clock.now();
            let issued = issues.then(|| state.provider.refresh(presented, now)).flatten();
            if let Some(issued) = &issued {
                state.issued_for.insert(issued.access, aim);
            }
            issued
        });
        under_way.issued = issued.is_some();
        pause(wait / 2).await;
        let later = |wait| Answer::Later(Duration::from_secs(wait));
        let code = |status, code: &str| reply(request, status, format!(r#"{{"error":"{code}"}}"#));
        match (outage, issued) {
            (None, _) if is_refused => {
                under_way.answered(Answer::TargetRefused);
                Ok(code(400, aim.refusal()))
            }
            (None, Some(issued)) => {
                under_way.answered(Answer::Token(issued));
                Ok(reply(request, 200, token_response(&issued)))
            }
            (None, None) => {
                under_way.answered(Answer::InvalidGrant);
                Ok(code(400, "invalid_grant"))
            }
            (Some(Outage::Status(status)), _) => {
                under_way.answered(later(1));
                Ok(reply(request, status, "sorry"))
            }
            (Some(Outage::TooMany(seconds)), _) => {
                under_way.answered(later(seconds));
                let mut response = reply(request, 429, "");
                response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
                Ok(response)
            }
            (Some(Outage::InvalidClient), _) => {
                under_way.answered(later(60));
                Ok(code(401, "invalid_client"))
            }
            (Some(Outage::Unreachable), _) => {
                under_way.answered(later(1));
                Err(unreachable())
            }
            (Some(Outage::Garbage | Outage::GarbageAfterIssue), _) => {
                let issued = under_way.issued;
                under_way.answered(Answer::Lost { issued });
                Ok(reply(request, 200, "<html>"))
            }
            (Some(Outage::Hang | Outage::HangAfterIssue), _) => std::future::pending().await,
            (Some(_), _) => {
                Err(Error::middleware(std::io::Error::other("the connection is closed")))
            }
        }
    }
}

pub struct Api(pub World);

#[async_trait]
impl Middleware for Api {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let at = |aim: &Aim| request.url().path() == format!("/{aim:?}");
        let aim = Aim::ALL.into_iter().find(at).unwrap();
        let header = request.headers().get(AUTHORIZATION).map(HeaderValue::to_str);
        let token = header.and_then(|header| header.ok()?.strip_prefix("Bearer "));
        let serial = token.and_then(TokenSerial::read);
        let wait = self.0.with(|state| {
            let is_for = serial.and_then(|serial| state.issued_for.get(&serial).copied());
            if is_for != Some(aim) {
                state.model.violation(format!("{serial:?}, for {is_for:?}, is sent to {aim:?}"));
            }
            state.wait(&[0, 0, 0, 1, 50, 500])
        });
        pause(wait).await;
        let accepts = self.0.with(|state| {
            let accepts = serial.is_some_and(|it| state.provider.accepts(it, self.0.clock.now()));
            let accepts = accepts && !state.rejected.contains(&aim);
            state.model.note(format_args!("{serial:?} at {aim:?}: {accepts}"));
            if !accepts {
                state.model.coverage.count("targets: a token is rejected");
            }
            accepts
        });
        Ok(reply(&request, if accepts { 200 } else { 401 }, ""))
    }
}

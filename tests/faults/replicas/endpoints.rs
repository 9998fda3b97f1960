//! The provider's endpoints, as one session reaches them.

use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Body, Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::model::Answer;
use super::world::{Late, World, pause};
use crate::endpoints::{reply, token_response, unreachable};
use crate::fault_state::Outage;
use crate::token_serial::TokenSerial;

/// No `Retry-After` keeps a session from asking for longer.
const LONGEST_RETRY_AFTER: u64 = 3600;

pub struct Endpoints {
    pub world: World,
    pub slot: usize,
}

/// A token request, until its answer has arrived.
struct UnderWay {
    world: World,
    slot: usize,
    presented: TokenSerial,
    has_reached_provider: bool,
    is_answered: bool,
}

impl UnderWay {
    fn answered(mut self, answer: Answer) {
        self.is_answered = true;
        let (slot, presented) = (self.slot, self.presented);
        self.world.with(|state| state.model.token_answered(slot, presented, answer));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let (slot, presented) = (self.slot, self.presented);
        let late = self.world.with(|state| {
            let late = !self.has_reached_provider && state.is_drawn(0.3);
            state.model.token_request_dropped(slot, presented, late);
            late
        });
        self.world.later(late.then_some(Late::Refresh(presented)));
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
        let (wait, outage) = self.world.with(|state| {
            let is_good = state.provider.takes(presented, state.clock.now());
            state.model.presented(self.slot, presented, is_good);
            let outage = state.outage.take();
            if let Some(outage) = outage {
                state.model.coverage.count(outage.name());
                state.model.provider_failed();
            }
            (state.wait(&[0, 0, 2, 40, 300]) + state.slow, outage)
        });
        let mut under_way = UnderWay {
            world: self.world.clone(),
            slot: self.slot,
            presented,
            has_reached_provider: false,
            is_answered: false,
        };
        pause(wait / 2).await;
        let issues = outage.is_none_or(Outage::is_after_issue);
        let issued = self.world.with(|state| {
            let now = state.clock.now();
            let issued = issues.then(|| state.provider.refresh(presented, now)).flatten();
            if let Some(issued) = &issued {
                state.model.issued(presented, issued);
            }
            issued
        });
        under_way.has_reached_provider = outage != Some(Outage::Hang);
        pause(wait / 2).await;
        let lost = || Error::middleware(std::io::Error::other("the connection is closed"));
        let later = |wait| Answer::Later(Duration::from_secs(wait));
        match outage {
            None => {
                under_way.answered(match &issued {
                    Some(issued) => Answer::Token(issued.access),
                    None => Answer::InvalidGrant,
                });
                let refused = || reply(request, 400, r#"{"error":"invalid_grant"}"#.to_owned());
                Ok(issued
                    .map_or_else(refused, |issued| reply(request, 200, token_response(&issued))))
            }
            Some(Outage::Status(status)) => {
                under_way.answered(later(1));
                Ok(reply(request, status, "sorry".to_owned()))
            }
            Some(Outage::TooMany(seconds)) => {
                under_way.answered(later(seconds.clamp(1, LONGEST_RETRY_AFTER)));
                let mut response = reply(request, 429, String::new());
                response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
                Ok(response)
            }
            Some(Outage::InvalidClient) => {
                under_way.answered(Answer::InvalidClient);
                Ok(reply(request, 401, r#"{"error":"invalid_client"}"#.to_owned()))
            }
            Some(Outage::Unreachable) => {
                under_way.answered(later(1));
                Err(unreachable())
            }
            Some(Outage::Garbage | Outage::GarbageAfterIssue) => {
                under_way.answered(Answer::Garbage);
                Ok(reply(request, 200, "<html>".to_owned()))
            }
            Some(Outage::LostBeforeIssue | Outage::LostAfterIssue) => {
                under_way.answered(Answer::Lost);
                Err(lost())
            }
            Some(Outage::CutOff) => {
                under_way.answered(Answer::Lost);
                let pieces = [Ok("{\"access_"), Err(std::io::Error::other("cut off"))];
                let body = Body::wrap_stream(futures_util::stream::iter(pieces));
                Ok(reply(request, 200, body))
            }
            Some(Outage::Hang | Outage::HangAfterIssue) => std::future::pending().await,
        }
    }

    async fn revoke(&self, request: &Request, presented: TokenSerial) -> Result<Response> {
        let (wait, outage) = self.world.with(|state| {
            state.model.note(format_args!("{} revokes {presented}", self.slot));
            let outage = state.outage.take();
            if outage.is_some() {
                state.model.provider_failed();
            }
            (state.wait(&[0, 1, 40]) + state.slow, outage)
        });
        pause(wait).await;
        self.world.with(|state| {
            if outage.is_none_or(Outage::is_after_issue) {
                state.provider.revoke(presented);
                if state.provider.has_ended(presented.login) {
                    state.model.ended(presented.login);
                }
            }
        });
        match outage {
            None => Ok(reply(request, 200, String::new())),
            Some(Outage::Hang | Outage::HangAfterIssue) => std::future::pending().await,
            Some(Outage::Status(status)) => Ok(reply(request, status, String::new())),
            Some(_) => Err(unreachable()),
        }
    }
}

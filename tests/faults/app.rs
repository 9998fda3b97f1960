//! `App`: the application. It makes calls, and may go away in the middle of any.

use std::task::Poll;

use reqwest::Body;
use reqwest_middleware::ClientWithMiddleware;
use reqwest_oauth2::{Error, Session, Token, TokenUpdated};
use tokio::task::JoinHandle;

use crate::api::{ELSEWHERE, ORIGIN, OWN};
use crate::model::{CallError, CallOk, Kind};
use crate::schedule::Shape;
use crate::token_serial::TokenSerial;
use crate::world::World;

pub struct App {
    pub world: World,
    pub session: Session,
    pub http: ClientWithMiddleware,
    calls: Vec<JoinHandle<()>>,
    count: u32,
}

/// A call that its caller has not seen the end of.
struct UnderWay {
    world: World,
    id: u32,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.world.with(|state| state.model.dropped(self.id));
    }
}

impl App {
    pub fn new(world: World, session: Session, http: ClientWithMiddleware) -> Self {
        Self { world, session, http, calls: Vec::new(), count: 0 }
    }

    pub fn request(&mut self, shape: Shape, polls: Option<u32>) {
        let url = format!("{ORIGIN}/?{}", self.count + 1);
        let request = match shape {
            Shape::Get => self.http.get(url),
            Shape::Post => self.http.post(url).body("a body"),
            Shape::Stream => {
                let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>("a body")]);
                self.http.post(url).body(Body::wrap_stream(pieces))
            }
        };
        self.send(request, Kind::Request { can_replay: shape != Shape::Stream }, polls);
    }

    pub fn elsewhere(&mut self, which: usize) {
        let request = self.http.get(ELSEWHERE[which % ELSEWHERE.len()]);
        self.send(request, Kind::Foreign, None);
    }

    pub fn own_header(&mut self) {
        let request = self.http.get(format!("{ORIGIN}/?0")).header("authorization", OWN);
        self.send(request, Kind::Foreign, None);
    }

    fn send(
        &mut self,
        request: reqwest_middleware::RequestBuilder,
        kind: Kind,
        polls: Option<u32>,
    ) {
        self.call(kind, polls, async move {
            let response = request.send().await.map_err(|error| match Error::find_in(&error) {
                Some(ours) => CallError::Ours(ours.clone()),
                None => CallError::Theirs,
            })?;
            let offered = response.extensions().get().and_then(|TokenUpdated(token)| serial(token));
            Ok(CallOk::Status(response.status().as_u16(), offered))
        });
    }

    pub fn token(&mut self, polls: Option<u32>) {
        let session = self.session.clone();
        self.call(Kind::Token, polls, async move { given(session.token().await) });
    }

    pub fn refresh(&mut self, polls: Option<u32>) {
        let session = self.session.clone();
        self.call(Kind::Refresh, polls, async move { given(session.refresh().await) });
    }

    pub fn set_token(&mut self, life: i64, polls: Option<u32>) {
        let (session, world) = (self.session.clone(), self.world.clone());
        let (serial, token, deadline) = world.log_in(life);
        self.call(Kind::SetToken(serial), polls, async move {
            world.with(|state| state.model.given(serial, life, deadline, false));
            done(session.set_token(token).await)
        });
    }

    pub fn sign_out(&mut self, polls: Option<u32>) {
        let (session, world) = (self.session.clone(), self.world.clone());
        self.call(Kind::SignOut, polls, async move {
            let login = world.with(|state| state.model.login);
            let outcome = session.sign_out().await;
            if outcome.is_ok() {
                world.with(|state| {
                    let model = &mut state.model;
                    let same = login == model.login && !model.is_in_doubt();
                    if same && model.setup.revocation && !state.provider.has_ended(login) {
                        model
                            .violation("signed out, and the refresh token still counts".to_owned());
                    }
                });
            }
            done(outcome)
        });
    }

    pub fn shutdown(&mut self, polls: Option<u32>) {
        let session = self.session.clone();
        self.call(Kind::Shutdown, polls, async move { done(session.shutdown().await) });
    }

    /// Makes the call in a task of its own, which drops it after that many polls.
    fn call(
        &mut self,
        kind: Kind,
        polls: Option<u32>,
        work: impl Future<Output = Result<CallOk, CallError>> + Send + 'static,
    ) {
        self.count += 1;
        let (world, id) = (self.world.clone(), self.count);
        self.calls.push(tokio::spawn(async move {
            world.with(|state| {
                state.model.note(format_args!("call {id} begins: {kind:?}"));
                state.model.began(id, kind);
            });
            let under_way = UnderWay { world: world.clone(), id };
            if let Some(outcome) = polled(polls, work).await {
                world.with(|state| state.model.ended(id, outcome));
            }
            drop(under_way);
        }));
    }

    /// The caller of one of the calls under way goes away.
    pub fn cancel(&mut self, which: usize) {
        self.calls.retain(|call| !call.is_finished());
        if let Some(call) = which.checked_rem(self.calls.len()).map(|which| &self.calls[which]) {
            call.abort();
        }
    }

    pub fn cancel_all(&mut self) {
        self.calls.drain(..).for_each(|call| call.abort());
    }
}

/// Polls the future so many times, then drops it where it stands.
pub async fn polled<F: Future>(times: Option<u32>, future: F) -> Option<F::Output> {
    let (mut future, mut polls) = (Box::pin(future), 0);
    std::future::poll_fn(move |context| {
        polls += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if Some(polls) == times => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn serial(token: &Token) -> Option<TokenSerial> {
    TokenSerial::read(token.access_token())
}

fn given(outcome: Result<Token, Error>) -> Result<CallOk, CallError> {
    outcome.map(|token| CallOk::Token(serial(&token).unwrap())).map_err(CallError::Ours)
}

fn done(outcome: Result<(), Error>) -> Result<CallOk, CallError> {
    outcome.map(|()| CallOk::Done).map_err(CallError::Ours)
}

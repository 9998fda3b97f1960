//! `Fleet`: the sessions, each in its process, and what the application does with them.

use std::time::Duration;

use reqwest_middleware::{ClientWithMiddleware, RequestBuilder};
use reqwest_oauth2::{Error, OAuthClient, Session, Token, UserId, UserSessions};
use tokio::task::AbortHandle;

use super::api::{Api, ORIGIN};
use super::endpoints::Endpoints;
use super::grant::FaultyGrant;
use super::model::{Kind, Outcome};
use super::runtimes::Runtimes;
use super::schedule::{Caller, Setup};
use super::store::Store;
use super::world::World;
use crate::app::polled;
use crate::run::http;
use crate::token_serial::TokenSerial;

pub struct Fleet {
    pub world: World,
    pub setup: Setup,
    pub runtimes: Runtimes,
    slots: Vec<Slot>,
    calls: Vec<AbortHandle>,
    count: u32,
}

struct Slot {
    sessions: Sessions,
    http: ClientWithMiddleware,
}

#[derive(Clone)]
enum Sessions {
    One(Session),
    Many(UserSessions),
}

impl Sessions {
    fn session(&self, user: u32) -> Session {
        match self {
            Self::One(session) => session.clone(),
            Self::Many(sessions) => sessions.for_user(user_id(user)),
        }
    }
}

/// A call that its caller has not seen the end of.
struct UnderWay(World, u32);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.with(|state| state.model.call_dropped(self.1));
    }
}

impl Fleet {
    pub fn new(world: World, setup: Setup) -> Self {
        let runtimes = Runtimes::new(world.clock().clone(), setup.runtimes.iter().sum());
        let slots = {
            let _entered = runtimes.enter(0);
            (0..setup.slots()).map(|slot| Slot::new(&world, &setup, slot)).collect()
        };
        Self { world, setup, runtimes, slots, calls: Vec::new(), count: 0 }
    }

    /// Drives everything for so long.
    pub fn advance(&mut self, time: Duration) {
        let world = self.world.clone();
        self.runtimes.advance(time, || world.happen());
    }

    /// The runtimes of a process.
    pub fn runtimes_of(&self, process: usize) -> std::ops::Range<usize> {
        let before: usize = self.setup.runtimes[..process].iter().sum();
        before..before + self.setup.runtimes[process]
    }

    pub fn process_of(&self, runtime: usize) -> usize {
        let has = |process: &usize| self.runtimes_of(*process).contains(&runtime);
        (0..self.setup.runtimes.len()).find(has).unwrap()
    }

    pub fn slots_of(&self, process: usize) -> Vec<usize> {
        let slots = self.setup.processes.iter().enumerate();
        slots.filter(|(_, of)| **of == process).map(|(slot, _)| slot).collect()
    }

    /// The process dies with all that it remembers.
    pub fn die(&mut self, process: usize) {
        for slot in self.slots_of(process) {
            self.world.with(|state| {
                state.model.slot_stops(slot, "loss: a holder dies");
                state.model.slot_died(slot);
            });
        }
        for runtime in self.runtimes_of(process) {
            self.runtimes.replace(runtime);
        }
        for slot in self.slots_of(process) {
            let _entered = self.runtimes.enter(0);
            self.slots[slot] = Slot::new(&self.world, &self.setup, slot);
        }
    }

    pub fn request(&mut self, caller: Caller) {
        let url = format!("{ORIGIN}/?{}", self.count + 1);
        let http = &self.slots[caller.slot].http;
        let request = http.get(url).with_extension(user_id(caller.user));
        self.call(caller, Kind::Request, |_, _| send(request));
    }

    pub fn token(&mut self, caller: Caller) {
        self.call(caller, Kind::Token, move |sessions, _| async move {
            given(sessions.session(caller.user).token().await)
        });
    }

    pub fn refresh(&mut self, caller: Caller) {
        self.call(caller, Kind::Refresh, move |sessions, _| async move {
            given(sessions.session(caller.user).refresh().await)
        });
    }

    pub fn set_token(&mut self, caller: Caller, life: i64) {
        let (user, process) = (caller.user, self.setup.processes[caller.slot]);
        let (serial, token) = self.world.log_in(user, process, life);
        let token = token.with_refresh_token(serial.refresh());
        self.call(caller, Kind::SetToken, move |sessions, world| async move {
            world.with(|state| state.model.login_set(caller.slot, user, Some(serial)));
            done(match sessions {
                Sessions::One(session) => session.set_token(token).await,
                Sessions::Many(sessions) => sessions.sign_in(user_id(user), token).await,
            })
        });
    }

    pub fn sign_out(&mut self, caller: Caller) {
        let user = caller.user;
        self.call(caller, Kind::SignOut, move |sessions, world| async move {
            world.with(|state| state.model.login_set(caller.slot, user, None));
            done(match sessions {
                Sessions::One(session) => session.sign_out().await,
                Sessions::Many(sessions) => sessions.sign_out(user_id(user)).await,
            })
        });
    }

    pub fn shutdown(&mut self, caller: Caller) {
        self.call(caller, Kind::Shutdown, move |sessions, _| async move {
            done(match sessions {
                Sessions::One(session) => session.shutdown().await,
                Sessions::Many(sessions) => sessions.shutdown().await,
            })
        });
    }

    pub fn cancel_all(&mut self) {
        self.calls.drain(..).for_each(|call| call.abort());
    }

    /// How many users are in memory, of each `UserSessions`.
    pub fn loaded(&self) -> Vec<usize> {
        let loaded = |slot: &Slot| match &slot.sessions {
            Sessions::One(_) => 0,
            Sessions::Many(sessions) => sessions.loaded_sessions(),
        };
        self.slots.iter().map(loaded).collect()
    }

    /// Makes the call in a task of its own, which drops it after that many polls.
    fn call<F>(&mut self, caller: Caller, kind: Kind, work: impl FnOnce(Sessions, World) -> F)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        self.count += 1;
        let (world, id) = (self.world.clone(), self.count);
        let Caller { slot, user, polls, .. } = caller;
        let runtime = self.runtimes_of(self.setup.processes[slot]).start + caller.runtime;
        let work = work(self.slots[slot].sessions.clone(), world.clone());
        self.calls.push(self.runtimes.spawn(runtime, async move {
            world.with(|state| state.model.began(id, kind, slot, user, runtime));
            let under_way = UnderWay(world.clone(), id);
            if let Some(outcome) = polled(polls, work).await {
                world.with(|state| state.model.call_ended(id, outcome));
            }
            drop(under_way);
        }));
    }
}

impl Slot {
    fn new(world: &World, setup: &Setup, slot: usize) -> Self {
        let process = setup.processes[slot];
        let endpoints = Endpoints { world: world.clone(), slot };
        let store = Store { world: world.clone(), slot };
        let mut app = OAuthClient::new("foo", "https://provider.example/token")
            .unwrap()
            .http_client(http().with(endpoints).build());
        if setup.revocation {
            app = app.revocation_endpoint("https://provider.example/revoke").unwrap();
        }
        let clock = world.clock().clone();
        let strict_saving = setup.strict_saving;
        let (foreground, renew_without_store) = (setup.foreground, setup.renew_without_store);
        let lease = setup.lease;
        let configure = move |session: reqwest_oauth2::SessionBuilder| {
            let mut session = session.clock(move || clock.wall(process)).lease_ttl(lease);
            if strict_saving {
                session = session.strict_saving();
            }
            if foreground {
                session = session.foreground();
            }
            if renew_without_store {
                session = session.renew_without_store();
            }
            session
        };
        let api = Api(world.clone());
        if setup.many {
            let sessions = UserSessions::builder(app)
                .store(store)
                .configure_sessions(configure)
                .max_sessions(setup.max_sessions)
                .idle_timeout(setup.idle)
                .build();
            let http = http().with(sessions.middleware([ORIGIN]).unwrap()).with(api).build();
            return Self { sessions: Sessions::Many(sessions), http };
        }
        let mut builder = configure(Session::builder(app)).store(store, &*user_name(0));
        if setup.grant {
            builder = builder.grant(FaultyGrant { world: world.clone(), process, user: 0 });
        }
        let session = builder.build();
        let http = http().with(session.middleware([ORIGIN]).unwrap()).with(api).build();
        Self { sessions: Sessions::One(session), http }
    }
}

fn user_name(user: u32) -> String {
    format!("user-{user:03}")
}

fn user_id(user: u32) -> UserId {
    UserId::from(user_name(user))
}

async fn send(request: RequestBuilder) -> Outcome {
    match request.send().await {
        Ok(response) => Outcome::Status(response.status().as_u16()),
        Err(error) => match Error::find_in(&error) {
            Some(ours) => Outcome::Failed(ours.clone()),
            None => Outcome::Lost,
        },
    }
}

fn given(outcome: Result<Token, Error>) -> Outcome {
    match outcome {
        Ok(token) => Outcome::Token(TokenSerial::read(token.access_token()).unwrap()),
        Err(error) => Outcome::Failed(error),
    }
}

fn done(outcome: Result<(), Error>) -> Outcome {
    outcome.map_or_else(Outcome::Failed, |()| Outcome::Done)
}

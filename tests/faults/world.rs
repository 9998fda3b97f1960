//! `World`: what surrounds the session, in memory and on one thread.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use reqwest_oauth2::{Session, Token};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::clock::Clock;
use crate::fault_state::{ApiTrouble, CountedFault, Outage, SaverTrouble};
use crate::model::Model;
use crate::provider::Provider;
use crate::schedule::Setup;
use crate::token_serial::TokenSerial;

#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    clock: Clock,
    state: Mutex<State>,
    session: Mutex<Option<Session>>,
}

pub struct State {
    pub rng: StdRng,
    pub provider: Provider,
    pub model: Model,
    pub outage: CountedFault<Outage>,
    /// How much longer than usual the provider takes.
    pub slow: Duration,
    pub api: CountedFault<ApiTrouble>,
    pub saver: CountedFault<SaverTrouble>,
    /// Calls of the saver that never end.
    hung_saves: u32,
    /// Wakes in the order of coming.
    recovered: Arc<Notify>,
}

/// So many calls of the saver hang for ever; with one more, nothing would be saved again.
const MAX_HUNG_SAVES: u32 = 2;

impl World {
    pub fn new(seed: u64, setup: Setup) -> Self {
        let clock = Clock::new();
        let state = State {
            // Of its own, so that the steps stay the same whatever the world draws.
            rng: StdRng::seed_from_u64(!seed),
            provider: Provider::new(setup.rotation, setup.lifetime, setup.ends_old),
            model: Model::new(clock.clone(), setup),
            outage: CountedFault::none(),
            slow: Duration::ZERO,
            api: CountedFault::none(),
            saver: CountedFault::none(),
            hung_saves: 0,
            recovered: Arc::default(),
        };
        Self(Arc::new(Inner { clock, state: Mutex::new(state), session: Mutex::new(None) }))
    }

    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The session to look at; to be taken away at the end, for it holds the world.
    pub fn watch(&self, session: Option<Session>) {
        *self.0.session.lock().unwrap() = session;
    }

    /// Looks at the session, then does this.
    pub fn with<R>(&self, what: impl FnOnce(&mut State) -> R) -> R {
        let live = self.0.session.lock().unwrap().as_ref().and_then(Session::current_token);
        let live = live.and_then(|token| TokenSerial::read(token.access_token()));
        let mut state = self.0.state.lock().unwrap();
        state.model.see(live);
        what(&mut state)
    }

    /// A new login; its token lives so many seconds more, by both clocks. By the wall clock, until then.
    pub fn log_in(&self, life: i64) -> (TokenSerial, Token, SystemTime) {
        let serial = self.with(|state| {
            let life = Duration::from_secs(u64::try_from(life).unwrap_or_default());
            state.provider.log_in(self.0.clock.now(), life)
        });
        let seconds = Duration::from_secs(life.unsigned_abs());
        let wall = self.0.clock.wall();
        let deadline = if life < 0 { wall - seconds } else { wall + seconds };
        let token = Token::new(serial.access()).unwrap().with_refresh_token(serial.refresh());
        (serial, token.with_expires_at(deadline.into()), deadline)
    }
}

impl State {
    /// All is well again.
    pub fn recover(&mut self) {
        (self.outage, self.api, self.saver) =
            (CountedFault::none(), CountedFault::none(), CountedFault::none());
        self.slow = Duration::ZERO;
        self.recovered.notify_waiters();
    }

    /// A call of the saver hangs: until all is well again, or for ever.
    pub fn hangs_in_saver(&mut self) -> Option<OwnedNotified> {
        let for_ever = self.hung_saves < MAX_HUNG_SAVES && self.rng.random();
        self.hung_saves += u32::from(for_ever);
        (!for_ever).then(|| self.recovered.clone().notified_owned())
    }

    /// One of these waits, in milliseconds.
    pub fn wait(&mut self, millis: &[u64]) -> Duration {
        Duration::from_millis(*millis.choose(&mut self.rng).unwrap())
    }
}

/// Waits, unless there is nothing to wait for.
pub async fn pause(time: Duration) {
    if time > Duration::ZERO {
        tokio::time::sleep(time).await;
    }
}

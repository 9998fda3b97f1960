//! `World`: what surrounds the sessions, in memory and on one thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use reqwest_oauth2::Token;

use super::model::Model;
use super::schedule::{Aim, Setup};
use crate::clock::Clock;
use crate::fault_state::{CountedFault, Outage};
use crate::provider::Provider;
use crate::token_serial::TokenSerial;

#[derive(Clone)]
pub struct World {
    pub clock: Clock,
    state: Arc<Mutex<State>>,
}

pub struct State {
    rng: StdRng,
    pub provider: Provider,
    pub model: Model,
    /// What each access token was asked for.
    pub issued_for: BTreeMap<TokenSerial, Aim>,
    /// The provider refuses these.
    pub refused: BTreeSet<Aim>,
    /// The API rejects every token for these.
    pub rejected: BTreeSet<Aim>,
    pub outage: CountedFault<Outage>,
    pub slow: Duration,
    pub saver: CountedFault<()>,
    /// What the saver was given last.
    pub saved: Option<Token>,
}

impl World {
    pub fn new(seed: u64, setup: Setup) -> Self {
        let clock = Clock::new();
        let state = State {
            // Of its own, so that the steps stay the same whatever the world draws.
            rng: StdRng::seed_from_u64(!seed),
            provider: Provider::new(setup.rotation, setup.lifetime, false),
            model: Model::new(clock.clone()),
            issued_for: BTreeMap::new(),
            refused: BTreeSet::new(),
            rejected: BTreeSet::new(),
            outage: CountedFault::none(),
            slow: Duration::ZERO,
            saver: CountedFault::none(),
            saved: None,
        };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    pub fn with<R>(&self, what: impl FnOnce(&mut State) -> R) -> R {
        what(&mut self.state.lock().unwrap())
    }

    /// A new login; its token lives so many seconds more.
    pub fn log_in(&self, life: i64) -> Token {
        let lasts = Duration::from_secs(u64::try_from(life).unwrap_or_default());
        let serial = self.with(|state| {
            let serial = state.provider.log_in(self.clock.now(), lasts);
            state.issued_for.insert(serial, Aim::Own);
            state.model.logged_in(serial);
            serial
        });
        let wall = self.clock.wall();
        let deadline: SystemTime =
            if life < 0 { wall - Duration::from_secs(1) } else { wall + lasts };
        let token = Token::new(serial.access()).unwrap().with_refresh_token(serial.refresh());
        token.with_expires_at(deadline.into())
    }
}

impl State {
    /// All is well again, but for what the provider refuses.
    pub fn recover(&mut self) {
        self.outage = CountedFault::none();
        self.saver = CountedFault::none();
        self.rejected.clear();
        self.slow = Duration::ZERO;
    }

    /// One of these waits, in milliseconds.
    pub fn wait(&mut self, millis: &[u64]) -> Duration {
        Duration::from_millis(*millis.choose(&mut self.rng).unwrap())
    }
}

//! `World`: provider, store and API, in memory, and what is wrong with them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use reqwest_oauth2::Token;

use super::clock::Clock;
use super::grant::GrantFault;
use super::model::Model;
use super::schedule::Setup;
use super::store::{Contents, StoreFault, Swap};
use crate::fault_state::{ApiTrouble, CountedFault, Outage};
use crate::provider::Provider;
use crate::token_serial::TokenSerial;

#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    clock: Clock,
    state: Mutex<State>,
}

pub struct State {
    pub rng: StdRng,
    pub clock: Clock,
    pub provider: Provider,
    pub model: Model,
    pub contents: Contents,
    pub outage: CountedFault<Outage>,
    /// How much longer than usual the provider takes.
    pub slow: Duration,
    pub api: CountedFault<ApiTrouble>,
    pub grant: CountedFault<GrantFault>,
    /// For all sessions, and for each.
    pub store: Vec<CountedFault<StoreFault>>,
    late: Vec<(Duration, Late)>,
}

/// What happens although nobody waits for it any more.
pub enum Late {
    Swap(Swap),
    Refresh(TokenSerial),
}

impl World {
    pub fn new(seed: u64, setup: &Setup, clock: Clock) -> Self {
        let state = State {
            // Of its own, so that the steps stay the same whatever the world draws.
            rng: StdRng::seed_from_u64(!seed),
            clock: clock.clone(),
            provider: Provider::new(setup.rotation, setup.lifetime, setup.ends_old),
            model: Model::new(clock.clone(), setup.terms()),
            contents: Contents::default(),
            outage: CountedFault::none(),
            slow: Duration::ZERO,
            api: CountedFault::none(),
            grant: CountedFault::none(),
            store: (0..=setup.slots()).map(|_| CountedFault::none()).collect(),
            late: Vec::new(),
        };
        Self(Arc::new(Inner { clock, state: Mutex::new(state) }))
    }

    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub fn with<R>(&self, what: impl FnOnce(&mut State) -> R) -> R {
        what(&mut self.0.state.lock().unwrap())
    }

    /// It happens some time from now, whoever goes away.
    pub fn later(&self, late: Option<Late>) {
        self.with(|state| {
            let at = state.clock.now() + state.wait(&[50, 500, 5_000, 20_000]);
            state.late.extend(late.map(|late| (at, late)));
        });
    }

    /// Does what is due by now, and says how much has happened, and whether more is to come.
    pub fn happen(&self) -> (u64, bool) {
        self.with(|state| {
            let now = state.clock.now();
            let (due, late) = std::mem::take(&mut state.late).into_iter().partition(|l| l.0 <= now);
            state.late = late;
            let due: Vec<(Duration, Late)> = due;
            for (_, late) in due {
                match late {
                    Late::Swap(swap) => drop(swap.happen(state)),
                    Late::Refresh(presented) => {
                        let issued = state.provider.refresh(presented, now).is_some();
                        state.model.note(format_args!("late: {presented} is presented: {issued}"));
                        if !issued {
                            state.model.ended(presented.login);
                        }
                    }
                }
            }
            state.model.check_waits();
            (state.model.happened, !state.late.is_empty())
        })
    }

    /// A new login of the user's. Its token lives so many seconds more, by all clocks.
    pub fn log_in(&self, user: u32, process: usize, life: i64) -> (TokenSerial, Token) {
        let wall = self.clock().wall(process);
        let seconds = Duration::from_secs(life.unsigned_abs());
        let deadline = if life < 0 { wall - seconds } else { wall + seconds };
        let serial = self.with(|state| {
            let life = Duration::from_secs(u64::try_from(life).unwrap_or_default());
            let serial = state.provider.log_in(state.clock.now(), life);
            state.model.logged_in(serial.login, user);
            serial
        });
        let token = Token::new(serial.access()).unwrap().with_expires_at(deadline.into());
        (serial, token)
    }
}

impl State {
    /// All is well again.
    pub fn recover(&mut self) {
        (self.outage, self.api) = (CountedFault::none(), CountedFault::none());
        self.grant = CountedFault::none();
        self.store.iter_mut().for_each(|fault| *fault = CountedFault::none());
        self.slow = Duration::ZERO;
    }

    /// What goes wrong with this call of the session's.
    pub fn store_fault(&mut self, slot: usize) -> Option<StoreFault> {
        let own = self.store[slot + 1].take();
        own.or_else(|| self.store[0].take())
    }

    /// One of these waits, in milliseconds.
    pub fn wait(&mut self, millis: &[u64]) -> Duration {
        Duration::from_millis(*millis.choose(&mut self.rng).unwrap())
    }

    pub fn is_drawn(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }
}

/// Waits, unless there is nothing to wait for.
pub async fn pause(time: Duration) {
    if time > Duration::ZERO {
        tokio::time::sleep(time).await;
    }
}

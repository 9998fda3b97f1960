//! One run: a schedule, step by step; then all is well again, and each target has to heal.

use std::sync::Arc;
use std::time::Duration;

use reqwest_middleware::ClientWithMiddleware;
use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::{Error, OAuthClient, Session, Token, testing};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::endpoints::{Api, ORIGIN, TokenEndpoint};
use super::model::Outcome;
use super::schedule::{Aim, Handle, Pace, Schedule, Setup, Step};
use super::world::World;
use crate::app::polled;
use crate::run::{Report, http};
use crate::token_serial::TokenSerial;

/// With a timer under way everything else comes first: nothing is left to run when it ends.
const GRAIN: Duration = Duration::from_millis(1);
/// All calls under way come to an end within this, once nothing hangs any more.
const CALLS: Duration = Duration::from_secs(300);
/// Between attempts: as long as what is refused is left alone, and longer.
const STEP: Duration = Duration::from_secs(700);
/// Together longer than 401s may renew nothing.
const STEPS: u32 = 12;

pub fn run(seed: u64) -> Report {
    testing::seed_jitter(seed);
    let schedule = Schedule::draw(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut app = App::new(seed, schedule.setup);
        if app.play(&schedule).await {
            app.heal().await;
        }
        app.world.with(|state| Report {
            violation: state.model.violation.take(),
            trace: std::mem::take(&mut state.model.trace),
            coverage: std::mem::take(&mut state.model.coverage),
        })
    })
}

/// The application: its sessions, and its calls.
struct App {
    world: World,
    setup: Setup,
    store: Arc<MemoryStore>,
    sessions: Vec<Session>,
    calls: Vec<AbortHandle>,
    count: u32,
}

/// A call that its caller has not seen the end of.
struct UnderWay(World, u32);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.with(|state| state.model.dropped(self.1));
    }
}

impl App {
    fn new(seed: u64, setup: Setup) -> Self {
        let world = World::new(seed, setup);
        world.with(|state| state.model.note(format_args!("{setup:?}")));
        let store = Arc::new(MemoryStore::new());
        let token = world.log_in(setup.first);
        let mut app =
            Self { world, setup, store, sessions: Vec::new(), calls: Vec::new(), count: 0 };
        app.sessions = (0..setup.sessions()).map(|n| app.open(n, Some(&token))).collect();
        app
    }

    /// A session as a process has it.
    fn open(&self, session: usize, token: Option<&Token>) -> Session {
        let world = self.world.clone();
        let endpoint = TokenEndpoint { world: world.clone(), session };
        let app = OAuthClient::new("foo", "https://provider.example/token").unwrap();
        let clock = world.clock.clone();
        let builder = Session::builder(app.http_client(http().with(endpoint).build()));
        let mut builder = builder.clock(move || clock.wall());
        if let Some(token) = token {
            builder = builder.token(token.clone());
        }
        if self.setup.shared {
            return builder.store(self.store.clone(), "me").build();
        }
        let save = move |token: Token| {
            let failed = world.with(|state| {
                let failed = state.saver.take().is_some();
                if failed {
                    state.model.coverage.count("targets: a saver fails");
                } else {
                    state.saved = Some(token);
                }
                failed
            });
            async move { if failed { Err(std::io::Error::other("the disk is full")) } else { Ok(()) } }
        };
        builder.on_new_token(save).build()
    }

    /// Plays the schedule until its end, or until something must not be.
    async fn play(&mut self, schedule: &Schedule) -> bool {
        for (step, pace) in &schedule.steps {
            self.world.with(|state| state.model.note(format_args!("STEP {step:?}, {pace:?}")));
            self.take(*step).await;
            match pace {
                Pace::Turns(turns) => {
                    for _ in 0..*turns {
                        tokio::task::yield_now().await;
                    }
                }
                Pace::Quiet => sleep(GRAIN).await,
            }
            if !self.holds() {
                return false;
            }
        }
        true
    }

    /// Whether nothing has happened that must not.
    fn holds(&self) -> bool {
        for session in &self.sessions {
            for aim in Aim::ALL {
                let token = aim.of(session).current_token();
                let serial = token.and_then(|token| TokenSerial::read(token.access_token()));
                self.world.with(|state| {
                    let is_for = serial.map(|serial| state.issued_for.get(&serial).copied());
                    if is_for.is_some_and(|is_for| is_for != Some(aim)) {
                        let what = format!("{aim:?} has {serial:?}, which is for {is_for:?}");
                        state.model.violation(what);
                    }
                });
            }
        }
        self.world.with(|state| {
            state.model.check_waits();
            state.model.violation.is_none()
        })
    }

    fn count(&self, what: &'static str) {
        self.world.with(|state| state.model.coverage.count(what));
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Request(handle, polls) => self.request(handle, polls),
            Step::Herd(session) => {
                self.count("targets: all three at once");
                for aim in Aim::ALL.into_iter().chain(Aim::ALL) {
                    self.request(Handle { session, aim }, None);
                }
            }
            Step::Token(handle, polls) => {
                let session = self.handle(handle);
                self.call(handle, polls, async move { given(session.token().await) });
            }
            Step::Refresh(handle, polls) => {
                let session = self.handle(handle);
                self.call(handle, polls, async move { given(session.refresh().await) });
            }
            Step::Mark(handle) => {
                let session = self.handle(handle);
                if session.current_token().is_some_and(|token| session.mark_rejected(&token)) {
                    self.count("targets: a token is marked as rejected");
                }
            }
            Step::SetToken(session, life) => {
                self.count("targets: sign-in");
                let (token, handle) = (self.world.log_in(life), self.sessions[session].clone());
                let own = Handle { session, aim: Aim::Own };
                self.call(own, None, async move { done(handle.set_token(token).await) });
            }
            Step::SignOut(session) => {
                self.count("targets: sign-out");
                self.world.with(|state| state.model.signed_out());
                let handle = self.sessions[session].clone();
                let own = Handle { session, aim: Aim::Own };
                self.call(own, None, async move { done(handle.sign_out().await) });
            }
            Step::CancelAll => self.calls.drain(..).for_each(|call| call.abort()),
            Step::Pass(time) => sleep(time).await,
            Step::UntilExpired => {
                let now = self.world.clock.wall();
                let deadlines = self.sessions.iter().flat_map(|session| {
                    Aim::ALL.map(|aim| aim.of(session).current_token()?.expires_at())
                });
                let left = deadlines
                    .flatten()
                    .filter_map(|at| std::time::SystemTime::from(at).duration_since(now).ok());
                sleep(left.max().unwrap_or_default().min(Duration::from_secs(7200))).await;
            }
            Step::EndAccess(aim) => {
                let tokens = self.sessions.iter().filter_map(|s| aim.of(s).current_token());
                let tokens = tokens.filter_map(|token| TokenSerial::read(token.access_token()));
                tokens.for_each(|it| self.world.with(|state| state.provider.end_access(it)));
            }
            Step::Reject(aim) => drop(self.world.with(|state| state.rejected.insert(aim))),
            Step::Refuse(aim) => drop(self.world.with(|state| state.refused.insert(aim))),
            Step::Outage(outage, times) => {
                self.world.with(|state| state.outage.set(outage, times));
            }
            Step::Slow(time) => self.world.with(|state| state.slow = time),
            Step::SaverFails(times) => self.world.with(|state| state.saver.set((), times)),
            Step::Recover => self.world.with(|state| {
                state.recover();
                state.refused.clear();
            }),
        }
    }

    fn handle(&self, Handle { session, aim }: Handle) -> Session {
        aim.of(&self.sessions[session])
    }

    fn client(&self, handle: Handle) -> ClientWithMiddleware {
        let session = self.handle(handle);
        http().with(session.middleware([ORIGIN]).unwrap()).with(Api(self.world.clone())).build()
    }

    fn request(&mut self, handle: Handle, polls: Option<u32>) {
        let request = self.client(handle).get(format!("{ORIGIN}/{:?}", handle.aim));
        self.call(handle, polls, async move {
            match request.send().await {
                Ok(response) => Outcome::Status(response.status().as_u16()),
                Err(error) => Outcome::Failed(Error::find_in(&error).unwrap().clone()),
            }
        });
    }

    /// Makes the call in a task of its own, which drops it after that many polls.
    fn call(
        &mut self,
        handle: Handle,
        polls: Option<u32>,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) {
        self.count += 1;
        let (world, id) = (self.world.clone(), self.count);
        let call = tokio::spawn(async move {
            world.with(|state| {
                state.model.note(format_args!("call {id} begins: {handle:?}"));
                state.model.began(id, handle);
            });
            let under_way = UnderWay(world.clone(), id);
            if let Some(outcome) = polled(polls, work).await {
                world.with(|state| {
                    let has_ended = state.provider.has_ended(state.model.login);
                    state.model.ended(id, &outcome, has_ended);
                    if let Outcome::Token(serial) = outcome
                        && state.issued_for.get(&serial) != Some(&handle.aim)
                    {
                        state.model.violation(format!("{serial} is given for {:?}", handle.aim));
                    }
                });
            }
            drop(under_way);
        });
        self.calls.push(call.abort_handle());
    }

    /// All is well again, but that the provider may refuse one target: the others heal; then that one too.
    async fn heal(&mut self) {
        let refused = self.setup.refused_to_the_end;
        self.world.with(|state| {
            state.model.note(format_args!("HEAL, but for {refused:?}"));
            state.recover();
            state.refused = refused.into_iter().collect();
            state.provider.lifetime = Some(3600);
        });
        sleep(CALLS).await;
        if let Some(refused) = refused {
            self.count("targets: a target is refused to the end");
            let others: Vec<Aim> = Aim::ALL.into_iter().filter(|aim| *aim != refused).collect();
            self.heals(&others).await;
            self.world.with(|state| state.refused.clear());
        }
        if self.holds() && self.heals(&Aim::ALL).await {
            self.check_saved().await;
        }
        self.holds();
    }

    /// Whether each session has a good token for each of these; not if the login is over.
    async fn heals(&mut self, aims: &[Aim]) -> bool {
        let (mut last, mut is_over) = (Vec::new(), false);
        for _ in 0..STEPS {
            last = Vec::new();
            for session in 0..self.sessions.len() {
                for aim in aims {
                    let handle = Handle { session, aim: *aim };
                    let request = self.client(handle).get(format!("{ORIGIN}/{aim:?}"));
                    last.push(match request.send().await {
                        Ok(response) => response.status().to_string(),
                        Err(error) => Error::find_in(&error).unwrap().to_string(),
                    });
                }
            }
            if last.iter().all(|outcome| outcome == "200 OK") {
                return true;
            }
            is_over = self.world.with(|state| {
                state.model.is_signed_out || state.provider.has_ended(state.model.login)
            });
            // A session whose tokens are good does not look into the store.
            let knows = |outcome: &String| {
                outcome.starts_with("reauthorization") || self.setup.shared && outcome == "200 OK"
            };
            if is_over && last.iter().all(knows) {
                return false;
            }
            sleep(STEP).await;
        }
        let what = format!("it does not heal for {aims:?} (over: {is_over}): {last:?}");
        self.world.with(|state| state.model.violation(what));
        false
    }

    /// Another process finds all access tokens with the login, and nothing has to be asked for.
    async fn check_saved(&self) {
        self.count("targets: healed");
        let before = self.world.with(|state| state.model.token_requests);
        let saved = if self.setup.shared {
            None
        } else {
            // The first token needs no saving.
            let Some(saved) = self.world.with(|state| state.saved.clone()) else { return };
            Some(saved)
        };
        let session = self.open(self.sessions.len(), saved.as_ref());
        for aim in Aim::ALL {
            let (found, here) = (aim.of(&session), aim.of(&self.sessions[0]));
            let found = found.token().await.map(|token| token.access_token().to_owned());
            let here = here.current_token().map(|token| token.access_token().to_owned());
            let is_same = self.setup.shared || found.as_ref().ok() == here.as_ref();
            if found.is_err() || !is_same {
                let what = format!("{aim:?}: saved is {found:?}, in use is {here:?}");
                self.world.with(|state| state.model.violation(what));
            }
        }
        let after = self.world.with(|state| state.model.token_requests);
        if after != before {
            let what = "what was saved has to be asked for again".to_owned();
            self.world.with(|state| state.model.violation(what));
        }
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

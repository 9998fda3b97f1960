//! One run: a schedule, step by step; then everything is fixed, and has to heal.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_oauth2::{KeepFreshGuard, OAuthClient, Session, TokenUpdates, testing};
use tokio::time::sleep;

use crate::api::{Api, ORIGIN};
use crate::app::App;
use crate::coverage::Coverage;
use crate::endpoints::Endpoints;
use crate::recovery::recover;
use crate::saver::Saver;
use crate::schedule::{First, Pace, Schedule, Setup, Shape, Step};
use crate::token_serial::TokenSerial;
use crate::world::World;

/// The longest step, in virtual time.
const LONGEST: Duration = Duration::from_secs(7200);
/// With a timer under way everything else comes first: nothing is left to run when it ends.
const GRAIN: Duration = Duration::from_millis(1);

pub struct Report {
    pub violation: Option<String>,
    pub trace: String,
    pub coverage: Coverage,
}

pub fn run(seed: u64) -> Report {
    testing::seed_jitter(seed);
    let schedule = Schedule::draw(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::new(seed, schedule.setup);
        let session = session(&world, schedule.setup);
        world.watch(Some(session.clone()));
        let http = http().with(session.middleware([ORIGIN]).unwrap()).with(Api(world.clone()));
        let mut app = App::new(world.clone(), session, http.build());
        if play(&mut app, &schedule).await {
            recover(&mut app).await;
        }
        let report = world.with(|state| Report {
            violation: state.model.violation.take(),
            trace: std::mem::take(&mut state.model.trace),
            coverage: std::mem::take(&mut state.model.coverage),
        });
        world.watch(None);
        report
    })
}

/// A client to which the end of its chain is added, and which so sends nothing.
pub fn http() -> ClientBuilder {
    static PLAIN: OnceLock<reqwest::Client> = OnceLock::new();
    let plain = || reqwest::Client::builder().no_proxy().build().unwrap();
    ClientBuilder::new(PLAIN.get_or_init(plain).clone())
}

fn session(world: &World, setup: Setup) -> Session {
    let http: ClientWithMiddleware = http().with(Endpoints(world.clone())).build();
    let mut app =
        OAuthClient::new("foo", "https://provider.example/token").unwrap().http_client(http);
    if setup.revocation {
        app = app.revocation_endpoint("https://provider.example/revoke").unwrap();
    }
    let clock = world.clock().clone();
    let life = match setup.first {
        First::Token(life) => life,
        First::RefreshToken => -1,
    };
    let (serial, token, deadline) = world.log_in(life);
    world.with(|state| {
        state.model.note(format_args!("{setup:?}"));
        state.model.given(serial, life, deadline, true);
    });
    let mut builder = Session::builder(app).clock(move || clock.wall());
    builder = match setup.first {
        First::Token(_) => builder.token(token),
        First::RefreshToken => builder.refresh_token(serial.refresh()),
    };
    if setup.saver {
        builder = builder.saver(Saver(world.clone()));
    }
    if setup.strict_saving {
        builder = builder.strict_saving();
    }
    if setup.manual {
        builder = builder.manual_refresh();
    }
    builder.build()
}

/// What a step may leave behind.
struct Stage {
    keep_fresh: Option<KeepFreshGuard>,
    updates: TokenUpdates,
    /// The newest token that the subscriber has been told of.
    told: Option<TokenSerial>,
}

/// Plays the schedule until its end, or until something must not be.
async fn play(app: &mut App, schedule: &Schedule) -> bool {
    let keep_fresh = schedule.setup.keep_fresh.then(|| app.session.keep_fresh().unwrap());
    let mut stage = Stage { keep_fresh, updates: app.session.subscribe(), told: None };
    for (step, pace) in &schedule.steps {
        app.world.with(|state| {
            state.model.note(format_args!("STEP {step:?}, {pace:?}"));
            state.model.coverage.count(step.name());
        });
        take(app, &mut stage, *step).await;
        match pace {
            Pace::Turns(turns) => {
                for _ in 0..*turns {
                    tokio::task::yield_now().await;
                }
            }
            Pace::Quiet => sleep(GRAIN).await,
        }
        if !holds(app, &mut stage) {
            return false;
        }
    }
    true
}

/// Whether nothing has happened that must not.
fn holds(app: &App, stage: &mut Stage) -> bool {
    while let Some(Some(token)) = stage.updates.next().now_or_never() {
        let serial = TokenSerial::read(token.access_token());
        if serial < stage.told {
            let told = stage.told;
            let what = format!("a subscriber is told of {serial:?} after {told:?}");
            app.world.with(|state| state.model.violation(what));
        }
        stage.told = serial;
    }
    app.world.with(|state| {
        state.model.check_waits();
        state.model.violation.is_none()
    })
}

async fn take(app: &mut App, stage: &mut Stage, step: Step) {
    let world = app.world.clone();
    match step {
        Step::Request { shape, polls } => app.request(shape, polls),
        Step::Herd(count) => (0..count).for_each(|_| app.request(Shape::Get, None)),
        Step::Elsewhere(which) => app.elsewhere(which),
        Step::OwnHeader => app.own_header(),
        Step::Token { polls } => app.token(polls),
        Step::Refresh { polls } => app.refresh(polls),
        Step::SetToken { life, polls } => app.set_token(life, polls),
        Step::SignOut { polls } => app.sign_out(polls),
        Step::Shutdown { polls } => app.shutdown(polls),
        Step::Cancel(which) => app.cancel(which),
        Step::CancelAll => app.cancel_all(),
        Step::Pass(time) => sleep(time).await,
        Step::UntilDue => until(&world, world.with(|state| state.model.due_from())).await,
        Step::UntilExpired => until(&world, world.with(|state| state.model.expired_from())).await,
        Step::Jump(seconds) => {
            // What was due until now was due.
            world.with(|_| ());
            world.clock().jump(seconds);
            world.with(|state| state.model.jumped());
        }
        Step::EndAccess => world.with(|state| {
            if let Some(live) = state.model.live {
                state.provider.end_access(live);
            }
        }),
        Step::EndLogin => world.with(|state| state.provider.end(state.model.login)),
        Step::Outage(outage, times) => world.with(|state| state.outage.set(outage, times)),
        Step::Slow(time) => world.with(|state| state.slow = time),
        Step::Api(trouble, times) => world.with(|state| state.api.set(trouble, times)),
        Step::Saver(trouble, times) => world.with(|state| state.saver.set(trouble, times)),
        Step::Recover => world.with(|state| state.recover()),
        Step::KeepFresh(on) => {
            stage.keep_fresh = on.then(|| app.session.keep_fresh().unwrap());
        }
    }
}

/// Sleeps until the wall clock says so.
async fn until(world: &World, time: Option<SystemTime>) {
    let left = time.and_then(|time| time.duration_since(world.clock().wall()).ok());
    if let Some(left) = left.filter(|left| *left <= LONGEST) {
        sleep(left).await;
    }
}

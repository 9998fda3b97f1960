//! The end of a run: provider, saver and API are well again, nobody cancels, and time passes. Then
//! the newest token serves and is saved; or the login has ended, and the error says so.

use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;
use crate::model::{LastOutcome, Written};
use crate::schedule::Shape;

/// All calls under way come to an end within this, once nothing hangs any more.
const CALLS: Duration = Duration::from_secs(300);
/// Any one call does, by then.
const CALL: Duration = Duration::from_secs(10);
/// Between attempts: as long as a misconfigured client waits, and longer.
const STEP: Duration = Duration::from_secs(700);
/// Together longer than 401s may renew nothing, and than a `Retry-After` counts.
const STEPS: u32 = 12;
/// The saver's longest call, and the longest wait after it.
const SAVE: Duration = Duration::from_secs(120);

pub async fn recover(app: &mut App) {
    let world = app.world.clone();
    world.with(|state| {
        state.model.note(format_args!("HEAL"));
        state.recover();
        state.provider.lifetime = Some(3600);
    });
    sleep(CALLS).await;
    let waiting = world.with(|state| state.model.waiting());
    if waiting > 0 {
        return fail(app, format!("{waiting} calls are still waiting"));
    }
    // Of a login that has ended there is nothing to save.
    let left_over =
        world.with(|state| state.model.saves.left_over().filter(|_| !state.model.ended));
    if let Some(older) = left_over {
        return fail(app, format!("{older} was saved late over a newer token, and stays"));
    }
    for _ in 0..STEPS {
        attempt(app).await;
        let (last, ended) = world.with(|state| (state.model.last, state.model.may_have_ended()));
        match last {
            Some(LastOutcome::Status(200)) => return check_healed(app).await,
            Some(LastOutcome::Reauthorization) if ended => return check_ended(app).await,
            _ => sleep(STEP).await,
        }
    }
    fail(app, "it does not heal".to_owned());
}

/// A request; by hand, a refresh goes before it.
async fn attempt(app: &mut App) {
    let world = app.world.clone();
    if world.with(|state| state.model.setup.manual) {
        app.refresh(None);
        sleep(CALL).await;
        if world.with(|state| state.model.last == Some(LastOutcome::Reauthorization)) {
            return;
        }
    }
    app.request(Shape::Get, None);
    sleep(CALL).await;
}

async fn check_healed(app: &mut App) {
    sleep(SAVE).await;
    if app.world.with(|state| state.model.ended) {
        // A renewal in the background has found the end, while the token before it served.
        return check_ended(app).await;
    }
    let saver = app.world.with(|state| state.model.setup.saver);
    let why = app.world.with(|state| {
        state.model.coverage.count("end: healed");
        if state.model.live != state.model.newest() {
            return Some("the newest token is not in use");
        }
        if state.provider.has_ended(state.model.login) {
            return Some("the login has ended, and serves");
        }
        let is_saved = state.model.is_saved();
        (saver && !is_saved).then_some("the newest token is not saved")
    });
    match why {
        Some(why) => fail(app, why.to_owned()),
        None if app.session.save_error().is_some() => {
            fail(app, "saving is said to fail".to_owned());
        }
        None => {}
    }
}

async fn check_ended(app: &mut App) {
    let world = app.world.clone();
    sleep(SAVE).await;
    let before = world.with(|state| {
        state.model.coverage.count("end: login ended");
        state.model.token_requests
    });
    sleep(STEP * STEPS).await;
    attempt(app).await;
    let why = world.with(|state| {
        let signed_out = state.model.live.is_none() && state.model.signed_out();
        if state.model.token_requests != before {
            Some("tokens are asked for after the end of the login")
        } else if state.model.last != Some(LastOutcome::Reauthorization) {
            Some("the end of the login is forgotten")
        } else if !signed_out && !state.provider.has_ended(state.model.login) {
            Some("the login has not ended")
        } else if signed_out && state.model.setup.saver {
            let deleted = matches!(state.model.saves.written, Written::Nothing | Written::Deleted);
            (!deleted).then_some("what was saved is not deleted")
        } else {
            None
        }
    });
    if let Some(why) = why {
        fail(app, why.to_owned());
    }
}

fn fail(app: &App, what: String) {
    app.world.with(|state| state.model.violation(what));
}

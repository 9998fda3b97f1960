//! The end of a run: store, provider and API are well again, and nothing dies any more. Then all
//! sessions serve the newest token, the store holds it, and nothing more is asked of anybody; or all
//! say that the login has ended.

use std::time::Duration;

use super::fleet::Fleet;
use super::model::Outcome;
use super::schedule::Caller;

/// All calls under way come to an end within this.
const CALLS: Duration = Duration::from_secs(400);
/// Any one call does, by then.
const CALL: Duration = Duration::from_secs(100);
/// Between attempts: as long as a misconfigured client waits, and longer.
const STEP: Duration = Duration::from_secs(700);
/// Together longer than 401s may renew nothing, and than a `Retry-After` counts.
const STEPS: u32 = 12;
/// Longer than any token lives.
const LIFE: Duration = Duration::from_secs(3700);

pub fn recover(fleet: &mut Fleet) {
    fleet.world.with(|state| {
        state.model.note(format_args!("HEAL"));
        state.recover();
        state.provider.lifetime = Some(3600);
    });
    for process in 0..fleet.setup.runtimes.len() {
        fleet.world.clock().jump(process, 0, 0);
    }
    fleet.runtimes.wake_all();
    fleet.advance(CALLS);
    let waiting = fleet.world.with(|state| state.model.waiting());
    if waiting > 0 {
        return fail(fleet, format!("{waiting} calls are still waiting"));
    }
    for step in 0.. {
        if requests(fleet).iter().all(|end| end.is_some()) {
            break;
        }
        if step == STEPS {
            return fail(fleet, "it does not heal".to_owned());
        }
        fleet.advance(STEP);
    }
    // What one of them still has to write back, the others find afterwards.
    expire(fleet);
    requests(fleet);
    expire(fleet);
    let ends = requests(fleet);
    check(fleet, &ends);
    rest(fleet);
}

/// A session may use the token before for as long as that is good, which may be for ever.
fn expire(fleet: &mut Fleet) {
    fleet.advance(LIFE);
    fleet.world.with(|state| {
        let tokens = (0..fleet.setup.users).filter_map(|user| state.model.record(user)?.1);
        let tokens: Vec<_> = tokens.collect();
        state.provider.end_access_but(&tokens);
    });
}

/// How the requests of all sessions end, user by user: whether with a response, or with the end of the
/// login; `None`: otherwise.
fn requests(fleet: &mut Fleet) -> Vec<Option<bool>> {
    let mut ends = Vec::new();
    for user in 0..fleet.setup.users {
        for slot in 0..fleet.setup.slots() {
            fleet.request(Caller { slot, user, runtime: 0, polls: None });
            fleet.advance(CALL);
            let end = fleet.world.with(|state| match state.model.last.take() {
                Some(Outcome::Status(200)) => Some(true),
                Some(Outcome::Failed(error)) if error.is_reauthorization_required() => Some(false),
                _ => None,
            });
            ends.push(end);
        }
    }
    ends
}

fn check(fleet: &Fleet, ends: &[Option<bool>]) {
    let slots = fleet.setup.slots();
    for (user, ends) in (0..).zip(ends.chunks(slots)) {
        let wrong = fleet.world.with(|state| {
            let record = state.model.record(user);
            let used: Vec<_> = (0..slots).map(|slot| state.model.last_used(slot, user)).collect();
            let is_signed_in = matches!(record, Some((true, Some(_))));
            state.model.coverage.count(if is_signed_in {
                "shared: all serve one token at the end"
            } else {
                "shared: nobody is signed in at the end"
            });
            if ends.iter().any(|end| *end != Some(is_signed_in)) {
                return Some(format!("user {user} is told {ends:?}, and the store has {record:?}"));
            }
            if let Some(token) = state.model.not_written_back(user) {
                return Some(format!("the store has nothing, and {token} was used"));
            }
            let Some((true, Some(access))) = record else { return None };
            let differ = used.iter().any(|used| *used != Some(access));
            differ.then(|| format!("the store has {access:?}, and {used:?} are used"))
        });
        if let Some(wrong) = wrong {
            fail(fleet, wrong);
        }
    }
}

/// Nothing more is asked of anybody, and no more users are in memory than may be.
fn rest(fleet: &mut Fleet) {
    let asked = |fleet: &Fleet| {
        fleet.world.with(|state| (state.model.token_requests, state.model.store_calls))
    };
    let before = asked(fleet);
    fleet.advance(STEP);
    if asked(fleet) != before {
        fail(fleet, "it does not come to rest".to_owned());
    }
    if fleet.setup.many {
        check_loaded(fleet);
    }
}

/// Busy sessions may be too many. When another user comes, those whose runtime has ended go on; when one
/// more comes, there is room again.
fn check_loaded(fleet: &mut Fleet) {
    for slot in 0..fleet.setup.slots() {
        for another in 2..4 {
            let user = fleet.setup.users + another;
            fleet.set_token(Caller { slot, user, runtime: 0, polls: None }, 3600);
            fleet.advance(CALL);
        }
    }
    let (loaded, most) = (fleet.loaded(), fleet.setup.max_sessions);
    if loaded.iter().any(|loaded| *loaded > most) {
        fail(fleet, format!("{loaded:?} sessions are in memory, and {most} may be"));
    }
}

fn fail(fleet: &Fleet, what: String) {
    fleet.world.with(|state| state.model.violation(what));
}

//! What is known of a token.

use std::time::{Duration, SystemTime};

use crate::clock::Clock;
use crate::provider::Issued;
use crate::token_serial::TokenSerial;

pub(super) struct Facts {
    /// When the session got hold of it.
    pub(super) received: Duration,
    /// When it was first seen in use.
    pub(super) live_since: Option<Duration>,
    /// Not due before, and expired from then on; `None`: never.
    pub(super) due_from: Option<SystemTime>,
    /// Due from then on, at any jitter; known of renewals.
    pub(super) surely_due_from: Option<SystemTime>,
    pub(super) expired_from: Option<SystemTime>,
    pub(super) refresh: TokenSerial,
    /// It needs no saving: the session began with it.
    pub(super) is_first: bool,
    pub(super) is_renewal: bool,
    /// When the 401 came, if a renewal brought it that had no other cause.
    pub(super) after_401: Option<Duration>,
    /// Causes for a renewal.
    pub(super) was_due: bool,
    pub(super) asked_by_hand: bool,
    pub(super) first_401: Option<Duration>,
    /// A server took it.
    pub(super) accepted: bool,
    pub(super) save_tried: bool,
    pub(super) saved: bool,
    pub(super) offered: bool,
}

impl Facts {
    pub(super) fn given(
        clock: &Clock,
        life: i64,
        deadline: SystemTime,
        serial: TokenSerial,
        is_first: bool,
    ) -> Self {
        Self {
            received: clock.now(),
            live_since: None,
            due_from: Some(deadline - longest_lead(life)),
            surely_due_from: None,
            expired_from: Some(deadline),
            refresh: serial,
            is_first,
            is_renewal: false,
            after_401: None,
            was_due: life <= 0,
            asked_by_hand: false,
            first_401: None,
            accepted: false,
            save_tried: false,
            saved: false,
            offered: false,
        }
    }

    pub(super) fn renewed(
        clock: &Clock,
        sent: SystemTime,
        issued: &Issued,
        old: TokenSerial,
    ) -> Self {
        // What is issued as expired is used until a 401.
        let life = issued.lifetime.filter(|life| *life > 0);
        let deadline = life.map(|life| sent + Duration::from_secs(life.unsigned_abs()));
        let lead = longest_lead(life.unwrap_or_default());
        let margin = Duration::from_secs(life.unwrap_or_default().unsigned_abs()) / 10;
        Self {
            due_from: deadline.map(|deadline| deadline - lead),
            surely_due_from: deadline.map(|deadline| deadline - lead * 3 / 5),
            expired_from: deadline.map(|deadline| deadline - margin.min(Duration::from_secs(10))),
            refresh: issued.refresh.unwrap_or(old),
            is_renewal: true,
            was_due: false,
            ..Self::given(clock, 0, sent, issued.access, false)
        }
    }
}

/// How long before its deadline a token can be due, at any jitter.
fn longest_lead(life: i64) -> Duration {
    let life = Duration::from_secs(u64::try_from(life).unwrap_or_default());
    let lead = (life / 5).clamp(Duration::from_secs(10), Duration::from_secs(300)).min(life / 2);
    // A nanosecond for the rounding of what is done in floating point.
    lead * 5 / 4 + Duration::from_nanos(1)
}

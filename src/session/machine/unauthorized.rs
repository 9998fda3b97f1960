//! What a 401 does
//! ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
//!
//! The token decides, not the time: a 401 for a token that has since been replaced is retried with the
//! present one and renews nothing, so five late 401s cost no renewal.
//!
//! A server that says 401 whatever the token must not cost a renewal per request. If a token that was
//! renewed because of a 401 is rejected too, be it in the replay or as the first thing that any server
//! says of it, 401s renew nothing for a minute, doubled each time in a row, up to an hour. Renewals by
//! deadline go on.

use std::time::Duration;

use super::backoff::doubled;
use super::{Credential, Home, Machine, Note, Now, Settings, Stage, State};

/// Keeps 401s from renewing, after a renewal has not helped against them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Quiet {
    pub(super) until: Duration,
    pub(super) times: u32,
    /// The token whose rejection brought it about.
    pub(super) serial: u64,
}

impl<T: Credential, E: Clone> Machine<T, E> {
    /// A resource server said 401 to this token. Whether to send the request again, with a token other
    /// than this. Takes the token out of use, if it is the present one and a renewal may help.
    pub(crate) fn rejected(&mut self, sent: &T, settings: &Settings, now: &Now) -> bool {
        let can_renew = settings.home == Home::Store
            || match &self.known {
                // Whoever sent it is told that the login has ended.
                Some(known) if matches!(known.state, State::Ended(_)) => true,
                Some(known) => Self::way_to_renew(known, settings).is_some(),
                None => settings.has_grant,
            };
        let may_renew = can_renew && !settings.manual_refresh;
        let stage = self.stage(now);
        let Some(served) = self.served.as_ref().filter(|served| served.token.is_same(sent)) else {
            return stage != Stage::Expired || may_renew;
        };
        let serial = served.serial;
        let is_quiet = self.quiet.as_ref().is_some_and(|quiet| now.at < quiet.until);
        if !may_renew || is_quiet {
            return false;
        }
        let was_quiet_for = self.quiet.as_ref().is_some_and(|quiet| quiet.serial == serial);
        if served.after_rejection && !served.token.is_accepted() && !was_quiet_for {
            self.keep_quiet(serial, now);
            return false;
        }
        if let Some(served) = self.served.as_mut().filter(|served| !served.rejected) {
            served.rejected = true;
            self.note(Note::TokenRejected { serial });
        }
        true
    }

    /// A request that was sent again after a 401 has been answered.
    pub(crate) fn replayed(&mut self, sent: &T, rejected: bool, now: &Now) {
        let Some(served) = self.served.as_ref().filter(|served| served.token.is_same(sent)) else {
            // It says nothing of the token that has taken its place.
            return;
        };
        if !served.after_rejection {
            return;
        }
        let serial = served.serial;
        if rejected {
            self.keep_quiet(serial, now);
        } else {
            self.quiet = None;
        }
    }

    fn keep_quiet(&mut self, serial: u64, now: &Now) {
        if self.quiet.as_ref().is_some_and(|quiet| now.at < quiet.until) {
            return;
        }
        let times = self.quiet.as_ref().map_or(0, |quiet| quiet.times).saturating_add(1);
        let wait = doubled(Duration::from_secs(60), Duration::from_secs(3600), times);
        self.quiet = Some(Quiet { until: now.at + wait, times, serial });
        self.note(Note::UnauthorizedAfterRenewal { serial });
    }
}

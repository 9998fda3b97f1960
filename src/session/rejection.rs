//! What a 401 does to a session
//! ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
//!
//! Generations decide, not times: a 401 for a token that has since been replaced is retried with
//! the present one and renews nothing, so five late 401s cost no renewal.
//!
//! A server that says 401 whatever the token must not cost a renewal per request. A renewal that a
//! 401 caused is futile if the new token is rejected too, be it in the replay or as the first thing
//! that any server says of it. After a futile renewal 401s renew nothing for a minute (doubled each
//! time in a row, up to an hour); renewals by deadline go on.

use std::sync::Arc;

use super::core::Core;
use super::freshness::Stage;
use super::ledger::{Ledger, Quiet};
use super::snapshot::{Origin, Snapshot};
use crate::error::Error;
use crate::observe;

impl Core {
    /// The token to send the request again with, after a 401 to `sent`; `None` to return the 401.
    /// Waits for a renewal only where the request can be sent again; otherwise the next request
    /// renews.
    pub(crate) async fn rejected(
        self: &Arc<Self>,
        sent: &Snapshot,
        can_replay: bool,
    ) -> Result<Option<Arc<Snapshot>>, Error> {
        if !self.mark_rejected(sent) || !can_replay {
            return Ok(None);
        }
        self.renewed(sent.generation).await.map(Some)
    }

    /// Takes the token out of use, if it is the present one and a renewal may help. Whether the
    /// request should be sent again.
    fn mark_rejected(&self, sent: &Snapshot) -> bool {
        let mut ledger = self.ledger();
        let current = self.current.load_full();
        if current.generation != sent.generation {
            return current.freshness.stage(self.config.clock.now()) != Stage::Expired
                || (!self.config.manual && self.can_renew(&current));
        }
        if self.config.manual || !self.can_renew(&current) || ledger.quiet.is_on() {
            return false;
        }
        let unproven = sent.origin == Origin::RenewedAfterRejection && !sent.is_accepted();
        if unproven && !ledger.quiet.was_for(sent.generation) {
            futile(&mut ledger, sent.generation);
            return false;
        }
        if !current.rejected {
            observe::token_rejected(current.generation);
            self.current.store(Arc::new(current.reject()));
        }
        true
    }

    /// A request that was sent again after a 401 has been answered.
    pub(crate) fn replayed(&self, sent: &Snapshot, rejected: bool) {
        if sent.origin != Origin::RenewedAfterRejection {
            return;
        }
        let mut ledger = self.ledger();
        if self.current.load().generation != sent.generation {
            // It says nothing of the token that has taken its place.
            return;
        }
        if rejected {
            futile(&mut ledger, sent.generation);
        } else {
            ledger.quiet = Quiet::default();
        }
    }
}

fn futile(ledger: &mut Ledger, generation: u64) {
    if ledger.quiet.extend(generation) {
        observe::unauthorized_after_renewal(generation);
    }
}

//! Whose turn it is to renew, among the processes that share a store.
//!
//! # Concurrency
//!
//! - Read first: a sibling may have renewed the token already, and then it is adopted. Only who
//!   finds nothing newer asks for the lease, and only who holds the lease, and has read once more
//!   under it, presents the refresh token, the one that the store holds.
//! - A [`Hold`] is a task that extends the lease while the renewal runs and while its token is not
//!   saved yet, and then releases it. A process that dies takes its task with it: the lease ends by
//!   itself, and a sibling takes over.
//! - The lease is checked against the clock before the refresh token is presented. A process that
//!   was stopped for longer than the lease asks anew.
//! - A store that was away, or that has lost its content, may have let the lease of a living holder
//!   end. It takes it back within a third of the lease's time; until half of it has gone by nobody
//!   else asks for it. See [`Calm`].
//! - Nothing here holds a lock or a connection of the store across the token request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tracing::Instrument;

use super::core::{Core, runtime};
use super::freshness::Stage;
use super::shelf::{Shelf, Stored};
use super::snapshot::{Origin, Snapshot};
use crate::error::{Error, Kind};
use crate::jitter::between;
use crate::observe;
use crate::store::Version;
use crate::token::Token;

/// Between looks at whether a sibling has finished; doubled, and jittered by a half either way.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_millis(500);

pub(super) enum Turn {
    /// A sibling has renewed the token: this is it.
    Adopt(Arc<Token>, Version),
    /// Renew this one, under the lease.
    Renew(Option<Arc<Token>>, Hold),
}

/// A lease that is kept until this is dropped, and released then.
pub(crate) struct Hold {
    _end: oneshot::Sender<()>,
}

/// Waits for the turn of this process to renew.
pub(super) async fn turn(core: &Core, shelf: &Shelf) -> Result<Turn, Error> {
    wait(core, shelf, |stored| adoptable(core, stored)).await
}

/// Waits for the turn of this process to end the login: its token, and the lease.
pub(super) async fn last(core: &Core, shelf: &Shelf) -> Result<(Option<Arc<Token>>, Hold), Error> {
    match wait(core, shelf, |_| Ok(None)).await? {
        Turn::Renew(token, hold) => Ok((token, hold)),
        // Not asked for.
        Turn::Adopt(..) => Err(Error::new(Kind::Busy(Duration::ZERO))),
    }
}

async fn wait(
    core: &Core,
    shelf: &Shelf,
    adopt: impl Fn(&Stored) -> Result<Option<Turn>, Error>,
) -> Result<Turn, Error> {
    let patience = core.config.lease * 3;
    let began = Instant::now();
    let mut look = FIRST_LOOK;
    let mut calm = Calm::new(core);
    loop {
        let stored = shelf.load().await?;
        if let Some(turn) = adopt(&stored)? {
            return Ok(turn);
        }
        let asked = Instant::now();
        if calm.has_lasted(core, &stored) && shelf.lease().await? {
            let hold = Hold::keep(shelf.clone(), core.config.lease)?;
            let stored = shelf.load().await?;
            if let Some(turn) = adopt(&stored)? {
                return Ok(turn);
            }
            if calm.has_lasted(core, &stored) && asked.elapsed() < core.config.lease / 2 {
                return Ok(Turn::Renew(base(core, stored), hold));
            }
        }
        if began.elapsed() > patience {
            return Err(Error::new(Kind::Busy(patience)));
        }
        sleep(between(look / 2, look * 3 / 2)).await;
        look = (look * 2).min(LAST_LOOK);
    }
}

/// Whether leases can be relied on: for how long the store has answered, and has held something.
struct Calm {
    /// The last attempt failed for the store's sake.
    was_away: bool,
    back: Option<Instant>,
    empty: Option<Instant>,
}

impl Calm {
    fn new(core: &Core) -> Self {
        let was_away = core.ledger().failure.as_ref().is_some_and(|last| last.error.is_store());
        Self { was_away, back: None, empty: None }
    }

    /// Whether a living holder has had the time to take its lease back. Asked after each load.
    fn has_lasted(&mut self, core: &Core, stored: &Stored) -> bool {
        let now = Instant::now();
        if self.was_away {
            self.back.get_or_insert(now);
        }
        let is_lost = matches!(stored, Stored::Nothing) && core.outbox.version().is_some();
        self.empty = is_lost.then(|| self.empty.unwrap_or(now));
        let since = self.back.max(self.empty);
        since.is_none_or(|since| now - since >= core.config.lease / 2)
    }
}

/// The stored token, if it is another than ours, and may be used.
pub(super) fn adoptable(core: &Core, stored: &Stored) -> Result<Option<Turn>, Error> {
    let present = core.current.load();
    let ended = |why| Error::new(Kind::Reauthorization { why, lost: false, cause: None });
    match stored {
        Stored::Ended(_) => Err(ended("the login has ended")),
        Stored::Nothing if present.token().is_none() && core.config.grant.is_none() => {
            Err(ended("no token is stored for this user"))
        }
        Stored::Nothing => Ok(None),
        Stored::Token(token, version) => {
            let same = present.token().is_some_and(|p| p.access_token() == token.access_token());
            let freshness =
                Snapshot::new(token.clone(), 0, Origin::Adopted, &core.terms()).freshness;
            let serves = freshness.stage(core.config.clock.now()) != Stage::Expired;
            Ok((!same && serves).then(|| Turn::Adopt(token.clone(), *version)))
        }
    }
}

/// What to renew: the stored token; ours, where the store has lost it.
fn base(core: &Core, stored: Stored) -> Option<Arc<Token>> {
    core.outbox.learn(stored.version());
    match stored {
        Stored::Token(token, _) => Some(token),
        Stored::Ended(_) => None,
        Stored::Nothing => core.current.load().token().cloned(),
    }
}

impl Hold {
    fn keep(shelf: Shelf, ttl: Duration) -> Result<Self, Error> {
        let (end, mut ended) = oneshot::channel();
        let keep = async move {
            loop {
                tokio::select! {
                    biased;
                    _ = &mut ended => break,
                    () = sleep(ttl / 3) => {
                        // That the store failed, the shelf has said.
                        if let Ok(false) = shelf.lease().await {
                            observe::lease_lost();
                        }
                    }
                }
            }
        };
        runtime()?.spawn(keep.in_current_span());
        Ok(Self { _end: end })
    }
}

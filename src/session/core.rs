//! `Core`: the state of a session, and the ways into it.
//!
//! # Concurrency
//!
//! - Requests read one immutable [`Snapshot`] behind an `ArcSwap`: no lock, no wait.
//! - Everything that decides who renews is in the [`Ledger`], behind a `std::sync::Mutex` that is
//!   held for a few instructions and never across an await. The snapshot is only ever replaced
//!   under that lock, so what is read under it is current.
//! - A renewal is a detached [`Flight`]. It captures the epoch at launch. Under the lock it checks
//!   that epoch before it puts a token into the outbox, and again before it publishes: a token that
//!   the application set meanwhile voids it. Publishing, forgetting the flight and forgetting the
//!   failure are one critical section, so whoever then takes the lock sees a fresh token or a
//!   remembered error, never a gap in which a second renewal could start.
//! - Order of locks: ledger, then outbox. Dropping a future takes no lock, so launching on a
//!   runtime that is shutting down (which drops the future at once) cannot deadlock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument;

use super::flight::{Crash, Flight};
use super::freshness::{Policy, Stage};
use super::ledger::{Backoff, Landing, Ledger, Received, Source};
use super::outbox::{Destination, Entry, FirstAttempt, Outbox};
use super::renewal;
use super::shelf::Shelf;
use super::snapshot::{Origin, Snapshot, Terms};
use super::turn::Hold;
use crate::client::OAuthClient;
use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::grant::Grant;
use crate::observe;
use crate::saver::TokenSaver;
use crate::store::{TokenKey, TokenStore};
use crate::token::Token;

/// What the application chose; see [`SessionBuilder`](super::SessionBuilder).
pub(crate) struct Config {
    pub(crate) client: Option<OAuthClient>,
    pub(crate) grant: Option<Arc<dyn Grant>>,
    pub(crate) saver: Option<Arc<dyn TokenSaver>>,
    pub(crate) store: Option<Arc<dyn TokenStore>>,
    /// How long a sibling waits for this process, if it dies while it renews.
    pub(crate) lease: Duration,
    /// Renew rotating tokens also while the store cannot record them.
    pub(crate) unrecorded: bool,
    pub(crate) policy: Policy,
    pub(crate) backoff: Backoff,
    pub(crate) manual: bool,
    pub(crate) strict_saving: bool,
    pub(crate) save_wait_timeout: Duration,
    pub(crate) grant_timeout: Duration,
    pub(crate) clock: Clock,
}

pub(crate) struct Core {
    pub(super) current: ArcSwap<Snapshot>,
    ledger: Mutex<Ledger>,
    pub(super) outbox: Outbox,
    pub(super) config: Arc<Config>,
    /// Whose token it is, in the store.
    user: Arc<str>,
    /// Since this was last asked.
    used: AtomicBool,
    updates: OnceLock<watch::Sender<Option<Arc<Token>>>>,
}

/// How often a waiter joins anew when its flight ended without an outcome for it: cut off with its
/// runtime, or void because the application set a token.
const JOINS: u32 = 8;

/// A way to an outcome: there already, or on its way.
enum Boarding {
    Landed(Arc<Snapshot>),
    Flight(Flight<Landing>),
}

impl Core {
    pub(crate) fn new(config: Arc<Config>, user: Arc<str>, token: Option<Token>) -> Self {
        let core = Self {
            current: ArcSwap::from_pointee(Snapshot::empty(0)),
            ledger: Mutex::default(),
            outbox: Outbox::default(),
            config,
            user,
            used: AtomicBool::new(false),
            updates: OnceLock::new(),
        };
        if let Some(token) = token {
            let snapshot = Snapshot::new(Arc::new(token), 1, Origin::Given, &core.terms());
            core.current.store(Arc::new(snapshot));
        }
        core
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn terms(&self) -> Terms {
        Terms {
            policy: self.config.policy,
            has_grant: self.config.grant.is_some(),
            now: self.config.clock.now(),
        }
    }

    /// The hot path: a fresh token, at once.
    #[inline]
    pub(crate) fn fresh(&self) -> Option<Arc<Snapshot>> {
        let snapshot = self.current.load_full();
        (self.config.clock.now() < snapshot.freshness.due).then_some(snapshot)
    }

    /// What the hot path would send, without keeping hold of the snapshot.
    #[inline(always)]
    pub(crate) fn fresh_header(&self) -> Option<HeaderValue> {
        let snapshot = self.current.load();
        let fresh = self.config.clock.now() < snapshot.freshness.due;
        if fresh { snapshot.header.clone() } else { None }
    }

    /// A token that may be used: the present one, with a renewal started in the background where
    /// it is due; the next one, after a wait, where it has expired.
    pub(crate) async fn usable(self: &Arc<Self>) -> Result<Arc<Snapshot>, Error> {
        let snapshot = self.current.load_full();
        match snapshot.freshness.stage(self.config.clock.now()) {
            Stage::Fresh => Ok(snapshot),
            Stage::Due if self.config.manual => Ok(snapshot),
            Stage::Expired if self.config.manual => Err(self.expired()),
            Stage::Due => {
                // Nobody waits for it, and what stands in its way (a failure that forbids it, no
                // runtime) is the concern of whoever comes once the token has expired.
                let _ = self.board(snapshot.generation);
                Ok(snapshot)
            }
            Stage::Expired => self.renewed(snapshot.generation).await,
        }
    }

    /// Why an expired token is not renewed unasked: a refresh by hand may help, unless it is known that
    /// only a new login does.
    fn expired(&self) -> Error {
        let ledger = self.ledger();
        let known = ledger.forbidding().map(|failure| &failure.error);
        let end = known.filter(|error| error.is_reauthorization_required()).cloned();
        end.unwrap_or_else(|| Error::new(Kind::Expired))
    }

    /// The successor of the token of that generation: by joining the renewal under way, or by
    /// starting it. The wait is bounded by the renewal's own limits.
    pub(crate) async fn renewed(self: &Arc<Self>, generation: u64) -> Result<Arc<Snapshot>, Error> {
        for _ in 0..JOINS {
            let flight = match self.board(generation)? {
                Boarding::Landed(snapshot) => return Ok(snapshot),
                Boarding::Flight(flight) => flight,
            };
            match flight.landed().await {
                Ok(Ok(Some(snapshot))) => return Ok(snapshot),
                Ok(Ok(None)) | Err(Crash::CutOff) => {}
                Ok(Err(error)) => return Err(error),
                Err(Crash::Panicked) => return Err(Error::new(Kind::Panicked("the renewal"))),
            }
        }
        Err(Error::new(Kind::Runtime))
    }

    fn board(self: &Arc<Self>, generation: u64) -> Result<Boarding, Error> {
        let mut ledger = self.ledger();
        let current = self.current.load_full();
        if current.generation != generation
            && current.freshness.stage(self.config.clock.now()) != Stage::Expired
        {
            return Ok(Boarding::Landed(current));
        }
        if let Some(flight) = ledger.flight.as_ref().filter(|flight| flight.is_running()) {
            return Ok(Boarding::Flight(flight.clone()));
        }
        if let Some(failure) = ledger.forbidding() {
            return Err(failure.error.clone());
        }
        if ledger.received.is_none() && !self.can_renew(&current) {
            let why = match current.token() {
                Some(_) => {
                    "the access token has expired and there is neither a refresh token nor a grant to renew it with"
                }
                None => "the session has neither a token nor a grant to get one with",
            };
            return Err(Error::new(Kind::Reauthorization { why, lost: false, cause: None }));
        }
        let runtime = runtime()?;
        let flight = self.launch(&runtime, ledger.epoch);
        ledger.flight = Some(flight.clone());
        Ok(Boarding::Flight(flight))
    }

    fn launch(self: &Arc<Self>, runtime: &Handle, epoch: u64) -> Flight<Landing> {
        let span = observe::renewal(self.config.client.as_ref().map(OAuthClient::span_fields));
        Flight::launch(runtime, renewal::renew(self.clone(), epoch).instrument(span))
    }

    pub(super) fn can_renew(&self, snapshot: &Snapshot) -> bool {
        self.config.grant.is_some()
            || self.config.store.is_some()
            || (self.config.client.is_some() && snapshot.refresh_token().is_some())
    }

    #[inline]
    pub(crate) fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was used since this was last asked.
    pub(crate) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Whether anything would be lost with it, or is under way.
    pub(crate) fn is_busy(&self) -> bool {
        let ledger = self.ledger();
        ledger.received.is_some()
            || ledger.flight.as_ref().is_some_and(Flight::is_running)
            || self.outbox.pending().is_some()
    }

    /// Whether it has no token.
    pub(crate) fn is_empty(&self) -> bool {
        self.current.load().token().is_none()
    }

    /// Puts the application's token in the place of the present one: saved first, then used. Voids
    /// a renewal under way, and forgets what failed.
    pub(crate) async fn replace(self: &Arc<Self>, token: Token) -> Result<(), Error> {
        let flight = {
            let mut ledger = self.ledger();
            let runtime = runtime()?;
            let epoch = ledger.epoch + 1;
            let received = Received { token: Arc::new(token), from: Source::Application };
            *ledger = Ledger { epoch, received: Some(received), ..Ledger::default() };
            let flight = self.launch(&runtime, epoch);
            ledger.flight = Some(flight.clone());
            flight
        };
        match flight.landed().await {
            Ok(outcome) => outcome.map(|_| ()),
            Err(Crash::CutOff) => Err(Error::new(Kind::Runtime)),
            Err(Crash::Panicked) => Err(Error::new(Kind::Panicked("the renewal"))),
        }
    }

    /// Waits for the renewal under way, and for one more attempt at what is not saved yet.
    pub(super) async fn settle(self: &Arc<Self>) -> Result<(), Error> {
        loop {
            let flight = self.ledger().flight.clone().filter(Flight::is_running);
            if let Some(flight) = flight {
                let _ = flight.landed().await;
                continue;
            }
            // Once more: a newer token may have taken its place, and is not saved either.
            let Some((entry, _)) = self.outbox.pending() else { return Ok(()) };
            self.done(self.put(entry, None)?).await?;
        }
    }

    /// This session's place in the store, if there is one.
    pub(crate) fn shelf(&self) -> Option<Shelf> {
        let store = self.config.store.clone()?;
        let (issuer, client_id) = match &self.config.client {
            Some(client) => (client.identity(), client.client_id()),
            None => ("", ""),
        };
        let key = TokenKey::new(issuer, client_id, &self.user);
        Some(Shelf { store, key, patience: self.config.save_wait_timeout })
    }

    /// Hands an entry to the store or the saver, if there is one. The lease is kept until it is saved.
    pub(super) fn put(
        self: &Arc<Self>,
        entry: Entry,
        hold: Option<Hold>,
    ) -> Result<Option<FirstAttempt>, Error> {
        let mut backoff = self.config.backoff;
        let destination = match (self.shelf(), &self.config.saver) {
            (Some(shelf), _) => {
                // Siblings wait for it.
                backoff.longest = backoff.longest.min(self.config.lease / 2).max(backoff.shortest);
                Destination::Store(shelf)
            }
            (None, Some(saver)) => Destination::Saver(saver.clone()),
            (None, None) => return Ok(None),
        };
        let span = observe::saving(self.config.client.as_ref().map(OAuthClient::span_fields));
        Ok(Some(Outbox::put(self, &runtime()?, span, destination, backoff, entry, hold)))
    }

    /// The end of a first attempt, or of the patience for it.
    pub(super) async fn done(&self, attempt: Option<FirstAttempt>) -> Result<(), Error> {
        let Some(attempt) = attempt else { return Ok(()) };
        let wait = self.config.save_wait_timeout;
        match tokio::time::timeout(wait, attempt).await {
            Ok(Ok(outcome)) => outcome,
            // A newer entry took its place in the outbox.
            Ok(Err(_)) => Ok(()),
            Err(_) => {
                observe::save_slow(wait);
                Err(Error::new(Kind::SaveTimeout(wait)))
            }
        }
    }

    /// Notes whether an answer to the present refresh token may be lost; what was noted before.
    pub(super) fn in_doubt(&self, epoch: u64, doubt: bool) -> bool {
        let mut ledger = self.ledger();
        let before = ledger.lost_answer;
        if ledger.epoch == epoch {
            ledger.lost_answer = doubt;
        }
        before
    }

    pub(super) fn announce(&self, token: &Arc<Token>) {
        if let Some(updates) = self.updates.get() {
            updates.send_replace(Some(token.clone()));
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<Token>>> {
        let mut updates = self.updates.get_or_init(|| watch::channel(None).0).subscribe();
        updates.mark_unchanged();
        updates
    }
}

impl AsRef<Outbox> for Core {
    fn as_ref(&self) -> &Outbox {
        &self.outbox
    }
}

pub(super) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| Error::new(Kind::Runtime))
}

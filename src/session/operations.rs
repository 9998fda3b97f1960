//! What applications ask of a session: a token, a renewal, a sign-in, a sign-out, an end.
//!
//! # Concurrency
//!
//! - A waiter holds a ticket, never the work: if a caller goes away, the work goes on.
//! - Waiters wake after each change, in FIFO order, and ask the machine again. A waiter registers before
//!   it asks, so it misses no change.
//! - A waiter never depends on a runtime that no thread drives: it has its own deadline, and if the
//!   worker is overdue, it replaces the worker by one on its own runtime.
//! - Spawning happens outside the lock: a runtime that shuts down drops the future at once, and
//!   dropping it takes the lock.

use std::num::NonZeroU64;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use super::calls::stored_token;
use super::driver::{Driver, State};
use super::machine::{Flush, Now, Poll, Rejection, Settings, Stage, Target, Ticket};
use super::snapshot::{Provenance, SessionMachine, Snapshot};
use super::work::work;
use super::worker::Worker;
use crate::error::{Error, Kind};
use crate::token::Token;

/// How often a waiter restarts a worker that ended at once with its runtime.
const MAX_STARTS: u32 = 8;

/// If a timer fires later than this, the process was stopped.
const STOOD_STILL: Duration = Duration::from_secs(2);

impl Driver {
    /// A token that may be used: the current one, with a renewal started in the background where it is
    /// due; the next one, after a wait, where it has expired. `limit`: the longest wait, if the caller
    /// has one of its own.
    pub(crate) async fn usable(
        self: &Arc<Self>,
        target: &Target,
        limit: Option<Duration>,
    ) -> Result<Arc<Snapshot>, Error> {
        if let Some(snapshot) = self.fresh_for(target).filter(|_| !self.config.settings.foreground)
        {
            return Ok(snapshot);
        }
        self.config.check_target(target)?;
        let ticket = self.peek(|machine| machine.ticket(target));
        match self.wait_for_token(ticket, limit).await {
            // In the foreground a request waits for the renewal, but falls back to a token that is
            // still good.
            Err(error) if matches!(error.kind(), Kind::WaitTimeout(_)) => {
                let now = self.config.clock.now();
                let snapshot = self.present(target);
                snapshot.filter(|s| s.freshness.stage(now) != Stage::Expired).ok_or(error)
            }
            outcome => outcome,
        }
    }

    /// A token other than this, by a renewal if need be. `None`: any.
    pub(super) async fn another(
        self: &Arc<Self>,
        target: &Target,
        than: Option<&Arc<Snapshot>>,
    ) -> Result<Arc<Snapshot>, Error> {
        let ticket = self.peek(|machine| machine.ticket_for_another(target, than, true));
        self.wait_for_token(ticket, None).await
    }

    async fn wait_for_token(
        self: &Arc<Self>,
        ticket: Ticket,
        limit: Option<Duration>,
    ) -> Result<Arc<Snapshot>, Error> {
        let poll = |machine: &mut SessionMachine, settings: &Settings, now: &Now| {
            machine.poll(&ticket, settings, now)
        };
        Self::for_target(&ticket.target, &self.wait(self.patience(limit), poll).await?)
    }

    fn for_target(target: &Target, login: &Arc<Snapshot>) -> Result<Arc<Snapshot>, Error> {
        // The machine gives no login without a token for the target.
        login.of(target).cloned().ok_or_else(|| Error::new(Kind::Expired))
    }

    /// How long to wait for the machine, which gives up after its longest wait, and then knows why.
    fn patience(&self, limit: Option<Duration>) -> Duration {
        let patience = self.config.settings.patience() + Duration::from_secs(1);
        limit.map_or(patience, |limit| limit.min(patience))
    }

    /// Asks the machine until it has an answer, after each change; at most for the limit.
    pub(super) async fn wait<R>(
        self: &Arc<Self>,
        limit: Duration,
        poll: impl Fn(&mut SessionMachine, &Settings, &Now) -> Poll<R, Error>,
    ) -> Result<R, Error> {
        let mut deadline = None;
        let mut starts = 0;
        loop {
            let (answer, changed, has_worker) = self.ask(&poll);
            match answer {
                Poll::Ready(result) => return Ok(result),
                Poll::Failed(reason) => return Err(self.error(reason)),
                Poll::Wait => {}
            }
            let Some(changed) = changed else {
                starts += 1;
                if !has_worker || starts > MAX_STARTS {
                    return Err(Error::new(Kind::Runtime));
                }
                // Its changes are listened to from now on.
                continue;
            };
            // Without a timer the wait would depend on a runtime that nobody may drive.
            runtime()?;
            let now = Instant::now();
            let until = *deadline.get_or_insert(now + limit);
            if now >= until {
                return Err(Error::new(Kind::WaitTimeout(limit)));
            }
            // A worker that is overdue already gets a moment: its runtime may just have been busy.
            let earliest = now + STOOD_STILL;
            let wake_at = self.overdue_at().unwrap_or(until).max(earliest).min(until);
            tokio::select! {
                biased;
                () = changed => starts = 0,
                () = tokio::time::sleep_until(wake_at) => self.replace_overdue_worker(wake_at),
            }
        }
    }

    /// Asks the machine once. Its next change is listened to from before that.
    fn ask<R>(
        self: &Arc<Self>,
        poll: impl FnOnce(&mut SessionMachine, &Settings, &Now) -> Poll<R, Error>,
    ) -> (Poll<R, Error>, Option<OwnedNotified>, bool) {
        let mut state = self.lock();
        let changed = state.worker.as_ref().map(|worker| worker.changed());
        let now = self.now();
        let answer = poll(state.machine(), &self.config.settings, &now);
        let has_notes = state.machine().has_notes();
        if let Some(worker) = state.worker.as_ref().filter(|_| has_notes) {
            worker.wake();
        }
        (answer, changed, self.leave(state))
    }

    /// Lets the machine handle something, and sees to it that what follows from it is done.
    pub(super) fn enter<R>(
        self: &Arc<Self>,
        event: impl FnOnce(&mut SessionMachine, &Settings, &Now) -> R,
    ) -> R {
        let mut state = self.lock();
        let now = self.now();
        let result = event(state.machine(), &self.config.settings, &now);
        let worker = state.worker.clone();
        if let Some(worker) = &worker {
            worker.wake();
        }
        self.leave(state);
        // Emit the events before the waiters go on.
        if let Some(worker) = &worker {
            worker.notify_changed();
        }
        result
    }

    /// Publishes what has changed, and starts a worker if one is needed. Returns whether there is
    /// one.
    fn leave(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> bool {
        let mut start = None;
        let needed = state.worker.is_none() && state.is_busy();
        if needed && Handle::try_current().is_ok() {
            let now = self.now();
            state.machine().resumed(&self.config.settings, &now);
            let worker = Arc::new(Worker::new());
            state.worker = Some(worker.clone());
            start = Some(worker);
        }
        let worker = state.worker.clone();
        self.tell(state, worker.as_deref());
        if let Some(start) = start {
            tokio::spawn(work(self.clone(), start));
        }
        worker.is_some()
    }

    /// Whether it is busy. Continues what a runtime that has ended left undone, because this session may never
    /// be asked again.
    pub(crate) fn resume(self: &Arc<Self>) -> bool {
        let state = self.lock();
        let is_busy = state.is_busy();
        if is_busy && state.worker.is_none() {
            self.leave(state);
        }
        is_busy
    }

    /// When the worker will be overdue.
    fn overdue_at(&self) -> Option<Instant> {
        let state = self.lock();
        state.worker.as_ref()?.overdue_at()
    }

    /// Replaces a worker that has done nothing for too long, because no thread drives its runtime. Called
    /// at the instant `due`. If it is called much later, the whole process was stopped: then the worker
    /// gets its full time again, and what it waits for may have come meanwhile.
    fn replace_overdue_worker(self: &Arc<Self>, due: Instant) {
        let mut state = self.lock();
        if let Some(worker) = state.worker.as_ref().filter(|_| due.elapsed() > STOOD_STILL) {
            worker.is_expected_by(Some(Instant::now()));
            return;
        }
        let is_overdue = state
            .worker
            .as_ref()
            .is_some_and(|worker| worker.overdue_at().is_some_and(|at| Instant::now() >= at));
        if let Some(worker) = state.worker.take_if(|_| is_overdue) {
            worker.replace();
            let now = self.now();
            let sent = worker.has_sent_request();
            let error = Error::new(Kind::Runtime);
            state.machine().calls_lost(&error, sent, &self.config.settings, &now);
            worker.notify_changed();
        }
        self.leave(state);
    }

    /// Signs in with the application's token: it is saved, then used. Work for the earlier login no
    /// longer counts.
    pub(crate) async fn set_token(self: &Arc<Self>, token: Token) -> Result<(), Error> {
        runtime()?;
        let login: u64 = rand::random();
        let snapshot = Arc::new(self.config.snapshot(token, Provenance::Given));
        self.enter(|machine, settings, now| {
            machine.set_login(login, Some(snapshot), settings, now);
        });
        let limit = self.config.settings.save_wait + self.config.store_timeout * 2;
        self.wait(limit, |machine, settings, _| machine.poll_login(login, settings)).await
    }

    pub(crate) async fn sign_out(self: &Arc<Self>) -> Result<(), Error> {
        let login = self.begin_sign_out()?;
        self.wait(self.sign_out_limit(), |machine, _, _| machine.poll_sign_out(login))
            .await
            .map_err(Self::sign_out_error)
    }

    /// As `sign_out`, whatever the provider answers.
    pub(crate) async fn sign_out_locally(self: &Arc<Self>) -> Result<(), Error> {
        let login = self.begin_sign_out()?;
        let limit = self.sign_out_limit();
        self.wait(limit, |machine, settings, _| machine.poll_sign_out_here(login, settings))
            .await
            .map_err(Self::sign_out_error)
    }

    /// A renewal may be under way, and then there are two tokens to revoke.
    fn sign_out_limit(&self) -> Duration {
        let settings = &self.config.settings;
        settings.patience() + settings.refresh_limit
    }

    fn begin_sign_out(self: &Arc<Self>) -> Result<u64, Error> {
        runtime()?;
        let login: u64 = rand::random();
        self.enter(|machine, settings, now| machine.set_login(login, None, settings, now));
        Ok(login)
    }

    /// Here a save that failed is a deletion.
    fn sign_out_error(error: Error) -> Error {
        match error.kind() {
            Kind::Save(cause) => Error::new(Kind::Delete(match cause.downcast_ref::<Error>() {
                Some(cause) => cause.clone().into(),
                None => cause.to_string().into(),
            })),
            Kind::SaveTimeout(limit) => {
                Error::new(Kind::Delete(format!("it took longer than {limit:?}").into()))
            }
            _ => error,
        }
    }

    /// Waits for what is under way, and for one more attempt at what is not saved yet.
    pub(crate) async fn shut_down(self: &Arc<Self>) -> Result<(), Error> {
        let flush: Flush = self.enter(|machine, _, now| machine.flush(now));
        let limit = self.patience(None);
        let outcome = self.wait(limit, |machine, _, _| machine.poll_flush(&flush)).await;
        outcome.map_err(|error| match error.kind() {
            Kind::WaitTimeout(_) if self.peek(|machine| machine.is_unsaved()) => {
                Error::new(Kind::SaveTimeout(limit))
            }
            _ => error,
        })
    }

    /// The token in the store, which another session may have put there. This one goes on with its own.
    pub(crate) async fn stored_token(&self) -> Option<Arc<Snapshot>> {
        stored_token(&self.config, &self.key()).await
    }

    /// The token to send the request again with, after a 401 to `sent`; `None` to return the 401. Waits
    /// for a renewal only where the request can be sent again; otherwise the next request renews.
    pub(crate) async fn rejected(
        self: &Arc<Self>,
        sent: &Arc<Snapshot>,
        path: NonZeroU64,
        can_replay: bool,
        limit: Option<Duration>,
    ) -> Result<Option<Arc<Snapshot>>, Error> {
        if !self.note_rejection(sent, path) || !can_replay {
            return Ok(None);
        }
        let target = sent.target();
        let ticket = self.peek(|machine| machine.ticket_for_another(target, Some(sent), false));
        let poll = |machine: &mut SessionMachine, settings: &Settings, now: &Now| {
            machine.poll_rejected(&ticket, settings, now)
        };
        let login = self.wait(self.patience(limit), poll).await?;
        login.map(|login| Self::for_target(target, &login)).transpose()
    }

    /// Whether another token than this is to be had, after a 401 to it.
    fn note_rejection(self: &Arc<Self>, sent: &Arc<Snapshot>, path: NonZeroU64) -> bool {
        let accepted_by = sent.take_accepted_by();
        let rejection = Rejection { path: path.get(), accepted_by };
        self.enter(|machine, settings, now| {
            machine.rejected(sent.target(), sent, rejection, settings, now)
        })
    }

    /// As `rejected`, for a token that the application has used itself: the path is unknown.
    pub(super) async fn renew_rejected(
        self: &Arc<Self>,
        target: &Target,
        token: &Token,
    ) -> Result<Option<Arc<Snapshot>>, Error> {
        runtime()?;
        self.rejected(&self.as_sent(target, token), NonZeroU64::MIN, true, None).await
    }

    /// As `renew_rejected`, but nothing is renewed before a token is needed.
    pub(super) fn mark_rejected(self: &Arc<Self>, target: &Target, token: &Token) -> bool {
        self.note_rejection(&self.as_sent(target, token), NonZeroU64::MIN)
    }

    /// The application's token: the present one, or one that it is compared with.
    fn as_sent(&self, target: &Target, token: &Token) -> Arc<Snapshot> {
        let present = self.present(target).filter(|present| {
            present.token().is_some_and(|ours| ours.access_token() == token.access_token())
        });
        present.unwrap_or_else(|| {
            let snapshot = self.config.snapshot(token.clone(), Provenance::Given);
            Arc::new(snapshot.with_target(target.clone()))
        })
    }

    /// A request that was sent again after a 401 has been answered.
    pub(crate) fn replayed(
        self: &Arc<Self>,
        sent: &Arc<Snapshot>,
        path: NonZeroU64,
        rejected: bool,
    ) {
        self.enter(|machine, _, now| {
            machine.replayed(sent.target(), sent, path.get(), rejected, now);
        });
    }
}

/// The runtime of the caller.
pub(crate) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| Error::new(Kind::Runtime))
}

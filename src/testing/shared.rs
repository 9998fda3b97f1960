use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use tokio::sync::watch;

use super::authorization::Authorization;
use super::callback::{Callback, Params};
use super::codes::Codes;
use super::config::Config;
use super::counts::Counts;
use super::devices::Devices;
use super::fault::Fault;
use super::faults::{Faults, RevocationFault};
use super::grant::Grant;
use super::hold::Gate;
use super::log::Log;
use super::refusal::Refusal;
use super::request::{RecordedApiRequest, RecordedTokenRequest};
use super::store::{Issued, Store};

/// What the handles and the serving tasks share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) origin: String,
    pub(super) token_gate: Gate,
    pub(super) api_gate: Gate,
    state: Mutex<State>,
    /// Changed only under the lock of `state`, so that a count that was reached
    /// has its request in the log.
    counts: watch::Sender<Counts>,
}

/// What the lock guards. It is held for lookups only, never across an await.
#[derive(Default)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) codes: Codes,
    pub(super) devices: Devices,
    pub(super) faults: Faults,
    pub(super) token_requests: Log<RecordedTokenRequest>,
    pub(super) api_requests: Log<RecordedApiRequest>,
    pub(super) reject_all: bool,
    pub(super) challenge: Challenge,
}

/// The `WWW-Authenticate` header of the API.
#[derive(Clone, Default)]
pub(super) enum Challenge {
    #[default]
    InvalidToken,
    Custom(HeaderValue),
    Absent,
}

/// What the API decided when a request arrived.
pub(super) enum Verdict {
    Accepted,
    Refused(Challenge),
}

impl Shared {
    pub(super) fn new(config: Config, origin: String) -> Self {
        Self { config, origin, ..Self::default() }
    }

    /// The issuer identifier (RFC 8414 §2).
    pub(super) fn issuer(&self) -> String {
        self.origin.clone() + &self.config.discovery.issuer_path
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until the counts are as `reached` wants them.
    pub(super) async fn counts_reach(&self, reached: impl Fn(&Counts) -> bool) {
        // The sender is in `self`, so the channel cannot be closed.
        let _ = self.counts.subscribe().wait_for(reached).await;
    }

    /// Records a token request and takes the fault it must suffer.
    pub(super) fn token_arrived(&self, request: &RecordedTokenRequest) -> Option<Fault> {
        let mut state = self.lock();
        state.token_requests.push(request.clone());
        self.counts.send_modify(|counts| counts.token_requests += 1);
        state.faults.take()
    }

    /// Serves a token request and counts the outcome.
    pub(super) fn issue(&self, request: &RecordedTokenRequest) -> Result<Issued, Refusal> {
        let now = self.config.clock.now();
        let grant = Grant::read(request, &self.config)?;
        let is_refresh = matches!(grant, Grant::RefreshToken { .. });
        let mut state = self.lock();
        let outcome = grant.serve(&mut state, &self.config, now);
        self.counts.send_modify(|counts| match outcome {
            Ok(_) => {
                counts.tokens_issued += 1;
                counts.refreshes += u64::from(is_refresh);
            }
            Err(Refusal::ReuseDetected) => counts.reuse_detected += 1,
            Err(_) => {}
        });
        outcome
    }

    /// Grants what the user has agreed to.
    pub(super) fn authorize(&self, asked: Authorization) -> (Callback, Params) {
        let now = self.config.clock.now();
        asked.grant(&mut self.lock(), &self.config, now)
    }

    /// Counts a revocation request and takes the fault it must suffer.
    pub(super) fn revocation_arrived(&self) -> Option<RevocationFault> {
        let mut state = self.lock();
        self.counts.send_modify(|counts| counts.revocations += 1);
        state.faults.revocations.pop_front()
    }

    /// Counts a request for metadata and takes the fault it must suffer.
    pub(super) fn metadata_arrived(&self) -> Option<Fault> {
        let state = self.lock();
        self.counts.send_modify(|counts| counts.metadata_requests += 1);
        state.faults.metadata.clone()
    }

    /// Records an API request and judges its access token.
    pub(super) fn api_arrived(&self, request: RecordedApiRequest) -> Verdict {
        let now = self.config.clock.now();
        let mut state = self.lock();
        let live = request.bearer().is_some_and(|token| state.store.accepts_access(token, now));
        let accepted = live && !state.reject_all;
        let without_token = request.authorization.is_none();
        state.api_requests.push(request);
        self.counts.send_modify(|counts| {
            counts.api_requests += 1;
            counts.api_ok += u64::from(accepted);
            counts.api_unauthorized += u64::from(!accepted);
            counts.api_without_token += u64::from(without_token);
        });
        if accepted { Verdict::Accepted } else { Verdict::Refused(state.challenge.clone()) }
    }
}

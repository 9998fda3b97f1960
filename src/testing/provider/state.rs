use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderValue};
use tokio::sync::watch;

use super::config::Config;
use super::counts::Counts;
use super::faults::{Fault, FaultQueue, Gate, RevocationFault};
use super::grants::{Credentials, Live};
use super::proofs::ApiProof;
use super::recorded::{RecordedApiRequest, RecordedTokenRequest, RequestLog};

/// What the handles and the serving tasks share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) origin: String,
    pub(crate) token_gate: Gate,
    pub(crate) api_gate: Gate,
    pub(crate) revocation_gate: Gate,
    state: Mutex<State>,
    /// Changed only under the lock of `state`, so that a count that was reached
    /// has its request in the log.
    counts: watch::Sender<Counts>,
}

/// What the lock guards. It is held for lookups only, never across an await.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) credentials: Credentials,
    pub(crate) faults: FaultQueue,
    pub(crate) token_requests: RequestLog<RecordedTokenRequest>,
    pub(crate) revocation_requests: RequestLog<RecordedTokenRequest>,
    pub(crate) api_requests: RequestLog<RecordedApiRequest>,
    #[cfg(all(feature = "keys", feature = "testing"))]
    pub(crate) judge: super::dpop::Judge,
    pub(crate) reject_all: bool,
    pub(crate) challenge: Challenge,
}

/// The `WWW-Authenticate` header of the API.
#[derive(Clone, Default)]
pub(crate) enum Challenge {
    #[default]
    InvalidToken,
    Custom(HeaderValue),
    Absent,
}

/// What the API decided when a request arrived.
pub(crate) enum ApiDecision {
    Accepted,
    Rejected(Challenge),
}

impl Shared {
    pub(crate) fn new(config: Config, origin: String) -> Self {
        #[cfg(all(feature = "keys", feature = "testing"))]
        let state =
            State { judge: super::dpop::Judge::new(config.dpop.clone()), ..State::default() };
        #[cfg(not(all(feature = "keys", feature = "testing")))]
        let state = State::default();
        Self { config, origin, state: Mutex::new(state), ..Self::default() }
    }

    /// The issuer identifier (RFC 8414 §2).
    pub(crate) fn issuer(&self) -> String {
        self.origin.clone() + &self.config.metadata.issuer_path
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until the counts are as `reached` wants them.
    pub(crate) async fn counts_reach(&self, reached: impl Fn(&Counts) -> bool) {
        // The sender is in `self`, so the channel cannot be closed.
        let _ = self.counts.subscribe().wait_for(reached).await;
    }

    /// Changes the counts. Takes the locked state, so that both change together.
    pub(crate) fn count(&self, _: &State, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }

    /// Records a token request and takes the fault it must suffer.
    pub(crate) fn token_arrived(&self, request: &RecordedTokenRequest) -> Option<Fault> {
        let mut state = self.lock();
        state.token_requests.push(request.clone());
        self.counts.send_modify(|counts| counts.token_requests += 1);
        state.faults.take()
    }

    /// Records a revocation request and takes the fault it must suffer.
    pub(crate) fn revocation_arrived(
        &self,
        request: &RecordedTokenRequest,
    ) -> Option<RevocationFault> {
        let mut state = self.lock();
        state.revocation_requests.push(request.clone());
        self.counts.send_modify(|counts| counts.revocations += 1);
        state.faults.revocations.pop_front()
    }

    /// Counts a request for metadata and takes the fault it must suffer.
    pub(crate) fn metadata_arrived(&self) -> Option<Fault> {
        let state = self.lock();
        self.counts.send_modify(|counts| counts.metadata_requests += 1);
        state.faults.metadata.clone()
    }

    /// Records an API request and judges its access token and its proof. Also what the response says
    /// beside its body.
    pub(crate) fn api_arrived(&self, request: RecordedApiRequest) -> (ApiDecision, HeaderMap) {
        let now = self.config.clock.now();
        let mut state = self.lock();
        let ApiProof { outcome, headers } = self.judge_api_request(&mut state, &request);
        let (jkt, refused) = outcome.map_or_else(|why| (None, Some(why)), |jkt| (jkt, None));
        let live = request.credentials().is_some_and(|(scheme, token)| {
            let live = state.credentials.families.live(token, now).filter(|live| live.is_access);
            let is_right = |live: &Live<'_>| match live.jkt {
                Some(key) => scheme.eq_ignore_ascii_case("dpop") && jkt.as_deref() == Some(key),
                None => scheme.eq_ignore_ascii_case("bearer"),
            };
            live.as_ref().is_some_and(is_right)
        });
        let accepted = live && refused.is_none() && !state.reject_all;
        let without_token = request.authorization.is_none();
        state.api_requests.push(request);
        self.counts.send_modify(|counts| {
            counts.api_requests += 1;
            counts.api_ok += u64::from(accepted);
            counts.api_unauthorized += u64::from(!accepted);
            counts.api_without_token += u64::from(without_token);
        });
        let decision = if accepted {
            ApiDecision::Accepted
        } else {
            ApiDecision::Rejected(refused.unwrap_or_else(|| state.challenge.clone()))
        };
        (decision, headers)
    }
}

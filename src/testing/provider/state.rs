use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::sync::watch;

use super::config::{Client, Config, KnownClient, NeedKind, ResourceDocument};
use super::counts::Counts;
use super::faults::{Fault, FaultQueue, Gate, RevocationFault};
use super::grants::{Credentials, Live, LogIns, OAuthError, named_client};
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
    pub(crate) pushed_requests: RequestLog<RecordedTokenRequest>,
    pub(crate) api_requests: RequestLog<RecordedApiRequest>,
    #[cfg(all(feature = "keys", feature = "testing"))]
    pub(crate) judge: super::dpop::Judge,
    pub(crate) device_requests: RequestLog<RecordedTokenRequest>,
    pub(crate) authorization_requests: RequestLog<String>,
    /// The bodies of registration requests.
    pub(crate) registrations: Vec<Value>,
    /// Those that registered.
    pub(crate) clients: Vec<KnownClient>,
    pub(crate) log_ins: LogIns,
    /// The `jti` of each client assertion that was accepted.
    #[cfg(all(feature = "keys", feature = "testing"))]
    pub(crate) assertion_ids: std::collections::HashSet<String>,
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
    Rejected(StatusCode, Option<HeaderValue>),
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

    /// The API's URL, which is its resource identifier.
    pub(crate) fn api_url(&self) -> String {
        self.origin.clone() + "/api"
    }

    /// The client with this id; the configured one where none has it.
    pub(crate) fn client(&self, id: &str) -> KnownClient {
        let state = self.lock();
        let mut known = state.clients.iter().chain(&self.config.registration.documents);
        known.find(|known| known.client.id == id).cloned().unwrap_or_else(|| KnownClient {
            client: self.config.client.clone(),
            redirect_uris: self.config.authorization.redirect_uris.clone(),
            secret_ends: None,
        })
    }

    /// Checks the form of a request, and who sent it.
    pub(crate) fn admit(&self, request: &RecordedTokenRequest) -> Result<Client, OAuthError> {
        let known = self.client(&named_client(request).unwrap_or_default());
        let now = self.config.clock.now();
        if known.secret_ends.is_some_and(|ends| ends <= now) {
            return Err(OAuthError::InvalidClient);
        }
        let client = known.client;
        #[cfg(all(feature = "keys", feature = "testing"))]
        if request.given("client_assertion").is_some() {
            let audiences = [self.issuer(), self.origin.clone() + "/token"];
            let id = client.admit_assertion(request, &audiences, now)?;
            // RFC 7523 §3: no assertion twice.
            let is_new = self.lock().assertion_ids.insert(id);
            return if is_new { Ok(client) } else { Err(OAuthError::InvalidClient) };
        }
        client.admit(request)?;
        Ok(client)
    }

    /// Checks that a request for a token is for the API (RFC 8707 §2.2).
    pub(crate) fn check_resource(&self, request: &RecordedTokenRequest) -> Result<(), OAuthError> {
        let api = self.api_url();
        let is_for_api = request.resources().any(|resource| resource == api);
        if self.config.resource.required && !is_for_api {
            return Err(OAuthError::InvalidTarget);
        }
        Ok(())
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

    /// Counts a request for metadata of the API and takes the fault it must suffer.
    pub(crate) fn resource_metadata_arrived(&self) -> Option<Fault> {
        let state = self.lock();
        self.counts.send_modify(|counts| counts.resource_metadata_requests += 1);
        state.faults.resource_metadata.clone()
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
        let lacking = self.lacking(&state, &request, now).filter(|_| accepted);
        let path = request.path().to_owned();
        state.api_requests.push(request);
        self.counts.send_modify(|counts| {
            counts.api_requests += 1;
            counts.api_ok += u64::from(accepted && lacking.is_none());
            counts.api_unauthorized += u64::from(!accepted);
            counts.api_without_token += u64::from(without_token);
            counts.api_insufficient += u64::from(lacking.is_some());
        });
        let decision = match (lacking, refused) {
            (Some((status, params)), _) => ApiDecision::Rejected(status, self.challenge(&params)),
            (None, _) if accepted => ApiDecision::Accepted,
            (None, refused) => {
                let value = match refused.as_ref().unwrap_or(&state.challenge) {
                    Challenge::Absent => None,
                    Challenge::Custom(value) => Some(value.clone()),
                    Challenge::InvalidToken => {
                        self.challenge(&self.unauthorized(without_token, &path))
                    }
                };
                ApiDecision::Rejected(StatusCode::UNAUTHORIZED, value)
            }
        };
        (decision, headers)
    }

    /// What a request with a good token lacks: the status and the challenge's parameters
    /// (RFC 6750 §3.1, RFC 9470 §3).
    fn lacking(
        &self,
        state: &State,
        request: &RecordedApiRequest,
        now: SystemTime,
    ) -> Option<(StatusCode, String)> {
        let live = state.credentials.families.live(request.credentials()?.1, now)?;
        let log_in = state.log_ins.of_family(live.family);
        self.config.resource.needs_of(request.path()).find_map(|need| match need {
            NeedKind::Scope(scope) => {
                let has = |name| live.scope.split(' ').any(|granted| granted == name);
                let all = self.config.resource.scope_of(request.path()).unwrap_or_default();
                (!scope.split(' ').all(has)).then(|| {
                    (StatusCode::FORBIDDEN, format!(r#"error="insufficient_scope", scope="{all}""#))
                })
            }
            NeedKind::LogIn { acr, max_age } => {
                let recent = |at: SystemTime| {
                    let age = now.duration_since(at).unwrap_or_default();
                    max_age.is_none_or(|longest| age <= longest)
                };
                let fits = log_in.is_some_and(|log_in| {
                    (acr.is_empty() || log_in.acr_values.contains(acr)) && recent(log_in.at)
                });
                (!fits).then(|| {
                    let mut params = r#"error="insufficient_user_authentication""#.to_owned();
                    if !acr.is_empty() {
                        params += &format!(r#", acr_values="{acr}""#);
                    }
                    if let Some(longest) = max_age {
                        params += &format!(", max_age={}", longest.as_secs());
                    }
                    (StatusCode::UNAUTHORIZED, params)
                })
            }
        })
    }

    /// What a challenge for want of a token says. One that names the metadata also names the scope
    /// (RFC 9728 §5.1).
    fn unauthorized(&self, without_token: bool, path: &str) -> String {
        if self.config.resource.documents.is_empty() || !without_token {
            return r#"error="invalid_token""#.to_owned();
        }
        let scope = self.config.resource.scope_of(path);
        scope.map(|scope| format!(r#"scope="{scope}""#)).unwrap_or_default()
    }

    fn challenge(&self, params: &str) -> Option<HeaderValue> {
        let named = self.config.resource.documents.contains(&ResourceDocument::InChallenge);
        let named =
            named.then(|| format!(r#"resource_metadata="{}/resource-metadata""#, self.origin));
        let params = [params, named.as_deref().unwrap_or_default()];
        let params: Vec<&str> = params.into_iter().filter(|params| !params.is_empty()).collect();
        HeaderValue::from_str(format!("Bearer {}", params.join(", ")).trim_end()).ok()
    }
}

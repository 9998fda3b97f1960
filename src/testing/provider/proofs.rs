//! What the endpoints ask of proofs; nothing without the feature `keys`.

use http::HeaderMap;

use super::grants::OAuthError;
use super::recorded::{RecordedApiRequest, RecordedTokenRequest};
use super::state::{Challenge, Shared, State};

/// What the API makes of a proof.
pub(crate) struct ApiProof {
    /// The thumbprint of its key, or the challenge.
    pub(crate) outcome: Result<Option<String>, Challenge>,
    /// What the response says beside its body.
    pub(crate) headers: HeaderMap,
}

#[cfg(all(feature = "keys", feature = "testing"))]
mod judged {
    use http::HeaderValue;

    use super::*;
    use crate::testing::provider::dpop::{Endpoint, Presented, Refusal};

    impl Shared {
        /// The thumbprint of the proof's key, where the request has a proof.
        pub(crate) fn judge_token_request(
            &self,
            state: &mut State,
            request: &RecordedTokenRequest,
        ) -> Result<Option<String>, OAuthError> {
            self.judge_form(state, request, "/token")
        }

        /// The thumbprint of the proof's key, where a pushed authorization request has a proof; it need not
        /// (RFC 9449 §10.1).
        pub(crate) fn judge_pushed_request(
            &self,
            request: &RecordedTokenRequest,
        ) -> Result<Option<String>, OAuthError> {
            match request.dpop {
                Some(_) => self.judge_form(&mut self.lock(), request, "/par"),
                None => Ok(None),
            }
        }

        fn judge_form(
            &self,
            state: &mut State,
            request: &RecordedTokenRequest,
            path: &str,
        ) -> Result<Option<String>, OAuthError> {
            let url = self.origin.clone() + path;
            let proof = request.dpop.as_deref();
            let presented = Presented { method: "POST", url: &url, proof, access_token: None };
            let outcome = state.judge.judge(Endpoint::Token, &presented, self.config.clock.now());
            self.count_replay(state, outcome.as_ref().err());
            outcome.map_err(|refusal| match refusal {
                Refusal::NonceWanted => OAuthError::UseDpopNonce,
                Refusal::Invalid | Refusal::Replayed => OAuthError::InvalidDpopProof,
            })
        }

        /// What the response to a token request or a pushed authorization request says beside its body.
        pub(crate) fn token_headers(
            &self,
            request: &RecordedTokenRequest,
            error: Option<OAuthError>,
        ) -> HeaderMap {
            if request.dpop.is_none() {
                return HeaderMap::new();
            }
            let asks = error == Some(OAuthError::UseDpopNonce);
            self.lock().judge.headers(Endpoint::Token, asks, self.config.clock.now())
        }

        pub(crate) fn judge_api_request(
            &self,
            state: &mut State,
            request: &RecordedApiRequest,
        ) -> ApiProof {
            let now = self.config.clock.now();
            let url = self.origin.clone() + request.path();
            let access_token = request.credentials().map(|(_, token)| token);
            let proof = request.dpop.as_deref();
            let presented = Presented { method: &request.method, url: &url, proof, access_token };
            let outcome = match proof {
                Some(_) => state.judge.judge(Endpoint::Api, &presented, now),
                None => Ok(None),
            };
            self.count_replay(state, outcome.as_ref().err());
            let asks = outcome == Err(Refusal::NonceWanted);
            let headers = match proof {
                Some(_) => state.judge.headers(Endpoint::Api, asks, now),
                None => HeaderMap::new(),
            };
            let outcome = outcome.map_err(|refusal| {
                Challenge::Custom(HeaderValue::from_static(match refusal {
                    Refusal::NonceWanted => r#"DPoP error="use_dpop_nonce", algs="ES256""#,
                    Refusal::Invalid | Refusal::Replayed => {
                        r#"DPoP error="invalid_dpop_proof", algs="ES256""#
                    }
                }))
            });
            ApiProof { outcome, headers }
        }

        /// Whether the parameters are looked at before the proof.
        pub(crate) fn parameters_first(&self) -> bool {
            self.lock().judge.rules.parameters_first
        }

        /// Whether the refresh token is consumed before the proof is looked at.
        pub(crate) fn consumes_first(&self) -> bool {
            self.lock().judge.rules.consumes_before_nonce
        }

        /// The thumbprint that a token is bound to, for a proof with that one.
        pub(crate) fn bound_to(&self, state: &State, jkt: Option<String>) -> Option<String> {
            let rules = &state.judge.rules;
            let other = || "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".to_owned();
            jkt.filter(|_| !rules.issues_bearer)
                .map(|jkt| if rules.wrong_key { other() } else { jkt })
        }

        /// Whether responses say what their token is bound to.
        pub(crate) fn shows_key(&self, state: &State) -> bool {
            state.judge.rules.wrong_key
        }

        fn count_replay(&self, state: &State, refusal: Option<&Refusal>) {
            if refusal == Some(&Refusal::Replayed) {
                self.count(state, |counts| counts.replayed_proofs += 1);
            }
        }
    }
}

#[cfg(not(all(feature = "keys", feature = "testing")))]
impl Shared {
    pub(crate) fn judge_token_request(
        &self,
        _: &mut State,
        _: &RecordedTokenRequest,
    ) -> Result<Option<String>, OAuthError> {
        Ok(None)
    }

    pub(crate) fn judge_pushed_request(
        &self,
        _: &RecordedTokenRequest,
    ) -> Result<Option<String>, OAuthError> {
        Ok(None)
    }

    pub(crate) fn token_headers(
        &self,
        _: &RecordedTokenRequest,
        _: Option<OAuthError>,
    ) -> HeaderMap {
        HeaderMap::new()
    }

    pub(crate) fn judge_api_request(&self, _: &mut State, _: &RecordedApiRequest) -> ApiProof {
        ApiProof { outcome: Ok(None), headers: HeaderMap::new() }
    }

    pub(crate) fn parameters_first(&self) -> bool {
        false
    }

    pub(crate) fn consumes_first(&self) -> bool {
        false
    }

    pub(crate) fn bound_to(&self, _: &State, _: Option<String>) -> Option<String> {
        None
    }

    pub(crate) fn shows_key(&self, _: &State) -> bool {
        false
    }
}

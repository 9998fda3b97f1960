//! `Verdict`: an application's own rule for which responses reject the token.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use super::stack::StackResponse;
use crate::challenge::may_new_token_help;

type Rule = dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync;

/// Which responses reject the token: a 401, and what the application says.
#[derive(Clone, Default)]
pub(super) struct Verdict(Option<Arc<Rule>>);

impl Verdict {
    pub(super) fn new(
        rule: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(rule)))
    }

    /// Whether the response does not say that the token is good.
    #[inline]
    pub(super) fn is_refusal(&self, response: &impl StackResponse) -> bool {
        response.status() == StatusCode::UNAUTHORIZED || self.is_own(response)
    }

    /// Whether the response says that the token is good.
    pub(super) fn is_acceptance(&self, response: &impl StackResponse) -> bool {
        !self.is_refusal(response) && !may_be_of_gateway(response)
    }

    /// Whether the response may ask for something: it does not say that the token is good, or that it is
    /// enough.
    #[inline]
    pub(super) fn may_ask(&self, response: &impl StackResponse) -> bool {
        response.status() == StatusCode::FORBIDDEN || self.is_refusal(response)
    }

    /// Whether a new token may help.
    pub(super) fn is_curable(&self, response: &impl StackResponse) -> bool {
        let is_401 = response.status() == StatusCode::UNAUTHORIZED;
        (is_401 && may_new_token_help(response.headers())) || self.is_own(response)
    }

    #[inline]
    fn is_own(&self, response: &impl StackResponse) -> bool {
        self.0.as_ref().is_some_and(|rule| ask(&**rule, response.status(), response.headers()))
    }
}

/// Whether the response may come from something that has not looked at the token: a gateway that limits the
/// rate, or that does not reach the API.
#[inline]
pub(super) fn may_be_of_gateway(response: &impl StackResponse) -> bool {
    let status = response.status();
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// A rule that panics says nothing.
#[cold]
fn ask(rule: &Rule, status: StatusCode, headers: &HeaderMap) -> bool {
    catch_unwind(AssertUnwindSafe(|| rule(status, headers))).unwrap_or(false)
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verdict").field(&self.0.is_some()).finish()
    }
}

//! `Need`: what a response asks for that somebody could log in for.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::challenge::{Challenge, may_new_token_help};
use crate::step_up::{StepUp, scope_union};
use crate::token::Token;

/// What a response asks for. Two are the same if their aims are.
#[derive(Clone)]
pub(crate) struct Need {
    pub(super) aim: Aim,
    pub(super) challenge: Option<Challenge>,
    /// The scope to ask for: that of the token and that of the challenge.
    pub(super) scope: Option<String>,
}

/// Names separated by spaces. Their order and repetitions do not matter: some APIs name what they want in
/// another order each time.
pub(super) type Names = BTreeSet<String>;

#[derive(Clone, PartialEq)]
pub(super) enum Aim {
    /// A token that is accepted.
    Login,
    Scope(Option<Names>),
    /// `acr_values` and `max_age`.
    Authentication(Option<Names>, Option<Duration>),
}

impl PartialEq for Need {
    fn eq(&self, other: &Self) -> bool {
        self.aim == other.aim
    }
}

impl Need {
    /// Whether a wider scope is what is asked for.
    pub(super) fn is_for_scope(&self) -> bool {
        matches!(self.aim, Aim::Scope(_))
    }

    /// Nothing was sent yet.
    pub(super) fn login() -> Self {
        Self { aim: Aim::Login, challenge: None, scope: None }
    }

    /// `sent`: the token that the request had.
    pub(super) fn of_response(
        status: StatusCode,
        headers: &HeaderMap,
        sent: Option<&Token>,
    ) -> Option<Self> {
        let granted = sent.and_then(|token| token.scope());
        match StepUp::asked_by(status, headers, granted) {
            Some(asked) => Self::of_step_up(&asked, granted),
            // No login helps against a 401 that is not about the token.
            None if status == StatusCode::UNAUTHORIZED
                && (sent.is_none() || may_new_token_help(headers)) =>
            {
                let challenge = ours(headers);
                let scope = challenge.as_ref().and_then(Challenge::scope);
                let scope = scope_union([granted, scope]);
                Some(Self { aim: Aim::Login, challenge, scope })
            }
            None => None,
        }
    }

    /// `None`: nothing is asked for that was not granted.
    fn of_step_up(asked: &StepUp, granted: Option<&str>) -> Option<Self> {
        let challenge = asked.challenge();
        let aim = if challenge.has_error("insufficient_scope") {
            let wanted = challenge.scope();
            if wanted.is_some()
                && granted.is_some()
                && asked.scope() == scope_union([granted]).as_deref()
            {
                return None;
            }
            Aim::Scope(wanted.map(names))
        } else {
            Aim::Authentication(challenge.acr_values().map(names), challenge.max_age())
        };
        Some(Self {
            aim,
            challenge: Some(challenge.clone()),
            scope: asked.scope().map(str::to_owned),
        })
    }
}

pub(super) fn names(text: &str) -> Names {
    text.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The challenge for tokens: of several the one that says where the metadata is, which any scheme may
/// ([RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)); else the first.
fn ours(headers: &HeaderMap) -> Option<Challenge> {
    let is_ours = |one: &Challenge| {
        ["bearer", "dpop"].iter().any(|ours| one.scheme().eq_ignore_ascii_case(ours))
    };
    let mut all: Vec<_> = Challenge::all(headers).into_iter().filter(is_ours).collect();
    let named = all.iter().position(|one| one.resource_metadata().is_some()).unwrap_or_default();
    (!all.is_empty()).then(|| all.swap_remove(named))
}

//! `ErrorCode`: the `error` code of a response, as received and as shown.
//!
//! Invariant: decisions compare what was received, errors show what is masked. A code that this crate
//! knows is shown as it is, whatever secret it contains: it is a word of the lists below.

use std::fmt;

use crate::redact::{redact, redact_words};

/// The longest code that is shown, in characters.
const LONGEST: usize = 60;

/// Codes that say that the refresh token is dead, and cannot say anything else in the response to a
/// refresh. `invalid_grant` is the one of RFC 6749; GitHub, Slack, Zoho, HubSpot, OpenAI and others have
/// their own. The codes of OpenID Connect Core 1.0 §3.1.2.6 that ask for the person come from Microsoft.
const ENDS_LOGIN: [&str; 22] = [
    "invalid_grant",
    "bad_refresh_token",
    "invalid_refresh_token",
    "expired_refresh_token",
    "revoked_refresh_token",
    "refresh_token_expired",
    "refresh_token_invalid",
    "refresh_token_revoked",
    "refresh_token_reused",
    "refresh_token_already_used",
    "refresh_token_invalidated",
    "refresh_token_not_found",
    "reused_refresh_token",
    "unknown_refresh_token",
    "token_expired",
    "token_revoked",
    "expired_token",
    "invalid_code",
    "interaction_required",
    "login_required",
    "consent_required",
    "account_selection_required",
];

/// Codes that end a login where it was asked for its own token. Where it was asked for a token for another
/// resource, they say that the person has not consented to that one (Microsoft).
const WANTS_CONSENT: [&str; 2] = ["consent_required", "interaction_required"];

/// What Microsoft sends as `suberror` beside `invalid_grant` where the refresh token itself is at fault. Any
/// other asks for the person: for a second factor, say, which one resource wants and another does not.
const BLAMES_TOKEN: [&str; 4] =
    ["bad_token", "token_expired", "client_mismatch", "user_password_expired"];

/// Codes that say that the server did not accept the client, and so has consumed nothing. GitHub and Slack
/// have their own.
const CLIENT_NOT_ACCEPTED: [&str; 9] = [
    "invalid_client",
    "unauthorized_client",
    "invalid_client_id",
    "invalid_client_secret",
    "invalid_client_credentials",
    "incorrect_client_credentials",
    "bad_client_id",
    "bad_client_secret",
    "unknown_client",
];

/// Codes that say "later".
const LATER: [&str; 15] = [
    "server_error",
    "temporarily_unavailable",
    "slow_down",
    "authorization_pending",
    "internal_error",
    "internal_server_error",
    "internal_failure",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "ratelimited",
    "rate_limited",
    "rate_limit_exceeded",
    "too_many_requests",
    "use_dpop_nonce",
];

/// Other codes that are often seen.
const OTHER: [&str; 16] = [
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "unsupported_grant_type",
    "unsupported_response_type",
    "unsupported_token_type",
    "access_denied",
    "invalid_dpop_proof",
    "invalid_dpop_proof",
    "bad_verification_code",
    "incorrect_device_code",
    "redirect_uri_mismatch",
    "invalid_request_error",
    "invalid_auth",
    "oauthexception",
];

/// An error code.
pub(crate) struct ErrorCode {
    received: String,
    shown: String,
    /// Whether it comes with one of Microsoft's that asks for the person.
    asks_person: bool,
}

impl ErrorCode {
    /// `secrets`: what the request held. Of a success nothing may be shown that could be a token, so a
    /// code that does not read as words is masked.
    pub(crate) fn new(received: &str, secrets: &[&str], of_success: bool) -> Self {
        let received = received.trim();
        let shown = if is_known(received) {
            received.to_owned()
        } else if of_success {
            redact_words(received, LONGEST, secrets)
        } else {
            redact(received, LONGEST, secrets)
        };
        Self { received: received.to_owned(), shown, asks_person: false }
    }

    /// The same code with the `suberror` beside it.
    pub(crate) fn with_suberror(self, suberror: Option<&str>) -> Self {
        let asks_person = suberror.is_some_and(|suberror| !BLAMES_TOKEN.contains(&suberror));
        Self { asks_person, ..self }
    }

    /// One of this crate's own.
    pub(crate) fn known(code: &'static str) -> Self {
        Self { received: code.to_owned(), shown: code.to_owned(), asks_person: false }
    }

    /// From a record, where it is as it was shown.
    pub(super) fn recorded(shown: String) -> Self {
        Self { received: shown.clone(), shown, asks_person: false }
    }

    /// For people: what may be a secret is masked.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether the provider sent this code; case, and what separates its words, do not matter.
    pub(crate) fn is(&self, code: &str) -> bool {
        is_same(&self.received, code)
    }

    fn is_one_of(&self, codes: &[&str]) -> bool {
        let received = normal(&self.received);
        codes.contains(&received.as_str())
    }

    /// Whether it asks for the person's consent, or for another proof of who they are.
    pub(super) fn wants_consent(&self) -> bool {
        self.is_one_of(&WANTS_CONSENT) || (self.asks_person && self.is("invalid_grant"))
    }

    /// Whether it is known to say that the refresh token is dead.
    pub(super) fn ends_login(&self) -> bool {
        ends_login(&self.received)
    }

    /// Whether it is known to say that the client was not accepted.
    pub(crate) fn rejects_client(&self) -> bool {
        self.is_one_of(&CLIENT_NOT_ACCEPTED)
    }

    fn says_later(&self) -> bool {
        self.is_one_of(&LATER) || text_says_later(&self.received)
    }

    pub(super) fn is_unknown(&self) -> bool {
        !is_known(&self.received)
    }
}

/// Whether the provider asks to come again later, by its code or in words. Zoho: `Access Denied`, "You have
/// made too many requests continuously."
pub(super) fn says_later(code: Option<&ErrorCode>, description: Option<&str>) -> bool {
    code.is_some_and(ErrorCode::says_later) || description.is_some_and(text_says_later)
}

fn text_says_later(text: &str) -> bool {
    const WORDS: [&str; 7] = [
        "too_many_requests",
        "rate_limit",
        "temporarily_unavailable",
        "try_again_later",
        "try_again_after",
        "retry_your_request",
        "service_unavailable",
    ];
    let text = normal(text);
    WORDS.iter().any(|words| text.contains(words))
}

/// Whether the description says that the refresh token was not judged, whatever the code. Salesforce has
/// `invalid_grant` while another request with the token is under way and for too many logins, Microsoft for too
/// many requests.
pub(super) fn is_not_judged(description: &str) -> bool {
    const WORDS: [&str; 5] = [
        "already_being_processed",
        "aadsts50196",
        "login_rate_exceeded",
        "rate_limit",
        "too_many_requests",
    ];
    let text = normal(description);
    WORDS.iter().any(|words| text.contains(words))
}

/// Whether the text is a code of [`ENDS_LOGIN`]. A sentence is one only if it names the refresh token or the
/// grant: any web site says "Login required".
fn ends_login(text: &str) -> bool {
    let code = normal(text);
    let is_sentence = text.trim().contains(' ');
    ENDS_LOGIN.contains(&code.as_str())
        && (!is_sentence || code.contains("refresh_token") || code.contains("grant"))
}

/// Whether it is a word of the lists.
pub(crate) fn is_known(code: &str) -> bool {
    let normal = normal(code);
    let others = [&CLIENT_NOT_ACCEPTED[..], &LATER, &OTHER];
    ends_login(code) || others.iter().any(|codes| codes.contains(&normal.as_str()))
}

/// Whether both are the same code; case, and what separates the words, do not matter.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    normal(one) == normal(other)
}

/// `BAD_REFRESH_TOKEN` (HubSpot) and `Access Denied` (Zoho) as others write them.
fn normal(code: &str) -> String {
    let lower = code.trim().to_ascii_lowercase();
    lower.chars().map(|c| if matches!(c, ' ' | '-' | '.') { '_' } else { c }).collect()
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.fmt(f)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_are_shown_as_sent_and_others_masked() {
        for (received, secrets, of_success, shown) in [
            ("invalid_client", &["client"][..], false, "invalid_client"),
            ("authorization_pending", &["pending"], false, "authorization_pending"),
            (" BAD_REFRESH_TOKEN ", &["a"], true, "BAD_REFRESH_TOKEN"),
            ("no_client_here", &["client"], false, "no_[redacted]_here"),
            ("a_bad_day", &["a"], false, "[redacted]_bad_day"),
            ("bad_day", &["a"], false, "bad_day"),
            ("at-4f9c", &[], true, "[redacted]"),
            ("at-4f9c", &[], false, "at-4f9c"),
            ("team_is_locked", &[], true, "team_is_locked"),
        ] {
            let code = ErrorCode::new(received, secrets, of_success);
            assert_eq!(code.shown(), shown);
            assert!(code.is(received));
            assert_eq!(format!("{code} {code:?}"), format!("{shown} {shown:?}"));
        }
    }
}

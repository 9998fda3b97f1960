//! `StepUp`: what an API wants beyond the current token.

use http::{HeaderMap, StatusCode};

use crate::challenge::Challenge;

/// An API wants more than the token gives: a wider scope
/// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)), or a stronger or newer login
/// ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)). A renewal does not help, but a new
/// authorization may: [`AuthorizationRequest::step_up`](crate::AuthorizationRequest::step_up). From
/// [`Error::step_up`](crate::Error::step_up).
#[derive(Debug, Clone)]
pub struct StepUp {
    challenge: Challenge,
    scope: Option<String>,
}

impl StepUp {
    /// What a response asks for, if it does. `granted`: the scope of the token that was sent.
    pub(crate) fn asked_by(
        status: StatusCode,
        headers: &HeaderMap,
        granted: Option<&str>,
    ) -> Option<Self> {
        let code = match status {
            StatusCode::FORBIDDEN => "insufficient_scope",
            StatusCode::UNAUTHORIZED => "insufficient_user_authentication",
            _ => return None,
        };
        let challenge = Challenge::all(headers).into_iter().find(|one| one.has_error(code))?;
        let scope = scope_union([granted, challenge.scope()]);
        Some(Self { challenge, scope })
    }

    /// What the API asked for.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// The scope to ask for: that of the token, if it is known, and that of the challenge. `None` if
    /// both are unknown.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }
}

/// All the names of these scopes, each once, in their order.
pub(crate) fn scope_union<'a>(scopes: impl IntoIterator<Item = Option<&'a str>>) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in scopes.into_iter().flatten().flat_map(|scope| scope.split(' ')) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    (!names.is_empty()).then(|| names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::WWW_AUTHENTICATE;

    fn asked(status: u16, field: &str, granted: Option<&str>) -> Option<StepUp> {
        let field = HeaderValue::from_str(field).unwrap();
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, field)]);
        StepUp::asked_by(StatusCode::from_u16(status).unwrap(), &headers, granted)
    }

    #[test]
    fn c6750_3_1_b_a_wider_scope_is_that_of_both() {
        for (granted, field, scope) in [
            (Some("a b"), r#"Bearer error="insufficient_scope", scope="b c""#, Some("a b c")),
            (None, r#"Bearer error="insufficient_scope", scope="c""#, Some("c")),
            (Some("a"), r#"Bearer error="insufficient_scope""#, Some("a")),
            (Some(""), "DPoP error=Insufficient_Scope", None),
            (None, r#"Basic realm="x", Bearer error="insufficient_scope", scope="c""#, Some("c")),
        ] {
            let asked = asked(403, field, granted).unwrap();
            assert_eq!(asked.scope(), scope, "{field}");
        }
    }

    #[test]
    fn c9470_4_a_a_stronger_login_is_asked_for_with_a_401() {
        let field =
            r#"Bearer error="insufficient_user_authentication", acr_values="myACR", max_age=5"#;
        let asked_for = asked(401, field, Some("a")).unwrap();
        assert_eq!(asked_for.challenge().acr_values(), Some("myACR"));
        assert_eq!(asked_for.scope(), Some("a"));
        for (status, field) in [
            (403, field),
            (401, r#"Bearer error="insufficient_scope", scope="c""#),
            (400, r#"Bearer error="insufficient_scope""#),
            (403, "Bearer"),
            (403, r#"Bearer error="invalid_token""#),
            (403, r#"Bearer error="insufficient_scope"#),
            (401, "Bearer"),
            (200, r#"Bearer error="insufficient_scope""#),
        ] {
            assert!(asked(status, field, None).is_none(), "{status} {field}");
        }
    }
}

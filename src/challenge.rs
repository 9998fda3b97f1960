//! What a resource server's 401 says about the token
//! ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3),
//! [RFC 9110 §11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)).
//!
//! The grammar is http-auth's. It knows no `token68` (`Negotiate YII=`), so an element of that form
//! is cut down to its scheme first; and no text beyond ASCII, which a realm may have, so that is
//! blotted out.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// Longer fields are not looked into: no server says anything useful in more.
const LONGEST_FIELD: usize = 8 * 1024;

/// What the `Bearer` challenge of a 401 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// `error="invalid_token"`, no error code, no Bearer challenge, or nothing legible: a new
    /// token may help.
    NewTokenMayHelp,
    /// An error code that no new token of the same kind cures, such as `insufficient_scope` or
    /// `insufficient_user_authentication`
    /// ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)).
    Other(String),
}

/// Reads the challenges of a 401.
pub(crate) fn verdict(headers: &HeaderMap) -> Verdict {
    headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter(|field| field.len() <= LONGEST_FIELD)
        .find_map(|field| bearer_error(&ascii(field.as_bytes())))
        .map_or(Verdict::NewTokenMayHelp, |code| match code.as_str() {
            "invalid_token" => Verdict::NewTokenMayHelp,
            _ => Verdict::Other(code),
        })
}

/// The field with a question mark for each byte that is not ASCII: within quotes it is text, and
/// elsewhere as wrong as what it stands for.
fn ascii(field: &[u8]) -> String {
    field.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '?' }).collect()
}

/// The error code of the first Bearer challenge in the field that has one.
fn bearer_error(field: &str) -> Option<String> {
    let field = without_token68(field);
    http_auth::parse_challenges(&field)
        .ok()?
        .iter()
        .filter(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"))
        .flat_map(|challenge| &challenge.params)
        .find(|(name, _)| name.eq_ignore_ascii_case("error"))
        .map(|(_, value)| value.to_unescaped())
}

/// The field with every `scheme token68` element cut down to `scheme`.
fn without_token68(field: &str) -> Cow<'_, str> {
    if !elements(field).any(|element| token68_scheme(element).is_some()) {
        return Cow::Borrowed(field);
    }
    let kept: Vec<&str> =
        elements(field).map(|element| token68_scheme(element).unwrap_or(element)).collect();
    Cow::Owned(kept.join(","))
}

/// The scheme of an element that is `scheme SP token68`.
fn token68_scheme(element: &str) -> Option<&str> {
    let (scheme, rest) = element.trim().split_once(' ')?;
    let rest = rest.trim_start();
    let text = rest.trim_end_matches('=');
    let token68 = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
    token68.then_some(scheme)
}

/// The comma-separated elements of the field; a comma within quotes separates nothing.
fn elements(field: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    field.split(move |c| {
        let separates = c == ',' && !quoted;
        (quoted, escaped) = match c {
            '"' if !escaped => (!quoted, false),
            '\\' if quoted && !escaped => (quoted, true),
            _ => (quoted, false),
        };
        separates
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(fields: &[&str]) -> Verdict {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(field).unwrap());
        }
        verdict(&headers)
    }

    #[test]
    fn a_new_token_may_help() {
        for fields in [
            &[][..],
            &[r#"Bearer realm="example""#],
            &[
                r#"Bearer realm="example", error="invalid_token", error_description="The access token expired""#,
            ],
            &[r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#],
            &[r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#],
            &[r#"Bearer, DPoP algs="ES256 PS256""#],
            &[r#"Bearer error="invalid_token", DPoP algs="ES256""#],
            &[r#"DPoP error="insufficient_scope", Bearer error="invalid_token""#],
            &[r#"Negotiate YWJj==, Bearer scope="a b""#],
            &[r#"Basic realm="x""#, r#"bEaReR SCOPE=a , ,error = "invalid_token""#],
            &[r#",, Bearer realm="a, Basic realm=\"b\"",,"#],
            // Not legible: nothing is known, so a new token may help.
            &[r#"Bearer error="insufficient_scope"#],
            &[r#"Bearer realm="a" error="b""#],
            &["Bearer \u{e9}"],
            &["\"\\"],
            &[","],
            &[""],
        ] {
            assert_eq!(of(fields), Verdict::NewTokenMayHelp, "{fields:?}");
        }
    }

    #[test]
    fn no_new_token_helps() {
        for (fields, code) in [
            (&[r#"Bearer error="insufficient_scope", scope="a b""#][..], "insufficient_scope"),
            (&["Bearer error=insufficient_scope"], "insufficient_scope"),
            (
                &[
                    r#"Bearer error="insufficient_user_authentication", max_age=5, acr_values="myACR""#,
                ],
                "insufficient_user_authentication",
            ),
            (&[r#"Negotiate YWJj==, Bearer error="insufficient_scope""#], "insufficient_scope"),
            (&["Bearer realm=\"Zo\u{eb}\", error=\"insufficient_scope\""], "insufficient_scope"),
            (
                &[r#"Basic realm="a,b""#, r#"bearer ERROR = insufficient_scope ,,"#],
                "insufficient_scope",
            ),
        ] {
            assert_eq!(of(fields), Verdict::Other(code.to_owned()), "{fields:?}");
        }
    }

    #[test]
    fn token68_elements_lose_only_their_credentials() {
        assert_eq!(
            without_token68("Negotiate YWJj==, Bearer scope=\"a b\""),
            "Negotiate, Bearer scope=\"a b\""
        );
        assert_eq!(
            without_token68("Bearer realm=\"Negotiate YWJj==, x\""),
            "Bearer realm=\"Negotiate YWJj==, x\""
        );
        assert_eq!(
            without_token68("Bearer realm=\"\\\"Negotiate YWJj==, x\""),
            "Bearer realm=\"\\\"Negotiate YWJj==, x\""
        );
    }

    #[test]
    fn oversized_fields_are_passed_over() {
        let long =
            format!("Bearer realm=\"{}\", error=insufficient_scope", "a".repeat(LONGEST_FIELD));
        assert_eq!(of(&[&long]), Verdict::NewTokenMayHelp);
    }
}

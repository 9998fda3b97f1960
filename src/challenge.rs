//! What a resource server's 401 says about the token
//! ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3),
//! [RFC 9110 §11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)).
//!
//! Servers say "this token has expired" in many ways: `expired_token` (OneDrive), `token_expired`,
//! `Invalid_Token`, an empty code, single quotes. So every code asks for a new token, but for the few that
//! are known to mean something else. A renewal that does not help costs one token request now and then; one
//! that is left out costs the caller its request.
//!
//! The reader takes fields that break the grammar: single quotes, a comma left out, text that is not ASCII.
//! It looks for parameters named `error`, whatever the scheme, and never fails.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// Longer fields are not looked into: no server says anything useful in more.
const LONGEST_FIELD: usize = 8 * 1024;

/// The error codes that no new token of the same kind cures: too little scope, a malformed request
/// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)), a log-in that is too old or too
/// weak ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)), a proof that is not accepted or
/// without the server's nonce ([RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1),
/// [§9](https://www.rfc-editor.org/rfc/rfc9449#section-9)).
const NOT_THE_TOKEN: [&str; 5] = [
    "insufficient_scope",
    "insufficient_user_authentication",
    "invalid_dpop_proof",
    "invalid_request",
    "use_dpop_nonce",
];

/// Whether a new token may help against a 401 with these headers: unless there are error codes, and each of
/// them is known to mean something else.
pub(crate) fn may_new_token_help(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(WWW_AUTHENTICATE).iter().map(|field| field.as_bytes());
    let mut codes = fields.filter(|field| field.len() <= LONGEST_FIELD).flat_map(error_codes);
    codes.next().is_none_or(|code| is_about_the_token(code) || codes.any(is_about_the_token))
}

/// Whether the server says that it did not accept the proof of the token's key.
#[cfg(feature = "keys")]
pub(crate) fn rejects_proof(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(WWW_AUTHENTICATE).iter().map(|field| field.as_bytes());
    let mut codes = fields.filter(|field| field.len() <= LONGEST_FIELD).flat_map(error_codes);
    codes.any(|code| {
        code.eq_ignore_ascii_case(b"use_dpop_nonce")
            || code.eq_ignore_ascii_case(b"invalid_dpop_proof")
    })
}

fn is_about_the_token(code: &[u8]) -> bool {
    !NOT_THE_TOKEN.iter().any(|other| code.eq_ignore_ascii_case(other.as_bytes()))
}

/// The values of the parameters named `error`.
fn error_codes(mut field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parameters = std::iter::from_fn(move || next_parameter(&mut field));
    parameters.filter(|(name, _)| name.eq_ignore_ascii_case(b"error")).map(|(_, value)| value)
}

/// The next `name = value`. Words without a value are passed over: schemes, credentials.
fn next_parameter<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    loop {
        let text = skip(rest, |b| b.is_ascii_whitespace() || b == b',');
        // Of text that is not empty at least a byte is taken, so this ends.
        let length = word(text).max(usize::from(!text.is_empty()));
        let (name, after) = text.split_at(length);
        *rest = skip(after, |b| b.is_ascii_whitespace());
        if name.is_empty() {
            return None;
        }
        if let Some(after) = rest.strip_prefix(b"=") {
            let (value, after) = value(skip(after, |b| b.is_ascii_whitespace()))?;
            *rest = after;
            return Some((name, value));
        }
    }
}

/// How long the word is that the text begins with.
fn word(text: &[u8]) -> usize {
    let ends = |b: &u8| b.is_ascii_whitespace() || b",=\"".contains(b);
    text.iter().position(ends).unwrap_or(text.len())
}

/// The value that the text begins with, and what follows it. `None` for a double quote that is not closed:
/// nobody knows what was cut off.
fn value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let quoted = match text {
        [b'"', inner @ ..] => Some((inner, closing_quote(inner)?)),
        [b'\'', inner @ ..] => closing_apostrophe(inner).map(|end| (inner, end)),
        _ => None,
    };
    let (value, after) = match quoted {
        Some((inner, end)) => (&inner[..end], &inner[end + 1..]),
        None => {
            let ends = |b: &u8| b.is_ascii_whitespace() || *b == b',';
            text.split_at(text.iter().position(ends).unwrap_or(text.len()))
        }
    };
    Some((value.trim_ascii(), after))
}

/// Where the quoted string ends; a backslash escapes.
fn closing_quote(inner: &[u8]) -> Option<usize> {
    let mut escaped = false;
    inner.iter().position(|b| {
        let closes = *b == b'"' && !escaped;
        escaped = *b == b'\\' && !escaped;
        closes
    })
}

/// Where text in single quotes ends. One within a word is an apostrophe.
fn closing_apostrophe(inner: &[u8]) -> Option<usize> {
    let is_end = |at: &usize| {
        let next = inner.get(at + 1);
        next.is_none_or(|b| b.is_ascii_whitespace() || *b == b',')
    };
    (0..inner.len()).filter(|at| inner[*at] == b'\'').find(is_end)
}

fn skip(text: &[u8], skipped: impl Fn(u8) -> bool) -> &[u8] {
    let begin = text.iter().position(|b| !skipped(*b)).unwrap_or(text.len());
    &text[begin..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(fields: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(field).unwrap());
        }
        may_new_token_help(&headers)
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
            &[r#"DPoP error="insufficient_scope""#, r#"Bearer error="invalid_token""#],
            &[r#"Negotiate YWJj==, Bearer scope="a b""#],
            &[r#"Basic realm="x""#, r#"bEaReR SCOPE=a , ,error = "invalid_token""#],
            &[r#",, Bearer realm="a, Basic realm=\"b\"",,"#],
            // Codes that nobody has registered.
            &[r#"Bearer error="expired_token""#],
            &[r#"Bearer error="token_expired""#],
            &[r#"Bearer error="Invalid_Token""#],
            &[r#"Bearer error="INVALID_TOKEN""#],
            &[r#"Bearer error="""#],
            &["Bearer error="],
            &["Bearer error=''"],
            &["Bearer error='invalid_token'"],
            &["Bearer error='invalid_token', error_description='The access token expired'"],
            &[r#"Bearer error="what nobody knows""#],
            &["Bearer error=\"\u{e9}\""],
            &[r#"Bearer realm="a" error="b""#],
            // The words stand elsewhere.
            &[r#"Bearer realm="error=insufficient_scope""#],
            &["Bearer realm='an error=insufficient_scope'"],
            &[r#"Bearer realm="\" error=insufficient_scope", error="invalid_token""#],
            &[r#"Bearer error_description="insufficient_scope""#],
            &["insufficient_scope"],
            &["Bearer insufficient_scope"],
            // Cut off: nothing is known, so a new token may help.
            &[r#"Bearer error="insufficient_scope"#],
            &["Bearer \u{e9}"],
            &["\"\\"],
            &["'"],
            &["="],
            &["=,=\"=\"'"],
            &[","],
            &[""],
        ] {
            assert!(of(fields), "{fields:?}");
        }
    }

    #[test]
    fn no_new_token_helps() {
        for fields in [
            &[r#"Bearer error="insufficient_scope", scope="a b""#][..],
            &["Bearer error=insufficient_scope"],
            &["Bearer error='insufficient_scope'"],
            &["Bearer error='insufficient_scope', error_description='The user's token lacks it'"],
            &[r#"Bearer error="Insufficient_Scope""#],
            &[r#"Bearer error=" insufficient_scope ""#],
            &[r#"Bearer realm="a" error="insufficient_scope""#],
            &[r#"Bearer error="insufficient_user_authentication", max_age=5, acr_values="myACR""#],
            &[r#"Bearer error="invalid_request""#],
            &[r#"DPoP error="use_dpop_nonce", error_description="Resource server requires nonce""#],
            &[r#"Bearer, DPoP error="use_dpop_nonce""#],
            &[r#"DPoP error="invalid_dpop_proof", algs="ES256""#],
            &[r#"Negotiate YWJj==, Bearer error="insufficient_scope""#],
            &["Bearer realm=\"Zo\u{eb}\", error=\"insufficient_scope\""],
            &[r#"Basic realm="a,b""#, r#"bearer ERROR = insufficient_scope ,,"#],
            &[r#"Bearer error="insufficient_scope""#, r#"DPoP error="insufficient_scope""#],
        ] {
            assert!(!of(fields), "{fields:?}");
        }
    }

    #[cfg(feature = "keys")]
    #[test]
    fn a_proof_is_rejected_by_two_codes() {
        for (field, is_rejected) in [
            (
                r#"DPoP error="use_dpop_nonce", error_description="Resource server requires nonce""#,
                true,
            ),
            (r#"Bearer, DPoP algs="ES256", error=invalid_dpop_proof"#, true),
            (r#"DPoP error="invalid_token""#, false),
            (r#"DPoP realm="use_dpop_nonce""#, false),
            ("", false),
        ] {
            let field = HeaderValue::from_static(field);
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, field)]);
            assert_eq!(rejects_proof(&headers), is_rejected, "{headers:?}");
        }
    }

    #[test]
    fn oversized_fields_are_passed_over() {
        let long =
            format!("Bearer realm=\"{}\", error=insufficient_scope", "a".repeat(LONGEST_FIELD));
        assert!(of(&[&long]));
    }

    #[test]
    fn any_bytes_are_read_to_their_end() {
        let bytes = b"e=\"', \\\xe9r";
        for n in 0..bytes.len().pow(5) {
            let field: Vec<u8> =
                (0..5).map(|i| bytes[n / bytes.len().pow(i) % bytes.len()]).collect();
            assert!(error_codes(&field).count() <= 5);
        }
    }
}

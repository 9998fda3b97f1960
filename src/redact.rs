//! Foreign text made fit to be shown in an error or a log.
//!
//! Invariant: the result has no control characters, no more than the given number of characters
//! (and an ellipsis), none of the secrets given, and no run of characters long enough to be a token.

/// A run of token characters at least this long is redacted. An UUID, which providers put into
/// descriptions as a trace id, has 36.
const TOKEN_LIKE: usize = 40;

/// A run with one of these in it is redacted, however short.
const TELLING: [&str; 7] =
    ["token=", "code=", "secret=", "password=", "assertion=", "verifier=", "key="];

/// The text, control characters escaped, capped.
pub(crate) fn escape_and_truncate(text: &str, cap: usize) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == cap {
            out.push('…');
            break;
        }
        if is_visible(c) {
            out.push(c);
        } else {
            out.extend(c.escape_default());
        }
    }
    out
}

/// Neither a control character nor one that reorders or hides its neighbours, or is hidden itself.
pub(crate) fn is_visible(c: char) -> bool {
    let hides = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
    ) || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !hides
}

/// The name of something, where it is short enough to be a name; what may be a secret redacted.
pub(crate) fn redact_name(text: &str, secrets: &[&str]) -> String {
    if text.len() <= 24 { redact(text, 24, secrets) } else { "…".to_owned() }
}

/// [`escape_and_truncate`], with what may be a secret redacted.
pub(crate) fn redact(text: &str, cap: usize, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    let mut secrets: Vec<_> = secrets.iter().filter(|secret| !secret.is_empty()).collect();
    // One may be part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        text = text.replace(secret, "[redacted]");
    }
    escape_and_truncate(&without_runs(&text), cap)
}

fn without_runs(text: &str) -> String {
    let of_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=%".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.find(|c| !of_token(c)).unwrap_or(rest.len());
        let lower = rest[..run].to_ascii_lowercase();
        let secret = run >= TOKEN_LIKE || TELLING.iter().any(|name| lower.contains(name));
        out.push_str(if secret { "[redacted]" } else { &rest[..run] });
        rest = &rest[run..];
        let gap = rest.find(of_token).unwrap_or(rest.len());
        out.push_str(&rest[..gap]);
        rest = &rest[gap..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_escaped_and_length_is_capped() {
        assert_eq!(
            escape_and_truncate("a\u{1b}[31mb\r\n\u{202e}é", 99),
            r"a\u{1b}[31mb\r\n\u{202e}é"
        );
        assert_eq!(escape_and_truncate("abcdef", 3), "abc…");
        assert_eq!(escape_and_truncate("abc", 3), "abc");
    }

    #[test]
    fn secrets_and_token_like_runs_are_redacted_and_trace_ids_are_not() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0";
        assert_eq!(
            redact(
                &format!(
                    "bad {token}, pw potato; ?a=b&Code=x; trace 01234567-89ab-cdef-0123-456789abcdef"
                ),
                200,
                &["potato", ""]
            ),
            "bad [redacted], pw [redacted]; ?a=b&[redacted]; trace 01234567-89ab-cdef-0123-456789abcdef"
        );
        assert_eq!(redact("pw potatoes", 200, &["potato", "potatoes"]), "pw [redacted]");
    }
}

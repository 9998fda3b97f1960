//! Foreign text made fit to be shown in an error or a log.
//!
//! Invariant: the result has no control characters, no more than the given number of characters
//! (and an ellipsis), none of the secrets given, and no run of characters long enough to be a token.

use std::error::Error;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::zeroize::Zeroizing;

/// A run of token characters at least this long is redacted. An UUID, which providers put into
/// descriptions as a trace id, has 36.
const TOKEN_LIKE: usize = 40;

/// A run with one of these in it is redacted, however short.
const TELLING: [&str; 7] =
    ["token=", "code=", "secret=", "password=", "assertion=", "verifier=", "key="];

/// The longest word of an error text, in bytes.
const LONGEST_WORD: usize = 20;

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

/// [`escape_and_truncate`], with what may be a secret redacted: what was sent, in every encoding that it
/// may have been sent in, and runs long enough to be a token.
pub(crate) fn redact(text: &str, cap: usize, secrets: &[&str]) -> String {
    escape_and_truncate(&without_runs(&redact_secrets(text, secrets), is_token_like), cap)
}

/// As [`redact`], for text that may hold a token of any length: of it only what reads as words is left.
pub(crate) fn redact_words(text: &str, cap: usize, secrets: &[&str]) -> String {
    escape_and_truncate(&without_runs(&redact_secrets(text, secrets), |run| !is_words(run)), cap)
}

/// The text without the secrets, in every encoding that they may have been sent in.
pub(crate) fn redact_secrets(text: &str, secrets: &[&str]) -> String {
    let mut encoded: Vec<_> = secrets.iter().flat_map(|secret| encodings(secret)).collect();
    // One may be part of another.
    encoded.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    encoded.dedup();
    let mut text = text.to_owned();
    for secret in encoded.iter().filter(|secret| !secret.is_empty()) {
        text = replace(&text, secret);
    }
    text
}

/// Whether an error of the application's, or a cause of it, repeats one of the secrets.
pub(crate) fn error_tells(error: &(dyn Error + 'static), secrets: &[&str]) -> bool {
    let tells = |text: &str| redact_secrets(text, secrets) != text;
    tells(&error.to_string())
        || tells(&format!("{error:?}"))
        || error.source().is_some_and(|cause| error_tells(cause, secrets))
}

/// A secret shorter than this is redacted only where it is a word: letters are in every text.
const SHORT: usize = 4;

const REDACTED: &str = "[redacted]";

/// In any case of letters: the name of a host has its own.
fn replace(text: &str, secret: &str) -> String {
    let is_short = secret.chars().count() < SHORT;
    let (lower, secret) = (text.to_ascii_lowercase(), Zeroizing::new(secret.to_ascii_lowercase()));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    while let Some(at) = lower[done..].find(secret.as_str()) {
        let (begin, end) = (done + at, done + at + secret.len());
        out.push_str(&text[done..begin]);
        let touches = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_part = touches(out.chars().next_back()) || touches(text[end..].chars().next());
        out.push_str(if is_short && is_part { &text[begin..end] } else { REDACTED });
        done = end;
    }
    out + &text[done..]
}

/// How a server may echo a secret: as it is, as in a form, in a URL, in JSON.
fn encodings(secret: &str) -> Vec<Zeroizing<String>> {
    const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = serde_json::Value::from(secret).to_string();
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default();
    let mut all = vec![
        secret.to_owned(),
        utf8_percent_encode(secret, URL).to_string(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        form,
        json.to_owned(),
        json.replace('/', r"\/"),
    ];
    all.sort();
    all.dedup();
    all.into_iter().map(Zeroizing::new).collect()
}

fn is_token_like(run: &str) -> bool {
    let lower = run.to_ascii_lowercase();
    run.len() >= TOKEN_LIKE || TELLING.iter().any(|name| lower.contains(name))
}

/// Whether each part between separators is a word: letters alone, no more than a word has, and in one
/// case but for the first letter.
fn is_words(run: &str) -> bool {
    let is_word = |word: &str| {
        let tail = word.get(1..).unwrap_or_default();
        word.len() <= LONGEST_WORD
            && word.bytes().all(|b| b.is_ascii_alphabetic())
            && (tail.bytes().all(|b| b.is_ascii_lowercase())
                || word.bytes().all(|b| b.is_ascii_uppercase()))
    };
    !is_token_like(run) && run.split(|c: char| !c.is_ascii_alphanumeric()).all(is_word)
}

fn without_runs(text: &str, is_secret: impl Fn(&str) -> bool) -> String {
    let of_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=%".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.find(|c| !of_token(c)).unwrap_or(rest.len());
        out.push_str(if is_secret(&rest[..run]) { REDACTED } else { &rest[..run] });
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

    #[test]
    fn a_secret_is_redacted_in_every_encoding_that_it_may_come_back_in() {
        let secret = "p w/\u{e9}\"+";
        for echo in [
            "p w/\u{e9}\"+",
            "p+w%2F%C3%A9%22%2B",
            "P W/\u{e9}\"+",
            "p+w%2f%c3%a9%22%2b",
            "p%20w%2F%C3%A9%22%2B",
            "p%20w%2f%c3%a9%22%2b",
            "p w/\u{e9}\\\"+",
            "p w\\/\u{e9}\\\"+",
        ] {
            assert_eq!(
                redact(&format!("no {echo} no"), 99, &[secret]),
                "no [redacted] no",
                "{echo}"
            );
        }
    }

    #[test]
    fn a_short_secret_is_redacted_only_as_a_word() {
        assert_eq!(redact("a bad day, said a", 99, &["a"]), "[redacted] bad day, said [redacted]");
        assert_eq!(redact("aaa aa", 99, &["a"]), "aaa aa");
        assert_eq!(redact("x=pwd1 pwd", 99, &["pwd"]), "x=pwd1 [redacted]");
        assert_eq!(redact("x=pwd1 pwd", 99, &["pwd1"]), "x=[redacted] pwd");
    }

    #[test]
    fn what_may_be_a_token_is_left_out_and_words_stay() {
        for (text, shown) in [
            ("The refresh token passed is incorrect or expired.", None),
            ("invalid_refresh_token", None),
            ("Access Denied", None),
            ("INVALID-ARGUMENT: no", None),
            ("token gho16C7e42F no", Some("token [redacted] no")),
            ("token 2YotnFZF", Some("token [redacted]")),
            ("qwertyuiopasdfghjklzx", Some("[redacted]")),
        ] {
            assert_eq!(redact_words(text, 99, &[]), shown.unwrap_or(text));
        }
    }
}

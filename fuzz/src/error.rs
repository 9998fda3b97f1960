//! What holds for every error that an input from outside causes.

use std::error::Error as _;
use std::fmt::Write as _;

use reqwest_oauth2::Error;

/// Longer than any message with a code, a description and a URI, each capped and every character of
/// them escaped.
const LONGEST: usize = 10_000;

/// It can be shown: no secret, no control character, of bounded length.
pub fn holds(error: &Error, secrets: &[&str]) {
    let mut shown = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        write!(shown, " {source}").unwrap();
        next = source.source();
    }
    assert!(!shown.contains(char::is_control), "a control character in {shown:?}");
    assert!(shown.len() < LONGEST, "too long: {shown}");
    for part in
        [error.error_code(), error.error_description(), error.error_uri()].into_iter().flatten()
    {
        write!(shown, " {part}").unwrap();
    }
    write!(shown, " {error:?}").unwrap();
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}

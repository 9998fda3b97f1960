//! The body of a response as a map of members: JSON first, then form.
//!
//! It ignores the content type: providers label JSON as text/plain, text/html or form. Of duplicate members
//! the last one counts.

use serde_json::{Map, Value};

use crate::lenient_json;

/// What the body is.
#[derive(Debug, PartialEq)]
pub(super) enum Body {
    /// A JSON object, or a form as an object of strings.
    Members(Map<String, Value>),
    /// Nothing, or only white space.
    Empty,
    /// Begins as JSON: a list, a string, or an object that is not whole.
    BrokenJson,
    /// Anything else, such as a page.
    Other,
}

pub(super) fn read(bytes: &[u8]) -> Body {
    // Invalid UTF-8 is replaced: in a member that nobody needs it must not cost the login. Members
    // that are needed refuse the replacement character.
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        Body::Empty
    } else if let Some(members) = lenient_json::read(text).ok().or_else(|| form(text)) {
        Body::Members(members)
    } else if text.starts_with(['{', '[', '"']) {
        Body::BrokenJson
    } else {
        Body::Other
    }
}

/// Old GitHub and Facebook respond in form encoding. A page is not a form, even with `=` in it, nor is a
/// notice of PHP before JSON.
fn form(text: &str) -> Option<Map<String, Value>> {
    if text.contains(|c: char| c.is_control() || "<>{}\"".contains(c)) || text.starts_with('[') {
        return None;
    }
    let members: Map<String, Value> = url::form_urlencoded::parse(text.as_bytes())
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    let tell = ["access_token", "refresh_token", "error"];
    tell.iter().any(|name| members.contains_key(*name)).then_some(members)
}

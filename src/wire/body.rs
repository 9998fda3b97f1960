//! The body of a response as a map of members: JSON first, then form.
//!
//! It ignores the content type: providers label JSON as text/plain, text/html or form.

use std::collections::BTreeMap;

use secrecy::zeroize::Zeroizing;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

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
    } else if let Some(members) = json(text).or_else(|| form(text)) {
        Body::Members(members)
    } else if text.starts_with(['{', '[', '"']) {
        Body::BrokenJson
    } else {
        Body::Other
    }
}

/// Reads member by member: a number too large for a float (`1e400`) is kept as its text and does not
/// spoil the rest. Of duplicate members the last one counts.
fn json(text: &str) -> Option<Map<String, Value>> {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).ok()?;
    members.into_iter().map(|(name, raw)| Some((name, member(&raw)?))).collect()
}

fn member(raw: &RawValue) -> Option<Value> {
    let text = raw.get();
    let number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    // Parse it inside a list: then a stored token that contains it is not nested too deep to load.
    let listed = Zeroizing::new(format!("[{text}]"));
    match serde_json::from_str::<[Value; 1]>(&listed) {
        Ok([value]) => Some(value),
        Err(_) if number => Some(Value::String(text.to_owned())),
        Err(_) => None,
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
    (members.contains_key("access_token") || members.contains_key("error")).then_some(members)
}

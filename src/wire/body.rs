//! The body of a response as a map of members: JSON first, then form.
//!
//! Content types are not looked at: JSON comes labelled text/plain, text/html and form.

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
    /// Anything else: a page, a JSON array, broken JSON.
    Other(String),
}

pub(super) fn read(bytes: &[u8]) -> Body {
    // Invalid UTF-8 in a member that nobody needs is not worth a login: it is replaced, and a
    // member that is needed refuses the replacement character.
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        Body::Empty
    } else if let Some(members) = json(text).or_else(|| form(text)) {
        Body::Members(members)
    } else {
        Body::Other(text.to_owned())
    }
}

/// Member by member, so that a number too large for a float (`1e400`) costs only itself: it is
/// kept as its text. The last of duplicate members stands.
fn json(text: &str) -> Option<Map<String, Value>> {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).ok()?;
    members.into_iter().map(|(name, raw)| Some((name, member(&raw)?))).collect()
}

fn member(raw: &RawValue) -> Option<Value> {
    let text = raw.get();
    let number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    // Within a list, so that it nests no deeper than can be read again within a stored token.
    let listed = Zeroizing::new(format!("[{text}]"));
    match serde_json::from_str::<[Value; 1]>(&listed) {
        Ok([value]) => Some(value),
        Err(_) if number => Some(Value::String(text.to_owned())),
        Err(_) => None,
    }
}

/// Old GitHub and Facebook answer in form encoding. A page is not one, however many `=` it has.
fn form(text: &str) -> Option<Map<String, Value>> {
    if text.starts_with(['<', '{', '[', '"']) {
        return None;
    }
    let members: Map<String, Value> = url::form_urlencoded::parse(text.as_bytes())
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    (members.contains_key("access_token") || members.contains_key("error")).then_some(members)
}

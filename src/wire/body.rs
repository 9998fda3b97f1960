//! The body of a response as a map of members: JSON first, then form.
//!
//! It ignores the content type: providers label JSON as text/plain, text/html or form. Of duplicate members
//! the last one counts.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::lenient_json;

/// What the body is.
#[derive(Debug, PartialEq)]
pub(super) enum Body {
    /// A JSON object, or a form as an object of strings.
    Members(Map<String, Value>),
    /// Nothing, or only white space.
    Empty,
    /// Begins as JSON: an object that is not whole or has something behind it, with the members of it that are
    /// whole; a list, with the members of the only object in it; a string, with those of the object that it is
    /// the text of.
    BrokenJson(Map<String, Value>),
    /// Anything else, such as a page; with the members of the first object in it: a debugging notice may stand
    /// before the response.
    Other(Map<String, Value>),
}

pub(super) fn read(bytes: &[u8]) -> Body {
    let text = decoded(bytes);
    let text = trimmed(&text);
    if text.is_empty() {
        Body::Empty
    } else if let Some(members) = lenient_json::read(text).ok().or_else(|| form(text)) {
        Body::Members(members)
    } else if text.starts_with('{') {
        Body::BrokenJson(lenient_json::read_cut_object(text).unwrap_or_default())
    } else if text.starts_with(['[', '"']) {
        Body::BrokenJson(only_object(text).unwrap_or_default())
    } else {
        Body::Other(object_within(text).unwrap_or_default())
    }
}

/// Some programs encode what they send twice, or send a list of one.
fn only_object(text: &str) -> Option<Map<String, Value>> {
    match lenient_json::read(text).ok()? {
        Value::Array(mut list) if list.len() == 1 => match list.pop()? {
            Value::Object(members) => Some(members),
            _ => None,
        },
        Value::String(inner) => lenient_json::read(inner.trim()).ok(),
        _ => None,
    }
}

fn object_within(text: &str) -> Option<Map<String, Value>> {
    let mut objects = text.match_indices('{').map(|(at, _)| &text[at..]);
    lenient_json::read_cut_object(objects.find(|text| text[1..].trim_start().starts_with('"'))?)
}

/// As [`read`], where the end may be missing: of a form nobody can tell where a value ends.
pub(super) fn read_part(bytes: &[u8]) -> Body {
    match read(bytes) {
        Body::Members(_) if !trimmed(&decoded(bytes)).starts_with('{') => Body::Empty,
        body => body,
    }
}

/// Each file of a PHP program may begin with a byte-order mark, and a C program may send the NUL at the end of
/// its text.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || "\u{feff}\0".contains(c))
}

/// The text in UTF-8, or in UTF-16: then there is a byte-order mark, or half of the first character is zero.
/// What is invalid is replaced: in a member that nobody needs it must not cost the login. Members that are
/// needed refuse the replacement character.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] | [1..=255, 0, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] | [0, 1..=255, ..] => u16::from_be_bytes,
        _ => return String::from_utf8_lossy(bytes),
    };
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Old GitHub and Facebook respond in form encoding. A page is not a form, even with `=` in it, nor is a
/// notice of PHP before JSON, nor the text of a redirect, which names a URL: it may have an `error` in its query.
fn form(text: &str) -> Option<Map<String, Value>> {
    if text.contains(|c: char| c.is_control() || "<>{}\"".contains(c)) || text.starts_with('[') {
        return None;
    }
    let members: Map<String, Value> = url::form_urlencoded::parse(text.as_bytes())
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    let of_url = |name: &String| name.contains(|c: char| c.is_whitespace() || "/?".contains(c));
    let tell = ["access_token", "refresh_token", "error", "device_code"];
    let is_form =
        tell.iter().any(|name| members.contains_key(*name)) && !members.keys().any(of_url);
    is_form.then_some(members)
}

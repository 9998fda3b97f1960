//! `scope` as providers really send it.

use serde_json::{Map, Value};

/// Takes the scope out of the members: names separated by spaces. An array is joined, commas are left
/// alone. Bitbucket calls it `scopes`
/// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
pub(crate) fn take_scope(members: &mut Map<String, Value>) -> Option<Box<str>> {
    let scope = members.remove("scope").and_then(names);
    if scope.is_some() {
        return scope;
    }
    members.remove("scopes").and_then(names)
}

fn names(value: Value) -> Option<Box<str>> {
    let text = match value {
        Value::String(text) => text,
        Value::Array(names) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            names.join(" ")
        }
        _ => return None,
    };
    (!text.is_empty()).then(|| text.into())
}

/// The scope that a request asks for. One without names is none: "Parameters sent without a value MUST be
/// treated as if they were omitted from the request"
/// ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)), and some servers refuse it.
pub(crate) fn asked_scope(scope: impl Into<String>) -> Option<String> {
    Some(scope.into()).filter(|scope| !scope.trim().is_empty())
}

/// Whether the text is scope names separated by spaces
/// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
pub(crate) fn is_scope(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

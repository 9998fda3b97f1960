//! `scope` as providers really send it.

use serde_json::Value;

/// Scope names separated by spaces; an array is joined, commas are left alone
/// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
pub(crate) fn scope(value: Option<Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text,
        Value::Array(names) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            names.join(" ")
        }
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Whether the text is scope names separated by spaces
/// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
pub(crate) fn is_scope(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

//! Which texts are documents: JSON, of a bounded size.

use serde::de::IgnoredAny;

use super::{Record, StoreError};
use crate::error::BoxError;

/// The size of the largest document, in bytes. A token response has at most 1 MiB unless the
/// application permits more; this leaves room for its encrypted form.
pub(super) const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Returns stored bytes as text.
///
/// The error says where they are wrong, and no more: the JSON parser's own message may quote them.
pub(super) fn text(bytes: &[u8]) -> Result<&str, BoxError> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("a document is larger than {MAX_BYTES} bytes").into());
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("invalid UTF-8 at byte {}", error.valid_up_to()))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| {
        format!("invalid JSON at line {}, column {}", error.line(), error.column())
    })?;
    Ok(text)
}

/// Checks a document before it is stored, since [`text`] would refuse to read it later.
pub(super) fn check(record: &Record) -> Result<(), StoreError> {
    text(record.json().as_bytes()).map(drop).map_err(StoreError::config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_of_a_bounded_size_is_a_document() {
        let largest = format!("{}1", " ".repeat(MAX_BYTES - 1));
        let larger = format!("{}1", " ".repeat(MAX_BYTES));
        for good in ["{}", "null", " [1]\n", r#""\u0000""#, &largest] {
            assert_eq!(text(good.as_bytes()).unwrap(), good);
            check(&Record::new(good)).unwrap();
        }
        for (bad, error) in [
            (&b""[..], "invalid JSON at line 1, column 0"),
            (b"{\"a\":\"s3cret", "invalid JSON at line 1, column 12"),
            (b"{} s3cret", "invalid JSON at line 1, column 4"),
            (b"\"s3cret\xff\"", "invalid UTF-8 at byte 7"),
            (larger.as_bytes(), "a document is larger than 2097152 bytes"),
        ] {
            assert_eq!(text(bad).unwrap_err().to_string(), error);
        }
        assert!(check(&Record::new("{")).unwrap_err().is_config());
    }
}

//! Which texts are documents: JSON, of a bounded size. What other programs wrote is read leniently.

use serde::de::IgnoredAny;

use super::{Record, StoreError};
use crate::error::BoxError;
use crate::lenient_json;

/// The size of the largest document, in bytes. A token response has at most 1 MiB unless the
/// application permits more; this leaves room for its encrypted form.
pub(super) const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Returns stored bytes as text.
///
/// The error says where they are wrong, and no more: the JSON parser's own message may quote them.
pub(super) fn text(bytes: &[u8]) -> Result<&str, BoxError> {
    check_size(bytes)?;
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("invalid UTF-8 at byte {}", error.valid_up_to()))?;
    // Editors write a byte-order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Zeros are what a crash left of a file, also where they are within a string.
    let read = if bytes.contains(&0) { serde_json::from_str } else { lenient_json::read };
    read(text).map(|IgnoredAny| ()).map_err(invalid)?;
    Ok(text)
}

/// Checks a document before it is stored, since [`text`] would refuse to read it later, or another program.
pub(super) fn check(record: &Record) -> Result<(), StoreError> {
    let json = record.json();
    check_size(json.as_bytes()).map_err(StoreError::config)?;
    let read = serde_json::from_str(json).map(|IgnoredAny| ());
    read.map_err(|error| StoreError::config(invalid(error)))
}

fn check_size(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("a document is larger than {MAX_BYTES} bytes"));
    }
    Ok(())
}

fn invalid(error: serde_json::Error) -> String {
    format!("invalid JSON at line {}, column {}", error.line(), error.column())
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
        for (lenient, read) in
            [("{\"n\":NaN}", "{\"n\":NaN}"), ("\u{feff}{}", "{}"), ("\u{feff}[1e400]", "[1e400]")]
        {
            assert_eq!(text(lenient.as_bytes()).unwrap(), read);
            assert!(check(&Record::new(lenient)).unwrap_err().is_config(), "{lenient}");
        }
        for (bad, error) in [
            (&b""[..], "invalid JSON at line 1, column 0"),
            (b"{\"a\":\"s3cret", "invalid JSON at line 1, column 12"),
            (b"{} s3cret", "invalid JSON at line 1, column 4"),
            (b"{\"a\":\"s3c\0et\"}", "invalid JSON at line 1, column 9"),
            (b"\"s3cret\xff\"", "invalid UTF-8 at byte 7"),
            (larger.as_bytes(), "a document is larger than 2097152 bytes"),
        ] {
            assert_eq!(text(bad).unwrap_err().to_string(), error);
        }
        assert!(check(&Record::new("{")).unwrap_err().is_config());
    }
}

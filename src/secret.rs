//! Secret text: kept out of `Debug`, wiped when dropped.
//!
//! Invariant: an access token reaches the request as a `HeaderValue` over memory that is wiped when
//! the last clone of the header is gone. Copies that the HTTP stack makes in its own write buffers
//! are beyond our reach.

use bytes::Bytes;
use http::HeaderValue;
use secrecy::zeroize::Zeroizing;

/// Bytes that are wiped when their last reference is dropped.
pub(crate) fn wiped(bytes: Zeroizing<Vec<u8>>) -> Bytes {
    Bytes::from_owner(bytes)
}

/// `Bearer <token>`, marked sensitive
/// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
///
/// `None` where the token cannot stand in a header.
pub(crate) fn bearer_header(access_token: &str) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {access_token}").into_bytes());
    sensitive(text)
}

/// A header value that is marked sensitive and wiped when dropped.
pub(crate) fn sensitive(text: Zeroizing<Vec<u8>>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(wiped(text)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether the text may be an access token: one or more printable ASCII characters, neither the
/// first nor the last a space ([RFC 6749 Appendix A.12](https://www.rfc-editor.org/rfc/rfc6749#appendix-A.12)).
pub(crate) fn is_access_token(text: &str) -> bool {
    !text.is_empty()
        && text.trim_matches(' ').len() == text.len()
        && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_the_rfc_example_and_sensitive() {
        let header = bearer_header("mF_9.B5f-4.1JqM").unwrap();
        assert_eq!(header.as_bytes(), b"Bearer mF_9.B5f-4.1JqM");
        assert!(header.is_sensitive());
        assert!(header.clone().is_sensitive());
    }

    #[test]
    fn what_may_be_an_access_token() {
        for good in ["a", "2YotnFZFEjr1zCsicMWpAA", "a b|c", "~+/==", "\"quoted\""] {
            assert!(is_access_token(good), "{good:?}");
        }
        for bad in ["", " a", "a ", "a\r\nX: y", "a\0", "a\tb", "a\u{7f}", "é"] {
            assert!(!is_access_token(bad), "{bad:?}");
        }
    }
}

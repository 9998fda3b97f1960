//! `AccessToken`: the text of an access token, ready to be sent.
//!
//! There is one copy of the text, in the `Authorization` header value that requests carry. It is
//! wiped when the last token, snapshot and request that hold it are gone.

use http::HeaderValue;
use secrecy::zeroize::Zeroizing;

use crate::secret;

const SCHEME: &str = "Bearer ";

/// The scheme of a token that is bound to a key
/// ([RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)).
#[cfg(feature = "keys")]
const BOUND: &str = "DPoP ";

#[derive(Clone)]
pub(crate) struct AccessToken(Option<HeaderValue>);

impl AccessToken {
    /// `None` where the text cannot be an access token.
    pub(crate) fn new(text: &str) -> Option<Self> {
        if !is_access_token(text.as_bytes()) {
            return None;
        }
        Some(Self(Some(with_scheme(SCHEME, text)?)))
    }

    /// The same token, to be sent as one that is bound to a key.
    #[cfg(feature = "keys")]
    pub(super) fn bound(self) -> Self {
        match with_scheme(BOUND, self.text()).filter(|_| self.0.is_some()) {
            Some(bound) => Self(Some(bound)),
            None => self,
        }
    }

    /// No access token at all.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// `Bearer <token>` or `DPoP <token>`, marked sensitive
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    pub(crate) fn header(&self) -> Option<&HeaderValue> {
        self.0.as_ref()
    }

    pub(crate) fn text(&self) -> &str {
        let header = self.0.as_ref().and_then(|header| header.to_str().ok());
        header.and_then(|text| text.split_once(' ')).map(|(_, text)| text).unwrap_or_default()
    }
}

fn with_scheme(scheme: &str, text: &str) -> Option<HeaderValue> {
    secret::sensitive(Zeroizing::new([scheme, text].concat().into_bytes()))
}

/// Whether the text may be an access token: one or more printable ASCII characters, neither the
/// first nor the last a space ([RFC 6749 Appendix A.12](https://www.rfc-editor.org/rfc/rfc6749#appendix-A.12)).
fn is_access_token(text: &[u8]) -> bool {
    let printable = text.iter().all(|b| (0x20..=0x7e).contains(b));
    let ends = [text.first(), text.last()];
    printable && ends.iter().all(|end| end.is_some_and(|b| *b != b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_the_rfc_example_and_sensitive() {
        let token = AccessToken::new("mF_9.B5f-4.1JqM").unwrap();
        assert_eq!(token.header().unwrap().as_bytes(), b"Bearer mF_9.B5f-4.1JqM");
        assert!(token.header().unwrap().clone().is_sensitive());
        assert_eq!(token.text(), "mF_9.B5f-4.1JqM");
        assert_eq!(AccessToken::none().text(), "");
    }

    #[test]
    fn what_may_be_an_access_token() {
        for good in ["a", "2YotnFZFEjr1zCsicMWpAA", "a b|c", "~+/==", "\"quoted\""] {
            assert_eq!(AccessToken::new(good).unwrap().text(), good);
        }
        for bad in ["", " ", " a", "a ", "a\r\nX: y", "a\0", "a\tb", "a\u{7f}", "é"] {
            assert!(AccessToken::new(bad).is_none(), "{bad:?}");
        }
    }
}

//! How the client proves who it is at the token endpoint
//! ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)).
//!
//! "The client MUST NOT use more than one authentication method in each request."

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;

use crate::secret;

/// How the client authenticates at the token endpoint
/// ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1); the names are those of
/// [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// `client_secret_basic`: id and secret in the `Authorization` header. The default of a client
    /// with a secret.
    ClientSecretBasic,
    /// `client_secret_post`: id and secret in the body.
    ClientSecretPost,
    /// `none`: only the id, in the body. The default of a client without a secret (a public
    /// client).
    None,
    /// `client_secret_basic` first; where the provider does not accept the client so (`invalid_client`,
    /// `unauthorized_client`, or a 401 without a code; and only then: it has consumed nothing),
    /// `client_secret_post`. Both within one [`timeout`](crate::OAuthClient::timeout). This
    /// [`OAuthClient`](crate::OAuthClient) and its clones remember what worked.
    Detect,
}

/// How id and secret are encoded for HTTP Basic. Servers differ
/// ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum BasicEncoding {
    /// Form encoding, a space as `+`: what
    /// [RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1) says. The default.
    #[default]
    Form,
    /// Percent encoding, a space as `%20`.
    Percent,
    /// None at all, as in [RFC 7617](https://www.rfc-editor.org/rfc/rfc7617#section-2).
    Raw,
}

/// The characters that RFC 3986 leaves unreserved are not encoded.
const PERCENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl BasicEncoding {
    fn encode(self, text: &str) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Form => url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            Self::Percent => utf8_percent_encode(text, PERCENT).to_string(),
            Self::Raw => text.to_owned(),
        })
    }

    /// The `Authorization` header of HTTP Basic, sensitive and wiped when dropped.
    pub(super) fn header(self, id: &str, secret: &secrecy::SecretString) -> Option<HeaderValue> {
        let (id, secret) = (self.encode(id), self.encode(secret.expose_secret()));
        let pair = Zeroizing::new(format!("{}:{}", *id, *secret));
        let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        secret::sensitive(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(encoding: BasicEncoding, id: &str, secret: &str) -> String {
        let header = encoding.header(id, &secret.into()).unwrap();
        assert!(header.is_sensitive());
        header.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned()
    }

    #[test]
    fn published_and_own_vectors() {
        use BasicEncoding::*;
        for (id, secret, expected) in [
            (
                "s6BhdRkqt3",
                "7Fjfp0ZBr1KtDRbnfVdmIw",
                "czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3",
            ),
            ("s6BhdRkqt3", "gX1fBat3bV", "czZCaGRSa3F0MzpnWDFmQmF0M2JW"),
            ("rs08", "long-secure-random-secret", "cnMwODpsb25nLXNlY3VyZS1yYW5kb20tc2VjcmV0"),
            ("a:b", "p w+%/\u{20ac}", "YSUzQWI6cCt3JTJCJTI1JTJGJUUyJTgyJUFD"),
        ] {
            assert_eq!(basic(Form, id, secret), expected);
        }
        // RFC 6749 Appendix B.
        assert_eq!(*Form.encode(" %&+\u{a3}\u{20ac}"), "+%25%26%2B%C2%A3%E2%82%AC");
        assert_eq!(*Percent.encode(" %&+\u{a3}\u{20ac}"), "%20%25%26%2B%C2%A3%E2%82%AC");
        assert_eq!(basic(Raw, "a", "b:%"), STANDARD.encode("a:b:%"));
    }
}

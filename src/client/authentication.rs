//! How the client proves who it is
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

/// How the client authenticates, at every endpoint that asks for it
/// ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1); the names are those of
/// [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2)).
///
/// Without [`OAuthClient::authentication`](crate::OAuthClient::authentication) it depends on what the client was
/// given: assertions of a closure, a key, a secret, or nothing. If the provider's metadata lists methods, it is
/// one of them: `private_key_jwt` before `client_secret_basic`, `client_secret_post` and `client_secret_jwt`. An
/// error says what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// `client_secret_basic`: id and secret in the `Authorization` header. The default of a client
    /// with a secret.
    ClientSecretBasic,
    /// `client_secret_post`: id and secret in the body.
    ClientSecretPost,
    /// `client_secret_jwt`: an assertion signed with the secret (HS256). The secret must have at least
    /// 32 bytes ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).
    #[cfg(feature = "keys")]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    ClientSecretJwt,
    /// `private_key_jwt`: an assertion signed with a key. The default of a client with a
    /// [`signing_key`](crate::OAuthClient::signing_key)
    /// ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).
    #[cfg(feature = "keys")]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    PrivateKeyJwt,
    /// An assertion from the application. The default of a client with a
    /// [`client_assertion`](crate::OAuthClient::client_assertion) closure
    /// ([RFC 7521 §4.2](https://www.rfc-editor.org/rfc/rfc7521#section-4.2)).
    Assertion,
    /// `tls_client_auth`: a certificate signed by an authority. It is in the
    /// [`http_client`](crate::OAuthClient::http_client) of the application. The body has only the id, and
    /// requests go to the provider's [`mtls_endpoints`](crate::OAuthClient::mtls_endpoints), if it has any
    /// ([RFC 8705 §2.1](https://www.rfc-editor.org/rfc/rfc8705#section-2.1)).
    TlsClientAuth,
    /// `self_signed_tls_client_auth`: the same with a certificate of the client's own
    /// ([RFC 8705 §2.2](https://www.rfc-editor.org/rfc/rfc8705#section-2.2)).
    SelfSignedTlsClientAuth,
    /// `none`: only the id, in the body. The default of a client without anything else (a public
    /// client).
    None,
    /// The methods with a secret, the strongest first: `client_secret_jwt` where the metadata lists it, the secret is
    /// long enough and the feature `keys` is enabled; `client_secret_basic`; `client_secret_post`. The next one is
    /// tried only if the provider does not accept the client (`invalid_client`, `unauthorized_client`, or a 401
    /// without a code): then it has not consumed the code or refresh token. All attempts share one
    /// [`timeout`](crate::OAuthClient::timeout). This [`OAuthClient`](crate::OAuthClient) and its clones remember the
    /// method that worked.
    Detect,
}

impl ClientAuthentication {
    /// Its name in metadata; empty where it has none
    /// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            #[cfg(feature = "keys")]
            Self::ClientSecretJwt => "client_secret_jwt",
            #[cfg(feature = "keys")]
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
            Self::None => "none",
            Self::Assertion | Self::Detect => "",
        }
    }

    /// Whether an assertion authenticates the client.
    pub(super) fn is_assertion(self) -> bool {
        #[cfg(feature = "keys")]
        if matches!(self, Self::ClientSecretJwt | Self::PrivateKeyJwt) {
            return true;
        }
        self == Self::Assertion
    }

    /// Whether the client is known by its certificate.
    pub(super) fn is_mtls(self) -> bool {
        matches!(self, Self::TlsClientAuth | Self::SelfSignedTlsClientAuth)
    }
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
    /// No encoding, as in [RFC 7617](https://www.rfc-editor.org/rfc/rfc7617#section-2).
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

//! Proof key for code exchange ([RFC 7636](https://www.rfc-editor.org/rfc/rfc7636)).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng as _;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

/// How an authorization request proves itself at the token endpoint
/// ([RFC 7636 §4.2](https://www.rfc-editor.org/rfc/rfc7636#section-4.2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pkce {
    /// The challenge is the verifier's SHA-256. The default. The crate never falls back to another
    /// method by itself ([RFC 7636 §7.2](https://www.rfc-editor.org/rfc/rfc7636#section-7.2)).
    #[default]
    S256,
    /// The challenge is the verifier. Only for providers that support nothing else
    /// ([RFC 9700 §2.1.1](https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1)).
    Plain,
    /// None, for providers that refuse parameters they do not know.
    Off,
}

impl Pkce {
    /// The challenge of a verifier and the name of the method.
    pub(super) fn challenge(self, verifier: &SecretString) -> Option<(String, &'static str)> {
        let verifier = verifier.expose_secret();
        match self {
            Self::S256 => Some((URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)), "S256")),
            Self::Plain => Some((verifier.to_owned(), "plain")),
            Self::Off => None,
        }
    }
}

/// 256 random bits, base64url: a state, or a verifier of 43 characters
/// ([RFC 7636 §4.1](https://www.rfc-editor.org/rfc/rfc7636#section-4.1),
/// [RFC 6749 §10.10](https://www.rfc-editor.org/rfc/rfc6749#section-10.10)).
pub(super) fn random() -> SecretString {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    rand::rng().fill_bytes(&mut *bytes);
    SecretString::from(URL_SAFE_NO_PAD.encode(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_published_vector() {
        let verifier = SecretString::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let s256 = ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned(), "S256");
        assert_eq!(Pkce::S256.challenge(&verifier), Some(s256));
        assert_eq!(
            Pkce::Plain.challenge(&verifier),
            Some((verifier.expose_secret().to_owned(), "plain"))
        );
        assert_eq!(Pkce::Off.challenge(&verifier), None);
    }

    #[test]
    fn verifiers_are_43_unreserved_characters_and_never_the_same() {
        let verifiers: Vec<SecretString> = (0..1000).map(|_| random()).collect();
        for verifier in &verifiers {
            let text = verifier.expose_secret();
            assert_eq!(text.len(), 43);
            assert!(
                text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
                "{text}"
            );
        }
        assert_eq!(
            verifiers.iter().map(ExposeSecret::expose_secret).collect::<BTreeSet<_>>().len(),
            1000
        );
    }
}

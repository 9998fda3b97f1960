use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// The proof key of an authorization request (RFC 7636).
#[derive(Clone)]
pub(crate) struct CodeChallenge {
    value: String,
    method: Method,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Plain,
    S256,
}

impl CodeChallenge {
    /// Reads the parameters of an authorization request (RFC 7636 §4.3); an
    /// error says what is wrong with them.
    pub(crate) fn read(
        challenge: Option<&str>,
        method: Option<&str>,
        required: bool,
    ) -> Result<Option<Self>, &'static str> {
        let method = match method {
            None | Some("plain") => Method::Plain,
            Some("S256") => Method::S256,
            Some(_) => return Err("transform algorithm not supported"),
        };
        match challenge {
            None if required => Err("code challenge required"),
            None if method == Method::S256 => Err("code challenge missing"),
            None => Ok(None),
            Some(_) if required && method == Method::Plain => Err("S256 required"),
            Some(value) if !is_well_formed(value) => Err("code challenge malformed"),
            Some(value) => Ok(Some(Self { value: value.to_owned(), method })),
        }
    }

    /// Whether this challenge was made from `verifier` (RFC 7636 §4.6).
    pub(crate) fn is_of(&self, verifier: &str) -> bool {
        is_well_formed(verifier)
            && match self.method {
                Method::Plain => self.value == verifier,
                Method::S256 => self.value == URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)),
            }
    }
}

/// 43 to 128 unreserved characters (RFC 7636 §4.1 and §4.2).
fn is_well_formed(text: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn read(challenge: &str, method: Option<&str>, required: bool) -> Option<CodeChallenge> {
        let challenge = (!challenge.is_empty()).then_some(challenge);
        CodeChallenge::read(challenge, method, required).unwrap()
    }

    #[test]
    fn the_published_vector() {
        let challenge = read(CHALLENGE, Some("S256"), true).unwrap();
        assert!(challenge.is_of(VERIFIER));
        assert!(!challenge.is_of(CHALLENGE) && !challenge.is_of(""));
        let plain = read(VERIFIER, None, false).unwrap();
        assert!(plain.is_of(VERIFIER) && !plain.is_of(CHALLENGE));
        assert!(read("", None, false).is_none());
    }

    #[test]
    fn what_is_refused() {
        for (challenge, method, required) in [
            (None, None, true),
            (None, Some("S256"), false),
            (Some(VERIFIER), Some("s256"), false),
            (Some(VERIFIER), Some("plain"), true),
            (Some(VERIFIER), None, true),
            (Some(&VERIFIER[1..]), Some("S256"), false),
            (Some("dBjftJeZ4CVP mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), None, false),
        ] {
            assert!(CodeChallenge::read(challenge, method, required).is_err(), "{challenge:?}");
        }
    }
}

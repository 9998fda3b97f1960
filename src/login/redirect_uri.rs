//! Which URIs may be a redirect URI
//! ([RFC 6749 §3.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2),
//! [RFC 8252 §7](https://www.rfc-editor.org/rfc/rfc8252#section-7)).

use url::Url;

use crate::error::Error;
use crate::loopback::is_loopback;

/// Absolute, without fragment; https, http to loopback, or a private-use scheme made from a domain
/// name (`com.example.app`, [RFC 8252 §7.1](https://www.rfc-editor.org/rfc/rfc8252#section-7.1)).
pub(super) fn check(text: &str) -> Result<(), Error> {
    let fault = |why: &str| {
        Error::config(format!(
            "the redirect URI cannot be used: {why}; give it exactly as it is registered with the provider"
        ))
    };
    let url = Url::parse(text).map_err(|error| fault(&format!("it is not absolute ({error})")))?;
    if url.fragment().is_some() {
        return Err(fault("it has a fragment"));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&url) => Ok(()),
        "http" => {
            Err(fault("it is plain http and not to loopback, so the code could be read on its way"))
        }
        scheme if scheme.contains('.') => Ok(()),
        _ => Err(fault(
            "its scheme is neither https, nor http to loopback, nor made from a domain name (com.example.app)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_redirect_uri() {
        for good in [
            "https://me.example/cb",
            "https://me.example/cb?a=b",
            "http://127.0.0.1:4711/cb",
            "http://[::1]/cb",
            "http://localhost:8000/cb",
            "com.example.app:/cb",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "/cb",
            "",
            "https://me.example/cb#x",
            "http://me.example/cb",
            "myapp:/cb",
            "urn:ietf:wg:oauth:2.0:oob",
            "javascript:1",
        ] {
            assert!(check(bad).unwrap_err().is_config(), "{bad}");
        }
    }
}

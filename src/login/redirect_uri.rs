//! Which URIs may be a redirect URI
//! ([RFC 6749 §3.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2),
//! [RFC 8252 §7](https://www.rfc-editor.org/rfc/rfc8252#section-7)).

use url::Url;

use crate::error::Error;
use crate::loopback::is_loopback;

/// Schemes that browsers and operating systems run, show or open by themselves. None of them leads back
/// to an application, and with some of them the callback would be run as a script. They are compared
/// without punctuation: `java.script` is none of a domain.
const NOT_PRIVATE: [&str; 30] = [
    "about",
    "blob",
    "chrome",
    "content",
    "data",
    "edge",
    "file",
    "filesystem",
    "ftp",
    "ftps",
    "intent",
    "jar",
    "javascript",
    "ldap",
    "ldaps",
    "livescript",
    "mailto",
    "mocha",
    "resource",
    "sftp",
    "shell",
    "smb",
    "sms",
    "ssh",
    "tel",
    "telnet",
    "vbscript",
    "viewsource",
    "ws",
    "wss",
];

/// What a provider adds: a callback with one of them twice is refused
/// ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).
const OF_THE_RESPONSE: [&str; 10] = [
    "access_token",
    "code",
    "error",
    "error_description",
    "error_uri",
    "expires_in",
    "iss",
    "scope",
    "state",
    "token_type",
];

/// Absolute, without fragment and user info; https, http to loopback, or a private-use scheme
/// ([RFC 8252 §7.1](https://www.rfc-editor.org/rfc/rfc8252#section-7.1)): one made from a domain name,
/// with a path (`com.example.app:/cb`), or one that names the recipient in the place of a host, as
/// editors have it (`vscode://publisher.extension/cb`).
pub(super) fn check(text: &str) -> Result<(), Error> {
    let fault = |why: &str| {
        Error::config(format!(
            "the redirect URI cannot be used: {why}; give it exactly as it is registered with the provider"
        ))
    };
    // A URL parser leaves some of them out without a word.
    if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(fault("it has white space, control characters or a backslash"));
    }
    let url = Url::parse(text).map_err(|error| fault(&format!("it is not absolute ({error})")))?;
    if url.fragment().is_some() {
        return Err(fault("it has a fragment"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("it has user info before the host"));
    }
    let of_response = |name: &str| OF_THE_RESPONSE.contains(&name);
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| of_response(name)) {
        return Err(fault(&format!("its query has {name}, which the provider adds by itself")));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&url) => Ok(()),
        "http" => {
            Err(fault("it is plain http and not to loopback, so the code could be read on its way"))
        }
        scheme if is_private_use(scheme, &url) => Ok(()),
        _ => Err(fault(
            "its scheme is neither https, nor http to loopback, nor a scheme of an application's own (com.example.app:/cb, app://name/cb)",
        )),
    }
}

fn is_private_use(scheme: &str, url: &Url) -> bool {
    let letters: String = scheme.chars().filter(char::is_ascii_alphanumeric).collect();
    let of_domain =
        || scheme.contains('.') && scheme.split('.').all(is_label) && url.path().starts_with('/');
    let of_name = || url.host_str().is_some_and(|host| !host.is_empty());
    !NOT_PRIVATE.contains(&letters.as_str()) && (of_domain() || of_name())
}

/// A label of a domain name
/// ([RFC 1034 §3.5](https://www.rfc-editor.org/rfc/rfc1034#section-3.5)).
fn is_label(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !text.is_empty() && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')
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
            "com.example.app:/",
            "com.example.my-app:/cb?tenant=1",
            "com.example.app://cb",
            "com.googleusercontent.apps.123-abc:/oauth2redirect",
            "vscode://publisher.extension/cb",
            "vscode-insiders://publisher.extension/cb",
            "cursor://publisher.extension",
            "ms-app://s-1-15-2-1/",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "/cb",
            "",
            "https://me.example/cb#x",
            "http://me.example/cb",
            "myapp:/cb",
            "myapp:///cb",
            "myapp:cb",
            "com.example.app:cb",
            "com.example.app:",
            "com..app:/cb",
            "com.-x:/cb",
            "com.example.:/cb",
            "com+example.app:/cb",
            "urn:ietf:wg:oauth:2.0:oob",
            "javascript:1",
            "javascript://me.example/%0aalert(1)",
            "JavaScript://me.example/",
            "java.script:alert(1)",
            "java.script:/alert(1)",
            "java.script://me.example/",
            "java-script://me.example/",
            "java\nscript://me.example/",
            " javascript://me.example/",
            "vb.script:/x",
            "data:text/html,x",
            "data://me.example/",
            "da.ta:/x",
            "file:///cb",
            "file://me.example/cb",
            "blob:https://me.example/cb",
            "about:blank",
            "view-source://me.example/",
            "intent://me.example/#Intent;end",
            "mailto:me@me.example",
            "ws://127.0.0.1/cb",
            "ftp://127.0.0.1/cb",
            "https://me.example/cb#",
            "https://user@me.example/cb",
            "https://user:pw@me.example/cb",
            "https://:pw@me.example/cb",
            "https://me.example@evil.example/cb",
            "http://user@127.0.0.1/cb",
            "com.example.app://user@cb",
            "https://me.example/c b",
            "https://me.example/cb\r\nx",
            "https:\\\\me.example\\cb",
            "https:///",
            "https://me.example/cb?state=x",
            "https://me.example/cb?a=b&c%6Fde",
        ] {
            let error = check(bad).expect_err(bad);
            assert!(error.is_config() && !error.to_string().contains("pw"), "{bad}: {error}");
        }
    }
}

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

/// The registered redirect URIs (RFC 6749 §3.1.2.2).
#[derive(Clone, Debug, Default)]
pub(crate) struct RedirectUris(Vec<String>);

impl RedirectUris {
    pub(crate) fn register(&mut self, uri: String) {
        self.0.push(uri);
    }

    /// Those of a registration; `None` where they are no list of texts.
    pub(crate) fn read(uris: Option<&Value>) -> Option<Self> {
        let Some(uris) = uris else { return Some(Self::default()) };
        let text = |uri: &Value| uri.as_str().map(str::to_owned);
        uris.as_array()?.iter().map(text).collect::<Option<_>>().map(Self)
    }

    /// The URI to redirect to: the requested one if it is registered, or else
    /// the only one there is (RFC 6749 §3.1.2.3).
    pub(crate) fn choose<'a>(&'a self, requested: Option<&'a str>) -> Option<&'a str> {
        match (requested, &*self.0) {
            (Some(uri), registered) => {
                registered.iter().any(|other| same(other, uri)).then_some(uri)
            }
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

/// Compares as strings, but for the port of a loopback IP literal (RFC 8252 §7.3).
/// A redirect URI has no fragment (RFC 6749 §3.1.2).
fn same(registered: &str, requested: &str) -> bool {
    let without_port = || {
        let requested = loopback(requested)?;
        Some(loopback(registered)? == requested)
    };
    !requested.contains('#') && (registered == requested || without_port() == Some(true))
}

/// The host, and what follows the port, of an http URI whose host is a loopback
/// IP literal.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => authority,
    };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_loopback = match v6 {
        Some(host) => host.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback()),
        None => host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback()),
    };
    is_loopback.then_some((host, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_port_of_a_loopback_literal_may_differ() {
        for (registered, requested) in [
            ("https://a.test/cb?x=1", "https://a.test/cb?x=1"),
            ("com.example.app:/cb", "com.example.app:/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb"),
            ("http://127.0.0.1:1/cb?x=1", "http://127.0.0.1/cb?x=1"),
            ("http://[::1]:1/cb", "http://[::1]:2/cb"),
            ("http://127.0.0.1", "http://127.0.0.1:2"),
        ] {
            assert!(same(registered, requested), "{requested}");
        }
        for (registered, requested) in [
            ("https://a.test/cb", "https://a.test/cb/"),
            ("https://a.test/cb", "https://a.test/cb?x=1"),
            ("https://a.test/cb", "https://a.test:443/cb"),
            ("https://127.0.0.1/cb", "https://127.0.0.1:1/cb"),
            ("http://localhost/cb", "http://localhost:1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.2:1/cb"),
            ("http://127.0.0.1/cb", "http://[::1]:1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb/../x"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.test/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:66000/cb"),
            ("http://127.0.0.1/cb#x", "http://127.0.0.1/cb#x"),
            ("http://127.0.0.1", "http://127.0.0.1.evil.test"),
        ] {
            assert!(!same(registered, requested), "{requested}");
        }
    }

    #[test]
    fn one_may_be_left_out_if_there_is_only_one() {
        let mut uris = RedirectUris::default();
        assert_eq!(uris.choose(None), None);
        uris.register("https://a.test/cb".to_owned());
        assert_eq!(uris.choose(None), Some("https://a.test/cb"));
        uris.register("https://b.test/cb".to_owned());
        assert_eq!(uris.choose(None), None);
    }
}

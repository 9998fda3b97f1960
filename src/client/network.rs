//! `Network`: where an address leads
//! ([RFC 6890](https://www.rfc-editor.org/rfc/rfc6890),
//! [RFC 9728 §7.7](https://www.rfc-editor.org/rfc/rfc9728#section-7.7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Where an address leads, from the open to the close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Network {
    /// The Internet.
    Public,
    /// A network of somebody's own: private, unique local, shared by a carrier, or for benchmarks
    /// (some proxies resolve every name to these).
    Private,
    /// What the machine is connected to; clouds answer here with the machine's credentials.
    LinkLocal,
    /// This machine.
    Loopback,
    /// No host has it: unspecified (which reaches this machine), multicast, broadcast, or a form that
    /// nobody needs and that hides another address.
    NoHost,
}

impl Network {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// That of the URL's host; `None` if it is a name that has to be resolved.
    pub(super) fn of_host(url: &Url) -> Option<Self> {
        match url.host()? {
            Host::Ipv4(address) => Some(Self::of_v4(address)),
            Host::Ipv6(address) => Some(Self::of_v6(address)),
            // "Application software MAY recognize localhost names as special"
            // (https://www.rfc-editor.org/rfc/rfc6761#section-6.3).
            Host::Domain(name) => {
                let name = name.trim_end_matches('.');
                (name == "localhost" || name.ends_with(".localhost")).then_some(Self::Loopback)
            }
        }
    }

    /// Whether metadata of an issuer in that network may lead here: to the Internet, or to the
    /// issuer's own network.
    pub(super) fn is_open_to(self, issuer: Self) -> bool {
        self == Self::Public || (self == issuer && self != Self::NoHost)
    }

    /// As errors call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Public => "the Internet",
            Self::Private => "a private network",
            Self::LinkLocal => "a link-local network",
            Self::Loopback => "this machine (loopback)",
            Self::NoHost => "no host",
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [10, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [100, 64..=127, ..]
            | [192, 0, 0, _]
            | [198, 18..=19, ..] => Self::Private,
            [0, ..] | [224..=239, ..] | [255, 255, 255, 255] => Self::NoHost,
            // For future use; some clouds number their hosts so.
            [240..=255, ..] => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let first = address.segments()[0];
        let embedded = |from: usize| {
            let octets = address.octets();
            Ipv4Addr::new(octets[from], octets[from + 1], octets[from + 2], octets[from + 3])
        };
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            // Mapped to IPv4, and translated to it (https://www.rfc-editor.org/rfc/rfc6052).
            [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
                Self::of_v4(embedded(12))
            }
            // 6to4.
            [0x2002, ..] => Self::of_v4(embedded(2)),
            // Unspecified, compatible with IPv4, translated within a network, Teredo, discarded.
            [0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] | [0x100, 0, 0, 0, ..] => {
                Self::NoHost
            }
            _ if first & 0xfe00 == 0xfc00 => Self::Private,
            // Site-local: deprecated, and still routed within some networks.
            _ if first & 0xffc0 == 0xfec0 => Self::Private,
            _ if first & 0xffc0 == 0xfe80 => Self::LinkLocal,
            _ if first & 0xff00 == 0xff00 => Self::NoHost,
            _ => Self::Public,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str) -> Option<Network> {
        Network::of_host(&Url::parse(&format!("https://{host}/")).unwrap())
    }

    #[test]
    fn where_addresses_lead() {
        use Network::*;
        for (network, hosts) in [
            (
                Public,
                &[
                    "8.8.8.8",
                    "1.1.1.1",
                    "9.255.255.255",
                    "11.0.0.0",
                    "100.63.255.255",
                    "100.128.0.0",
                    "126.255.255.255",
                    "128.0.0.0",
                    "169.253.255.255",
                    "169.255.0.0",
                    "172.15.255.255",
                    "172.32.0.0",
                    "192.167.255.255",
                    "192.169.0.0",
                    "198.17.255.255",
                    "198.20.0.0",
                    "203.0.113.5",
                    "223.255.255.255",
                    "[2606:4700::1111]",
                    "[2a00::1]",
                    "[::ffff:8.8.8.8]",
                    "[64:ff9b::8.8.8.8]",
                    "[2002:808:808::1]",
                ][..],
            ),
            (
                Private,
                &[
                    "10.0.0.0",
                    "10.255.255.255",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.0.1",
                    "100.64.0.1",
                    "100.127.255.255",
                    "198.18.0.1",
                    "198.19.255.255",
                    "192.0.0.170",
                    "240.0.0.1",
                    "[fc00::1]",
                    "[fd00::1]",
                    "[fdff::1]",
                    "[fd00:ec2::254]",
                    "[fec0::1]",
                    "[::ffff:10.0.0.1]",
                    "[::ffff:c0a8:1]",
                    "[64:ff9b::10.0.0.1]",
                    "[2002:a00:1::1]",
                    "0xa000001",
                    "012.0.0.1",
                    "167772161",
                ],
            ),
            (
                LinkLocal,
                &[
                    "169.254.169.254",
                    "169.254.0.1",
                    "[fe80::1]",
                    "[febf::1]",
                    "[::ffff:169.254.169.254]",
                    "[64:ff9b::a9fe:a9fe]",
                    "[2002:a9fe:a9fe::1]",
                    "2852039166",
                    "0xa9.0xfe.0xa9.0xfe",
                    "169.254.43518",
                ],
            ),
            (
                Loopback,
                &[
                    "127.0.0.1",
                    "127.255.255.254",
                    "127.1",
                    "0x7f.1",
                    "2130706433",
                    "[::1]",
                    "[0:0:0:0:0:0:0:1]",
                    "[::ffff:127.0.0.1]",
                    "[::ffff:7f00:1]",
                    "[64:ff9b::127.0.0.1]",
                    "[2002:7f00:1::1]",
                    "localhost",
                    "LOCALHOST",
                    "localhost.",
                    "a.b.localhost",
                    "a.localhost.",
                ],
            ),
            (
                NoHost,
                &[
                    "0.0.0.0",
                    "0",
                    "0.1.2.3",
                    "224.0.0.1",
                    "239.255.255.255",
                    "255.255.255.255",
                    "[::]",
                    "[::127.0.0.1]",
                    "[::a00:1]",
                    "[64:ff9b:1::a00:1]",
                    "[2001::1]",
                    "[100::1]",
                    "[ff02::1]",
                    "[::ffff:0.0.0.0]",
                ],
            ),
        ] {
            for host in hosts {
                assert_eq!(of(host), Some(network), "{host}");
            }
        }
        for name in ["example.com", "localhost.example", "notlocalhost", "169.254.169.254.nip.io"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn metadata_leads_to_the_internet_or_to_the_issuers_own_network() {
        use Network::*;
        let all = [Public, Private, LinkLocal, Loopback, NoHost];
        for issuer in all {
            for endpoint in all {
                let expected = endpoint == Public || (endpoint == issuer && issuer != NoHost);
                assert_eq!(endpoint.is_open_to(issuer), expected, "{issuer:?} {endpoint:?}");
            }
        }
    }
}

//! `GuardedResolver`: resolves names, and gives no address that metadata must not lead to.
//!
//! It decides on the addresses that the connection is then made to, so a name that resolves to
//! something else the next time (DNS rebinding) gains nothing. Hosts that are addresses are not
//! resolved: [`Guard::check`] looks at them. The names of proxies pass; a proxy resolves by itself, and
//! whom it connects to is its operator's decision.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use super::network::Network;
use crate::error::BoxError;

/// Looks a name up, and may block.
type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Where the endpoints of a metadata document may be: on the Internet, or in the issuer's own network. The
/// issuer is a resource, for a resource's document.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    state: Arc<Mutex<State>>,
    /// That of the resource which named the issuer.
    above: Option<Arc<Guard>>,
}

#[derive(Debug)]
struct State {
    issuer_host: String,
    /// The network of the issuer. A name is in the most open network that it was ever resolved to:
    /// an issuer on the Internet cannot pass for one in a private network by an address of that
    /// network beside its own. A name that nobody resolved (a proxy did) is taken to be public.
    issuer: Option<Network>,
    guarded: Guarded,
}

#[derive(Debug)]
enum Guarded {
    /// The application itself has named the host of all endpoints.
    None,
    /// The hosts of the endpoints, once the document is read.
    Names(BTreeSet<String>),
    All,
}

impl Guard {
    pub(super) fn new(issuer: &Url) -> Self {
        Self::with(State {
            issuer_host: issuer.host_str().unwrap_or_default().to_owned(),
            issuer: Network::of_host(issuer),
            guarded: Guarded::Names(BTreeSet::new()),
        })
    }

    /// For an issuer without metadata, whose endpoints are on its own host: that is wherever it is.
    pub(super) fn of_own_host(issuer: &Url) -> Self {
        let guard = Self::new(issuer);
        guard.state().guarded = Guarded::None;
        guard
    }

    /// For an issuer that was found in this network before.
    pub(super) fn of_known(issuer: &Url, network: Option<Network>) -> Self {
        let guard = Self::new(issuer);
        guard.state().issuer = network;
        guard
    }

    /// Where the issuer was found.
    pub(super) fn network_of_issuer(&self) -> Option<Network> {
        self.state().issuer
    }

    /// For an issuer that the document of this guard names: it is where that document may lead, and its own
    /// endpoints where it may.
    pub(super) fn of_named(&self, issuer: &Url) -> Result<Self, LeadsElsewhere> {
        self.check(issuer)?;
        Ok(Self { above: Some(Arc::new(self.clone())), ..Self::new(issuer) })
    }

    fn with(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), above: None }
    }

    /// Every name leads to the Internet, or nowhere.
    pub(super) fn of_all_names() -> Self {
        Self::with(State { issuer_host: String::new(), issuer: None, guarded: Guarded::All })
    }

    /// Checks an endpoint whose host is an address, or a name of this machine; guards other names from
    /// now on.
    pub(super) fn check(&self, endpoint: &Url) -> Result<(), LeadsElsewhere> {
        let mut state = self.state();
        match Network::of_host(endpoint) {
            Some(network) if !network.is_open_to(state.network()) => Err(LeadsElsewhere(network)),
            Some(_) => Ok(()),
            None => {
                if let Guarded::Names(names) = &mut state.guarded {
                    names.extend(endpoint.host_str().map(str::to_owned));
                }
                Ok(())
            }
        }
    }

    /// The addresses of a name that may be connected to.
    fn permitted(
        &self,
        name: &str,
        mut addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, LeadsElsewhere> {
        if let Some(above) = &self.above {
            addresses = above.permitted(name, addresses)?;
        }
        let mut state = self.state();
        let open = addresses.iter().map(|address| Network::of(address.ip())).min();
        let guarded = match &state.guarded {
            Guarded::None => false,
            Guarded::Names(names) => names.contains(name),
            Guarded::All => true,
        };
        if guarded {
            let issuer = state.network();
            addresses.retain(|address| Network::of(address.ip()).is_open_to(issuer));
        } else if name == state.issuer_host {
            state.issuer = state.issuer.into_iter().chain(open).min();
        }
        match open {
            Some(network) if addresses.is_empty() => Err(LeadsElsewhere(network)),
            _ => Ok(addresses),
        }
    }

    /// No invariant spans the fields, so a poisoned lock is no harm.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn network(&self) -> Network {
        self.issuer.unwrap_or(Network::Public)
    }
}

/// The endpoint is in a network that the metadata must not lead to.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "its address leads to {}, where metadata of this issuer must not lead; if it is meant to, set the endpoints by hand with OAuthClient::new",
    .0.name()
)]
pub(super) struct LeadsElsewhere(Network);

/// The resolver of the HTTP client that [`OAuthClient::discover`](super::OAuthClient::discover) makes.
#[derive(Clone)]
pub(super) struct GuardedResolver {
    guard: Guard,
    lookup: Lookup,
}

impl GuardedResolver {
    pub(super) fn new(guard: Guard) -> Self {
        Self::with_lookup(guard, |name| Ok((name, 0).to_socket_addrs()?.collect()))
    }

    pub(super) fn with_lookup(
        guard: Guard,
        lookup: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self { guard, lookup: Arc::new(lookup) }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { guard, lookup } = self.clone();
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let (name, found) = tokio::task::spawn_blocking(move || {
                let found = lookup(&name);
                (name, found)
            })
            .await?;
            let permitted = guard.permitted(&name, found?).map_err(BoxError::from)?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

impl fmt::Debug for GuardedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedResolver").field("guard", &self.guard).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, TcpListener};

    use super::*;
    use crate::client::own_clients::own_http;
    use crate::client::{Endpoints, OAuthClient};

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| SocketAddr::new(text.parse::<IpAddr>().unwrap(), 0)).collect()
    }

    /// The guard of an issuer that was found at these addresses, one resolution after the other.
    fn found_at(resolutions: &[&[&str]]) -> Guard {
        let guard = Guard::new(&url("https://issuer.example/a"));
        for found in resolutions {
            // The application named the issuer: whatever it resolves to is connected to.
            let found = addresses(found);
            assert_eq!(guard.permitted("issuer.example", found.clone()).unwrap(), found);
        }
        guard
    }

    fn permitted(guard: &Guard, found: &[&str]) -> Result<Vec<SocketAddr>, String> {
        guard.check(&url("https://api.example/token")).unwrap();
        guard.permitted("api.example", addresses(found)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_public_issuer_leads_to_public_addresses() {
        let hidden = [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::",
            "64:ff9b::a00:1",
        ];
        for issuer in [
            found_at(&[&["8.8.8.8"]]),
            // A private address beside the public one, at once or later, gains nothing.
            found_at(&[&["8.8.8.8", "10.0.0.1"]]),
            found_at(&[&["10.0.0.1", "8.8.8.8"]]),
            found_at(&[&["10.0.0.1"], &["8.8.8.8"]]),
            found_at(&[&["8.8.8.8"], &["10.0.0.1"]]),
            // A proxy resolved it.
            found_at(&[]),
            found_at(&[&[]]),
        ] {
            assert_eq!(permitted(&issuer, &["9.9.9.9"]), Ok(addresses(&["9.9.9.9"])));
            for address in hidden {
                assert_eq!(
                    permitted(&issuer, &[address, "9.9.9.9", address]),
                    Ok(addresses(&["9.9.9.9"])),
                    "{address}"
                );
                let error = permitted(&issuer, &[address]).unwrap_err();
                assert!(error.starts_with("its address leads to "), "{address}: {error}");
                let literal = match address.parse().unwrap() {
                    IpAddr::V4(address) => format!("https://{address}/"),
                    IpAddr::V6(address) => format!("https://[{address}]/"),
                };
                assert!(issuer.check(&url(&literal)).is_err(), "{literal}");
            }
            assert!(issuer.check(&url("http://localhost:9/")).is_err());
            assert!(issuer.check(&url("https://a.localhost/")).is_err());
            assert!(issuer.check(&url("https://9.9.9.9/")).is_ok());
            // The issuer's own host, once it is an endpoint's.
            issuer.check(&url("https://issuer.example/token")).unwrap();
            assert!(issuer.permitted("issuer.example", addresses(&["127.0.0.1"])).is_err());
            // A proxy of the environment, wherever it is.
            let proxy = addresses(&["10.0.0.9"]);
            assert_eq!(issuer.permitted("proxy.corp.example", proxy.clone()).unwrap(), proxy);
            // Nothing was found: that is for the resolver to say.
            assert_eq!(permitted(&issuer, &[]), Ok(Vec::new()));
        }
    }

    #[test]
    fn an_issuer_in_a_network_of_its_own_leads_there_and_to_public_addresses() {
        for (issuer, own, other) in [
            (found_at(&[&["10.0.0.1"]]), "192.168.7.7", "127.0.0.1"),
            (found_at(&[&["10.0.0.1", "fd00::1"]]), "fd00::2", "169.254.169.254"),
            (found_at(&[&["127.0.0.1"]]), "::1", "10.0.0.1"),
            (Guard::new(&url("http://127.0.0.1:9")), "127.0.0.2", "10.0.0.1"),
            (Guard::new(&url("http://localhost:9")), "127.0.0.1", "10.0.0.1"),
            (Guard::new(&url("https://[fd00::1]")), "10.0.0.1", "fe80::1"),
        ] {
            let found = permitted(&issuer, &[own, other, "9.9.9.9"]);
            assert_eq!(found, Ok(addresses(&[own, "9.9.9.9"])));
            assert!(permitted(&issuer, &[other]).is_err());
        }
    }

    #[test]
    fn c34_an_issuer_that_a_resource_names_is_where_the_resource_may_lead() {
        let issuer = url("https://issuer.example");
        // A resource on the Internet.
        let resource = Guard::new(&url("https://api.example/x"));
        resource.permitted("api.example", addresses(&["8.8.8.8"])).unwrap();
        let guard = resource.of_named(&issuer).unwrap();
        assert!(guard.permitted("issuer.example", addresses(&["10.0.0.1"])).is_err());
        let both = guard.permitted("issuer.example", addresses(&["10.0.0.1", "9.9.9.9"]));
        assert_eq!(both.unwrap(), addresses(&["9.9.9.9"]));
        guard.check(&url("https://token.example")).unwrap();
        assert!(guard.permitted("token.example", addresses(&["10.0.0.1"])).is_err());
        assert!(resource.of_named(&url("https://127.0.0.1")).is_err());
        assert!(resource.of_named(&url("http://localhost:9")).is_err());
        // A resource in a private network may name an issuer there, or on the Internet. An issuer on the
        // Internet does not lead into that network.
        for (found, own) in [("10.0.0.1", true), ("9.9.9.9", false)] {
            let resource = Guard::new(&url("https://api.example/x"));
            resource.permitted("api.example", addresses(&["192.168.0.1"])).unwrap();
            let guard = resource.of_named(&issuer).unwrap();
            guard.permitted("issuer.example", addresses(&[found])).unwrap();
            guard.check(&url("https://token.example")).unwrap();
            let led = guard.permitted("token.example", addresses(&["192.168.0.2"]));
            assert_eq!(led.is_ok(), own, "{found}");
        }
    }

    #[test]
    fn the_public_resolver_guards_every_name() {
        let guard = Guard::of_all_names();
        let found = guard.permitted("any.example", addresses(&["127.0.0.1", "9.9.9.9"]));
        assert_eq!(found.unwrap(), addresses(&["9.9.9.9"]));
        assert!(guard.permitted("any.example", addresses(&["::1"])).is_err());
    }

    #[tokio::test]
    async fn nothing_is_connected_to_where_metadata_must_not_lead() {
        let inner = TcpListener::bind("127.0.0.1:0").unwrap();
        inner.set_nonblocking(true).unwrap();
        let port = inner.local_addr().unwrap().port();
        let guard = found_at(&[&["8.8.8.8"]]);
        // A name server that says what it likes.
        let resolver =
            GuardedResolver::with_lookup(guard.clone(), |_| Ok(addresses(&["127.0.0.1"])));
        // No proxy of the machine's comes between.
        let http = own_http(&url("http://127.0.0.1"), Some(Arc::new(resolver))).unwrap();
        // Over plain http, since tests have no TLS: the connection is what matters.
        let token = url(&format!("http://api.example:{port}/token"));
        guard.check(&token).unwrap();
        let endpoints = Endpoints::of_token(token);
        let app = OAuthClient::with_endpoints("foo".to_owned(), endpoints).secret("potato");
        let request = app.http_client(http);
        let error = request.token_request("client_credentials").send().await.unwrap_err();
        assert!(error.is_config() && !error.is_transient());
        assert_eq!(
            error.to_string(),
            "the token endpoint is not used: its address leads to this machine (loopback), where metadata of this issuer must not lead; if it is meant to, set the endpoints by hand with OAuthClient::new"
        );
        assert_eq!(inner.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}

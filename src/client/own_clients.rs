//! `OwnClients`: the HTTP clients that this crate makes for requests to a provider, one for each runtime.
//!
//! A connection that is kept alive is driven by the runtime on which it was made. If no thread drives that
//! runtime, nobody reads the answer to a request that takes this connection, and a renewal would wait for it in
//! vain. So the requests of each runtime have connections of their own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use tokio::runtime::{Handle, Id};
use url::Url;

use super::guarded_resolver::GuardedResolver;
use super::http_client::HttpClient;
use crate::error::{BoxError, Error};
use crate::loopback::is_loopback;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What they call themselves: firewalls refuse requests without a name.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Of how many runtimes the clients are kept: some programs make a runtime for each call.
const MOST: usize = 32;

/// The default HTTP client: it follows no redirect and bounds the wait for a connection. Requests to
/// loopback bypass the proxy of the environment.
pub(super) fn own_http(
    endpoint: &Url,
    resolver: Option<Arc<GuardedResolver>>,
) -> Result<HttpClient, Error> {
    let clients =
        OwnClients { bypasses_proxy: is_loopback(endpoint), resolver, made: Mutex::default() };
    // What cannot be built is an error before anything is sent.
    clients.of_this_runtime().map_err(|error| {
        let source: BoxError = error.without_url().into();
        Error::config(format!(
            "no HTTP client for token requests could be built ({source}); check reqwest's TLS features or pass one to OAuthClient::http_client"
        ))
    })?;
    Ok(HttpClient::ours(clients))
}

pub(super) struct OwnClients {
    bypasses_proxy: bool,
    resolver: Option<Arc<GuardedResolver>>,
    /// The one that was used last comes last. Locked for a look or an entry, never across an await.
    made: Mutex<Vec<Made>>,
}

struct Made {
    /// `None`: it was made outside of a runtime, and has sent nothing yet.
    runtime: Option<Id>,
    client: reqwest::Client,
}

impl OwnClients {
    /// The client for requests that are sent here.
    pub(super) fn of_this_runtime(&self) -> reqwest::Result<reqwest::Client> {
        let runtime = Handle::try_current().ok().map(|handle| handle.id());
        if let Some(client) = self.find(runtime) {
            return Ok(client);
        }
        let client = self.build()?;
        let mut made = self.lock();
        if made.len() >= MOST {
            made.remove(0);
        }
        made.push(Made { runtime, client: client.clone() });
        Ok(client)
    }

    fn find(&self, runtime: Option<Id>) -> Option<reqwest::Client> {
        let mut made = self.lock();
        let own = made.iter().position(|one| one.runtime == runtime);
        let at = own.or_else(|| made.iter().position(|one| one.runtime.is_none()))?;
        let client = made.remove(at).client;
        made.push(Made { runtime, client: client.clone() });
        Some(client)
    }

    fn build(&self) -> reqwest::Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT);
        if self.bypasses_proxy {
            builder = builder.no_proxy();
        }
        if let Some(resolver) = &self.resolver {
            builder = builder.dns_resolver(resolver.clone());
        }
        builder.build()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::{Builder, Runtime};

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    fn runtimes(clients: &OwnClients) -> Vec<Option<Id>> {
        clients.lock().iter().map(|one| one.runtime).collect()
    }

    #[test]
    fn each_runtime_has_its_own_and_the_last_ones_are_kept() {
        let clients = OwnClients { bypasses_proxy: true, resolver: None, made: Mutex::default() };
        clients.of_this_runtime().unwrap();
        assert_eq!(runtimes(&clients), [None]);
        let all: Vec<Runtime> = (0..=MOST).map(|_| runtime()).collect();
        let ids: Vec<_> = all.iter().map(|one| Some(one.handle().id())).collect();
        let use_in = |at: usize| {
            let _entered = all[at].enter();
            clients.of_this_runtime().unwrap();
        };
        // The first one takes over what has sent nothing.
        use_in(0);
        use_in(0);
        assert_eq!(runtimes(&clients), ids[..1]);
        use_in(1);
        use_in(0);
        assert_eq!(runtimes(&clients), [ids[1], ids[0]]);
        (2..=MOST).for_each(use_in);
        let last = runtimes(&clients);
        assert_eq!((last.len(), last[0]), (MOST, ids[0]));
        assert!(!last.contains(&ids[1]));
    }
}

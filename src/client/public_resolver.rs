//! `PublicResolver`.

use std::fmt;

use reqwest::dns::{Name, Resolve, Resolving};

use super::guarded_resolver::{Guard, GuardedResolver};

/// Resolves names to addresses on the Internet and to no others: not to loopback, private or
/// link-local addresses, whatever the name server says. For an HTTP client of your own that takes its
/// endpoints from metadata ([`OAuthClient::discover_with`](crate::OAuthClient::discover_with)):
///
/// ```
/// use std::sync::Arc;
///
/// use reqwest_oauth2::PublicResolver;
///
/// let http = reqwest::Client::builder()
///     .redirect(reqwest::redirect::Policy::none())
///     .dns_resolver(Arc::new(PublicResolver::new()))
///     .build();
/// ```
///
/// Hosts that are addresses are not resolved; `discover_with` looks at those of the metadata. A proxy
/// in a private network cannot be reached by its name, only by its address
/// ([RFC 9728 §7.7](https://www.rfc-editor.org/rfc/rfc9728#section-7.7)).
///
/// It asks the system's resolver, in a blocking task of the Tokio runtime.
#[derive(Clone)]
pub struct PublicResolver(GuardedResolver);

impl PublicResolver {
    /// The resolver.
    pub fn new() -> Self {
        Self(GuardedResolver::new(Guard::of_all_names()))
    }
}

impl Default for PublicResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        self.0.resolve(name)
    }
}

impl fmt::Debug for PublicResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicResolver").finish_non_exhaustive()
    }
}

//! `Asked`, what a resource asks for; `Authorize`, who answers.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use super::kept::Keeper;
use crate::challenge::Challenge;
use crate::client::{ClientMetadata, HttpClient, OAuthClient, ProtectedResource, Provider};
use crate::clock::Clock;
use crate::error::Error;
use crate::grant::Grant;
use crate::step_up::scope_union;
use crate::token::Token;

/// The scope that stands for a refresh token.
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

/// Longer lists of scopes, in bytes, are not asked for as a whole: no server accepts such a URL.
const LONGEST_SCOPE: usize = 4096;

/// Gets a login when a resource asks for one: by a person in a browser or on another device
/// ([`ResourceLogin`](crate::ResourceLogin)), or by a grant.
///
/// Any closure `Fn(Asked) -> Future<Output = Result<Authorized, Error>>` is one. A
/// [`ResourceSession`](crate::ResourceSession) runs one login at a time, in a task that goes on even if
/// the requests that wait for it are gone. It gives up after 15 minutes. If the runtime ends meanwhile, or no
/// thread drives it, the next request begins the login anew. After an error it does not ask for the same
/// login again for a minute, or as long as a `Retry-After` says: requests get the error. Nor does it after a
/// login whose token cannot be used: requests get the resource's answer.
#[async_trait]
pub trait Authorize: Send + Sync + 'static {
    /// Logs in, for what was asked.
    ///
    /// # Errors
    ///
    /// Errors of this crate can be returned unchanged; [`Error::permanent`] if the person refuses.
    async fn authorize(&self, asked: Asked) -> Result<Authorized, Error>;

    /// Completes the client of a stored login. The client comes with what could be stored: the provider's
    /// endpoints, the client id and the secret of a registration. Add what is missing, such as your own
    /// secret. By default, and for a closure, returns it unchanged: if that client is refused at the next
    /// renewal (`invalid_client`, or another code that says so), somebody logs in again.
    ///
    /// # Errors
    ///
    /// After any error the stored login is not used, and the resource is asked again.
    fn restore(&self, client: OAuthClient) -> Result<OAuthClient, Error> {
        Ok(client)
    }
}

#[async_trait]
impl<F, Fut> Authorize for F
where
    F: Fn(Asked) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Authorized, Error>> + Send,
{
    async fn authorize(&self, asked: Asked) -> Result<Authorized, Error> {
        self(asked).await
    }
}

/// A login.
#[derive(Clone)]
#[non_exhaustive]
pub struct Authorized {
    /// The client that the token is issued to, with the token's [`resource`](OAuthClient::resource).
    pub client: OAuthClient,
    pub(super) token: Option<Token>,
    pub(super) grant: Option<Arc<dyn Grant>>,
}

impl Authorized {
    /// A login with this client.
    pub fn new(client: OAuthClient, token: Token) -> Self {
        Self { client, token: Some(token), grant: None }
    }

    /// A login without a person: the session gets its tokens with this grant, the first one now, and renews
    /// with it before a token expires. The next process uses the stored token until it expires; then it
    /// asks its own [`Authorize`]
    /// ([RFC 6749 §1.3](https://www.rfc-editor.org/rfc/rfc6749#section-1.3)).
    pub fn by_grant(client: OAuthClient, grant: impl Grant) -> Self {
        Self { client, token: None, grant: Some(Arc::new(grant)) }
    }
}

impl fmt::Debug for Authorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized")
            .field("client", &self.client)
            .field("token", &self.token)
            .field("grant", &self.grant.is_some())
            .finish()
    }
}

/// What a resource asks for ([RFC 9728 §5](https://www.rfc-editor.org/rfc/rfc9728#section-5)).
#[derive(Clone)]
pub struct Asked {
    pub(super) url: Url,
    pub(super) challenge: Option<Challenge>,
    /// Where the resource has said earlier that its metadata is.
    pub(super) known_metadata: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) client: Option<OAuthClient>,
    /// The id of a client that the provider does not know any more.
    pub(super) unknown_client: Option<String>,
    /// The id of the client whose stored registration was used, if one was.
    pub(super) stored_client: Arc<OnceLock<String>>,
    pub(super) http: Option<HttpClient>,
    pub(super) clock: Clock,
    pub(super) keeper: Keeper,
}

impl Asked {
    /// The resource's URL, as the application gave it.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The challenge of its response, if it had one.
    pub fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// The scope to ask for: that of the challenge, and that of the current login. `None` if both are
    /// unknown. [`Discovered::scope`] knows more.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Whether the resource wants a wider scope, and does not say which.
    fn is_scope_unnamed(&self) -> bool {
        self.challenge().is_some_and(|challenge| {
            challenge.has_error("insufficient_scope") && challenge.scope().is_none()
        })
    }

    /// `acr_values` of the challenge ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)).
    pub fn acr_values(&self) -> Option<&str> {
        self.challenge()?.acr_values()
    }

    /// `max_age` of the challenge ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)).
    pub fn max_age(&self) -> Option<Duration> {
        self.challenge()?.max_age()
    }

    /// The client of the current login, if there is one. The resource may name another authorization
    /// server by now.
    pub fn client(&self) -> Option<&OAuthClient> {
        self.client.as_ref()
    }

    /// The resource's metadata, read again: "a client […] SHOULD retrieve the updated protected
    /// resource metadata" ([RFC 9728 §5.2](https://www.rfc-editor.org/rfc/rfc9728#section-5.2)). If the challenge
    /// does not say where, it is read from where an earlier one said, and from the well-known locations if it is
    /// not there any more.
    ///
    /// # Errors
    ///
    /// As [`ProtectedResource::discover`].
    pub async fn resource(&self) -> Result<Option<ProtectedResource>, Error> {
        let named = self.challenge().and_then(Challenge::resource_metadata);
        match (named, &self.known_metadata) {
            (None, Some(known)) => {
                ProtectedResource::found_again(&self.url, known, self.http.clone()).await
            }
            _ => ProtectedResource::found(&self.url, named, self.http.clone()).await,
        }
    }

    /// The resource's metadata, and its first authorization server. If the resource has no metadata or
    /// names no server, its own origin is taken for the authorization server
    /// ([`Provider::with_default_endpoints`] if it has no metadata there either).
    ///
    /// # Errors
    ///
    /// As [`ProtectedResource::discover`] and [`Provider::discover`].
    pub async fn discover(&self) -> Result<Discovered, Error> {
        let resource = self.resource().await?;
        let issuer = resource.as_ref().and_then(|resource| resource.issuers().first()).cloned();
        self.discovered(resource, issuer).await
    }

    /// `issuer`: that one of the resource's.
    pub(super) async fn discovered(
        &self,
        resource: Option<ProtectedResource>,
        issuer: Option<String>,
    ) -> Result<Discovered, Error> {
        if let (Some(known), Some(issuer)) = (&resource, issuer) {
            let provider = known.provider(&issuer).await?.ok_or_else(|| {
                Error::config(
                    "the authorization server that the resource names has no metadata; configure the client by hand",
                )
            })?;
            return Ok(Discovered { resource, provider });
        }
        let origin = self.url.origin().ascii_serialization();
        let found = match self.http.clone() {
            Some(http) => Provider::discover_with(&origin, http).await?,
            None => Provider::discover(&origin).await?,
        };
        let provider = match found {
            Some(provider) => provider,
            None => Provider::without_metadata(&self.url, self.http.clone())?,
        };
        Ok(Discovered { resource, provider })
    }

    /// The application as registered with this provider. A new registration is made if none is stored or the
    /// stored one cannot be read, if its secret has expired, or if the provider no longer knows it
    /// ([RFC 7591 §3.2.1](https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1)). The registration is stored
    /// in the session's store for this issuer and this metadata, for all users. If a login with a stored one
    /// ends with `invalid_client`, or another code that says so (`unauthorized_client`), it begins once more, with a
    /// new registration.
    ///
    /// # Errors
    ///
    /// As [`Provider::register`]; those of the store.
    pub async fn registered_client(
        &self,
        provider: &Provider,
        metadata: &ClientMetadata,
    ) -> Result<OAuthClient, Error> {
        let now = self.clock.now();
        let kept = match self.keeper.registration(provider.issuer(), metadata).await {
            Err(error) if error.is_replaceable() => None,
            kept => kept?,
        };
        let kept = kept.filter(|kept| {
            kept.secret_expires_at().is_none_or(|ends| now < ends)
                && self.unknown_client.as_deref() != Some(kept.client_id())
        });
        let registration = match kept {
            Some(kept) => {
                // Of several the first one.
                let _ = self.stored_client.set(kept.client_id().to_owned());
                kept
            }
            None => {
                let new = provider.register(metadata).await?;
                // If it cannot be stored, this login can use it all the same.
                match self.keeper.keep_registration(metadata, &new).await {
                    Err(error) if !error.is_store() => return Err(error),
                    _ => new,
                }
            }
        };
        provider.registered_client(&registration)
    }

    /// The same with a new registration; `None` if none was used that was stored.
    pub(super) fn registering_anew(&self) -> Option<Self> {
        let unknown_client = self.stored_client.get().cloned();
        unknown_client.is_some().then(|| Self {
            unknown_client,
            stored_client: Arc::default(),
            ..self.clone()
        })
    }
}

/// Where a resource leads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Discovered {
    /// The resource's metadata; `None` if it has none.
    pub resource: Option<ProtectedResource>,
    /// The authorization server that issues its tokens.
    pub provider: Provider,
}

impl Discovered {
    /// The scope to ask for: that of the challenge, otherwise all that the resource names
    /// (`scopes_supported`, if it has at most 4 KiB), otherwise none; and that of the current login, unless
    /// another provider issued its token. Includes what this one offers of these: `offline_access`, which asks
    /// for a refresh token and needs `prompt=consent` in the authorization request
    /// ([OpenID Connect Core §11](https://openid.net/specs/openid-connect-core-1_0.html#OfflineAccess));
    /// and, if the resource wants a stronger or newer login, `openid`, since some providers accept
    /// `acr_values` and `max_age` only with it
    /// ([§3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest)).
    pub fn scope(&self, asked: &Asked) -> Option<String> {
        let named = self.resource.as_ref().and_then(ProtectedResource::scopes);
        let named = named.filter(|named| named.len() <= LONGEST_SCOPE);
        let list = self.provider.member("scopes_supported").and_then(|list| list.as_array());
        let offered = |name: &str| list.is_some_and(|list| list.iter().any(|one| one == name));
        let is_stronger = asked.acr_values().is_some() || asked.max_age().is_some();
        let before = asked.client().and_then(OAuthClient::provider);
        let scope = match before.is_none_or(|before| before.issuer() == self.provider.issuer()) {
            true => asked.scope(),
            // This one may not know what another has granted.
            false => asked.challenge().and_then(Challenge::scope),
        };
        scope_union([
            scope,
            named.filter(|_| scope.is_none() || asked.is_scope_unnamed()),
            Some("openid").filter(|name| is_stronger && offered(name)),
            Some(OFFLINE_ACCESS).filter(|name| offered(name)),
        ])
    }

    /// The resource identifier that tokens are for; `None` if the resource has no metadata.
    pub fn resource_id(&self) -> Option<&str> {
        self.resource.as_ref().map(ProtectedResource::id)
    }

    /// The client, for tokens for this resource.
    #[must_use]
    pub fn for_resource(&self, client: OAuthClient) -> OAuthClient {
        match self.resource_id() {
            Some(id) => client.resource(id),
            None => client,
        }
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("origin", &self.url.origin().ascii_serialization())
            .field("challenge", &self.challenge)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

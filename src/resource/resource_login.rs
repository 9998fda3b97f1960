//! `ResourceLogin`: from an API's challenge to a person's login.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::asked::{Asked, Authorize, Authorized, Discovered, OFFLINE_ACCESS};
use super::browser_login::BrowserLogin;
use super::builder::ResourceSessionBuilder;
use crate::client::{ClientMetadata, OAuthClient, Provider};
use crate::error::{BoxError, Error};
use crate::login::PendingDeviceLogin;
use crate::session::Session;
use crate::step_up::scope_union;
use crate::token::Token;

impl OAuthClient {
    /// A login at an API that names its authorization server
    /// ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)). The application only gives the API's URL,
    /// and says how a person logs in. See [`ResourceLogin`].
    pub fn for_resource(url: impl Into<String>) -> ResourceLogin {
        ResourceLogin {
            url: url.into(),
            name: env!("CARGO_PKG_NAME").to_owned(),
            metadata: None,
            document: None,
            known: None,
            choose: None,
            set_up: None,
            scope: None,
            way: None,
        }
    }
}

type Open = Arc<dyn Fn(BrowserLogin) -> BoxFuture<'static, Result<Token, BoxError>> + Send + Sync>;
type Show = Arc<dyn Fn(&PendingDeviceLogin) + Send + Sync>;
type Known = Arc<dyn Fn(&Provider) -> Option<OAuthClient> + Send + Sync>;
type SetUp = Arc<dyn Fn(OAuthClient) -> OAuthClient + Send + Sync>;
type Choose = Arc<dyn Fn(&[String]) -> Option<String> + Send + Sync>;

/// How a person logs in.
#[derive(Clone)]
enum Way {
    Browser { redirect_uri: String, open: Open },
    Device(Show),
}

/// A login at an API that names its authorization server. From [`OAuthClient::for_resource`].
///
/// When the API asks for a token, this reads the API's metadata, chooses the first authorization server
/// in it, and reads that server's metadata. The server knows the application
///
/// 1. by its own client id, if [`client`](Self::client) returns one;
/// 2. by the document at [`client_id_document`](Self::client_id_document), if the server supports that;
/// 3. by a registration ([RFC 7591](https://www.rfc-editor.org/rfc/rfc7591)), which is stored.
///
/// Then the person logs in, for a token for that API alone
/// ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707)).
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest_oauth2::OAuthClient;
/// use reqwest_oauth2::store::FileStore;
///
/// let session = OAuthClient::for_resource("https://api.example/x")
///     .client_name("My tool")
///     .on_device(|login| println!("open {} and type {}", login.verification_uri(), login.user_code()))
///     .session()?
///     .store(FileStore::directory("tokens"), "me")
///     .build();
/// let http = reqwest::Client::builder().redirect(reqwest_oauth2::redirect_policy()).build()?;
/// let response = session.execute(&http, http.get("https://api.example/x/files").build()?).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a login does nothing until a session uses it"]
#[derive(Clone)]
pub struct ResourceLogin {
    url: String,
    name: String,
    metadata: Option<ClientMetadata>,
    document: Option<String>,
    known: Option<Known>,
    choose: Option<Choose>,
    set_up: Option<SetUp>,
    scope: Option<String>,
    way: Option<Way>,
}

impl ResourceLogin {
    /// The name that people see when they are asked for consent.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Everything that the application says about itself in a registration; by default its
    /// [name](Self::client_name) and the redirect URI
    /// ([RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2)).
    pub fn client_metadata(mut self, metadata: ClientMetadata) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// The https URL of a document about the application ([`ClientMetadata::document`]). With servers that
    /// support it, this URL is the client id.
    pub fn client_id_document(mut self, url: impl Into<String>) -> Self {
        self.document = Some(url.into());
        self
    }

    /// The application's own client with a provider where it is registered already, such as `|provider|
    /// (provider.issuer() == "https://issuer.example").then(|| provider.client("my-id"))`. It takes
    /// precedence. Compare the issuer first: a client's secret is only for the issuer that gave it.
    pub fn client(
        mut self,
        known: impl Fn(&Provider) -> Option<OAuthClient> + Send + Sync + 'static,
    ) -> Self {
        self.known = Some(Arc::new(known));
        self
    }

    /// Chooses one of the issuers that the resource names, or `None`. By default the first
    /// ([RFC 9728 §7.6](https://www.rfc-editor.org/rfc/rfc9728#section-7.6)).
    pub fn choose_issuer(
        mut self,
        choose: impl Fn(&[String]) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.choose = Some(Arc::new(choose));
        self
    }

    /// Settings for each client, however the provider knows it, such as `|client| client.dpop()` with the
    /// feature `keys`.
    pub fn configure_client(
        mut self,
        set_up: impl Fn(OAuthClient) -> OAuthClient + Send + Sync + 'static,
    ) -> Self {
        self.set_up = Some(Arc::new(set_up));
        self
    }

    /// A scope to ask for in addition to what the resource asks for. Without it, and without a scope in the
    /// challenge, all scopes that the resource names are asked for
    /// ([RFC 9728 §7.2](https://www.rfc-editor.org/rfc/rfc9728#section-7.2)).
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// The person logs in with a browser. `open` shows the URL ([`BrowserLogin::url`]), waits for the
    /// callback, and finishes the login with the callback's URL ([`BrowserLogin::finish`]). Its error
    /// ends the login.
    ///
    /// ```no_run
    /// # use reqwest_oauth2::BoxError;
    /// # fn f(login: reqwest_oauth2::ResourceLogin) -> reqwest_oauth2::ResourceLogin {
    /// # async fn next_request_to_the_callback() -> Result<String, BoxError> { Ok(String::new()) }
    /// login.in_browser("http://127.0.0.1:8914/callback", |login| async move {
    ///     println!("open {}", login.url());
    ///     Ok::<_, BoxError>(login.finish(next_request_to_the_callback().await?).await?)
    /// })
    /// # }
    /// ```
    ///
    /// A registration is stored for its redirect URI. If the port changes each time, register the URI
    /// without a port, with [`client_metadata`](Self::client_metadata): servers have to accept any port of
    /// a loopback address ([RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)).
    pub fn in_browser<F, Fut, E>(mut self, redirect_uri: impl Into<String>, open: F) -> Self
    where
        F: Fn(BrowserLogin) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Token, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let open = Arc::new(open);
        let open = move |login| -> BoxFuture<'static, _> {
            let open = open.clone();
            Box::pin(async move { open(login).await.map_err(Into::into) })
        };
        self.way = Some(Way::Browser { redirect_uri: redirect_uri.into(), open: Arc::new(open) });
        self
    }

    /// The person logs in on another device: `show` shows the user code and where to type it
    /// ([RFC 8628](https://www.rfc-editor.org/rfc/rfc8628)).
    pub fn on_device(mut self, show: impl Fn(&PendingDeviceLogin) + Send + Sync + 'static) -> Self {
        self.way = Some(Way::Device(Arc::new(show)));
        self
    }

    /// The session that uses this login.
    ///
    /// # Errors
    ///
    /// As [`Session::on_challenge`].
    pub fn session(self) -> Result<ResourceSessionBuilder, Error> {
        Session::on_challenge(self.url.clone(), self)
    }

    async fn discover(&self, asked: &Asked) -> Result<Discovered, Error> {
        let Some(choose) = &self.choose else { return asked.discover().await };
        let resource = asked.resource().await?;
        let issuers = resource.as_ref().map(|known| known.issuers()).unwrap_or_default();
        let chosen = choose(issuers);
        if chosen.is_none() && !issuers.is_empty() {
            return Err(Error::config(
                "none of the authorization servers that the resource names was chosen",
            ));
        }
        asked.discovered(resource, chosen).await
    }

    fn configured(&self, client: OAuthClient) -> OAuthClient {
        match &self.set_up {
            Some(set_up) => set_up(client),
            None => client,
        }
    }

    /// The application, as the provider knows it.
    async fn client_of(&self, asked: &Asked, found: &Discovered) -> Result<OAuthClient, Error> {
        let provider = &found.provider;
        if let Some(client) = self.known.as_ref().and_then(|known| known(provider)) {
            if client.identity() != provider.issuer() {
                return Err(Error::config(
                    "the client of ResourceLogin::client is another provider's; make it with Provider::client",
                ));
            }
            return Ok(client);
        }
        let reads_documents =
            provider.member("client_id_metadata_document_supported") == Some(&true.into());
        if let Some(document) = self.document.as_ref().filter(|_| reads_documents) {
            return Ok(provider.client(document));
        }
        let metadata = match (&self.metadata, &self.way) {
            (Some(metadata), _) => metadata.clone(),
            (None, Some(Way::Browser { redirect_uri, .. })) => {
                ClientMetadata::new(&self.name).redirect_uri(redirect_uri)
            }
            (None, _) => ClientMetadata::new(&self.name),
        };
        asked.registered_client(provider, &metadata).await
    }
}

#[async_trait]
impl Authorize for ResourceLogin {
    async fn authorize(&self, asked: Asked) -> Result<Authorized, Error> {
        let Some(way) = &self.way else {
            return Err(Error::config(
                "nothing says how a person logs in; use ResourceLogin::in_browser or on_device",
            ));
        };
        let found = self.discover(&asked).await?;
        if let Way::Browser { .. } = way {
            check_pkce(&found.provider)?;
        }
        let client = self.client_of(&asked, &found).await?;
        let client = self.configured(found.for_resource(client).with_clock(asked.clock.clone()));
        let scope = scope_union([found.scope(&asked).as_deref(), self.scope.as_deref()]);
        let token = match way {
            Way::Browser { redirect_uri, open } => {
                let mut request = client.authorization_code(redirect_uri)?;
                for (name, value) in strength(&asked) {
                    request = request.extra_param(name, value);
                }
                if let Some(scope) = scope {
                    if scope.split(' ').any(|name| name == OFFLINE_ACCESS) {
                        request = request.extra_param("prompt", "consent");
                    }
                    request = request.scope(scope);
                }
                let pending = match client.requires_pushed_requests() {
                    true => request.push().await?,
                    false => request.begin()?,
                };
                let login = BrowserLogin { pending, client: client.clone() };
                open(login).await.map_err(as_ours)?
            }
            Way::Device(show) => {
                let mut request = client.device_authorization();
                for (name, value) in strength(&asked) {
                    request = request.extra_param(name, value);
                }
                if let Some(scope) = scope {
                    request = request.scope(scope);
                }
                let mut login = request.begin().await?;
                show(&login);
                login.wait().await?
            }
        };
        Ok(Authorized::new(client, token))
    }

    fn restore(&self, client: OAuthClient) -> Result<OAuthClient, Error> {
        let known = client.provider().and_then(|provider| self.known.as_ref()?(provider));
        let client = match known {
            Some(known) if known.client_id() == client.client_id() => {
                client.resources().into_iter().fold(known, OAuthClient::resource)
            }
            // It is another one now.
            Some(_) => return Err(Error::config("the application has another client id now")),
            None => client,
        };
        Ok(self.configured(client))
    }
}

/// How strong and how new the login has to be
/// ([RFC 9470 §4](https://www.rfc-editor.org/rfc/rfc9470#section-4)).
fn strength(asked: &Asked) -> impl Iterator<Item = (&'static str, String)> {
    let acr_values = asked.acr_values().map(|values| ("acr_values", values.to_owned()));
    let max_age = asked.max_age().map(|age| ("max_age", age.as_secs().to_string()));
    acr_values.into_iter().chain(max_age)
}

/// Our own error as it is.
fn as_ours(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => *ours,
        Err(other) => Error::permanent(other),
    }
}

/// A server that does not say that it supports PKCE may not: "MCP clients MUST verify PKCE support before
/// proceeding with authorization".
fn check_pkce(provider: &Provider) -> Result<(), Error> {
    let methods = provider.member("code_challenge_methods_supported").and_then(|m| m.as_array());
    if methods.is_some_and(|methods| methods.iter().any(|method| method == "S256")) {
        return Ok(());
    }
    Err(Error::config(
        "the authorization server does not say that it supports PKCE with S256 (code_challenge_methods_supported), so a login there is not safe",
    ))
}

impl fmt::Debug for ResourceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceLogin")
            .field("client_name", &self.name)
            .field("client_id_document", &self.document)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

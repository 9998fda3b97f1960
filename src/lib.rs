//! Keeps OAuth 2 bearer tokens fresh for `reqwest`: a [`reqwest_middleware`] layer that adds the access
//! token to each request, renews it before it expires or after a 401, and saves every new token before a
//! request uses it.
//!
//! ```no_run
//! use reqwest_oauth2::store::FileStore;
//! use reqwest_oauth2::{OAuthClient, Session};
//!
//! type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//!
//! #[tokio::main]
//! async fn main() -> Result<()> {
//!     // The provider's metadata names its endpoints. A client with a secret adds `.secret("…")`.
//!     let client = OAuthClient::discover("https://provider.example", "client-id").await?;
//!     let session = Session::builder(client).store(FileStore::file("token.json"), "me").build();
//!     let result = run(&session).await;
//!     let saved = session.shutdown().await; // waits until the newest token is in the file
//!     result?;
//!     Ok(saved?)
//! }
//!
//! async fn run(session: &Session) -> Result<()> {
//!     let redirects = reqwest_oauth2::redirect_policy(); // no token for a server that redirects twice
//!     let http = reqwest::Client::builder().redirect(redirects).build()?;
//!     let http = reqwest_middleware::ClientBuilder::new(http)
//!         .with(session.middleware(["https://api.example"])?) // only these origins receive the token
//!         .build();
//!     let response = http.get("https://api.example/me").send().await?;
//!     println!("{}", response.status());
//!     Ok(())
//! }
//! ```
//!
//! # Scope of this crate
//!
//! It is an OAuth 2 *client's* token layer ([RFC 6749](https://www.rfc-editor.org/rfc/rfc6749),
//! [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)). It is not an OAuth server, does not
//! validate tokens for resource servers, and has no login page.
//!
//! # What it promises
//!
//! - **Freshness.** `expires_in` becomes an absolute deadline, counted from before the token request was
//!   sent. From *due* (late in the lifetime, jittered) a token is renewed in the background while requests
//!   go on with it. Only an *expired* one makes them wait. After a 401 that a new token may cure, the
//!   token is renewed and the request is sent once more.
//! - **Nothing lost.** Any number of requests share one token request. A renewal that has begun finishes
//!   and is saved, even if every caller goes away. A new token is saved before it is used. If saving
//!   fails, the token is used from memory while saving is tried again. A refresh token that the provider
//!   did not replace is kept.
//! - **Failure.** If only a new login helps, requests get one clear error, and no further token request is
//!   made. After other failures the session tries again with backoff, and not before `Retry-After`.
//!   Requests notice nothing while the old token is valid. Every wait and every size is bounded.
//! - **Only listed origins** get the token, over TLS (except to loopback). No secret is
//!   in any `Debug`, error or log line. Memory that held one is wiped when dropped.
//! - **One refresh among replicas.** Processes that share a [`store`] renew each token once between them,
//!   and [`UserSessions`] serves many users from it.
//!
//! [`guides::architecture`] lists the guarantees one by one, with the known gaps. [`guides::glossary`]
//! explains the words.
//!
//! # Errors
//!
//! Every function that can fail returns [`Error`]. Through a `reqwest_middleware` client it arrives
//! as `reqwest_middleware::Error::Middleware`; [`Error::find_in`] gets it out.
//!
//! # Runtime
//!
//! A session needs a Tokio runtime with I/O and time enabled. It spawns nothing before the first renewal,
//! sign-in or sign-out (or [`Session::keep_fresh`]). A renewal then runs in a task of its own, which ends
//! with its work. A caller that goes away does not stop it.
//!
//! **Call [`Session::shutdown`], or [`UserSessions::shutdown`], before the runtime ends, on every path**,
//! also after an error. It waits for what is under way, and tries once more to save a token that is not
//! saved yet.
//!
//! If the runtime ends without it, a token request under way is cut off. If the provider has replaced the
//! refresh token by then, the new one is lost, and with it the login. The session itself stays usable: the
//! next call on another runtime saves what is not saved yet, and renews. No caller waits for a runtime
//! that no thread drives.
//!
//! **[`SessionBuilder::foreground`]** leaves no renewal to run in the background: a call returns when its
//! renewal is done and saved (it waits for saving up to [`SessionBuilder::save_wait_timeout`]). Use it in
//! command-line tools, and in programs that make a runtime for each call
//! ([`block_on`](https://docs.rs/tokio/latest/tokio/runtime/struct.Runtime.html#method.block_on)).
//!
//! # Getting the first token
//!
//! [`OAuthClient::authorization_code`], [`OAuthClient::device_authorization`], the grants
//! ([`ClientCredentials`], [`JwtBearer`], [`TokenExchange`]), and for providers that have no other
//! flow [`OAuthClient::implicit`] and [`OAuthClient::password`]. [`OAuthClient::discover`] and
//! [`presets`] know the endpoints.
//!
//! # Features
//!
//! - `blocking`: sessions, and requests through `reqwest::blocking`, for programs without async (the module
//!   `blocking`).
//! - `encryption`: encrypts what a store holds, with your key (`store::EncryptedStore`).
//! - `file-store` (on by default): a store in files, `store::FileStore`.
//! - `keyring`: a store in the keychain of macOS, Windows or the Secret Service, `store::KeyringStore`.
//! - `keys`: keys that sign, `SigningKey`. It needs a C compiler.
//! - `middleware` (on by default): a layer for `reqwest_middleware` clients, [`OAuthMiddleware`]. Without it
//!   [`Session::execute`] and [`Api::execute`] send requests with their token.
//! - `metrics`: counters through the `metrics` facade. They, and the `tracing` events and spans, are
//!   listed in [`guides::observability`].
//! - `oauth2`: a token obtained with the `oauth2` or `openidconnect` crate becomes a [`Token`].
//! - `postgres`, `redis`, `sqlite`: stores that processes share (`store::PostgresStore`,
//!   `store::RedisStore`, `store::SqliteStore`), with your pool or connection.
//! - `testing`: an OAuth 2 provider on loopback (the module `testing`), for your tests.
//! - `tower`: a layer for `tower` services over the `http` crate's requests, such as hyper's client and
//!   tonic's channel (the module `tower`).
//!
//! TLS is the application's choice: enable one of reqwest's TLS features, such as `rustls`, in your
//! own `Cargo.toml`.
#![cfg_attr(docsrs, feature(doc_cfg))]

/// The code in README, as tests.
#[cfg(all(doctest, feature = "postgres", feature = "testing"))]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(feature = "blocking")]
#[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
pub mod blocking;
mod challenge;
mod client;
mod clock;
#[cfg(feature = "keys")]
mod dpop;
mod error;
#[cfg(feature = "oauth2")]
mod from_oauth2;
mod grant;
#[cfg(doc)]
#[cfg_attr(docsrs, doc(auto_cfg = false))] // their conditions are those of their tests
pub mod guides;
mod http_date;
mod jitter;
#[cfg(feature = "keys")]
mod keys;
mod lenient_json;
mod line_end;
mod login;
mod loopback;
#[cfg(feature = "middleware")]
mod middleware;
mod observe;
mod origin;
pub mod presets;
mod redact;
mod request;
mod resource;
mod saver;
mod secret;
mod session;
mod sessions;
mod step_up;
pub mod store;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod token;
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub mod tower;
mod wire;

// The crates whose types are in this API.
#[doc(no_inline)]
pub use chrono;
#[doc(no_inline)]
pub use http;
#[cfg(feature = "oauth2")]
#[doc(no_inline)]
pub use oauth2;
#[cfg(feature = "redis")]
#[doc(no_inline)]
pub use redis;
#[doc(no_inline)]
pub use reqwest;
#[cfg(feature = "middleware")]
#[doc(no_inline)]
pub use reqwest_middleware;
#[doc(no_inline)]
pub use serde_json;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[doc(no_inline)]
pub use sqlx;
#[doc(no_inline)]
pub use url;

pub use challenge::Challenge;
pub use client::{
    BasicEncoding, ClientAuthentication, ClientMetadata, HttpClient, Introspection, OAuthClient,
    ProtectedResource, Provider, ProviderRequest, PublicResolver, Registration, RequestKind,
    RequestKinds, TokenRequest, TokenTypeHint,
};
pub use error::{BoxError, Error};
pub use grant::{ClientCredentials, Grant, GrantContext, JwtBearer, TokenExchange, TypedToken};
#[cfg(feature = "keys")]
#[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
pub use keys::{Signer, SigningAlgorithm, SigningKey};
pub use login::{
    AuthorizationRequest, DeviceAuthorization, ImplicitRequest, PendingDeviceLogin,
    PendingImplicitLogin, PendingLogin, Pkce,
};
#[cfg(feature = "middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "middleware")))]
pub use middleware::OAuthMiddleware;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use observe::describe_metrics;
pub use origin::Origins;
pub use request::{
    Api, AuthorizableRequest, ReplayBody, RequestError, RequestOptions, SendRequest,
    SentWithoutToken, redirect_policy, redirect_policy_within, redirect_policy_within_origin,
};
pub use resource::{
    Asked, Authorize, Authorized, BrowserLogin, Discovered, ResourceLogin, ResourceSession,
    ResourceSessionBuilder,
};
pub use saver::TokenSaver;
pub use session::{KeepFreshGuard, Session, SessionBuilder, TokenUpdated, TokenUpdates};
pub use sessions::{UserId, UserSessions, UserSessionsBuilder};
pub use step_up::StepUp;
pub use token::Token;

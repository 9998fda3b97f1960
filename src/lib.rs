//! Keeps OAuth 2 bearer tokens fresh for `reqwest`: a
//! [`reqwest_middleware`] layer that puts the token on each request, renews it before its deadline
//! or on a 401, and hands every new token to your saver before any request uses it.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use reqwest_oauth2::{OAuthClient, Session, Token};
//!
//! let app = OAuthClient::new("foo", "https://provider.com/token")?.secret("potato");
//! let token: Token = serde_json::from_str(&std::fs::read_to_string("token.json")?)?;
//! let session = Session::builder(app)
//!     .token(token)
//!     .on_new_token(|token: Token| async move {
//!         tokio::fs::write("token.json", serde_json::to_vec(&token)?).await?;
//!         Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//!     })
//!     .build();
//! let http = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
//!     .with(session.middleware(["https://provider.com"])?) // the only origins that see the token
//!     .build();
//! let response = http.get("https://provider.com/secret").send().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Scope of this crate
//!
//! It is an OAuth 2 *client's* token layer ([RFC 6749](https://www.rfc-editor.org/rfc/rfc6749),
//! [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)). It is not an OAuth server, does not
//! validate tokens for resource servers, and shows nobody a login page.
//!
//! # What it promises
//!
//! - **Freshness.** `expires_in` becomes an absolute deadline, counted from before the token
//!   request was sent. From *due* (late in the lifetime, jittered) a token is renewed in the
//!   background while requests go on with it; only an *expired* one makes them wait. A 401 that a
//!   new token may cure renews and sends the request again, once.
//! - **Nothing lost.** Any number of requests cause one token request. A renewal, once begun, is
//!   finished and saved whoever goes away. A new token is saved before it is used; if saving fails
//!   it is used from memory while saving is tried again. A refresh token that the provider did not
//!   replace is kept.
//! - **Failure.** What only a new login cures is one clear error and no further token request. What
//!   may pass is tried again with backoff, `Retry-After` honoured, and nobody notices while the old
//!   token is valid. Every wait and every size is bounded.
//! - **Nobody else.** The token goes to the listed origins, over TLS (loopback excepted). No secret
//!   is in any `Debug`, error or log line; what held one is wiped when dropped.
//! - **One refresh in the fleet.** Processes that share a [`store`] renew each token once between them,
//!   and [`UserSessions`] serves many users from it.
//!
//! # Errors
//!
//! Everything fallible returns [`Error`]. Through a `reqwest_middleware` client it arrives as
//! `reqwest_middleware::Error::Middleware`; [`Error::find_in`] gets it out.
//!
//! # Runtime
//!
//! A Tokio runtime with I/O and time enabled. Nothing is spawned until the first renewal (or
//! [`Session::keep_fresh`]); what is then spawned finishes whoever goes away, and
//! [`Session::shutdown`] waits for it.
//!
//! # Getting the first token
//!
//! [`OAuthClient::authorization_code`], [`OAuthClient::device_authorization`], the grants
//! ([`ClientCredentials`], [`JwtBearer`], [`TokenExchange`]), and for providers that know no better
//! [`OAuthClient::implicit`] and [`OAuthClient::password`]. [`OAuthClient::discover`] and
//! [`presets`] know the endpoints.
//!
//! # Features
//!
//! - `encryption`: encrypts what a store holds, with your key (`store::EncryptedStore`).
//! - `file-store` (on by default): a store in files, `store::FileStore`.
//! - `metrics`: counters through the `metrics` facade. They, and the `tracing` events and spans, are
//!   listed in `docs/observability.md`.
//! - `oauth2`: a token obtained with the `oauth2` or `openidconnect` crate becomes a [`Token`].
//! - `postgres`, `redis`, `sqlite`: stores that processes share (`store::PostgresStore`,
//!   `store::RedisStore`, `store::SqliteStore`), on a pool or connection of yours.
//! - `testing`: an OAuth 2 provider on loopback (the module `testing`), for your tests as for ours.
//!
//! TLS is the application's choice: enable one of reqwest's TLS features, such as `rustls`, in your
//! own `Cargo.toml`.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(doctest, feature = "testing"))]
mod doc_tests;

mod challenge;
mod client;
mod clock;
mod error;
#[cfg(feature = "oauth2")]
mod from_oauth2;
mod grant;
mod jitter;
mod login;
mod loopback;
mod middleware;
mod observe;
mod origin;
pub mod presets;
mod redact;
mod saver;
mod secret;
mod session;
mod sessions;
pub mod store;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod token;
mod wire;

pub use client::{
    BasicEncoding, ClientAuthentication, Introspection, OAuthClient, TokenRequest, TokenTypeHint,
};
pub use error::{BoxError, Error};
pub use grant::{ClientCredentials, Grant, GrantContext, JwtBearer, TokenExchange, TypedToken};
pub use login::{
    AuthorizationRequest, DeviceAuthorization, ImplicitRequest, PendingDeviceLogin,
    PendingImplicitLogin, PendingLogin, Pkce,
};
pub use middleware::OAuthMiddleware;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use observe::describe_metrics;
pub use origin::Origins;
pub use saver::TokenSaver;
pub use session::{KeepFreshGuard, Session, SessionBuilder, TokenUpdated, TokenUpdates};
pub use sessions::{UserId, UserSessions, UserSessionsBuilder};
pub use token::Token;

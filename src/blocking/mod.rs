//! For programs without async: sessions run on a thread of their own, as with `reqwest::blocking`.
//!
//! ```no_run
//! use reqwest_oauth2::store::MemoryStore;
//! use reqwest_oauth2::{BoxError, OAuthClient, Session, blocking};
//!
//! fn main() -> Result<(), BoxError> {
//!     let runtime = blocking::Runtime::new()?;
//!     let app = OAuthClient::new("client-id", "https://provider.example/token")?.secret("secret");
//!     let session = Session::builder(app).store(MemoryStore::new(), "me").build();
//!     let session = runtime.session(session);
//!     let http = reqwest::blocking::Client::builder();
//!     let http = http.redirect(reqwest_oauth2::redirect_policy()).build()?;
//!     let response = session.execute(&http, http.get("https://api.example/me").build()?)?;
//!     println!("{}", response.text()?);
//!     Ok(session.shutdown()?)
//! }
//! ```

// From the top, each importing only from those below it: `session` and `api` are what applications hold;
// `owned` is what the last of them waits for; `runtime` is the thread; `blocking_stack` is what the request path
// needs of `reqwest::blocking`.

mod api;
mod blocking_stack;
mod owned;
mod runtime;
mod session;

pub use api::Api;
pub use runtime::Runtime;
pub use session::Session;

//! An API that names its authorization server: from a challenge to a login, and from a login to a session.
//!
//! From the top: [`resource_login`] finds the server, registers with it and has a person log in;
//! [`builder`] sets a session up; [`resource_session`] sends bare until the API asks, and goes on with a login;
//! [`shared_session`] has the current login, and makes a new one; [`flights`] lets one be made at a time;
//! [`need`] is what a response asks for; [`present_login`] and [`browser_login`] are a login that is made and
//! one under way; [`asked`] is what the API asks for, and who answers; [`kept`] is what is stored beside the
//! tokens.

mod asked;
mod browser_login;
mod builder;
mod flights;
mod kept;
mod need;
mod present_login;
mod resource_login;
mod resource_session;
mod shared_session;

pub use asked::{Asked, Authorize, Authorized, Discovered};
pub use browser_login::BrowserLogin;
pub use builder::ResourceSessionBuilder;
pub use resource_login::ResourceLogin;
pub use resource_session::ResourceSession;

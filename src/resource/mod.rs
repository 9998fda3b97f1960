//! An API that names its authorization server: from a challenge to a login, and from a login to a session.
//!
//! From the top, each importing only from those below it: [`resource_login`] finds the server, registers
//! with it and has a person log in; [`resource_session`] sends bare until the API asks, has one login at a
//! time, and goes on with it; [`builder`] sets it up; [`browser_login`] is a login under way; [`asked`] is what the API asks for, and who answers;
//! [`kept`] is what is stored beside the tokens.

mod asked;
mod browser_login;
mod builder;
mod kept;
mod resource_login;
mod resource_session;

pub use asked::{Asked, Authorize, Authorized, Discovered};
pub use browser_login::BrowserLogin;
pub use builder::ResourceSessionBuilder;
pub use resource_login::ResourceLogin;
pub use resource_session::ResourceSession;

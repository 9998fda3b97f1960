//! Many users behind one client, each with a session of its own.

mod builder;
mod cache;
mod handle;
mod user;

pub use builder::UserSessionsBuilder;
pub use handle::UserSessions;
pub use user::UserId;

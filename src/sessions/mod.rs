//! Many users behind one client, each with a session of its own.

mod builder;
mod cache;
mod user_id;
mod user_sessions;

pub use builder::UserSessionsBuilder;
pub use user_id::UserId;
pub use user_sessions::UserSessions;

//! Many users behind one client, each with a session of its own.

mod builder;
mod cache;
mod handle;
mod user;

pub use builder::SessionsBuilder;
pub use handle::Sessions;
pub use user::User;

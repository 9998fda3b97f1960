//! Sessions on one store.

mod adoption;
mod fleet;
mod lease;
mod many_users;
mod sign_out;
mod store_outage;

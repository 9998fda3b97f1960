//! Sessions on one store.

mod many_users;

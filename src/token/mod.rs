//! The token: what the provider gave, with an absolute deadline.

mod access_token;
mod lifetime;
mod stored;
mod value;

pub(crate) use access_token::AccessToken;
pub(crate) use lifetime::Lifetime;
pub(crate) use stored::date;
pub(crate) use value::Parts;
pub use value::Token;

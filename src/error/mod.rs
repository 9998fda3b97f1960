//! The one error of this crate.

mod kind;
mod store;
mod value;

pub(crate) use kind::{Disposition, Kind, Rejection};
pub use store::StoreError;
pub use value::{BoxError, Error};

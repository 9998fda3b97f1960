//! The one error of this crate.

mod kind;
mod value;

pub(crate) use kind::{Disposition, Kind, Rejection};
pub use value::{BoxError, Error};

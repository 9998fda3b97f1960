//! What goes through the browser: the authorization request, and the callback.

mod authorization_error;
mod callback;
mod request;
mod user_decision;

pub(crate) use authorization_error::AuthorizationError;
pub(crate) use callback::{Callback, Params};
pub(crate) use request::{AuthorizationRequest, RequestError};
pub(crate) use user_decision::UserDecision;

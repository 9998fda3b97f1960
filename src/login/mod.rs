//! Getting the first token when a person has to agree.

mod authorization;
mod callback;
mod device;
mod implicit;
mod login_state;
mod pkce;
mod redirect_uri;

pub use authorization::{AuthorizationRequest, Login};
pub use device::{DeviceAuthorization, DeviceLogin};
pub use implicit::{ImplicitLogin, ImplicitRequest};
pub use pkce::Pkce;

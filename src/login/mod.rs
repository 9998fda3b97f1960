//! Getting the first token when a person must agree, or give a password.

mod authorization_code;
mod callback;
mod device;
mod implicit;
mod password;
mod pending_login;
mod pkce;
mod pushed_request;
mod redirect_uri;

pub use authorization_code::{AuthorizationRequest, PendingLogin};
pub use device::{DeviceAuthorization, PendingDeviceLogin};
pub use implicit::{ImplicitRequest, PendingImplicitLogin};
pub use pkce::Pkce;

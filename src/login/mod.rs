//! Getting the first token when a person has to agree.

mod authorization;
mod callback;
mod device;
mod implicit;
mod login_state;
mod pkce;
mod redirect_uri;

pub use authorization::{AuthorizationRequest, PendingLogin};
pub use device::{DeviceAuthorization, PendingDeviceLogin};
pub use implicit::{ImplicitRequest, PendingImplicitLogin};
pub use pkce::Pkce;

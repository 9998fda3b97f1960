//! One request, whatever sends it: add the token, send, on a 401 renew and replay.
//!
//! From the top, each importing only from those below it:
//!
//! - [`request_path`]: what happens to a request;
//! - [`api`]: which origins get the token, and how;
//! - [`exchange`]: a request that was answered with a 401, and what is sent after that;
//! - [`reqwest_stack`]: reqwest's requests and responses, as a [`stack`]: what the path needs of them; `reqwest_methods` is
//!   what those that block have in common with them;
//! - [`send_request`]: what is below the layer; [`request_error`]: why there is no response;
//! - [`verdict`]: which responses reject the token; [`placement`]: where in a request it goes;
//! - [`sent`]: what of a request can be sent again; [`replay_body`]: its body;
//! - [`deadline`]: how long it may take; [`request_options`]: what is different for one request.
//!
//! [`authorize`] gives token and proof to requests that something else sends, `proofs` to those of the path.
//! [`redirect_policy`] is for the client below.

mod api;
mod authorize;
mod deadline;
mod exchange;
mod placement;
#[cfg(feature = "keys")]
mod proofs;
mod redirect_policy;
mod replay_body;
mod request_error;
mod request_options;
mod request_path;
mod reqwest_methods;
mod reqwest_stack;
mod send_request;
mod sent;
mod stack;
mod verdict;

pub use api::Api;
pub use authorize::AuthorizableRequest;
pub use redirect_policy::{redirect_policy, redirect_policy_within, redirect_policy_within_origin};
pub use replay_body::ReplayBody;
pub use request_error::RequestError;
pub use request_options::{RequestOptions, SentWithoutToken};
#[cfg(feature = "blocking")]
pub(crate) use reqwest_methods::reqwest_methods;
pub use send_request::SendRequest;
#[cfg(feature = "tower")]
pub(crate) use stack::path_of;
#[cfg(any(feature = "blocking", feature = "tower"))]
pub(crate) use stack::{Stack, StackRequest, StackResponse};
#[cfg(feature = "blocking")]
pub(crate) use stack::{head_of, is_url_for, path_of_url, remove_credentials};
